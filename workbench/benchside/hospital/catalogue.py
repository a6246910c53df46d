"""Reading the catalogues of the hospital: tables written as text, one item a line."""

from __future__ import annotations

from collections.abc import Iterator


def lines(text: str) -> Iterator[list[str]]:
    """The fields of each line that is not empty, parted by "|" and stripped."""
    for line in text.strip().splitlines():
        yield [field.strip() for field in line.split("|")]
