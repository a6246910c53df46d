"""A new folder that is there whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchside.errors import InputError


@contextmanager
def new_folder(to: Path) -> Iterator[Path]:
    """Give an empty folder to write to, which becomes `to` where no error leaves the block.

    Raises:
        InputError: `to` exists.
    """
    if to.exists():
        raise InputError(
            "the folder is there already", where="--to", value=str(to), fix="choose another one"
        )
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=".exporting-") as scratch:
        target = Path(scratch) / "run"
        target.mkdir()
        yield target
        target.rename(to)
