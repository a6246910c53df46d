"""Replays one episode: plays it, compares, and looks for hidden state and causes."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from pathlib import Path

from benchside.episode import Episode
from benchside.isolation import hidden_paths
from benchside.library import Suite
from benchside.policy import Turn
from benchside.provenance import describe
from benchside.replay.causes import Cause, find_causes
from benchside.replay.compare import compare_all
from benchside.replay.play import Conditions, cells_of, check_same, play
from benchside.replay.row import ReplayRow
from benchside_kernels.backend import KernelMaker
from benchside_kernels.cell import CellResult


@dataclass(frozen=True, slots=True)
class Replayed:
    """An episode's verdict, and the episode as it went this time, for a notebook to look at."""

    row: ReplayRow
    episode: Episode


async def replay_episode(
    episode: Episode, transcript: str, suite: Suite, maker: KernelMaker, *, probe: bool = False,
    also_hidden: tuple[Path, ...] = (),
) -> Replayed:  # fmt: skip
    """Play an episode again and compare cell by cell.

    Args:
        transcript: sha256 of its notebook.
        probe: look for causes even where nothing differs; else only where something does.
        also_hidden: paths that the kernel must not read, besides gold.

    Raises:
        InputError: the suite's build is another one.
        KernelStartError: no kernel came up.
    """
    check_same(episode, suite)
    hidden = (*hidden_paths(suite.home), *also_hidden)
    cells = cells_of(episode)
    conditions = Conditions(episode.provenance.seed)
    played = await play(episode, cells, conditions, suite, maker, hidden)
    verdicts = compare_all(cells, played.results)
    different = tuple(one for one in verdicts if one.verdict == "different")
    causes: tuple[Cause, ...] | None = None
    if probe or different:
        causes = await find_causes(episode, suite, maker, hidden)
    row = ReplayRow(
        episode_id=episode.episode_id, task_id=episode.task.task_id, suite=suite.name,
        policy=episode.policy, transcript=transcript, isolation=describe(maker.isolation),
        cells=len(cells), identical=sum(one.verdict == "identical" for one in verdicts),
        equal=sum(one.verdict == "equal" for one in verdicts), different=different,
        hidden_state=await _hidden_state(
            episode, played.results, {one.cell_id for one in different}, suite, maker, hidden
        ),
        same_states=episode.states == played.states if episode.task.services else None,
        causes=causes,
    )  # fmt: skip
    return Replayed(row, _with_results(episode, played.results))


async def _hidden_state(
    episode: Episode,
    played: tuple[CellResult, ...],
    unsteady: Set[str],
    suite: Suite,
    maker: KernelMaker,
    hidden: tuple[Path, ...],
) -> tuple[str, ...]:
    """Run the cells that ended well in one kernel, in order, and say which of them change.

    Args:
        unsteady: ids of cells that change anyway, of which nothing can be said.
    """
    clean = [result for result in played if result.status == "ok"]
    if len(clean) == len(played):
        return ()
    conditions = Conditions(episode.provenance.seed)
    again = await play(episode, clean, conditions, suite, maker, hidden, restarts=0)
    verdicts = compare_all(clean, again.results)
    changed = (one.cell_id for one in verdicts if one.verdict == "different")
    return tuple(cell_id for cell_id in changed if cell_id not in unsteady)


def _with_results(episode: Episode, results: tuple[CellResult, ...]) -> Episode:
    """The episode with what its cells gave this time; a submission is still the one of then."""
    again = {result.cell_id: result for result in results}

    def renewed(turn: Turn) -> Turn:
        if turn.result is None or turn.result.cell_id not in again:
            return turn
        return replace(turn, result=again[turn.result.cell_id])

    return episode.model_copy(update={"turns": tuple(map(renewed, episode.turns))})
