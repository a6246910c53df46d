"""The schema card: what a policy is told of the data at the start, at most so many characters.

An image's description names each table with its columns, and shows no rows. Of one with many wide
tables the longest lines are shortened, column by column, so that every table stays named; what was
left out is counted.
"""

from __future__ import annotations

from typing import Final

MAX_CARD_CHARS: Final = 6_000
_NOTE: Final = "[cut: {lines} of {all} lines of this description are left out]"


def schema_card(description: str, max_chars: int = MAX_CARD_CHARS) -> str:
    """Return a description as it is where it is short enough, else with its longest lines cut.

    Args:
        description: markdown, a line for each table or column.
    """
    text = description.strip()
    if len(text) <= max_chars:
        return text
    lines = text.split("\n")
    room = max(_room([len(line) for line in lines], max_chars - len(lines)), _LEAST_CHARS)
    cut = [_cut(line, room) for line in lines]
    whole = "\n".join(cut)
    if len(whole) <= max_chars:
        return whole
    left = max_chars - len(_NOTE)  # its placeholders are longer than the numbers
    kept = whole[:left].count("\n")  # whole lines only
    note = _NOTE.format(lines=len(cut) - kept, all=len(cut))
    return "\n".join([*cut[:kept], note])


_LEAST_CHARS: Final = 80
_MARK_CHARS: Final = len(" [1,000 more]")


def _room(lengths: list[int], total: int) -> int:
    """The length at which lines have to be cut so that all of them together fit."""
    left, fair = total, 0
    for place, length in enumerate(sorted(lengths)):
        fair = left // (len(lengths) - place)
        if length > fair:
            return fair
        left -= length
    return fair


def _cut(line: str, room: int) -> str:
    """A line without its last items, and how many those are."""
    if len(line) <= room:
        return line
    items = line.split(", ")
    kept = line[: max(room - _MARK_CHARS, 0)].rpartition(", ")[0]
    if not kept:  # no list: words
        return f"{line[: max(room - _MARK_CHARS, 0)].rpartition(' ')[0]} [...]"
    return f"{kept}, [{len(items) - kept.count(', ') - 1:,} more]"
