"""`Draw`: random arguments of the kinds that the exercises take; all are plain JSON."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"


class Draw:
    """A seeded source of arguments."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)

    def integer(self, low: int, high: int) -> int:
        """An integer, both ends included."""
        return self.random.randint(low, high)

    def number(self, low: float, high: float, digits: int = 2) -> float:
        """A decimal number."""
        return round(self.random.uniform(low, high), digits)

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return self.random.choice(items)

    def chance(self, share: float) -> bool:
        """True in that share of draws."""
        return self.random.random() < share

    def picks(self, items: Sequence[T], fewest: int, most: int) -> list[T]:
        """Some of the items, repeated ones included."""
        return [self.pick(items) for _ in range(self.integer(fewest, most))]

    def text(self, low: int, high: int, letters: str) -> str:
        """A text of `low` to `high` letters."""
        return "".join(self.random.choices(letters, k=self.integer(low, high)))

    def dna(self, low: int, high: int, letters: str = "ACGT") -> str:
        """A DNA sequence; repeats occur, since parts of it are copied."""
        text = self.text(low, high, letters)
        if len(text) > 8 and self.chance(0.5):
            start, end = sorted(self.random.sample(range(len(text)), 2))
            text = (text[:end] + text[start:end] + text[end:])[: max(low, high)]
        return text

    def protein(self, low: int, high: int) -> str:
        """A protein in one-letter code."""
        return self.text(low, high, AMINO_ACIDS)

    def mutated(self, sequence: str, share: float, letters: str = "ACGT") -> str:
        """The same sequence with a share of its letters drawn anew."""
        return "".join(self.pick(letters) if self.chance(share) else one for one in sequence)

    def related(self, low: int, high: int) -> list[str]:
        """Two sequences that have much in common."""
        one = self.dna(low, high)
        other = self.mutated(one, 0.25)
        cut = self.integer(0, max(len(other) - 1, 0))
        return [one, other[:cut] + self.text(0, 3, "ACGT") + other[min(cut + 2, len(other)) :]]

    def alignment(self, rows: int, columns: int, letters: str = "ACGT-") -> list[str]:
        """Rows of equal length that resemble the first."""
        first = self.text(columns, columns, letters)
        return [first, *(self.mutated(first, 0.3, letters) for _ in range(rows - 1))]

    def integers(self, fewest: int, most: int, low: int, high: int) -> list[int]:
        """A list of integers."""
        return [self.integer(low, high) for _ in range(self.integer(fewest, most))]

    def numbers(
        self, fewest: int, most: int, low: float, high: float, digits: int = 2
    ) -> list[float]:
        """A list of decimal numbers."""
        return [self.number(low, high, digits) for _ in range(self.integer(fewest, most))]

    def matrix(self, rows: int, columns: int, low: float, high: float) -> list[list[float]]:
        """Rows of decimal numbers."""
        return [[self.number(low, high) for _ in range(columns)] for _ in range(rows)]

    def counts(self, rows: int, columns: int, high: int = 40) -> list[list[int]]:
        """Rows of counts, some of them 0."""
        return [
            [0 if self.chance(0.2) else self.integer(1, high) for _ in range(columns)]
            for _ in range(rows)
        ]

    def intervals(self, fewest: int, most: int, span: int = 60) -> list[list[int]]:
        """Half-open intervals [start, end) that overlap now and then."""
        starts = self.integers(fewest, most, 0, span)
        return [[start, start + self.integer(1, span // 5)] for start in starts]

    def points(self, fewest: int, most: int, size: float = 10.0) -> list[list[float]]:
        """Points in space, Å."""
        return [
            [self.number(-size, size) for _ in range(3)] for _ in range(self.integer(fewest, most))
        ]

    def edges(self, nodes: int, share: float) -> list[list[str]]:
        """Edges between nodes named by letters; none twice and none to itself."""
        names = "ABCDEFGHIJKL"[:nodes]
        pairs = [[a, b] for i, a in enumerate(names) for b in names[i + 1 :] if self.chance(share)]
        self.random.shuffle(pairs)
        return pairs

    def weighted(self, nodes: int, share: float) -> list[list[str | int]]:
        """Edges with a whole weight."""
        return [[a, b, self.integer(1, 9)] for a, b in self.edges(nodes, share)]

    def newick(self, leaves: int) -> str:
        """A rooted binary tree in Newick format with branch lengths."""
        parts = [f"t{i}" for i in range(1, leaves + 1)]
        self.random.shuffle(parts)
        while len(parts) > 1:
            one = parts.pop(self.random.randrange(len(parts)))
            other = parts.pop(self.random.randrange(len(parts)))
            lengths = [self.number(0.1, 3.0, 1) for _ in range(2)]
            parts.append(f"({one}:{lengths[0]},{other}:{lengths[1]})")
        return parts[0] + ";"

    def brackets(self, pairs: int) -> str:
        """A balanced dot-bracket structure."""
        text = "." * self.integer(0, 3)
        for _ in range(pairs):
            inner = "(" * self.integer(1, 3)
            loop = "." * self.integer(3, 5)
            piece = inner + loop + ")" * len(inner)
            text = (
                f"({text}){piece}"
                if self.chance(0.4) and text
                else text + piece + "." * (self.integer(0, 2))
            )
        return text
