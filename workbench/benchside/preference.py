"""`Preference`: which of two episodes is the better one; a line of a run's `preferences.jsonl`."""

from __future__ import annotations

from benchside.defect import Defect
from benchside.row_file import readable_rows
from benchside.store import RunFolder
from benchside.task import Frozen

FILE = "preferences.jsonl"


class Preference(Frozen):
    """A pair; both episodes have been graded, and the chosen one has solved the task.

    Args:
        chosen, rejected: episode ids; `…_transcript`: their notebooks, relative to the run folder.
        cell_id: of the rejected episode's cell at which the two part; their turns before it are
            the same.
        rejected_outcome: "solved" where the pair is about how, not whether.
        who, why: made the pair, for which reason.
        made_at: time in UTC, ISO 8601.
    """

    suite: str
    task_id: str
    task_hash: str
    chosen: str
    chosen_transcript: str
    rejected: str
    rejected_transcript: str
    rejected_outcome: str
    cell_id: str
    who: str
    why: str
    made_at: str


def read_preferences(folder: RunFolder, defects: list[Defect]) -> list[Preference]:
    """Return a run's pairs; the last row of a pair counts, and rows beyond reading are named."""
    rows = readable_rows(folder.path / FILE, Preference, defects)
    return list({(row.chosen, row.rejected): row for row in rows}.values())
