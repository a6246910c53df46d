"""`TrainingFolder`: what a training writes, and from which it goes on.

    training.json      config, data, versions, git commit, device
    metrics.jsonl      a `MetricsRow` per step; evaluations.jsonl where something was evaluated
    tensorboard/       the same for TensorBoard
    checkpoints/       checkpoint-N after N steps: weights, optimiser, schedule, random state
    model/             the result, with tokenizer and model card; appears when all is done

A checkpoint counts once its last file is there. A training is resumed only with the same config and
data; rows of steps after the checkpoint are dropped, so that each step has one row.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue
from torch.utils.tensorboard import SummaryWriter

from benchside.curves import EVALUATIONS, METRICS, EvaluationRow, MetricsRow
from benchside.errors import InputError
from benchside.provenance import git_commit, versions
from benchside.store import LOCK, append_line, take_alone, write_atomically
from benchside_training.accelerator import device_name

PACKAGES = (
    "benchside", "accelerate", "cma", "peft", "tokenizers", "torch", "transformers", "trl",
)  # fmt: skip
_LAST_FILE = "trainer_state.json"  # of a checkpoint, as transformers writes it


@dataclass(frozen=True, slots=True)
class TrainingFolder:
    """A folder that one process trains in."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints are."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """Where the result is or will be."""
        return self.path / "model"

    @property
    def leads(self) -> bool:
        """Whether this process writes: of several that train together, as `accelerate` starts them,
        only the first one does."""
        return os.environ.get("RANK", "0") == "0"

    @contextmanager
    def started(
        self, asked: dict[str, JsonValue], *, resume: bool, device: str | None = None
    ) -> Iterator[Path | None]:
        """Hold the folder; give the checkpoint to go on from, None at the beginning.

        Args:
            asked: config and hashes of data and model: all that the result depends on.
            resume: whether a training that lies there may be gone on with.
            device: as the config names it.

        Raises:
            InputError: the folder holds a training and `resume` is not set, or another training.
            StoreError: another process is training there.
        """
        if not self.leads:
            yield self.last_checkpoint() if resume else None
            return
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / LOCK).open("w") as lock:
            take_alone(lock, "another process is training in this folder", self.path)
            record = self.path / "training.json"
            if record.exists():
                self._check_same(json.loads(record.read_text(encoding="utf-8")), asked, resume)
            else:
                found = {
                    "asked": asked, "versions": versions(PACKAGES), "git_commit": git_commit(),
                    "device": device_name(device),
                }  # fmt: skip
                write_atomically(record, json.dumps(found, indent=1).encode())
            checkpoint = self.last_checkpoint()
            self._drop_rows(0 if checkpoint is None else steps_of(checkpoint))
            yield checkpoint

    def last_checkpoint(self) -> Path | None:
        """Return the newest checkpoint that is complete."""
        complete = [one for one in self.checkpoints.glob("checkpoint-*") if _is_complete(one)]
        return max(complete, key=steps_of, default=None)

    def board(self) -> SummaryWriter:
        """Return a writer to what TensorBoard shows."""
        return SummaryWriter(str(self.path / "tensorboard"))

    def log(self, row: MetricsRow) -> None:
        """Append one row."""
        append_line(self.path / METRICS, row.model_dump_json())

    def evaluated(self, row: EvaluationRow) -> None:
        """Append one row of an evaluation."""
        append_line(self.path / EVALUATIONS, row.model_dump_json())

    @contextmanager
    def result(self) -> Iterator[Path]:
        """Give an empty folder that becomes `model/` where no error leaves the block."""
        scratch = self.path / ".writing-model"
        if not self.leads:
            yield scratch  # trainers let the first process write
            return
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        yield scratch
        shutil.rmtree(self.model, ignore_errors=True)
        scratch.rename(self.model)

    def _check_same(self, before: dict[str, JsonValue], asked: object, resume: bool) -> None:
        if not resume:
            raise InputError(
                "the folder holds a training already", where="out", value=str(self.path),
                fix="set resume: true to go on with it, or choose another out",
            )  # fmt: skip
        if before.get("asked") != asked:
            was, now = before.get("asked"), asked
            assert isinstance(was, dict) and isinstance(now, dict)
            field = next(name for name in {**was, **now} if was.get(name) != now.get(name))
            raise InputError(
                f"the training in this folder was started with other {field}",
                where=f"{self.path / 'training.json'}: {field}", value=was.get(field),
                fix=f"resume with the same (now: {now.get(field)!r}), or choose another out",
            )  # fmt: skip

    def _drop_rows(self, steps: int) -> None:
        """Keep rows of the first steps only; what a crash has torn goes too."""
        _keep_rows(self.path / METRICS, lambda row: row["step"] < steps)
        _keep_rows(self.path / EVALUATIONS, lambda row: (row.get("step") or 0) <= steps)


def _keep_rows(path: Path, keep: Callable[[dict[str, Any]], bool]) -> None:
    if not path.exists():
        return
    lines = [line for line in path.read_bytes().splitlines(keepends=True) if line[-1:] == b"\n"]
    write_atomically(path, b"".join(line for line in lines if keep(json.loads(line))))


def steps_of(checkpoint: Path) -> int:
    """Return after how many steps a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])


def _is_complete(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / _LAST_FILE).read_bytes())
    except (OSError, ValueError):
        return False
    return True
