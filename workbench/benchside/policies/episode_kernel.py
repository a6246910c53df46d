"""The Jupyter kernel of an episode's notebook: hands each cell to the episode, shows its outputs.

Started by JupyterLab, from the kernelspec that `human_lab.py` writes. It runs no code itself.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelbase import Kernel

from benchside import __version__

MAX_LINE = 64 * 2**20
SOCKET = "BENCHSIDE_EPISODE_SOCKET"


@dataclass(frozen=True, slots=True)
class Told:
    """What the episode says of a cell: nbformat outputs, and what they alone do not tell."""

    outputs: Sequence[dict[str, Any]] = ()
    note: str = ""


OVER = Told(note="The episode is over.")


class EpisodeKernel(Kernel):
    """A kernel whose cells are turns of an episode in another process."""

    implementation = "benchside"
    implementation_version = __version__
    banner = "An episode of Benchside: submit(value) ends it."
    language_info = {  # noqa: RUF012 (as the base class declares it)
        "name": "python", "mimetype": "text/x-python", "file_extension": ".py",
        "pygments_lexer": "ipython3", "codemirror_mode": {"name": "ipython", "version": 3},
    }  # fmt: skip

    async def do_execute(self, code: str, *_: Any, **__: Any) -> dict[str, Any]:
        """Called by ipykernel for each cell."""
        told = await _ask(code) if code.strip() else Told()
        failed: dict[str, Any] = {}
        for output in told.outputs:
            content = {key: value for key, value in output.items() if key != "output_type"}
            if output["output_type"] == "error":
                failed = content
            self._show(output["output_type"], content)
        if told.note:
            self._show("stream", {"name": "stderr", "text": f"{told.note}\n"})
        ended = {"status": "error" if failed else "ok", "execution_count": self.execution_count}
        return {**ended, "payload": [], "user_expressions": {}, **failed}

    def _show(self, kind: str, content: dict[str, Any]) -> None:
        send: Callable[..., Any] = self.send_response
        send(self.iopub_socket, kind, content)


async def _ask(code: str) -> Told:
    """What the episode says of a cell; that it is over, where nobody listens any more."""
    try:
        reader, writer = await asyncio.open_unix_connection(os.environ[SOCKET], limit=MAX_LINE)
    except OSError:
        return OVER
    writer.write(json.dumps(code).encode() + b"\n")
    line = await reader.readline()
    writer.close()
    return Told(**json.loads(line)) if line else OVER


if __name__ == "__main__":
    IPKernelApp.launch_instance(kernel_class=EpisodeKernel)
