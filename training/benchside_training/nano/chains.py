"""The chains of a pipeline side by side: each in a process of its own, on one thread.

A chain is all that follows from the base model for one seed, or the SFT models of parts of the
examples. What a chain prints is in `logs/`; the board shows what it is at.
"""

from __future__ import annotations

import contextlib
import os
import threading
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from multiprocessing import get_context, parent_process

import torch
from rich.console import Console
from rich.live import Live

from benchside_training.nano.board import Board
from benchside_training.nano.pipeline import METHODS, Nano, NanoConfig

PARTS = "parts"


def side_by_side(config: NanoConfig, console: Console) -> None:
    """Do all chains, `config.parallel` at a time.

    Raises:
        BenchsideError: of the first chain that fails; the others are ended.
    """
    names = [*map(str, config.seeds), PARTS]
    first = config.seeds[0]
    shown: dict[str, tuple[str, dict[str, str]]] = {}
    for seed in config.seeds:
        runs = {str(method): f"{method}-{seed}-held-out" for method in METHODS[1:]}
        shown[f"seed {seed}"] = (f"seed-{seed}/*", runs)
    runs = {f"{part:.0%}": f"sft-{first}-part-{part:g}" for part in config.parts}
    shown[PARTS] = ("part-*", runs)
    (config.out / "logs").mkdir(exist_ok=True)
    with (
        ProcessPoolExecutor(config.parallel, get_context("spawn"), _end_with_parent) as pool,
        Live(Board(config.out, shown), console=console, refresh_per_second=0.5),
    ):
        left = {pool.submit(_chain, config, name) for name in names}
        try:
            while left:
                done, left = wait(left, return_when=FIRST_COMPLETED)
                for one in done:
                    one.result()
        except BaseException:
            for process in list(pool._processes.values()):
                process.terminate()
            raise


def _chain(config: NanoConfig, name: str) -> None:
    torch.set_num_threads(1)
    path = config.out / "logs" / f"{name}.log"
    with (
        path.open("a", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        nano = Nano(config, Console(file=log), leads=False)
        if name == PARTS:
            nano.parts()
        else:
            nano.seed(int(name))


def _end_with_parent() -> None:
    """A killed pipeline leaves no chain behind, which would hold its folders."""

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
