"""Preference pairs: of two episodes on one task, which is to be preferred.

    python -m benchside_training.pairs pairs.yaml

writes `pairs.jsonl` (a `Pair` a line), `data_card.json` and `data_card.md`. Pairs come from samples
of the same task, from people's corrections (`benchside prefer`), and from edited continuations
(`benchside replay --edit`) that solved what their parent did not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from benchside.episode import Outcome
from benchside.preference import read_preferences
from benchside.store import RunFolder
from benchside.task import Frozen
from benchside_kernels.startup import home_folder
from benchside_training.data_card import DataCard, read_set, write_set
from benchside_training.example import Example
from benchside_training.example_set import EpisodeChoice, ExampleSet, find_examples
from benchside_training.recipe import run_recipe

FILE = "pairs.jsonl"
SCORED: tuple[Outcome, ...] = ("solved", "wrong", "truncated")

PairSource = Literal["samples", "corrections", "edits"]


class Pair(Frozen):
    """Two examples of one task with the same opening; `chosen` is the better one."""

    source: PairSource
    chosen: Example
    rejected: Example


class PairsConfig(EpisodeChoice):
    """What `main` makes.

    Args:
        out: folder for the set.
        sources: where pairs are taken from.
        per_task: at most so many of one task from samples; corrections and edits are all taken.
    """

    out: Path
    sources: tuple[PairSource, ...] = ("samples", "corrections", "edits")
    per_task: int = Field(4, ge=1)


def main(config: PairsConfig, home: Path | None = None) -> DataCard:
    """Make a set of pairs.

    Raises:
        InputError: there are none, or credentialed data without the flag; nothing was written.
    """
    edited = "edits" in config.sources or "corrections" in config.sources
    found = find_examples(config, SCORED, home or home_folder(), edited=edited)
    makers: dict[PairSource, Callable[[], Iterator[Pair]]] = {
        "corrections": lambda: _corrections(found),
        "edits": lambda: _edits(found),
        "samples": lambda: _samples(found, config.per_task),
    }
    # in this order: what a person has made of two episodes goes before what follows from scores
    made = [pair for name, make in makers.items() if name in config.sources for pair in make()]
    once = {(pair.chosen.actions_hash, pair.rejected.actions_hash): pair for pair in reversed(made)}
    pairs = [pair for pair in reversed(once.values()) if pair.chosen != pair.rejected]
    sides = [one for pair in pairs for one in (pair.chosen, pair.rejected)]
    return write_set(config.out, FILE, pairs, sides, found, config)


def read_pairs(path: Path) -> list[Pair]:
    """Read a set; `InputError` names the line that is no pair."""
    return read_set(path, Pair.model_validate_json)


def _samples(found: ExampleSet, per_task: int) -> Iterator[Pair]:
    """Each success with a failure, no episode oftener than needed."""
    by_task: dict[str, list[Example]] = defaultdict(list)
    for example in found.examples:
        if example.parent is None:
            by_task[example.task_hash].append(example)
    for own in by_task.values():
        good = [one for one in own if one.outcome == "solved"]
        bad = [one for one in own if one.outcome != "solved"]
        if not good or not bad:
            found.left_out["no success and failure of its task"] += len(own)
            continue
        for number in range(min(per_task, max(len(good), len(bad)))):
            chosen, rejected = good[number % len(good)], bad[number % len(bad)]
            if chosen.opening == rejected.opening:
                yield Pair(source="samples", chosen=chosen, rejected=rejected)


def _edits(found: ExampleSet) -> Iterator[Pair]:
    for (run, _), example in found.by_episode.items():
        parent = found.by_episode.get((run, example.parent or ""))
        solved = example.outcome == "solved"
        if parent is not None and solved and parent.outcome != "solved":
            yield Pair(source="edits", chosen=example, rejected=parent)


def _corrections(found: ExampleSet) -> Iterator[Pair]:
    missing: Counter[str] = Counter()
    for run in found.read:
        for row in read_preferences(RunFolder(run), []):
            chosen = found.by_episode.get((run, row.chosen))
            rejected = found.by_episode.get((run, row.rejected))
            if chosen is None or rejected is None:
                missing["correction of episodes that were left out"] += 1
                continue
            yield Pair(source="corrections", chosen=chosen, rejected=rejected)
    found.left_out.update(missing)


if __name__ == "__main__":
    run_recipe(PairsConfig, main)
