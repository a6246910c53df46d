"""`Defect`: what is wrong with a part of a run folder that was read nevertheless."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DefectKind = Literal[
    "damaged run.json",
    "damaged row",
    "torn row",
    "unknown fields",
    "missing transcript",
    "unreadable transcript",
    "unknown schema",
    "edited transcript",
    "transcript without row",
]


@dataclass(frozen=True, slots=True)
class Defect:
    """One part that is not sound.

    Args:
        where: file, with the line of a row or the cell of a notebook.
        what: what is wrong, and what was read all the same.
    """

    kind: DefectKind
    where: str
    what: str
