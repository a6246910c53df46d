"""Verbs of the command line that other packages bring, by entry points of `benchside.commands`.

Training is such a package: it may import the workbench, and never the other way.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

from benchside.errors import InputError

GROUP = "benchside.commands"
"""Each entry point names a function `(config: Path) -> None`."""


def plugged_command(name: str) -> Callable[[Path], None]:
    """Return the function behind a verb.

    Raises:
        InputError: what it needs is not installed.
    """
    try:
        (found,) = entry_points(group=GROUP, name=name)
        command: Callable[[Path], None] = found.load()
    except (ValueError, ImportError) as error:
        raise InputError(
            f"benchside {name} needs packages that are not installed: {error}", where=name,
            fix="pip install 'benchside[train]'",
        ) from None  # fmt: skip
    return command
