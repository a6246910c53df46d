"""What a run has measured of a policy, as rows of `evaluations.jsonl` (see `benchside.curves`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchside.curves import EVALUATIONS, EvaluationRow
from benchside.runs import Run, load_run
from benchside.statistics import scores
from benchside.store import write_atomically

MEASURES = ("pass@k", "best@k", "weighted@k")


def evaluation_rows(
    run: Path, stage: str, seed: int, train_fraction: float = 1.0
) -> list[EvaluationRow]:
    """Return pass@k, and best@k and weighted@k of a scored run, by suite and split.

    Args:
        run: folder of a run of one policy, with several samples for k above 1.
        stage: after which the policy was measured.
    """
    loaded = load_run(run)
    rows = []
    for split, own in loaded.episodes.groupby("split"):
        found = scores(Run(loaded.paths, own.reset_index(drop=True), ()))
        wanted = found[found["measure"].isin(MEASURES) & found["value"].notna()]
        rows += [
            EvaluationRow(
                stage=stage, seed=seed, suite=row["suite"], split=str(split), n=row["n"],
                k=row["k"], measure=row["measure"], success=row["value"], low=row["low"],
                high=row["high"], train_fraction=train_fraction,
            )
            for row in wanted.to_dict("records")
        ]  # fmt: skip
    return rows


def write_evaluations(folder: Path, rows: Sequence[EvaluationRow]) -> None:
    """Write a training's `evaluations.jsonl` anew."""
    content = "".join(f"{row.model_dump_json()}\n" for row in rows)
    write_atomically(folder / EVALUATIONS, content.encode())
