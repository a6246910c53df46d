"""`CellResult`: what became of one executed source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from benchside_kernels.submission import Json

CellStatus = Literal["ok", "error", "timeout", "dead"]


@dataclass(frozen=True, slots=True)
class Submission:
    """What a cell submitted; wrapped, since `submit(None)` is not the same as no submission."""

    value: Json


@dataclass(frozen=True, slots=True)
class CellResult:
    """The result of one cell. A failed cell, a timeout and a dead kernel are results, not errors.

    Args:
        cell_id: nbformat cell id, unique within the session.
        source: what was executed.
        status: `timeout` if the deadline passed, `dead` if the kernel ended by itself.
        outputs: nbformat 4.5 outputs, capped.
        duration_s: from request to the end of the cell, as seen by the host.
        cpu_s: CPU time of the kernel process during the cell; None where not measured.
        peak_mib: the kernel's peak resident memory so far; None where not measured.
        output_chars: characters of output that the cell produced, kept or not, also such as were
            cleared, base64 of images included; None where not counted, as in old transcripts.
        dropped_chars: characters of output that were not kept.
        state_survived: False where the kernel is gone, and with it all variables.
        note: what a reader must know besides the outputs, such as how a timeout ended.
        submission: the session's first submission, if this cell made it.
    """

    cell_id: str
    source: str
    status: CellStatus
    outputs: tuple[dict[str, Any], ...]
    duration_s: float
    cpu_s: float | None = None
    peak_mib: float | None = None
    output_chars: int | None = None
    dropped_chars: int = 0
    state_survived: bool = True
    note: str = ""
    submission: Submission | None = None
