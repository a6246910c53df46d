"""Runs the cells of an episode again, in a fresh kernel of the same image, seed and isolation.

The rollout's rules hold: a kernel that is gone is replaced as often as the task allows, and each
attempt at a task, as those before a draft's submission and after it, has a fresh one. Cells get
twice the time that they had, so that a busy machine changes no verdict; those that were stopped for
their time get the same again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path

from benchside.episode import Episode
from benchside.errors import InputError
from benchside.library import Suite
from benchside.policy import FreshKernel
from benchside.services import open_services
from benchside.state import ServiceState
from benchside.task_kernel import task_session
from benchside_kernels.backend import KernelMaker
from benchside_kernels.cell import CellResult
from benchside_kernels.errors import KernelStartError
from benchside_kernels.session import KernelSession

PATIENCE = 2.0
PIN_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a cell may depend on besides its code and data.

    Args:
        seed: of the kernel's random generators; hash_seed: Python's.
        clock, entropy: where the clock starts (seconds since 1970) and the seed of the operating
            system's random bytes; None: as they are, not pinned.
    """

    seed: int
    hash_seed: int = 0
    clock: float | None = None
    entropy: int | None = None


@dataclass(frozen=True, slots=True)
class Played:
    """What the cells gave this time, and what the task's services recorded."""

    results: tuple[CellResult, ...]
    states: tuple[ServiceState, ...]


def cells_of(episode: Episode) -> list[CellResult]:
    """Return the cells that an episode ran, in order."""
    return [turn.result for turn in episode.turns if turn.result is not None]


def kernels_of(episode: Episode) -> dict[str, int]:
    """Return in which of the episode's fresh kernels each cell ran, by its id; restarts apart."""
    found: dict[str, int] = {}
    number = 0
    for turn in episode.turns:
        number += isinstance(turn.action.asks, FreshKernel)
        if turn.result is not None:
            found[turn.result.cell_id] = number
            number += turn.action.draft and turn.result.submission is not None
    return found


def check_same(episode: Episode, suite: Suite) -> None:
    """Raise `InputError` where the suite's build is not the one that the episode was run on."""
    image = suite.image(episode.task).ref
    if episode.provenance.image not in ("", image):
        raise InputError(
            "the episode ran on another kernel image than this build's", where=episode.episode_id,
            value=episode.provenance.image,
            fix=f"prepare the build {episode.provenance.suite_build} of {suite.name} again",
        )  # fmt: skip


async def play(
    episode: Episode,
    cells: Sequence[CellResult],
    conditions: Conditions,
    suite: Suite,
    maker: KernelMaker,
    hidden: tuple[Path, ...],
    *,
    restarts: int | None = None,
) -> Played:
    """Run cells in order.

    Args:
        cells: of the episode; each keeps its id, so that it can be compared with itself.
        hidden: paths that the kernel must not read.
        restarts: kernels that may replace one that is gone; None: as many as the task allows.

    Raises:
        KernelStartError: no kernel came up.
    """
    task = episode.task
    left = task.limits.max_kernel_restarts if restarts is None else restarts
    results: list[CellResult] = []
    kernels, current = kernels_of(episode), 0
    async with open_services(suite, task) as services:
        session = task_session(
            suite, task, services, maker, hidden=hidden, seed=conditions.seed,
            hash_seed=conditions.hash_seed, patience=PATIENCE,
        )  # fmt: skip
        async with session:
            await _pin(session, conditions)
            for cell in cells:
                if kernels[cell.cell_id] != current:
                    current = kernels[cell.cell_id]
                    await session.renew()
                    await _pin(session, conditions)
                if not session.alive and left > 0:
                    left -= 1
                    with contextlib.suppress(KernelStartError):  # as in the rollout
                        await session.restart()
                        await _pin(session, conditions)
                if not session.alive:
                    break
                patience = 1.0 if cell.status == "timeout" else PATIENCE
                result = await session.run(cell.source, patience * task.limits.cell_timeout_s)
                if session.lost and result.submission is None:
                    raise KernelStartError("the kernel was lost with the process that owned it")
                results.append(replace(result, cell_id=cell.cell_id))
        states = services.states()
    return Played(tuple(results), states)


async def _pin(session: KernelSession, conditions: Conditions) -> None:
    """Pin clock and entropy in a kernel that has just started."""
    if conditions.clock is None or conditions.entropy is None:
        return
    call = f"_pin({conditions.clock!r}, {conditions.entropy!r})\ndel _pin"
    result = await session.run(f"{_pin_source()}\n\n{call}", PIN_TIMEOUT_S)
    if result.status != "ok":
        raise KernelStartError(f"the clock could not be pinned: {result.outputs} {result.note}")


@cache
def _pin_source() -> str:
    return resources.files(__package__).joinpath("pin_cell.py").read_text(encoding="utf-8")
