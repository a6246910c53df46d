"""Reads BioCoder tasks as MedAgentGym packs them: one JSON object a line, plain or gzipped."""

from __future__ import annotations

import gzip
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from benchside.errors import InputError


class Row(BaseModel):
    """One task; further fields are ignored.

    Args:
        idx: an id of 64 hex digits.
        problem: what is to be written, in words.
        solution: the reference, dedented even where it is a method.
        context: the program around it, with a line `<<insert solution here>>` and a `main` that
            makes inputs and prints the result.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    idx: str
    problem: str
    solution: str
    context: str
    signature: str


def read_rows(path: Path) -> list[Row]:
    """Return all rows of a file.

    Raises:
        InputError: naming the line and the field.
    """
    packed = path.read_bytes()
    text = gzip.decompress(packed) if path.suffix == ".gz" else packed
    rows = []
    for number, line in enumerate(text.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            rows.append(Row.model_validate_json(line))
        except ValidationError as problem:
            first = problem.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise InputError(
                f"a BioCoder task cannot be read: {first['msg']}",
                where=f"{path}, line {number}" + (f", field {field}" if field else ""),
                value=str(first["input"])[:80], fix="get the file again",
            ) from problem  # fmt: skip
    return rows
