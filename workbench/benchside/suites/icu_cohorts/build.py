# ruff: noqa: E501 — what prompts say stays whole
"""Building the suite: each cohort is divided anew for each set of questions, by seed.

The files know stays, not patients. Stays that might be one patient's (same sex, full years and
height) are kept on one side. All questions are of split `test`: the same real stays are asked about
again and again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchside.cell_source import cell_source
from benchside.errors import DataMissingError, InputError
from benchside.held_out.bar import FEWEST, Metric, enough
from benchside.held_out.leakage import Timed, late, refuse
from benchside.held_out.models import fit_risk, fit_value, summarise
from benchside.held_out.question import Part, Question, pose
from benchside.suite import BuildOptions, SuiteBuild
from benchside.suites.icu_cohorts.stays import FILES, Stays, read_stays
from benchside.task import AnswerKey, TaskSpec
from benchside_kernels.image import ImageSource

TEST_SHARE = 0.45
SOURCES = {"eicu_demo": "the eICU demo", "mimic_demo": "the MIMIC-III demo"}


@dataclass(frozen=True, slots=True)
class Kind:
    """A task of YAIB's.

    Args:
        what: follows "predict" or "score ... by how likely".
    """

    what: str
    metrics: tuple[Metric, ...]

    @property
    def binary(self) -> bool:
        """Whether labels are 0 and 1."""
        return "mae" not in self.metrics


KINDS = {
    "mortality24": Kind("the patient dies in intensive care (the first 24 hours are known)", ("auroc", "auprc")),
    "aki": Kind("`value` is 1: acute kidney injury (KDIGO stage 1 or more) at that hour or soon after", ("auroc", "auprc")),
    "sepsis": Kind("`value` is 1: sepsis (Sepsis-3) at that hour or soon after", ("auroc", "auprc")),
    "los": Kind("the remaining hours in intensive care (168 at most)", ("mae",)),
    "kidney_function": Kind("the median creatinine of the second day in mg/dL (the first 24 hours are known)", ("mae",)),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Divided:
    """A cohort with its rows on two sides, one row a stay.

    Args:
        train, test: by stay_id: `hour` of the prediction and `value`.
    """

    hours: pd.DataFrame
    statics: pd.DataFrame
    train: pd.DataFrame
    test: pd.DataFrame


def build(options: BuildOptions) -> SuiteBuild:
    """Pose `options.size` questions over the cohorts that the user has.

    Raises:
        DataMissingError: no cohort is there.
        InputError: a file is damaged, or too few questions can be told from guessing.
    """
    size = options.size or 0
    if size < 1:
        raise InputError(
            "icu_cohorts needs a size", where="size", value=options.size, fix="--size 30"
        )
    cohorts = {
        place: read_stays(paths, binary=KINDS[place[0]].binary) for place, paths in _places(options)
    }
    build = SuiteBuild([], [], [])
    counts: Counter[str] = Counter(
        {f"stays: {k} {s}": len(v.statics) for (k, s), v in cohorts.items()}
    )
    for turn in range(size):
        before = len(build.tasks)
        for (kind, source), stays in cohorts.items():
            if len(build.tasks) < size:
                _add(
                    build,
                    options,
                    f"{kind}-{source}-{turn:03d}",
                    kind,
                    source,
                    stays,
                    (options.seed, turn),
                    counts,
                )
        if len(build.tasks) == size:
            break
        if len(build.tasks) == before:
            raise InputError("no cohort has enough stays to tell a model from guessing",
                             where="data", value=len(build.tasks), fix="get the cohorts of YAIB's demo_data again")  # fmt: skip
    build.counts.update(counts)
    return build


def _places(options: BuildOptions) -> Iterator[tuple[tuple[str, str], dict[str, Path]]]:
    """The cohorts of which all three files are there."""
    data = options.data
    files = {} if data is None else {file.path: file.find(data) for file in options.manifest.data}
    found = 0
    for kind in KINDS:
        for source in SOURCES:
            paths = {name: files.get(f"yaib_demo/{kind}/{source}/{name}.parquet") for name in FILES}
            there = {name: path for name, path in paths.items() if path is not None}
            if there and len(there) < len(FILES):
                missing = next(name for name in FILES if name not in there)
                raise DataMissingError(
                    "a file of a cohort is missing",
                    where=next(iter(there.values())).with_name(f"{missing}.parquet"),
                    fix=options.manifest.how_to_get,
                )
            if there:
                found += 1
                yield (kind, source), there
    if not found:
        raise DataMissingError("no cohort is there", where=data, fix=options.manifest.how_to_get)


def _add(
    build: SuiteBuild, options: BuildOptions, name: str, kind: str, source: str, stays: Stays,
    seed: tuple[int, ...], counts: Counter[str],
) -> None:  # fmt: skip
    """Add a cohort's questions and its image, if any question can be told from guessing."""
    divided = divide(stays, seed, binary=KINDS[kind].binary)
    train, test = divided.train["value"], divided.test["value"]
    sides = [side.to_numpy(np.float64) for side in (train, test)]
    if not all(enough(one) if KINDS[kind].binary else len(one) >= FEWEST for one in sides):
        counts[f"dropped: {kind} {source} has too few cases"] += len(KINDS[kind].metrics)
        return
    image = to_image(f"{options.manifest.name}.{name}", divided, SOURCES[source])
    x = features(divided.hours, divided.statics)
    fit = fit_risk if KINDS[kind].binary else fit_value
    part = Part(
        sides[0],
        test,
        fit(x.loc[train.index], train, x.loc[test.index]).to_numpy(np.float64),
    )
    posed: list[tuple[TaskSpec, AnswerKey]] = []
    for metric in KINDS[kind].metrics:
        question = Question(
            task_id=f"{name}-{metric}", category=kind, group=f"{kind}-{source}", split="test",
            image=image.name, what=_what(kind, source, stays.hourly), rows="`held_out`",
            metric=metric, parts=[part], solution=_solution(kind),
        )  # fmt: skip
        one = pose(question, options.manifest)
        if one is None:
            counts[f"dropped: {kind} {source} not told from guessing"] += 1
        elif len(build.tasks) + len(posed) < (options.size or 0):
            posed.append(one)
    if posed:
        build.tasks.extend(task for task, _ in posed)
        build.keys.extend(key for _, key in posed)
        build.images.append(image)


