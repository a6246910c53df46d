"""`benchside attach`: turns the kept kernel of an episode into a Jupyter kernel to step into.

The kernel goes on where the episode ended, with all its variables and files. What is done there is
nobody's score: the episode was graded before.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_core.paths import jupyter_runtime_dir
from rich.console import Console

from benchside.commands import find_transcript
from benchside_kernels.backend import first
from benchside_kernels.kept import kept_names, take_kept
from benchside_kernels.process import ProcessExit


async def attach_or_list(episode: str | None, console: Console) -> None:
    """Serve an episode's kernel until it ends or the user leaves; without one, list what is kept.

    Raises:
        StoreError: there is no such episode.
        KernelStartError: its kernel is not kept, or did not become a Jupyter kernel.
    """
    if episode is None:
        names = await kept_names()
        for name in names:
            console.print(name, soft_wrap=True)
        console.print(f"{len(names)} kernels are kept; `benchside run --keep MINUTES` keeps more")
        return
    transcript = find_transcript(episode).resolve()
    async with take_kept(f"{transcript.parent.parent}/{transcript.stem}") as kernel:
        file = await kernel.attach()
        with _offered_to_jupyter(file, transcript.stem) as offered:
            console.print("The kernel is up. In another terminal:", style="bold")
            console.print(f"  jupyter console --existing {offered}", soft_wrap=True)
            console.print("or in JupyterLab, where `Change Kernel` then lists it:")
            console.print(
                f"  jupyter lab --ServerApp.allow_external_kernels=True {transcript}",
                soft_wrap=True,
            )
            console.print("Ctrl-C here ends the kernel.")
            await _until_left(kernel.exited)


async def _until_left(ended: asyncio.Future[ProcessExit]) -> None:
    """Wait for the kernel's end, or for the user's."""
    left = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, left.set)
    leaving = asyncio.ensure_future(left.wait())
    await first(ended, leaving)
    leaving.cancel()


@contextmanager
def _offered_to_jupyter(file: Path, name: str) -> Iterator[Path]:
    """Link the connection file where a Jupyter server looks for kernels that it has not started."""
    folder = Path(jupyter_runtime_dir()) / "external_kernels"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    link = folder / f"kernel-benchside-{name}-{os.getpid()}.json"
    link.symlink_to(file)
    try:
        yield link
    finally:
        with contextlib.suppress(FileNotFoundError):
            link.unlink()
