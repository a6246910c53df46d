"""`DataCard`: what a set of examples or pairs holds, and where it came from, beside the set."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import JsonValue, ValidationError

from benchside.errors import InputError
from benchside.manifests import invalid
from benchside.task import Frozen, Sensitivity
from benchside_training.example import Example
from benchside_training.example_set import EpisodeChoice, ExampleSet

Row = TypeVar("Row", bound=Frozen)


class RunSource(Frozen):
    """A run that was read: its folder's name, the sha256 of its `run.json`, its episodes."""

    run: str
    run_json_sha256: str | None
    episodes: int


class DataCard(Frozen):
    """`data_card.json`.

    Args:
        file, sha256, rows: the set, and its number of lines.
        left_out: number of episodes by reason.
        by: examples by suite, split, policy and outcome; a pair holds two.
        messages, chars: of all examples.
        held_out_tasks: that each example was compared with.
        sensitivity: the strictest of the tasks.
        config: what was asked for.
    """

    file: str
    sha256: str
    rows: int
    left_out: dict[str, int]
    by: dict[str, dict[str, int]]
    messages: int
    chars: int
    held_out_tasks: int
    licences: dict[str, int]
    sensitivity: Sensitivity
    sources: tuple[RunSource, ...]
    config: dict[str, JsonValue]

    def markdown(self) -> str:
        """The card for people."""
        lines = [
            f"# Data card: {self.file}", "",
            f"{self.rows:,} rows; {self.messages:,} messages, {self.chars:,} characters; sha256 "
            f"`{self.sha256}`.", "",
            f"Sensitivity: **{self.sensitivity}**. Compared with {self.held_out_tasks:,} held-out "
            "tasks by hash and 10-gram.", "",
        ]  # fmt: skip
        tables = {"licence": self.licences, "left out": self.left_out, **self.by}
        for name, counts in tables.items():
            rows = [f"| {key or 'not stated'} | {count:,} |" for key, count in counts.items()]
            lines += [f"| {name} | n |", "|---|---:|", *rows, ""] if rows else []
        lines += ["| run | episodes | sha256 of run.json |", "|---|---:|---|"]
        lines += [
            f"| {one.run} | {one.episodes:,} | {one.run_json_sha256 or 'none'} |"
            for one in self.sources
        ]
        return "\n".join([*lines, ""])


def write_set(
    out: Path,
    name: str,
    rows: Sequence[Frozen],
    examples: Sequence[Example],
    found: ExampleSet,
    config: EpisodeChoice,
) -> DataCard:
    """Write a set's rows to `out/name`, and its card beside it.

    Args:
        examples: that the rows hold.

    Raises:
        InputError: there are no rows; nothing was written.
    """
    if not rows:
        reasons = ", ".join(f"{reason}: {n}" for reason, n in found.left_out.most_common())
        raise InputError(
            "nothing is left to learn from", where=", ".join(config.runs),
            value=f"{found.read.total()} episodes; left out: {reasons or 'none'}",
            fix="choose other runs, splits or outcomes",
        )  # fmt: skip
    content = "".join(f"{row.model_dump_json()}\n" for row in rows)
    strict = any(one.sensitivity == "credentialed" for one in examples)
    card = DataCard(
        file=name,
        sha256=hashlib.sha256(content.encode()).hexdigest(),
        rows=len(rows),
        left_out=dict(found.left_out.most_common()),
        by={
            name: dict(sorted(Counter(str(getattr(one, name)) for one in examples).items()))
            for name in ("suite", "split", "policy", "outcome")
        },
        messages=sum(len(one.messages) for one in examples),
        chars=sum(one.chars for one in examples),
        held_out_tasks=found.held_out,
        licences=dict(Counter(one.licence for one in examples).most_common()),
        sensitivity="credentialed" if strict else "open",
        sources=tuple(_source(run, count) for run, count in found.read.items()),
        config=config.model_dump(mode="json"),
    )
    out.mkdir(parents=True, exist_ok=True)
    texts = {
        name: content,
        "data_card.json": card.model_dump_json(indent=1),
        "data_card.md": card.markdown(),
    }
    for file, text in texts.items():
        temporary = out / f".writing-{file}"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(out / file)
    return card


def read_set(path: Path, read: Callable[[bytes], Row]) -> list[Row]:
    """Return the rows of a set.

    Args:
        read: `model_validate_json` of the rows' type.

    Raises:
        InputError: names the file, or the line that is no such row.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(
            f"cannot read the set: {error.strerror}", where=path,
            fix="give the file that benchside_training.examples or .pairs has written",
        ) from None  # fmt: skip
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(read(line))
        except ValidationError as error:
            raise invalid(f"{path}, line {number}", error) from None
    return rows


def _source(run: Path, episodes: int) -> RunSource:
    config = run / "run.json"
    digest = hashlib.sha256(config.read_bytes()).hexdigest() if config.is_file() else None
    return RunSource(run=run.name, run_json_sha256=digest, episodes=episodes)
