"""The run folder: where episodes land, crash-safe, and from which everything is read.

    run.json            what was run: suites, policies, limits, seed, versions
    episodes.jsonl      one row per finished episode, appended; the last row of an id counts
    episodes/ID.ipynb   transcripts
    turns/ID.jsonl      turns of episodes that are running; gone once the transcript is there
    interrupted/        turn logs that a crash or a failed attempt left behind

A row is appended after its transcript is in place, so an episode is finished exactly if it has a
row. A torn last row (crash in the middle of a write) is cut off when the folder is opened.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

from pydantic import Field, ValidationError

from benchside.episode import Episode, Outcome
from benchside.errors import InputError, StoreError
from benchside.manner import Feedback
from benchside.policy import ToolName, Turn
from benchside.task import Frozen, Sensitivity
from benchside.transcript import read_transcript, turn_record, write_transcript

LOCK = ".lock"
Result = TypeVar("Result")

REPLAYS, COUNTERFACTUALS = "replays", "counterfactuals"
"""Folders of a run that replays and edits write."""


class SuiteUse(Frozen):
    """A suite as a run used it.

    Args:
        listed: hash of the tasks' ids, where the run was given a list.
        quarantined: tasks that were left out because the gate holds them back.
        sensitivity: the strictest of its tasks; None in runs of before this was recorded.
    """

    name: str
    version: str
    build: str
    split: str | None
    limit: int | None
    listed: str | None = None
    quarantined: int = 0
    sensitivity: Sensitivity | None = None


class RunConfig(Frozen):
    """`run.json`. A run is resumed only with the same suites, policies, samples and seed.

    Args:
        policies: configuration of each policy by name, without keys.
        tools: offered beside `run_cell` and `submit`.
        limits: those that the run set instead of its tasks'.
        provenance: versions, isolation and git commit of the machine that started it.
    """

    suites: tuple[SuiteUse, ...]
    policies: dict[str, dict[str, object]]
    samples: int
    seed: int
    tools: tuple[ToolName, ...] = ()
    limits: dict[str, float] = Field(default_factory=dict)
    provenance: dict[str, object]


class EpisodeRow(Frozen):
    """One line of `episodes.jsonl`, and one row of `benchside.load_run(…).episodes`.

    Args:
        error, error_kind: of an episode that an error ended: for people, and the error's type.
    """

    episode_id: str
    task_id: str
    task_hash: str
    suite: str
    category: str
    split: str
    group: str
    policy: str
    sample: int
    outcome: Outcome
    reward: float | None
    passed: bool | None
    end_reason: str
    turns: int
    duration_s: float
    start_s: float | None
    policy_s: float
    kernel_s: float
    cpu_s: float | None
    peak_mib: float | None
    output_chars: int | None = None  # rows of before have none
    kernel_restarts: int
    input_tokens: int | None
    output_tokens: int | None
    requests: int | None
    cost_usd: float | None = None  # rows of before have none
    malformed: int | None = None  # rows of before have none
    feedback: Feedback | None = None  # rows of before have none
    cached_tokens: int | None = None  # rows of before have none
    cache_hits: int | None = None  # rows of before have none
    grader: str | None
    isolation: str
    error: str | None
    error_kind: str | None = None  # rows of before have none
    transcript: str
    transcript_sha256: str | None = None  # rows of before have none


def row_of(episode: Episode, transcript_sha256: str | None = None) -> EpisodeRow:
    """Return the row of an episode; the hash is of its notebook's bytes."""
    task, grade, failure = episode.task, episode.grade, episode.failure
    return EpisodeRow(
        episode_id=episode.episode_id,
        task_id=task.task_id,
        task_hash=task.hash,
        suite=task.suite,
        category=task.category,
        split=task.split,
        group=task.group,
        policy=episode.policy,
        sample=episode.sample,
        outcome=episode.outcome,
        reward=None if grade is None else grade.reward,
        passed=None if grade is None else grade.passed,
        end_reason=episode.end_reason,
        turns=len(episode.turns),
        **episode.usage.model_dump(),
        feedback=episode.feedback,
        grader=None if grade is None else grade.grader,
        isolation=episode.provenance.isolation,
        error=None if failure is None else f"{failure.kind}: {failure.message}",
        error_kind=None if failure is None else failure.kind,
        transcript=f"episodes/{episode.episode_id}.ipynb",
        transcript_sha256=transcript_sha256,
    )


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run folder that is open; all writing goes through `lock`."""

    path: Path

    @property
    def rows_path(self) -> Path:
        """The file of finished episodes."""
        return self.path / "episodes.jsonl"

    def transcript_path(self, episode_id: str) -> Path:
        """Where an episode's notebook is or will be."""
        return self.path / "episodes" / f"{episode_id}.ipynb"

    def config(self) -> RunConfig:
        """Read `run.json`; `StoreError` if the folder is no run."""
        path = self.path / "run.json"
        try:
            return RunConfig.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise StoreError(
                "not a run folder: it has no run.json", where=self.path,
                fix="give the folder that `benchside run --out` wrote",
            ) from None  # fmt: skip
        except (OSError, ValidationError, UnicodeDecodeError) as error:
            what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise StoreError(f"damaged: {what}", where=path, fix="restore the file") from None

    def start(self, config: RunConfig, *, resume: bool) -> None:
        """Make the folder for a new run, or check that an old one can go on.

        Raises:
            InputError: the folder holds a run and `resume` is not set, or it is another run.
        """
        if (self.path / "run.json").exists():
            if not resume:
                raise InputError(
                    "the folder holds a run already", where="--out", value=str(self.path),
                    fix="go on with --resume, or choose another folder",
                )  # fmt: skip
            self._check_same(config)
        else:
            self._guarded(self._make_folders)
            self.write("run.json", config.model_dump_json(indent=1))
        self._guarded(self._repair)

    def _make_folders(self) -> None:
        for name in ("episodes", "turns", "interrupted"):
            (self.path / name).mkdir(parents=True, exist_ok=True)

    def _check_same(self, config: RunConfig) -> None:
        before = self.config().model_dump(mode="json", exclude={"provenance"})
        now = config.model_dump(mode="json", exclude={"provenance"})
        for field, value in now.items():
            if before[field] != value:
                raise InputError(
                    f"the run in this folder was started with other {field}",
                    where=f"{self.path / 'run.json'}: {field}", value=before[field],
                    fix=f"resume with the same options (now: {value!r}), or choose another --out",
                )  # fmt: skip

    def _repair(self) -> None:
        """Cut a torn last row and put aside turn logs of episodes that a crash interrupted."""
        cut_torn_line(self.rows_path)
        for leftover in (self.path / "episodes").glob(".writing-*"):
            leftover.unlink()
        rows = self.rows() if any((self.path / "turns").iterdir()) else {}
        for log in (self.path / "turns").glob("*.jsonl"):
            if self._is_counted(log, rows.get(log.stem)):
                log.unlink()
            else:
                self._put_aside(log)

    def _is_counted(self, log: Path, row: EpisodeRow | None) -> bool:
        """True where a crash came between an episode's row and the end of its turn log.

        The row counts what the turns have cost. It may also be of an earlier attempt, and these
        turns of one that has no row: then they differ from those of the transcript.
        """
        path = self.transcript_path(log.stem)
        if row is None or not path.is_file():
            return False
        if hashlib.sha256(path.read_bytes()).hexdigest() != row.transcript_sha256:
            return False
        logged = log.read_bytes().splitlines(keepends=True)
        turns = read_transcript(path).turns
        return len(logged) == len(turns) and all(
            line.endswith(b"\n") and json.loads(line) == json.loads(_turn_line(turn))
            for line, turn in zip(logged, turns, strict=True)
        )

    def _put_aside(self, log: Path) -> None:
        taken = len(list((self.path / "interrupted").glob(f"{log.stem}.*")))
        log.rename(self.path / "interrupted" / f"{log.stem}.{taken}.jsonl")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for one writing process; `StoreError` if another one has it.

        A folder that it has made, and that nothing was written to, is gone afterwards.
        """
        made = not self.path.exists()
        self._guarded(lambda: self.path.mkdir(parents=True, exist_ok=True))
        with self._guarded(lambda: (self.path / LOCK).open("w")) as file:
            take_alone(file, "another process is writing to this run", self.path)
            try:
                yield
            finally:
                if made and [entry.name for entry in self.path.iterdir()] == [LOCK]:
                    (self.path / LOCK).unlink()
                    self.path.rmdir()

    def rows(self) -> dict[str, EpisodeRow]:
        """Return all finished episodes by id, in the order of their first row."""
        return {row.episode_id: row for row in self.all_rows()}

    def all_rows(self) -> Iterator[EpisodeRow]:
        """Yield all rows, those of episodes that were run again too."""
        if not self.rows_path.exists():
            return
        with self._guarded(lambda: self.rows_path.open("rb")) as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    break  # torn: the episode is not finished
                try:
                    row = EpisodeRow.model_validate_json(line)
                except ValidationError as error:
                    first = error.errors()[0]
                    raise StoreError(
                        f"damaged row: {first['msg']}", where=f"{self.rows_path}, line {number}",
                        value=line[:80].decode(errors="replace"),
                        fix="delete that line; `benchside run --resume` runs its episode again",
                    ) from None  # fmt: skip
                yield row

    def append_turn(self, episode_id: str, turn: Turn) -> None:
        """Append one turn to the log of a running episode."""
        line = _turn_line(turn)
        self._guarded(lambda: append_line(self._turns_path(episode_id), line))

    def put_turns_aside(self, episode_id: str) -> None:
        """Keep the turn log of an attempt that is not continued: it has cost something."""
        log = self._turns_path(episode_id)
        if log.exists():
            self._guarded(lambda: self._put_aside(log))

    def finish(self, episode: Episode) -> EpisodeRow:
        """Write the transcript, then the row, then drop the turn log."""
        row = self.put(episode)
        self.append(row)
        return row

    def put(self, episode: Episode) -> EpisodeRow:
        """Write the transcript; return the row that will say that the episode is finished."""
        path = self.transcript_path(episode.episode_id)
        return row_of(episode, self._guarded(lambda: write_transcript(episode, path)))

    def append(self, row: EpisodeRow) -> None:
        """Write the row of an episode whose transcript is in place, then drop the turn log."""
        self._guarded(lambda: append_line(self.rows_path, row.model_dump_json(), sync=True))
        self._turns_path(row.episode_id).unlink(missing_ok=True)

    def _turns_path(self, episode_id: str) -> Path:
        return self.path / "turns" / f"{episode_id}.jsonl"

    def write(self, name: str, text: str) -> None:
        """Write a file of the folder atomically."""
        self._guarded(lambda: write_atomically(self.path / name, text.encode()))

    def episode(self, episode_id: str) -> Episode:
        """Read one finished episode."""
        return read_transcript(self.transcript_path(episode_id))

    def _guarded(self, write: Callable[[], Result]) -> Result:
        """Do a write; a full disk or a lacking right becomes one clear message."""
        try:
            return write()
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise StoreError(
                "the disk is full" if full else f"cannot write: {error.strerror}",
                where=error.filename or self.path,
                fix=("free some space" if full else "check the folder's rights")
                + ", then go on with --resume: finished episodes are kept",
            ) from None


def _turn_line(turn: Turn) -> str:
    result = turn.result
    return json.dumps(
        {
            "turn": turn_record(turn).model_dump(mode="json", exclude_defaults=True),
            "source": None if result is None else result.source,
            "outputs": [] if result is None else result.outputs,
        }
    )


def take_alone(
    file: IO[str],
    otherwise: str,
    folder: Path,
    fix: str = "wait for it to end, or choose another folder",
) -> None:
    """Lock a folder's open lock file until it is closed; `StoreError` if another process has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreError(otherwise, where=folder, fix=fix) from None


def append_line(path: Path, line: str, *, sync: bool = False) -> None:
    """Append one line by a single write, so that lines of a crash or of two writers never mix."""
    data = line.encode() + b"\n"
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(fd).st_size
        written = os.write(fd, data)
        if written < len(data):  # a full disk took a part
            os.ftruncate(fd, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def cut_torn_line(path: Path) -> None:
    """Cut a last line that a crash left unfinished, so that the next one starts a line."""
    if path.exists():
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(path, whole)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, through to the disk."""
    temporary = path.with_suffix(".writing")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
