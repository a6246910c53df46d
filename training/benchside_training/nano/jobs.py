"""The jobs of a pipeline side by side: each in a process, on one thread.

What a job prints is in `logs/`; the board shows what each is at.
"""

from __future__ import annotations

import contextlib
import os
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context, parent_process

import torch
from rich.console import Console
from rich.live import Live

from benchside_training.nano.board import Board
from benchside_training.nano.config import NanoConfig
from benchside_training.nano.pipeline import METHODS, Nano


def side_by_side(config: NanoConfig, console: Console) -> None:
    """Do all jobs, `config.parallel` at a time, each once those are done that it comes after.

    Raises:
        BenchsideError: of the first job that fails; the others are ended.
    """
    left = {name: job.after for name, job in Nano(config, leads=False).jobs().items()}
    (config.out / "logs").mkdir(exist_ok=True)
    running: dict[Future[None], str] = {}
    done: set[str] = set()
    with (
        ProcessPoolExecutor(config.parallel, get_context("spawn"), _end_with_parent) as pool,
        Live(Board(config.out, _shown(config)), console=console, refresh_per_second=0.5),
    ):
        try:
            while left or running:
                ready = [name for name, after in left.items() if after <= done]
                for name in ready[: config.parallel - len(running)]:
                    del left[name]
                    running[pool.submit(_do, config, name)] = name
                for one in wait(running, return_when=FIRST_COMPLETED).done:
                    one.result()
                    done.add(running.pop(one))
        except BaseException:
            for process in list(pool._processes.values()):
                process.terminate()
            raise


def _shown(config: NanoConfig) -> dict[str, tuple[str, dict[str, str]]]:
    """Of each job that trains, its folder and its run on held-out tasks."""
    shown = {
        f"{method}, seed {seed}": (
            f"seed-{seed}/{method}", {str(method): f"{method}-{seed}-held-out"}
        )
        for seed in config.seeds
        for method in METHODS[1:]
    }  # fmt: skip
    first = config.seeds[0]
    for part in config.parts:
        shown[f"sft on {part:.0%}"] = (f"part-{part:g}", {"sft": f"sft-{first}-part-{part:g}"})
    shown["verifier"] = ("verifier", {"attempts": f"sft-{first}-attempts"})
    return shown


def _do(config: NanoConfig, name: str) -> None:
    torch.set_num_threads(1)
    path = config.out / "logs" / f"{name}.log"
    with (
        path.open("a", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        Nano(config, Console(file=log), leads=False).jobs()[name].do()


def _end_with_parent() -> None:
    """A killed pipeline leaves no job behind, which would hold its folders."""

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
