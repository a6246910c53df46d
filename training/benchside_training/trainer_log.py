"""Rows of metrics for JSON Lines and TensorBoard, also of what transformers' trainer reports."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, Self

from torch.utils.tensorboard import SummaryWriter
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from benchside.curves import MetricsRow
from benchside_training.accelerator import StepMeter
from benchside_training.errors import TrainingError
from benchside_training.training_folder import TrainingFolder


class RowLog:
    """Appends rows to `metrics.jsonl` and shows the same in TensorBoard; closed by its context."""

    def __init__(self, folder: TrainingFolder):
        self._folder = folder
        self._board: SummaryWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, row: MetricsRow) -> None:
        """Append one row."""
        self._folder.log(row)
        self._board = self._board or self._folder.board()  # only whoever writes has one
        measured = row.model_dump(exclude={"step", "stage", "seed"}, exclude_none=True)
        for name, value in measured.items():
            self._board.add_scalar(f"{row.stage}/{name}", value, row.step)

    def close(self) -> None:
        """Write what TensorBoard has not been shown yet."""
        if self._board is not None:
            self._board.close()


class Counts(Protocol):
    """A trainer that counts tokens: those trained on, and all that the model was given."""

    trained_tokens: int
    input_tokens: int


class TrainerLog(TrainerCallback):  # type: ignore[misc]  # skipped by mypy
    """Appends a row per step; stops a training whose loss is no number.

    The trainer logs a step before it may write a checkpoint, so that no such step is ever saved.

    Args:
        stage, seed: of the rows.
        counts: of the tokens so far.
        on_step: called with each row.
    """

    def __init__(
        self,
        folder: TrainingFolder,
        stage: str,
        seed: int,
        counts: Counts,
        on_step: Callable[[MetricsRow], None],
    ):
        self._log, self._stage, self._seed = RowLog(folder), stage, seed
        self._counts, self._on_step = counts, on_step
        self._before = (0, 0)
        self._meter: StepMeter | None = None

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Called by the trainer before each step."""
        self._before = (self._counts.trained_tokens, self._counts.input_tokens)
        self._meter = self._meter or StepMeter(args.device)
        self._meter.begin()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Called by the trainer after each step, and once at the end."""
        if logs is None or "loss" not in logs:
            return
        loss, norm = float(logs["loss"]), float(logs.get("grad_norm", 0.0))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise TrainingError(
                "the loss or its gradient is no number any more",
                where=f"{self._stage}, step {state.global_step - 1}",
                value=f"loss {loss}, gradient {norm}",
                fix="lower learning_rate, or take float32; checkpoints of before are kept, and "
                "resume: true goes on from the last one",
            )  # fmt: skip
        assert self._meter is not None
        row = MetricsRow(
            step=state.global_step - 1,
            stage=self._stage,
            seed=self._seed,
            loss=loss,
            entropy=logs.get("entropy"),
            tokens=self._counts.trained_tokens - self._before[0],
            input_tokens=self._counts.input_tokens - self._before[1],
            seconds=self._meter.seconds,
            peak_gib=self._meter.peak_gib,
        )
        if state.is_world_process_zero:
            self._log.write(row)
            self._on_step(row)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Called by the trainer at the end."""
        self._log.close()


@contextmanager
def memory_named(what: str) -> Iterator[None]:
    """Turn running out of memory into a `TrainingError` that says what to make smaller."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch has its own, and on a CPU a bare one
        said = str(error)
        if not isinstance(error, MemoryError) and "memory" not in said.lower():
            raise
        first = (said.splitlines() or [type(error).__name__])[0][:200]
        raise TrainingError(
            f"memory has run out: {first}", where=what,
            fix="lower batch (and raise accumulate) or max_tokens, set gradient_checkpointing: "
            "true, or train adapters (lora)",
        ) from None  # fmt: skip
