"""The log of a gate that is running: one row per episode, appended, so that it can go on.

It holds submitted values, and lies with the answer keys: `<home>/answers/<name>/<build>.gate/`. A
finished gate keeps its rows as `finished.jsonl`; the next one starts afresh.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue, ValidationError

from benchside.episode import UNSCORED, Episode, Outcome
from benchside.errors import StoreError
from benchside.library import Suite
from benchside.store import LOCK, append_line, cut_torn_line, take_alone
from benchside.task import Frozen
from benchside.transcript import write_transcript

MAX_ERROR_CHARS = 300


class GateRow(Frozen):
    """One episode of the gate.

    Args:
        submitted: of the reference only; None where nothing was submitted or None was.
    """

    task_id: str
    task_hash: str
    policy: str
    sample: int
    outcome: Outcome
    end_reason: str
    submitted: JsonValue
    error: str | None
    duration_s: float

    @property
    def key(self) -> tuple[str, str, int]:
        """Which episode it is."""
        return self.task_hash, self.policy, self.sample


def gate_row(episode: Episode) -> GateRow:
    """Return the row of an episode."""
    failure, submission = episode.failure, episode.submission
    message = "" if failure is None else failure.message.partition("\n")[0][:MAX_ERROR_CHARS]
    keep = episode.policy == "reference" and submission is not None
    return GateRow(
        task_id=episode.task.task_id, task_hash=episode.task.hash, policy=episode.policy,
        sample=episode.sample, outcome=episode.outcome, end_reason=episode.end_reason,
        submitted=submission.value if keep and submission is not None else None,
        error=None if failure is None else f"{failure.kind}: {message}",
        duration_s=episode.usage.duration_s,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class GateLog:
    """The folder of one build's gate."""

    folder: Path

    @classmethod
    def of(cls, suite: Suite) -> GateLog:
        """Return the log of a suite's build."""
        return cls(suite.home / "answers" / suite.name / f"{suite.record.build}.gate")

    @property
    def path(self) -> Path:
        """The rows of a gate that is not finished."""
        return self.folder / "rows.jsonl"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the log for one process; `StoreError` if another one is gating this build."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = (self.folder / LOCK).open("w")
        except OSError as error:
            raise StoreError(
                f"cannot write: {error.strerror}",
                where=self.folder,
                fix="check the folder's rights",
            ) from None
        with file:
            take_alone(
                file, "another process is gating this suite", self.folder, "wait for it to end"
            )
            cut_torn_line(self.path)
            yield

    def rows(self) -> dict[tuple[str, str, int], GateRow]:
        """Return the rows so far, without unscored ones: those are played again."""
        rows: dict[tuple[str, str, int], GateRow] = {}
        if not self.path.exists():
            return rows
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    row = GateRow.model_validate_json(line)
                except ValidationError as error:
                    raise StoreError(
                        f"damaged row: {error.errors()[0]['msg']}",
                        where=f"{self.path}, line {number}",
                        fix="delete that line; its episode is run again",
                    ) from None
                rows[row.key] = row
        return {key: row for key, row in rows.items() if row.outcome not in UNSCORED}

    def append(self, row: GateRow) -> None:
        """Append one row by one write."""
        try:
            append_line(self.path, row.model_dump_json())
        except OSError as error:
            raise StoreError(
                f"cannot write: {error.strerror}", where=self.path,
                fix="free some space, then gate again: finished episodes are kept",
            ) from None  # fmt: skip

    def keep_transcript(self, episode: Episode) -> Path:
        """Write the notebook of an episode that speaks against its task."""
        folder = self.folder / "episodes"
        folder.mkdir(exist_ok=True)
        path = folder / f"{episode.episode_id}.ipynb"
        write_transcript(episode, path)
        return path

    def finish(self) -> None:
        """Put the rows aside, so that the next gate starts afresh."""
        self.path.replace(self.folder / "finished.jsonl")
