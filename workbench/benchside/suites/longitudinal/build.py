# ruff: noqa: E501 — what prompts say stays whole
"""Building the suite: hospitals of generated patients, thirty questions each.

A hospital's patients fall into training patients, whose records are whole, and one group of
held-out patients for each kind, whose records end at their prediction time: so no record shows what
another question asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchside.cell_source import cell_source
from benchside.errors import InputError
from benchside.held_out.bar import Metric
from benchside.held_out.leakage import Timed, late, refuse
from benchside.held_out.models import fit_risk
from benchside.held_out.question import Part, Question, pose
from benchside.suite import BuildOptions, SuiteBuild
from benchside.suites.longitudinal.catalogue import (
    ASKED_FINDINGS,
    DISEASES,
    FINDINGS,
    KINDS,
    LEVELS,
)
from benchside.suites.longitudinal.history import history
from benchside.suites.longitudinal.labels import read_labels
from benchside.suites.longitudinal.timeline import Cohort, Outcomes, generate
from benchside.task import AnswerKey, Split, TaskSpec
from benchside_kernels.image import ImageSource

TRAINING, HELD_OUT = 600, 220  # patients; the second for each kind
METRICS: tuple[Metric, ...] = ("auroc", "auprc")
# Hospitals take these in turn, so that no hospital stands in two splits.
SPLITS: tuple[Split, ...] = ("test", "train", "valid", "train", "train")
NAMES = [*FINDINGS, "No Finding"]
ASKED = {
    "guo_los": (
        "stays in hospital for at least 7 days. The prediction time is 23:59 on the day of admission"
    ),
    "guo_readmission": (
        "is admitted again within 30 days of discharge. The prediction time is 23:59 on the day of "
        "discharge"
    ),
    "guo_icu": (
        "is moved to intensive care during the stay. The prediction time is 23:59 on the day of "
        "admission"
    ),
    **{
        kind: (
            f"has an abnormal next result ({kind.removeprefix('lab_')}: value 1 mild, 2 moderate, "
            f"3 severe; 0 is {level.normal}). The prediction time is just before the result"
        )
        for kind, level in LEVELS.items()
    },
    **{
        kind: (
            f"is diagnosed with {disease.name} ({disease.code}) for the first time within a year. "
            "The prediction time is 23:59 on the day of discharge"
        )
        for kind, disease in DISEASES.items()
    },
}
DESCRIPTION = """\
Records of generated patients in the columns of EHRSHOT.
- `events`: patient_id, start, end, code, value, unit, visit_id, omop_table; one row an event. \
Records of training patients are whole, those of held-out patients end at their prediction time.
- `labels`: dict from kind to the training patients' DataFrame: prediction_time and value (of chexpert \
one column per finding), by patient_id.
- `held_out`: dict from kind to the held-out patients' DataFrame: prediction_time, by patient_id. Each \
held-out patient belongs to one kind.
- kinds: """


@dataclass(frozen=True, slots=True)
class Rows:
    """The patients of one kind, by patient_id.

    Args:
        labels: prediction_time and the labels of training patients.
        held: prediction_time of the held-out ones.
        values, risks: columns as in `labels`, of the held-out ones.
    """

    labels: pd.DataFrame
    held: pd.DataFrame
    values: pd.DataFrame
    risks: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Hospital:
    """What one kernel image holds, and what it does not."""

    events: pd.DataFrame
    rows: dict[str, Rows]


def build(
    options: BuildOptions, make: Callable[[int, tuple[int, ...]], Cohort] = generate
) -> SuiteBuild:
    """Generate hospitals until `options.size` questions have been posed."""
    size = options.size or 0
    if size < 1:
        raise InputError(
            "longitudinal needs a size", where="size", value=options.size, fix="--size 120"
        )
    counts: Counter[str] = Counter()
    tasks: list[TaskSpec] = []
    keys: list[AnswerKey] = []
    images: list[ImageSource] = []
    while len(tasks) < size:
        number = len(images)
        cohort = make(TRAINING + HELD_OUT * len(KINDS), (options.seed, number))
        hospital = divide(cohort, (options.seed, number), counts)
        images.append(image(f"{options.manifest.name}.hospital-{number:03d}", hospital))
        for question in questions(hospital, number, images[-1].name):
            if len(tasks) == size:
                break
            posed = pose(question, options.manifest)
            if posed is None:
                counts[f"dropped: {question.category} not told from guessing"] += 1
                continue
            tasks.append(posed[0])
            keys.append(posed[1])
        if not tasks:
            raise InputError("no question of the first hospital can be told from guessing",
                             where="seed", value=options.seed, fix="try another seed")  # fmt: skip
    counts["hospitals"] = len(images)
    return SuiteBuild(tasks, keys, images, dict(counts))


def divide(cohort: Cohort, seed: tuple[int, ...], counts: Counter[str]) -> Hospital:
    """Split by patient, confirm the labels, and cut the held-out patients' records."""
    order = np.random.default_rng([*seed, 3]).permutation(len(cohort.ids))
    group = np.empty(len(order), dtype=np.int64)  # (patients,) 0 trains, else 1 + place of the kind
    group[order] = np.maximum((np.arange(len(order)) - TRAINING) // HELD_OUT + 1, 0)
    rows: dict[str, Rows] = {}
    counts["rows dropped: two ways to a label differ"] += 0
    for place, kind in enumerate(KINDS):
        outcome = cohort.outcomes[kind]
        values, risks = frames(kind, cohort, outcome)
        agreed = confirmed(kind, cohort.events, values)
        counts["rows dropped: two ways to a label differ"] += int((~agreed).sum())
        trains = agreed & (group[outcome.patient] == 0)
        held = agreed & (group[outcome.patient] == place + 1)
        columns = risks.columns
        rows[kind] = Rows(
            labels=values[trains].sort_index(),
            held=values.loc[held, ["prediction_time"]].sort_index(),
            values=values.loc[held, columns].sort_index(),
            risks=risks[held].sort_index(),
        )
    limits = pd.concat([one.held["prediction_time"] for one in rows.values()])
    kept = cohort.events["patient_id"].isin([*cohort.ids[group == 0], *limits.index])
    return Hospital(cut(cohort.events[kept], limits), rows)


def frames(kind: str, cohort: Cohort, outcome: Outcomes) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Prediction times with values, and risks, by patient_id."""
    names = NAMES if kind == "chexpert" else ["value"]
    index = pd.Index(cohort.ids[outcome.patient], name="patient_id")
    shape = (len(index), len(names))
    values = pd.DataFrame(outcome.value.reshape(shape), index, names)
    values.insert(0, "prediction_time", outcome.time)
    return values, pd.DataFrame(outcome.risk.reshape(shape), index, names)


def confirmed(kind: str, events: pd.DataFrame, values: pd.DataFrame) -> NDArray[np.bool_]:
    """(rows,) bool, True where the events say the same as the outcome that was drawn."""
    told = read_labels(kind, events, values[["prediction_time"]]).reindex(values.index)
    if kind == "chexpert":
        drawn = values[sorted(NAMES)].astype(str).agg("".join, axis=1)
        return np.asarray(told == drawn)
    return np.asarray(told == values["value"])


def cut(events: pd.DataFrame, limits: pd.Series) -> pd.DataFrame:
    """Leave out what starts at or after a patient's limit, and ends that are not known by then."""
    kept = events[~late(Timed("events", events, "patient_id", ["start"]), limits)].copy()
    kept.loc[late(Timed("events", kept, "patient_id", ["end"]), limits), "end"] = pd.NaT
    return kept.reset_index(drop=True)


def image(name: str, hospital: Hospital) -> ImageSource:
    """What the kernel gets, after a last look for leaks."""
    labels = {kind: rows.labels for kind, rows in hospital.rows.items()}
    held = {kind: rows.held for kind, rows in hospital.rows.items()}
    limits = pd.concat([frame["prediction_time"] for frame in held.values()])
    refuse(
        name,
        train=pd.concat([*labels.values()]).index,
        held_out=limits.index,
        tables=[Timed("events", hospital.events, "patient_id", ["start", "end"])],
        limits=limits,
    )
    return ImageSource(
        name=name,
        variables={"events": hospital.events, "labels": labels, "held_out": held},
        description=DESCRIPTION + ", ".join(KINDS),
    )


def questions(hospital: Hospital, number: int, image_name: str) -> Iterator[Question]:
    """All questions about one hospital: kinds by metrics; findings change with the hospital."""
    parts: dict[tuple[str, str], Part] = {}
    for turn, metric in enumerate(METRICS):
        finding = ASKED_FINDINGS[(2 * number + turn) % len(ASKED_FINDINGS)]
        for kind, rows in hospital.rows.items():
            column = finding if kind == "chexpert" else "value"
            if (kind, column) not in parts:
                parts[kind, column] = _part(rows, column, hospital.events)
            name = kind if column == "value" else f"{kind}-{column.replace(' ', '-').lower()}"
            yield Question(
                task_id=f"{name}-{metric}-{number:03d}",
                category=kind,
                group=f"hospital-{number:03d}",
                split=SPLITS[number % len(SPLITS)],
                image=image_name,
                what=_what(kind, column),
                rows=f"`held_out[{kind!r}]`",
                metric=metric,
                parts=[parts[kind, column]],
                solution=_solution(kind, column),
                ways=2,
            )


def _part(rows: Rows, column: str, events: pd.DataFrame) -> Part:
    x = history(events, pd.concat([rows.labels, rows.held]))
    train = (rows.labels[column] >= 1).astype(int)
    held = (rows.values[column] >= 1).astype(int)
    return Part(
        train=train.to_numpy().astype(np.float64),
        held_out=held,
        scores=fit_risk(x.loc[train.index], train, x.loc[held.index]).to_numpy(np.float64),
        risks=rows.risks[column].to_numpy(np.float64),
    )


def _what(kind: str, column: str) -> str:
    opening = (
        "The kernel holds the records of a hospital's patients (`events`), training labels "
        f"(`labels[{kind!r}]`) and the patients to predict (`held_out[{kind!r}]`). "
    )
    if kind == "chexpert":
        return (
            f"{opening}Score each patient by how likely the next chest X-ray report has the finding "
            f"{column!r} (that column is 1). The prediction time is 24 hours before the report. Use "
            "nothing from after the prediction time, in training either."
        )
    return (
        f"{opening}Score each patient by how likely it is that the patient {ASKED[kind]}. In "
        "`labels`, a value of 1 or more is a yes. Use nothing from after the prediction time, in "
        "training either."
    )


def _solution(kind: str, column: str) -> tuple[str, ...]:
    return (
        f"{cell_source(history)}\n\n\n{cell_source(fit_risk)}",
        f"""\
known, new = labels[{kind!r}], held_out[{kind!r}]
x = history(events, pd.concat([known, new]))
y = known[{column!r}] >= 1
print(x.shape, y.mean())""",
        """\
submit(fit_risk(x.loc[known.index], y, x.loc[new.index]))""",
    )