def divide(stays: Stays, seed: tuple[int, ...], *, binary: bool) -> Divided:
    """Draw a row for each stay, put stays on two sides, and cut the measurements at the rows."""
    rng = np.random.default_rng([*seed, len(stays.statics)])
    statics = stays.statics
    alike = (
        statics.fillna(-1)
        .assign(age=np.floor(statics["age"]))
        .groupby(["sex", "age", "height"])
        .ngroup()
    )
    people = rng.permutation(np.unique(alike))
    held = set(people[: round(len(people) * TEST_SHARE)])
    rows = draw_rows(stays, rng, binary=binary)
    is_held = alike[rows.index].isin(held)
    train, test = rows[~is_held], rows[is_held]
    refuse("icu_cohorts", train=alike[train.index], held_out=alike[test.index])
    hours = stays.hours[stays.hours["stay_id"].isin(rows.index)]
    # the hour of the prediction itself is known
    hours = hours[~late(Timed("hours", hours, "stay_id", ["hour"]), rows["hour"] + 1)]
    return Divided(hours.reset_index(drop=True), statics.loc[rows.index], train, test)


def draw_rows(stays: Stays, rng: np.random.Generator, *, binary: bool) -> pd.DataFrame:
    """One row a stay: hour and value by stay_id, sorted.

    Hourly labels of 0 and 1: a stay that ever has a 1 gives a random one of its hours with a 1, the
    others an hour as those have it; so the hour by itself does not tell.
    """
    if not stays.hourly:
        last = stays.hours.groupby("stay_id")["hour"].max()
        return (
            stays.labels.assign(hour=stays.labels["stay_id"].map(last))
            .set_index("stay_id")
            .sort_index()
        )
    shuffled = stays.labels.sample(frac=1, random_state=rng).reset_index(drop=True)
    if not binary:
        return shuffled.drop_duplicates("stay_id").set_index("stay_id").sort_index()
    cases = shuffled[shuffled["value"] == 1].drop_duplicates("stay_id")
    others = shuffled[~shuffled["stay_id"].isin(cases["stay_id"])]
    common = cases["hour"].value_counts(normalize=True)
    weight = others["hour"].map(common).fillna(0.0)
    # the largest of u ** (1 / w) is a draw by weight w (Efraimidis and Spirakis 2006)
    others = others[weight > 0].assign(
        key=rng.random(int((weight > 0).sum())) ** (1 / weight[weight > 0])
    )
    controls = (
        others.sort_values("key", ascending=False).drop_duplicates("stay_id").drop(columns="key")
    )
    return pd.concat([cases, controls]).set_index("stay_id").sort_index()


def to_image(name: str, divided: Divided, source: str) -> ImageSource:
    """What the kernel gets, after a last look for leaks."""
    rows = pd.concat([divided.train, divided.test])
    refuse(
        name, train=divided.train.index, held_out=divided.test.index,
        tables=[Timed("hours", divided.hours, "stay_id", ["hour"])], limits=rows["hour"] + 1,
    )  # fmt: skip
    return ImageSource(
        name=name,
        variables={
            "hours": divided.hours, "statics": divided.statics, "labels": divided.train,
            "held_out": divided.test[["hour"]],
        },
        description=(
            f"Stays in intensive care of {source}, prepared by YAIB.\n"
            "- `hours`: stay_id, hour (since admission) and 48 vital signs and laboratory values, up to and "
            "including the hour of the prediction; NaN where nothing was measured.\n"
            "- `statics`: age, sex (1 for women), height in cm, weight in kg, by stay_id.\n"
            "- `labels`: hour of the prediction and value of the training stays, by stay_id.\n"
            "- `held_out`: hour of the prediction of the stays to predict, by stay_id."
        ),
    )  # fmt: skip


def features(hours: pd.DataFrame, statics: pd.DataFrame) -> pd.DataFrame:
    """Summaries of what was measured, with the statics, by stay_id."""
    return summarise(hours, "stay_id").join(statics)


def _what(kind: str, source: str, hourly: bool) -> str:
    asked = KINDS[kind]
    verb = "Score each stay by how likely it is that" if asked.binary else "Predict for each stay"
    when = " One hour of each stay is asked about." if hourly else ""
    return (
        f"The kernel holds stays in intensive care of {SOURCES[source]}: `hours`, `statics`, the training "
        f"stays' `labels`, and the stays to predict, `held_out`.{when} {verb} {asked.what}."
    )


def _solution(kind: str) -> tuple[str, ...]:
    fit = fit_risk if KINDS[kind].binary else fit_value
    return (
        f"{cell_source(summarise)}\n\n\n{cell_source(fit)}",
        'x = summarise(hours, "stay_id").join(statics)\nprint(x.shape, labels["value"].describe())',
        f'submit({fit.__name__}(x.loc[labels.index], labels["value"], x.loc[held_out.index]))',
    )
