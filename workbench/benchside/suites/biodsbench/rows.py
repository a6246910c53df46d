"""`Row`: a BioDSBench task as MedAgentGym packs them, with the shapes of its tables."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from benchside.errors import InputError
from benchside.suites.task_lines import FIX, read_lines

# schemas were published of the first so many rows of a table
PUBLISHED_ROWS = 10_000
_TABLE = re.compile(r"`(/workdir/[^`]+)`.*?whose name is `(\w+)`\. Shape is \((\d+), (\d+)\)", re.S)


def _sources(value: object) -> object:
    """A list of texts, which is packed as its Python literal."""
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (SyntaxError, TypeError, MemoryError, RecursionError) as problem:
        raise ValueError(f"not a literal of Python: {problem}") from None


class Row(BaseModel):
    """One task; further fields are ignored.

    Args:
        queries: the question, which names the objects to make.
        dataframes: the tables in words: name, shape, first rows, frequent values.
        code_histories: code of the steps before this one.
        reference_answer: the reference, which goes on from these steps.
        test_cases: assertions over the objects.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    study_ids: str
    question_ids: Annotated[str, Field(pattern="^[0-9]{1,9}$")]
    queries: str
    dataframes: str
    code_histories: Annotated[tuple[str, ...], BeforeValidator(_sources)]
    reference_answer: str
    test_cases: str

    @property
    def tables(self) -> list[Shape]:
        """The tables that the task comes with."""
        found = _TABLE.findall(self.dataframes)
        return [Shape(name, Path(path).name, int(n), int(m)) for path, name, n, m in found]


@dataclass(frozen=True, slots=True)
class Shape:
    """A table as it is described: variable, file, rows (at most 10,000) and columns."""

    name: str
    file: str
    rows: int
    columns: int


def read_rows(path: Path) -> list[Row]:
    """Return all rows of a file.

    Raises:
        InputError: naming the line and the field.
    """
    rows = []
    for where, row in read_lines(path, Row, "BioDSBench"):
        if not row.tables:
            raise InputError(
                "a BioDSBench task describes no table", where=f"{where}, field dataframes",
                value=row.dataframes[:80], fix=FIX,
            )  # fmt: skip
        rows.append(row)
    return rows
