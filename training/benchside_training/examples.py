"""Examples: run folders → conversations to learn from, chosen, deduplicated, checked, described.

    python -m benchside_training.examples examples.yaml

writes `examples.jsonl` (an `Example` a line), `data_card.json` and `data_card.md`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from benchside.episode import Outcome
from benchside_kernels.startup import home_folder
from benchside_training.data_card import DataCard, read_set, write_set
from benchside_training.example import Example
from benchside_training.example_set import EpisodeChoice, find_examples
from benchside_training.recipe import run_recipe

FILE = "examples.jsonl"


class ExamplesConfig(EpisodeChoice):
    """What `main` makes.

    Args:
        out: folder for the set.
        outcomes: of the episodes.
        per_task: at most so many of one task: those that a verifier scores highest where
            `min_score` is set, else those with the fewest characters; None for all.
    """

    out: Path
    outcomes: tuple[Outcome, ...] = ("solved",)
    per_task: int | None = Field(None, ge=1)


def main(config: ExamplesConfig, home: Path | None = None) -> DataCard:
    """Make a set of examples.

    Args:
        home: where suites are prepared; the user's by default.

    Raises:
        InputError: nothing is left, or credentialed data without the flag; nothing was written.
    """
    found = find_examples(config, config.outcomes, home or home_folder())
    kept = _chosen(found.examples, config)
    if len(kept) < len(found.examples):
        found.left_out["beyond per_task"] += len(found.examples) - len(kept)
    return write_set(config.out, FILE, kept, kept, found, config)


def read_examples(path: Path) -> list[Example]:
    """Read a set; `InputError` names the line that is no example."""
    return read_set(path, Example.model_validate_json)


def _chosen(examples: Iterable[Example], config: ExamplesConfig) -> list[Example]:
    """Of each task at most so many, in the order of the examples."""
    by_task: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_task[example.task_hash].append(example)

    def rank(example: Example) -> tuple[float, int]:
        score = example.score if config.min_score is not None else None
        return -(score or 0.0), example.chars

    kept = {
        one.actions_hash
        for own in by_task.values()
        for one in sorted(own, key=rank)[: config.per_task]
    }
    return [one for own in by_task.values() for one in own if one.actions_hash in kept]


if __name__ == "__main__":
    run_recipe(ExamplesConfig, main)
