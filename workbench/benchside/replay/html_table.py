"""Reads the tables of an HTML output, such as a DataFrame's, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from benchside.replay.text import first_difference

Table = list[list[str]]


def tables(html: str) -> list[Table]:
    """Return all tables as rows of texts, headers included."""
    reader = _Reader()
    reader.feed(html)
    return reader.tables


def table_difference(before: Table, after: Table) -> tuple[str, str] | None:
    """Return the first cells that differ, named by column and row; None where there are none."""
    shapes = [(len(table), max(map(len, table), default=0)) for table in (before, after)]
    if shapes[0] != shapes[1]:
        return tuple(f"{rows} rows × {columns} columns" for rows, columns in shapes)  # type: ignore[return-value]
    for row, (ours, theirs) in enumerate(zip(before, after, strict=True)):
        for column, (one, other) in enumerate(zip(ours, theirs, strict=False)):
            found = first_difference(one, other)
            if found is not None or len(ours) != len(theirs):
                place = f"column {_at(before[0], column)!r}, row {_at(ours, 0)!r} ({row})"
                return f"{place}: {one}", f"{place}: {other}"
    return None


def _at(row: list[str], place: int) -> str:
    return row[place] if place < len(row) else ""


@dataclass
class _Reader(HTMLParser):
    """Collects the text of each th and td."""

    tables: list[Table] = field(default_factory=list)
    _open: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a table, row or cell."""
        if tag == "table":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.tables[-1].append([])
        elif tag in ("td", "th") and self.tables and self.tables[-1]:
            self.tables[-1][-1].append("")
            self._open = True

    def handle_endtag(self, tag: str) -> None:
        """Close a cell."""
        if tag in ("td", "th"):
            self._open = False

    def handle_data(self, data: str) -> None:
        """Take the text of the open cell."""
        if self._open:
            self.tables[-1][-1][-1] += data
