# ruff: noqa: E501 — what prompts say stays whole
"""One subset of stays: who trains, who is held out for what, and the questions about them.

A group of patients is held out for each outcome, which is asked from the first 24 hours, and for
each intervention, of which six hours somewhere in the stay are known: the later hours of a stay
would tell how long it lasts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchside.cell_source import cell_source
from benchside.graders.metrics import Floats
from benchside.held_out.bar import Metric, enough
from benchside.held_out.leakage import Timed, refuse
from benchside.held_out.models import fit_classes, fit_risk, summarise
from benchside.held_out.question import Part, Question
from benchside.held_out.single import single_columns
from benchside.suites.mimic_extract.extract import (
    CLASSES,
    DAY_H,
    INTERVENTIONS,
    OUTCOMES,
    STATICS,
    WINDOW_H,
    Extract,
    confirmed,
    outcomes,
    window_class,
    windows,
)
from benchside.task import Split
from benchside_kernels.image import ImageSource

FIRST_DAY = "first_day"
SHARES = (0.3, 0.7, 0.85)  # ends of training, outcomes and vaso among the patients
METRICS: tuple[Metric, ...] = ("auroc", "auprc")
SPLITS: tuple[Split, ...] = ("test", "train", "valid", "train", "train")
ASKED = {
    "mort_icu": "the patient dies in intensive care",
    "mort_hosp": "the patient dies in hospital",
    "los_3": "the stay in intensive care lasts more than 3 days",
    "los_7": "the stay in intensive care lasts more than 7 days",
}
NAMES = {"vaso": "vasopressors", "vent": "mechanical ventilation"}
DESCRIPTION = """\
Stays in intensive care in the terms of MIMIC-Extract; dicts are by what is asked: 'first_day', 'vaso', 'vent'.
- `hours`: dict of DataFrames: icustay_id, hour since admission, hourly means (NaN where nothing was measured); \
of 'first_day' hours 0 to 23, of 'vaso' and 'vent' six hours of each stay and `on`, whether it was given.
- `labels`: dict of the training stays' DataFrames by icustay_id: of 'first_day' mort_icu, mort_hosp, los_3 and \
los_7, of 'vaso' and 'vent' `value`: onset, wean, stay on, stay off.
- `held_out`: dict of the stays to predict for mort_icu, mort_hosp, los_3, los_7, vaso and vent: `start`, the \
first hour known, by icustay_id. Each belongs to one of these.
- `statics`: age, sex and others, by icustay_id."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The stays of one group, by icustay_id.

    Args:
        hours: what is known, of both sides.
        train, test: `start` (the first hour known) and labels; in `test` of the first day `asked`,
            the outcome that the stay is held out for.
    """

    hours: pd.DataFrame
    train: pd.DataFrame
    test: pd.DataFrame


def divide(extract: Extract, seed: tuple[int, ...], counts: Counter[str]) -> dict[str, Rows]:
    """Split by patient, and draw the rows of each group."""
    rng = np.random.default_rng([*seed, len(extract.patients)])
    subjects = rng.permutation(extract.patients["subject_id"].unique())
    ends = [round(share * len(subjects)) for share in SHARES]
    owner = extract.patients["subject_id"]
    sides = [owner.index[owner.isin(part)] for part in np.split(subjects, ends)]
    train, *held = sides
    labels = outcomes(extract.patients)
    fine = confirmed(extract.patients, labels)
    counts["stays dropped: times of stay or death contradict the labels"] += int((~fine).sum())
    labels = labels[fine].assign(start=0)
    first = _rows(extract, labels, train, held[0], DAY_H)
    asked = np.array(OUTCOMES)[rng.permutation(len(first.test)) % len(OUTCOMES)]
    rows = {FIRST_DAY: Rows(first.hours, first.train, first.test.assign(asked=asked))}
    for name, test in zip(INTERVENTIONS, held[1:], strict=True):
        drawn = _draw_windows(extract, name, rng, counts)
        rows[name] = _rows(extract, drawn, train, test, WINDOW_H, name)
    return rows


def _rows(
    extract: Extract,
    labels: pd.DataFrame,
    train: pd.Index,
    test: pd.Index,
    length: int,
    on: str = "",
) -> Rows:
    """The labelled stays of both sides, and the hours that are known of them."""
    sides = [labels[labels.index.isin(side)].sort_index() for side in (train, test)]
    start = pd.concat(sides)["start"]
    hours = extract.hours[extract.hours["icustay_id"].isin(start.index)]
    since = hours["hour"] - hours["icustay_id"].map(start)
    hours = hours[(since >= 0) & (since < length)]
    if on:
        given = extract.interventions[["icustay_id", "hour", on]].rename(columns={on: "on"})
        hours = hours.merge(given, on=["icustay_id", "hour"])
    return Rows(hours.reset_index(drop=True), *sides)


def _draw_windows(
    extract: Extract, name: str, rng: np.random.Generator, counts: Counter[str]
) -> pd.DataFrame:
    """One window a stay: one of the classes that it has, then one of its windows of that class."""
    table = extract.interventions
    stays, first = np.unique(table["icustay_id"].to_numpy(), return_index=True)
    hours = table["hour"].to_numpy()[first]
    found: dict[object, tuple[int, str]] = {}
    for stay, hour, on in zip(
        stays, hours, np.split(table[name].to_numpy(), first[1:]), strict=True
    ):
        classes = windows(on)
        present = np.unique(classes[classes >= 0])
        if not len(present):
            continue
        place = int(rng.choice(present))
        start = int(rng.choice(np.flatnonzero(classes == place)))
        if window_class(on.tolist(), start) != CLASSES[place]:
            counts["windows dropped: two ways to a class differ"] += 1
            continue
        found[stay] = (int(hour) + start, CLASSES[place])
    index = pd.Index(list(found), name="icustay_id")
    return pd.DataFrame(list(found.values()), index, ["start", "value"])


def to_image(name: str, rows: dict[str, Rows], patients: pd.DataFrame) -> ImageSource:
    """What the kernel gets, after a last look for leaks."""
    lengths = {FIRST_DAY: DAY_H, "vaso": WINDOW_H, "vent": WINDOW_H}
    trained = pd.concat([one.train["start"] for one in rows.values()]).index
    for group, one in rows.items():
        refuse(
            f"{name}, {group}",
            train=patients["subject_id"][trained.unique()],
            held_out=patients["subject_id"][one.test.index],
            tables=[Timed("hours", one.hours, "icustay_id", ["hour"])],
            limits=pd.concat([one.train, one.test])["start"] + lengths[group],
        )
    tested = pd.concat([one.test["start"] for one in rows.values()]).index
    assert tested.is_unique
    known = [column for column in STATICS if column in patients]
    statics = patients.loc[trained.union(tested).unique(), known]
    return ImageSource(
        name=name,
        variables={
            "hours": {group: one.hours for group, one in rows.items()},
            "labels": {
                group: one.train if group != FIRST_DAY else one.train[[*OUTCOMES]]
                for group, one in rows.items()
            },
            "held_out": {
                name: _asked(rows, name)[["start"]] for name in (*OUTCOMES, *INTERVENTIONS)
            },
            "statics": statics.sort_index(),
        },
        description=DESCRIPTION,
    )


def _asked(rows: dict[str, Rows], name: str) -> pd.DataFrame:
    """The stays held out for an outcome or an intervention."""
    test = rows[_group(name)].test
    return test[test["asked"] == name] if name in OUTCOMES else test


def questions(
    rows: dict[str, Rows], extract: Extract, number: int, image: str, counts: Counter[str]
) -> Iterator[Question]:
    """All questions about a subset: outcomes and interventions by metrics."""
    age = extract.patients[["age"]]
    parts: dict[str, list[Part]] = {}
    for group, one in rows.items():
        x = summarise(one.hours, "icustay_id").join(age)
        new, x = x.reindex(one.test.index), x.reindex(one.train.index)
        if group != FIRST_DAY:
            chances = fit_classes(x, one.train["value"], new)
            parts[group] = [
                _part(one.train["value"] == name, one.test["value"] == name, chances[name], name)
                for name in CLASSES
                if name in chances
            ]
            continue
        for name in OUTCOMES:
            train, test = one.train[name], _asked(rows, name)[name]
            if not enough(train.to_numpy(np.float64)):
                counts[f"dropped: too few cases of {name}"] += len(METRICS)
                continue
            risks = None if extract.risks is None else extract.risks.loc[test.index, name]
            rows_asked = new.loc[test.index]
            scores = fit_risk(x, train, rows_asked)
            singles = single_columns(_with_total(x), train, _with_total(rows_asked))
            parts[name] = [_part(train, test, scores, risks=risks, singles=singles)]
    for metric in METRICS:
        for name, own in parts.items():
            yield Question(
                task_id=f"{name}-{metric}-{number:03d}",
                category=name,
                group=f"subset-{number:03d}",
                split=SPLITS[number % len(SPLITS)],
                image=image,
                what=_what(name),
                rows=f"`held_out[{name!r}]`",
                metric=metric,
                parts=own,
                solution=_solution(name),
                ways=2,
            )


def _with_total(x: pd.DataFrame) -> pd.DataFrame:
    """With the number of all measurements."""
    return x.assign(total=x.filter(like="count ").sum(axis=1))


def _part(
    train: pd.Series, test: pd.Series, scores: pd.Series, name: str = "",
    risks: pd.Series | None = None, singles: Sequence[Floats] = (),
) -> Part:  # fmt: skip
    return Part(
        train=train.to_numpy().astype(np.float64),
        held_out=test.astype(int),
        scores=scores.to_numpy(np.float64),
        name=name,
        risks=None if risks is None else risks.to_numpy(np.float64),
        singles=singles,
    )


def _group(name: str) -> str:
    return name if name in INTERVENTIONS else FIRST_DAY


def _what(name: str) -> str:
    opening = (
        "The kernel holds stays in intensive care: what was measured (`hours`), training labels "
        "(`labels`), the stays to predict (`held_out`), and `statics`. "
    )
    if name in INTERVENTIONS:
        return (
            f"{opening}Of each stay in `hours[{name!r}]`, six hours are known. Six hours later, in which "
            f"nothing changes, come four hours in which {NAMES[name]} may start (onset), end (wean), go on "
            "(stay on) or stay away (stay off). Score each stay for each of the four."
        )
    return (
        f"{opening}From the first 24 hours, `hours['first_day']`, score each stay by how likely it is "
        f"that {ASKED[name]} (`{name}`). All stays last more than 30 hours."
    )


def _solution(name: str) -> tuple[str, ...]:
    group = _group(name)
    prepare = f"""\
known, new = labels[{group!r}], held_out[{name!r}]
x = summarise(hours[{group!r}], "icustay_id").join(statics[["age"]])
print(x.shape, known.describe(include="all"))"""
    if name in INTERVENTIONS:
        return (
            f"{cell_source(summarise)}\n\n\n{cell_source(fit_classes)}",
            prepare,
            """\
chances = fit_classes(x.reindex(known.index), known["value"], x.reindex(new.index))
submit({name: chances[name] for name in chances})""",
        )
    return (
        f"{cell_source(summarise)}\n\n\n{cell_source(fit_risk)}",
        prepare,
        f"submit(fit_risk(x.reindex(known.index), known[{name!r}], x.reindex(new.index)))",
    )
