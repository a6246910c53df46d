"""`PrefixIndex`: which sequence has encoded the beginning of another one.

Sequences are known by chained hashes of their whole blocks, so that a look-up takes one step for
each block of what is asked for, however many sequences there are. Beginnings shorter than a block
are not found. A hash only proposes: what agrees is compared (`TokenSequence.agrees`).

Source of the idea: automatic prefix caching in vLLM.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchside_training.local.paged_cache import BLOCK
from benchside_training.local.sequence import TokenSequence


class PrefixIndex:
    """Sequences with keys and values in the cache, by their beginnings; the last added counts."""

    def __init__(self) -> None:
        self._holders: dict[int, TokenSequence] = {}

    def __len__(self) -> int:
        """Beginnings that are known."""
        return len(self._holders)

    def add(self, one: TokenSequence) -> None:
        """Note what a sequence has encoded; to be called again when it has encoded more."""
        one.marks = list(_marks(one, min(one.cached, len(one.prefix))))
        for mark in one.marks:
            self._holders[mark] = one

    def remove(self, one: TokenSequence) -> None:
        """Forget a sequence, whose keys and values are gone."""
        for mark in one.marks:
            if self._holders.get(mark) is one:
                del self._holders[mark]
        one.marks = []

    def longest(self, one: TokenSequence) -> TokenSequence | None:
        """Return the sequence that begins like `one` for longest, whole blocks counted."""
        found = None
        for mark in _marks(one, len(one.prefix)):
            found = self._holders.get(mark, found)
        return found


def _marks(one: TokenSequence, length: int) -> Iterator[int]:
    mark = 0
    for end in range(BLOCK, length + 1, BLOCK):
        mark = hash((mark, one.prefix[end - BLOCK : end].tobytes()))
        yield mark
