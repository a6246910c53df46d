"""`ReplayRow`: what a replay of one episode showed; one line of a run's `replay.jsonl`."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import ValidationError

from benchside.errors import StoreError
from benchside.replay.causes import Cause
from benchside.replay.compare import CellVerdict
from benchside.store import RunFolder
from benchside.task import Frozen

FILE = "replay.jsonl"


class ReplayRow(Frozen):
    """One episode, played again.

    Args:
        transcript: sha256 of the notebook; an edited one is played again.
        cells, identical, equal: numbers of cells; the others are different, and listed.
        hidden_state: ids of cells whose result changes where failed cells are left out and nothing
            is restarted, as when a person runs the notebook from top to bottom.
        same_states: whether the services recorded the same; None without services.
        causes: None where they were not looked for.
        error: why there was nothing to compare; the numbers are 0 then.
    """

    episode_id: str
    task_id: str
    suite: str
    policy: str
    transcript: str
    isolation: str
    cells: int = 0
    identical: int = 0
    equal: int = 0
    different: tuple[CellVerdict, ...] = ()
    hidden_state: tuple[str, ...] = ()
    same_states: bool | None = None
    causes: tuple[Cause, ...] | None = None
    error: str | None = None

    @property
    def fidelity(self) -> float | None:
        """The share of cells that gave the same; None where none was compared."""
        return (self.identical + self.equal) / self.cells if self.cells else None

    @property
    def first_divergence(self) -> CellVerdict | None:
        """The first cell that gave something else."""
        return self.different[0] if self.different else None


def digest(transcript: Path) -> str:
    """Return the sha256 of a notebook; "" where there is none."""
    try:
        return hashlib.sha256(transcript.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def read_rows(folder: RunFolder) -> dict[str, ReplayRow]:
    """Return a run's replays by episode; the last row of an id counts, a torn last one does not.

    Raises:
        StoreError: a damaged row, naming file and line.
    """
    path = folder.path / FILE
    rows: dict[str, ReplayRow] = {}
    if not path.exists():
        return rows
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            break
        try:
            row = ReplayRow.model_validate_json(line)
        except ValidationError as error:
            raise StoreError(
                f"damaged row: {error.errors()[0]['msg']}", where=f"{path}, line {number}",
                value=line[:80].decode(errors="replace"),
                fix="delete that line; its episode is then replayed again",
            ) from None  # fmt: skip
        rows[row.episode_id] = row
    return rows
