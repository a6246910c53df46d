"""Tasks as MedAgentGym packs them: one JSON object a line, plain or gzipped, each checked."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from benchside.errors import InputError

FIX = "get the file again"
Row = TypeVar("Row", bound=BaseModel)


def read_lines(path: Path, row: type[Row], title: str) -> Iterator[tuple[str, Row]]:
    """Yield where each row stands, and the row.

    Args:
        title: of the data set, for messages.

    Raises:
        InputError: the file cannot be unpacked, or a row not be read; it names line and field.
    """
    for number, line in enumerate(_content(path).split(b"\n"), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            yield where, row.model_validate_json(line)
        except ValidationError as problem:
            first = problem.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise InputError(
                f"a {title} task cannot be read: {first['msg']}",
                where=where + (f", field {field}" if field else ""),
                value=str(first["input"])[:80], fix=FIX,
            ) from problem  # fmt: skip


def _content(path: Path) -> bytes:
    packed = path.read_bytes()
    if path.suffix != ".gz":
        return packed
    try:
        return gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as problem:
        raise InputError(f"the file cannot be unpacked: {problem}", where=path, fix=FIX) from None
