"""`Curves`: what trainings have recorded, as pandas DataFrames, read as far as it is sound.

A training run's folder holds two files of JSON Lines, appended row by row:

    metrics.jsonl       one `MetricsRow` per logged step
    evaluations.jsonl   one `EvaluationRow` per measured policy, suite and number of samples

Fields that are not listed here are left to whoever has written them.
"""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import pandas as pd
from pydantic import BaseModel, ConfigDict

from benchside.defect import Defect
from benchside.errors import StoreError
from benchside.row_file import readable_rows

METRICS, EVALUATIONS = "metrics.jsonl", "evaluations.jsonl"

Row = TypeVar("Row", bound=BaseModel)


class MetricsRow(BaseModel):
    """One logged step; None means not measured.

    Args:
        step: counted from 0 within its stage.
        stage: the method, such as "sft", "dpo" or "grpo".
        loss: of the step's batch.
        reward_mean: of the step's rollouts; reward_correct, reward_partial, reward_typed,
            reward_clean: its parts, see `benchside_training.reward`.
        success, success_low, success_high: share of tasks solved, from 0 to 1, with its 95%
            interval, where the step was evaluated.
        entropy: of the policy, nats per token; kl: to the stage's first policy, nats per token.
        tokens: trained on in this step, once for each pass; input_tokens: the same with their
            context, without padding. Of several processes, those of the first one.
        seconds: that it took; training_seconds: of them, those of the training, where episodes
            were played in others.
        peak_gib: most memory that tensors held on the accelerator.
        episodes: played for this step.
        groups, without_signal: groups of rollouts, and those whose rewards are all equal.
        unscored: episodes left out because infrastructure or a grader failed.
        stale: trajectories left out because they were too old.
        effective_share: of the tokens trained on, by their importance ratios: 1 on-policy.
    """

    model_config = ConfigDict(frozen=True)

    step: int
    stage: str
    seed: int
    loss: float | None = None
    reward_mean: float | None = None
    success: float | None = None
    success_low: float | None = None
    success_high: float | None = None
    entropy: float | None = None
    kl: float | None = None
    tokens: int | None = None
    input_tokens: int | None = None
    seconds: float | None = None
    training_seconds: float | None = None
    peak_gib: float | None = None
    episodes: int | None = None
    reward_correct: float | None = None
    reward_partial: float | None = None
    reward_typed: float | None = None
    reward_clean: float | None = None
    groups: int | None = None
    without_signal: int | None = None
    unscored: int | None = None
    stale: int | None = None
    effective_share: float | None = None


class EvaluationRow(BaseModel):
    """One measurement of a policy on tasks.

    Args:
        stage: after which the policy was measured; "base" before any training.
        n: number of tasks; k: samples of each that count.
        measure: what success of k samples is: any of them solves the task, the one does that a
            verifier scores highest, or the answer does whose samples have the highest scores in
            sum. With k = 1 all are the rate of success.
        success, low, high: from 0 to 1, with its 95% interval.
        train_fraction: share of the training data that the policy was trained on, from 0 to 1.
        step: of the stage, counted from 1, where it was measured on the way; of such rows the last
            one counts.
    """

    model_config = ConfigDict(frozen=True)

    stage: str
    seed: int
    suite: str
    split: str
    n: int
    k: int = 1
    measure: Literal["pass@k", "best@k", "weighted@k"] = "pass@k"
    success: float
    low: float | None = None
    high: float | None = None
    train_fraction: float = 1.0
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Curves:
    """Rows of one training run or many: the fields of the rows, and `run`, the folder."""

    metrics: pd.DataFrame
    evaluations: pd.DataFrame
    defects: tuple[Defect, ...]


def load_curves(path: str | Path) -> Curves:
    """Return what the training run in a folder, or all that a pattern matches, has recorded.

    Raises:
        StoreError: no such folder holds a training run.
    """
    found = [Path(path)]
    if not found[0].exists():
        found = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 (absolute patterns)
    folders = [
        folder for folder in found
        if any((folder / name).is_file() for name in (METRICS, EVALUATIONS))
    ]  # fmt: skip
    if not folders:
        raise StoreError(
            f"no training run: there is neither {METRICS} nor {EVALUATIONS}", where=path,
            fix="give the folder that a training has written, or a pattern of such",
        )  # fmt: skip
    defects: list[Defect] = []
    metrics = _frame(folders, METRICS, MetricsRow, defects)
    evaluations = _frame(folders, EVALUATIONS, EvaluationRow, defects)
    of = ["run", "stage", "seed", "suite", "split", "k", "measure", "train_fraction"]
    later = evaluations["step"].notna() & evaluations.duplicated(of, keep="last")
    return Curves(metrics, evaluations[~later].reset_index(drop=True), tuple(defects))


def _frame(folders: list[Path], name: str, kind: type[Row], defects: list[Defect]) -> pd.DataFrame:
    rows = [
        {"run": str(folder), **row.model_dump()}
        for folder in folders
        for row in readable_rows(folder / name, kind, defects)
    ]
    columns = ["run", *kind.model_fields]
    optional = [field for field, known in kind.model_fields.items() if known.default is None]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(optional, "float64"))
