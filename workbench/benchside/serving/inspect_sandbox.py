"""An episode's kernel as a sandbox of Inspect: what others execute there are cells like any other.

So `bash()` and `python()` of Inspect, too, take turns of the episode, within its limits and in its
transcript. Files are read and written through cells as well.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from inspect_ai.util import (
    ExecResult,
    OutputLimitExceededError,
    SandboxEnvironment,
    SandboxUserUnsupportedError,
    sandboxenv,
)
from pydantic import BaseModel

from benchside.errors import InfrastructureError, PolicyError
from benchside.protocol import run_cell_action
from benchside.serving.desk import DeskOnDemand, Offer
from benchside.serving.driven import LEFT, DrivenEpisode

_CELL = """
import base64 as _base64, json as _json, os as _os, pathlib as _pathlib, subprocess as _subprocess
try:
{body}
except Exception as _error:
    _told = [type(_error).__name__, str(_error)]
print(_json.dumps(_told))
"""
_EXEC = """
    _done = _subprocess.run(
        {cmd!r}, input={given!r}, cwd={cwd!r}, env={{**_os.environ, **{env!r}}},
        timeout={timeout!r}, capture_output=True,
    )
    _text = [one.decode(errors="replace") for one in (_done.stdout, _done.stderr)]
    _told = [_done.returncode, *_text]
"""
_WRITE = """
    _pathlib.Path({file!r}).parent.mkdir(parents=True, exist_ok=True)
    _told = [_pathlib.Path({file!r}).write_bytes(_base64.b64decode({data!r}))]
"""
_READ = """
    _told = [0, _base64.b64encode(_pathlib.Path({file!r}).read_bytes()).decode()]
"""
_ERRORS: dict[str, type[Exception]] = {
    error.__name__: error for error in (FileNotFoundError, IsADirectoryError, PermissionError)
} | {"TimeoutExpired": TimeoutError}

_DESKS: dict[Offer, DeskOnDemand] = {}
"""Those of the evaluations of this process; Inspect closes each at its task's end."""


@sandboxenv(name="benchside")
class KernelSandbox(SandboxEnvironment):
    """The sandbox of one sample: one episode."""

    def __init__(self, episode: DrivenEpisode) -> None:
        super().__init__()
        self.episode = episode

    @classmethod
    async def sample_init(
        cls, task_name: str, config: Any, metadata: dict[str, str]
    ) -> dict[str, SandboxEnvironment]:
        """Start the kernel of a sample."""
        desk = await _DESKS.setdefault(config, DeskOnDemand(config)).get()
        episode = desk.episode(desk.task(metadata["task_id"]))
        return {"default": cls(await episode.__aenter__())}

    @classmethod
    async def sample_cleanup(
        cls,
        task_name: str,
        config: Any,
        environments: dict[str, SandboxEnvironment],
        interrupted: bool,
    ) -> None:
        """End an episode that was not scored: the sample was cancelled, or its solver failed."""
        for environment in environments.values():
            if isinstance(environment, KernelSandbox):
                await environment.stop(InfrastructureError(LEFT))

    @classmethod
    async def task_cleanup(cls, task_name: str, config: Any, cleanup: bool) -> None:
        """Close the desk."""
        desk = _DESKS.pop(config, None)
        if desk is not None:
            await desk.close()

    @classmethod
    def config_deserialize(cls, config: dict[str, Any]) -> BaseModel:
        """Called by Inspect for a configuration from its logs."""
        return Offer.model_validate(config)

    async def stop(self, why: Exception | None = None) -> None:
        """End the episode if it is not over: without a reason given, a score of nothing."""
        await self.episode.leave(why or PolicyError("Inspect stopped it before a submission"))

    async def exec(
        self,
        cmd: list[str],
        input: str | bytes | None = None,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        user: str | None = None,
        timeout: int | None = None,
        timeout_retry: bool = True,
        concurrency: bool = True,
    ) -> ExecResult[str]:
        """Run a command by a cell; it takes a turn."""
        if user is not None:
            raise SandboxUserUnsupportedError("a kernel has one user")
        given = input.encode() if isinstance(input, str) else input
        try:
            code, stdout, stderr = await self._cell(
                _EXEC.format(cmd=cmd, given=given, cwd=cwd, env=env or {}, timeout=timeout)
            )
        except FileNotFoundError as error:  # of the command: a result, by Inspect's rules
            code, stdout, stderr = 127, "", str(error)
        return ExecResult(code == 0, code, stdout, stderr)

    async def write_file(self, file: str, contents: str | bytes) -> None:
        """Write a file by a cell; it takes a turn."""
        data = contents.encode() if isinstance(contents, str) else contents
        await self._cell(_WRITE.format(file=file, data=base64.b64encode(data).decode()))

    async def read_file(self, file: str, text: bool = True) -> Any:
        """Read a file by a cell; it takes a turn."""
        _, encoded = await self._cell(_READ.format(file=file))
        data = base64.b64decode(encoded)
        return data.decode() if text else data

    async def _cell(self, code: str) -> Any:
        """Run a cell that prints one JSON value: results, or the name and text of an error."""
        step = await self.episode.step(run_cell_action(_CELL.format(body=code.strip("\n"))))
        result = None if step.turn is None else step.turn.result
        if result is None or result.status != "ok":
            raise TimeoutError(step.text)
        if result.dropped_chars:
            raise OutputLimitExceededError(f"{result.output_chars} characters", None)
        told = json.loads(result.outputs[0]["text"])
        if isinstance(told[0], str):
            raise _ERRORS.get(told[0], OSError)(told[1])
        return told
