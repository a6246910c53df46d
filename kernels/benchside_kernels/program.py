"""What `python -c` runs in processes of ours: one function of this package."""

from __future__ import annotations

from pathlib import Path

_ROOM = str(Path(__file__).resolve().parent.parent)


def program(module: str, call: str) -> str:
    """Return the program; it finds this package where it lies now, whatever Python's path is.

    Args:
        module: of this package.
        call: such as "main()"; `sys` is there.
    """
    return (
        f"import sys; sys.path[:0] = [{_ROOM!r}]; "
        f"from benchside_kernels import {module}; {module}.{call}"
    )
