"""Precision and recall of findings, by kind, on episodes whose faults are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from benchside.failures.finding import KINDS, Kind
from benchside.statistics import wilson


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How well one kind is found, counted by episodes.

    Args:
        found: episodes with a right finding; false: with a wrong one; missed: without a due one.
    """

    found: int
    false: int
    missed: int

    @property
    def precision(self) -> float | None:
        """Share of findings that are right; None where there are none."""
        total = self.found + self.false
        return self.found / total if total else None

    @property
    def recall(self) -> float | None:
        """Share of due findings that are there; None where none is due."""
        total = self.found + self.missed
        return self.found / total if total else None


def accuracy(
    labelled: Iterable[tuple[AbstractSet[Kind], AbstractSet[Kind]]],
) -> dict[Kind, Accuracy]:
    """Return the accuracy of each kind from pairs of true and found kinds, one per episode."""
    found, false, missed = Counter[Kind](), Counter[Kind](), Counter[Kind]()
    for true, seen in labelled:
        found.update(true & seen)
        false.update(seen - true)
        missed.update(true - seen)
    return {kind: Accuracy(found[kind], false[kind], missed[kind]) for kind in KINDS}


def accuracy_lines(measured: dict[Kind, Accuracy]) -> list[str]:
    """Return a markdown table: each share with n and its 95% Wilson interval."""
    lines = ["| Kind | Precision | Recall |", "| --- | --- | --- |"]
    for kind, one in measured.items():
        shares = [_share(one.found, one.found + n) for n in (one.false, one.missed)]
        lines.append(f"| {kind} | {shares[0]} | {shares[1]} |")
    return lines


def _share(count: int, n: int) -> str:
    if n == 0:
        return "–"
    low, high = wilson(count, n)
    return f"{count}/{n} = {100 * count / n:.0f}% ({100 * low:.0f}–{100 * high:.0f})"
