"""A file of JSON Lines, read as far as its rows are sound; what is not is named as a defect."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from benchside.defect import Defect
from benchside.errors import StoreError

Row = TypeVar("Row", bound=BaseModel)


def readable_rows(path: Path, kind: type[Row], defects: list[Defect]) -> Iterator[Row]:
    """Yield the rows of a file in order; a file that is not there has none.

    Raises:
        StoreError: the file is there and cannot be read.
    """
    for number, line in enumerate(_lines(path), start=1):
        where = f"{path}, line {number}"
        if not line.endswith(b"\n"):
            what = "cut off in the middle, as by a crash; what it was to say is not known"
            defects.append(Defect("torn row", where, what))
            return
        try:
            row, unknown = _read_row(line, kind)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            defects.append(Defect("damaged row", where, f"{field}: {first['msg']}; left out"))
            continue
        if unknown:
            what = f"{', '.join(unknown)}: of another version of Benchside; the rest was read"
            defects.append(Defect("unknown fields", where, what))
        yield row


def _read_row(line: bytes, kind: type[Row]) -> tuple[Row, Sequence[str]]:
    """Return a row without fields that this version does not know, and the names of those."""
    try:
        return kind.model_validate_json(line), ()
    except ValidationError as error:
        unknown = [str(one["loc"][0]) for one in error.errors() if one["type"] == "extra_forbidden"]
        if len(unknown) < error.error_count():
            raise
    values = {name: value for name, value in json.loads(line).items() if name not in unknown}
    return kind.model_validate(values), unknown


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(
            f"cannot read: {error.strerror}", where=path, fix="check the folder's rights"
        ) from None
