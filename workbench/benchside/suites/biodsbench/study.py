"""The tables of one study, from the user's folder, compared with how the tasks describe them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchside.errors import InputError
from benchside.suite import SuiteManifest
from benchside.suites.biodsbench.rows import PUBLISHED_ROWS, Shape
from benchside_kernels.image import ImageSource

MAX_COLUMNS = 40  # that a description lists


@dataclass(frozen=True, slots=True)
class Study:
    """A study of which all tables are there.

    Args:
        lengths: number of rows of each table.
    """

    image: ImageSource
    lengths: tuple[int, ...]


def table_paths(manifest: SuiteManifest, data: Path, study: str) -> dict[str, Path]:
    """Return file name → path of those tables of a study that the user has."""
    found = {}
    for file in manifest.data:
        folder, _, name = file.path.removeprefix("biodsbench/**/").partition("/**/")
        if folder == study and (path := file.find(data)):
            found[name.removesuffix("*")] = path
    return found


def read_study(name: str, shapes: Iterable[Shape], paths: Mapping[str, Path],
               scratch: Path) -> Study:  # fmt: skip
    """Read all tables of a study.

    Args:
        scratch: where tables that are packed get unpacked to.

    Raises:
        InputError: a table is not one, or not of the shape that the tasks describe.
    """
    frames: dict[str, pd.DataFrame] = {}
    files: dict[str, Path] = {}
    for shape in shapes:
        path = paths[shape.file]
        try:
            frame = pd.read_csv(path, low_memory=False)
        except (ValueError, OSError, EOFError) as problem:
            raise InputError(
                f"a table cannot be read: {problem}", where=path, fix="get the file again"
            ) from None
        _check(frame, shape, path)
        frames[shape.name] = frame
        files[shape.file] = path if path.suffix == ".csv" else scratch / f"{name}-{shape.file}"
        if path.suffix != ".csv":
            frame.to_csv(files[shape.file], index=False)
    lines = [f"- {_described(table, frame)}" for table, frame in frames.items()]
    image = ImageSource(
        f"biodsbench.{name}", variables=frames, files=files,
        description="The tables are CSV files in the work folder, and DataFrames:\n"
        + "\n".join(lines),
    )  # fmt: skip
    return Study(image, tuple(len(frame) for frame in frames.values()))


def _check(frame: pd.DataFrame, shape: Shape, path: Path) -> None:
    rows = min(len(frame), PUBLISHED_ROWS)
    if (rows, len(frame.columns)) != (shape.rows, shape.columns):
        at_least = " or more" if shape.rows == PUBLISHED_ROWS else ""
        raise InputError(
            f"not the table that the tasks describe: {shape.rows}{at_least} rows and "
            f"{shape.columns} columns were expected",
            where=path, value=frame.shape, fix="get the file again, as BioDSBench has it",
        )  # fmt: skip


def _described(table: str, frame: pd.DataFrame) -> str:
    names = [f"`{name}`" for name in frame.columns[:MAX_COLUMNS]]
    more = ", …" if len(frame.columns) > MAX_COLUMNS else ""
    rows, columns = frame.shape
    return f"`{table}` ({rows} rows, {columns} columns): {', '.join(names)}{more}"
