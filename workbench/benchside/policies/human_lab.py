"""A person as a policy in JupyterLab: each episode is a notebook whose kernel is the episode's.

The notebook's kernel (`episode_kernel.py`) hands each cell to the running episode through a socket
and shows what came of it. So a cell of JupyterLab is a turn like any other: with the task's limits,
in the sandbox, timed, and in the transcript. `submit(value)` in a cell ends the episode.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
from pydantic import JsonValue
from rich.console import Console

from benchside.asker import asker
from benchside.errors import InfrastructureError, InputError
from benchside.policy import Action, Conversation, Turn, Usage
from benchside.protocol import run_cell_action

KERNEL = "benchside.policies.episode_kernel"
MAX_LINE = 64 * 2**20
START_S = 90.0
SHOWN_S = 2.0  # for JupyterLab to show what came of the last cell, before it ends
OVER = "The episode is over; the next one has a notebook of its own."


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell that the person has run, and the future of what its notebook is to be told."""

    code: str
    told: asyncio.Future[dict[str, JsonValue]]


class _Notebook:
    """The notebook of one episode: a socket from which its cells come.

    Args:
        name: of kernelspec, notebook and socket.
    """

    def __init__(self, folder: Path, name: str, conversation: Conversation) -> None:
        self.name, self._folder = name, folder
        self._cells: asyncio.Queue[_Cell] = asyncio.Queue()
        self._running: _Cell | None = None
        self._server: asyncio.Server | None = None
        self._conversation = conversation

    async def open(self) -> None:
        """Listen, and write kernelspec and notebook."""
        socket = self._folder / f"{self.name}.socket"
        self._server = await asyncio.start_unix_server(self._serve, socket, limit=MAX_LINE)
        task = self._conversation.task
        spec = self._folder / "data" / "kernels" / self.name
        spec.mkdir(parents=True)
        argv = [
            sys.executable,
            "-m",
            "benchside.policies.episode_kernel",
            "-f",
            "{connection_file}",
        ]
        described = {
            "argv": argv, "display_name": f"Benchside {task.task_id}", "language": "python",
            "env": {"BENCHSIDE_EPISODE_SOCKET": str(socket)},
        }  # fmt: skip
        (spec / "kernel.json").write_text(json.dumps(described), encoding="utf-8")
        notebook = nbformat.v4.new_notebook(
            cells=[
                nbformat.v4.new_markdown_cell(self._conversation.opening[-1].content),
                nbformat.v4.new_code_cell(""),
            ],
            metadata={"kernelspec": {"name": self.name, "display_name": described["display_name"]}},
        )
        nbformat.write(notebook, self._folder / "notebooks" / f"{self.name}.ipynb")

    async def next_cell(self, before: Turn | None) -> str:
        """Show what came of the cell before, then wait for the next one."""
        if self._running is not None and before is not None:
            result = before.result
            self._running.told.set_result(
                {
                    "outputs": [] if result is None else list(result.outputs),
                    "note": (before.observations[-1].content or "") if _noted(before) else "",
                }
            )
        self._running = await self._cells.get()
        return self._running.code

    async def close(self) -> bool:
        """Tell who waits that it is over, and hear nobody any more; True if somebody waited."""
        if self._server is not None:
            self._server.close()
        waiting = [self._running] if self._running is not None else []
        while not self._cells.empty():
            waiting.append(self._cells.get_nowait())
        for cell in waiting:
            if not cell.told.done():
                cell.told.set_result({"outputs": [], "note": OVER})
        await asyncio.sleep(0)  # so that they are told
        return bool(waiting)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one cell for each connection."""
        with contextlib.suppress(ConnectionError, ValueError), contextlib.closing(writer):
            code = json.loads(await reader.readline())
            cell = _Cell(str(code), asyncio.get_running_loop().create_future())
            self._cells.put_nowait(cell)
            writer.write(json.dumps(await cell.told).encode() + b"\n")
            await writer.drain()


def _noted(turn: Turn) -> bool:
    """Whether the outputs alone do not tell what came of the cell."""
    return turn.result is None or turn.result.status in ("timeout", "dead")


class LabPolicy:
    """Whoever works in the JupyterLab that this starts; one episode at a time."""

    name = "human:lab"

    def __init__(self) -> None:
        self.config: dict[str, JsonValue] = {"policy": "human", "front_end": "lab"}
        self._console = Console(stderr=True, markup=False, highlight=False)
        self._folder: Path | None = None
        self._lab: asyncio.subprocess.Process | None = None
        self._url = ""
        self._token = secrets.token_hex(24)
        self._notebook: _Notebook | None = None
        self._episodes = 0

    async def act(self, conversation: Conversation) -> Action:
        """Wait for the next cell of the episode's notebook.

        Where JupyterLab has died, it is started again, and the episode goes on.

        Raises:
            InfrastructureError: JupyterLab did not start.
        """
        asked, turns = time.monotonic(), conversation.turns
        if not turns or self._notebook is None:
            await self._open(conversation)
        assert self._notebook is not None
        code = await self._next_cell(self._notebook, turns[-1] if turns else None)
        action = run_cell_action(code, turn=len(turns))
        return action.model_copy(update={"usage": Usage(latency_s=time.monotonic() - asked)})

    async def check(self) -> None:
        """Raise `InputError` where JupyterLab is not installed."""
        if importlib.util.find_spec("jupyterlab") is None:
            raise InputError(
                "policy human:lab needs JupyterLab, which is not installed", where="--policy",
                value="human:lab", fix="pip install 'benchside[lab]'",
            )  # fmt: skip

    async def aclose(self) -> None:
        """Close the notebook and end JupyterLab."""
        if self._notebook is not None and await self._notebook.close():
            await asyncio.sleep(SHOWN_S)
        if self._lab is not None and self._lab.returncode is None:
            self._lab.terminate()
            try:
                await asyncio.wait_for(self._lab.wait(), 10)
            except TimeoutError:
                self._lab.kill()
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def _open(self, conversation: Conversation) -> None:
        if self._notebook is not None:
            await self._notebook.close()
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="benchside-"))  # only the user's to enter
            for name in ("notebooks", "runtime", "data"):
                (self._folder / name).mkdir()
        self._episodes += 1
        self._notebook = _Notebook(self._folder, f"episode-{self._episodes}", conversation)
        await self._notebook.open()
        if self._lab is None or self._lab.returncode is not None or not self._url:
            await self._start_lab(self._folder)
        limit_s = conversation.task.limits.episode_timeout_s
        self._say(f"Open within {limit_s:g} s, and end with submit(value) in a cell:")

    def _say(self, what: str) -> None:
        assert self._notebook is not None
        page = f"{self._url}lab/tree/{self._notebook.name}.ipynb?token={self._token}"
        self._console.print(f"{what}\n  {page}", soft_wrap=True)

    async def _next_cell(self, notebook: _Notebook, before: Turn | None) -> str:
        """Wait for a cell, and see to it that there is a JupyterLab from which it can come."""
        cell = asyncio.ensure_future(notebook.next_cell(before))
        try:
            while True:
                assert self._lab is not None and self._folder is not None
                gone = asyncio.ensure_future(self._lab.wait())
                try:
                    await asyncio.wait([cell, gone], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    gone.cancel()
                if cell.done():
                    return cell.result()
                await self._start_lab(self._folder)
                self._say("JupyterLab had ended. It runs again; go on with the notebook as saved:")
        finally:
            cell.cancel()

    async def _start_lab(self, folder: Path) -> None:
        """Start JupyterLab; the episode's time stands still."""
        with asker().clock.stopped():
            await self._start_lab_in(folder)

    async def _start_lab_in(self, folder: Path) -> None:
        environment = {
            **os.environ, "JUPYTER_TOKEN": self._token, "JUPYTER_PATH": str(folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        }  # fmt: skip
        if self._lab is not None and self._lab.returncode is None:
            self._lab.kill()  # it did not start in time
        for stale in (folder / "runtime").glob("jpserver-*.json"):
            stale.unlink()
        self._url = ""
        self._lab = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.port=0",
            "--allow-root", f"--ServerApp.root_dir={folder / 'notebooks'}", env=environment,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + START_S
        while not (found := list((folder / "runtime").glob("jpserver-*.json"))):
            if self._lab.returncode is not None or time.monotonic() > deadline:
                raise InfrastructureError(
                    "JupyterLab did not start", value=self._lab.returncode,
                    fix=f"see what `{sys.executable} -m jupyterlab` says",
                )  # fmt: skip
            await asyncio.sleep(0.1)
        self._url = json.loads(found[0].read_text(encoding="utf-8"))["url"]
