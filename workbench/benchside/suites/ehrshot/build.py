# ruff: noqa: E501 — what prompts say stays whole
"""Building the suite: published splits, one image for each kind, two metrics."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from benchside.cell_source import cell_source
from benchside.errors import DataMissingError, InputError
from benchside.held_out.bar import Metric, enough
from benchside.held_out.leakage import Timed, refuse
from benchside.held_out.models import fit_risk
from benchside.held_out.question import Part, Question, pose
from benchside.suite import BuildOptions, SuiteBuild
from benchside.suites.ehrshot.assets import Assets
from benchside.suites.ehrshot.gym import SPLITS, Gym
from benchside.suites.ehrshot.labels import answers
from benchside.suites.ehrshot.source import Examples, Source
from benchside.suites.longitudinal.build import ASKED
from benchside.suites.longitudinal.catalogue import KINDS
from benchside_kernels.image import ImageSource

METRICS: tuple[Metric, ...] = ("auroc", "auprc")
ASSETS, GYM = "EHRSHOT_ASSETS", "medagentgym/ehrshot"


def build(options: BuildOptions) -> SuiteBuild:
    """Pose the questions of the kinds that the user has.

    Raises:
        DataMissingError: files of neither layout are all there.
        InputError: a file is damaged, or no question can be told from guessing.
    """
    source = _source(options)
    counts: Counter[str] = Counter()
    built = SuiteBuild([], [], [])
    for kind in source.kinds:
        examples = source.read(kind, counts)
        rows = examples.rows
        counts[f"patients: {kind}"] = len(rows)
        labels = answers(kind, rows["value"])
        image = to_image(f"{options.manifest.name}.{kind}", examples, labels)
        before = len(built.tasks)
        for column in labels:
            for question in _questions(
                kind, str(column), examples, labels[column], image.name, counts
            ):
                posed = pose(question, options.manifest)
                if posed is None:
                    counts[f"dropped: {kind} not told from guessing"] += 1
                    continue
                built.tasks.append(posed[0])
                built.keys.append(posed[1])
        if len(built.tasks) > before:
            built.images.append(image)
    if not built.tasks:
        raise InputError(
            "no question can be told from guessing", where=options.data, value=dict(counts),
            fix="bring the labels of more patients",
        )  # fmt: skip
    built.counts.update(counts)
    return built


def _source(options: BuildOptions) -> Source:
    """The layout that is there, the authors' before MedAgentGym's."""
    files = {
        file.path: path
        for file in options.manifest.data
        if options.data and (path := file.find(options.data))
    }
    labels = {
        kind: path
        for kind in KINDS
        if (path := files.get(f"{ASSETS}/benchmark/{kind}/labeled_patients.csv"))
    }
    events = files.get(f"{ASSETS}/data/ehrshot.csv")
    splits = files.get(f"{ASSETS}/splits/person_id_map.csv")
    if labels and events and splits:
        return Assets(events, splits, labels, options.scratch)
    tasks = files.get(f"{GYM}/task.jsonl")
    features = _by_split(files, f"{GYM}/clmbr_{{}}.pkl")
    by_kind = {kind: _by_split(files, f"{GYM}/{kind}/{{}}_labels.csv") for kind in KINDS}
    whole = {kind: paths for kind, paths in by_kind.items() if len(paths) == len(SPLITS)}
    if tasks and len(features) == len(SPLITS) and whole:
        return Gym(tasks, features, whole)
    raise DataMissingError(
        "files of EHRSHOT are missing: labels, splits and events, or tasks, features and labels",
        where=options.data,
        value=sorted(files)[:5],
        fix=options.manifest.how_to_get,
    )


def _by_split(files: dict[str, Path], pattern: str) -> dict[str, Path]:
    found = {split: files.get(pattern.format(split)) for split in SPLITS}
    return {split: path for split, path in found.items() if path is not None}


def to_image(name: str, examples: Examples, labels: pd.DataFrame) -> ImageSource:
    """What the kernel gets, after a last look for leaks."""
    rows = examples.rows
    held = rows["split"] == "test"
    latest = examples.latest.rename("latest").rename_axis("patient_id").reset_index()
    refuse(
        name, train=rows.index[~held], held_out=rows.index[held],
        tables=[Timed("features", latest, "patient_id", ["latest"])], limits=rows["prediction_time"],
    )  # fmt: skip
    train = rows.loc[~held, ["prediction_time", "split"]].join(labels)
    return ImageSource(
        name=name,
        variables={
            "features": examples.features, "labels": train,
            "held_out": rows.loc[held, ["prediction_time"]],
        },
        description=(
            "Patients of EHRSHOT, one row each, by patient_id.\n"
            "- `features`: made from the record before the prediction time.\n"
            "- `labels`: prediction_time, split (train or val) and labels of 0 and 1 of the training patients.\n"
            "- `held_out`: prediction_time of the patients to predict."
        ),
    )  # fmt: skip


def _questions(
    kind: str, column: str, examples: Examples, labels: pd.Series, image: str, counts: Counter[str]
) -> list[Question]:
    held = examples.rows["split"] == "test"
    train, test = labels[~held], labels[held]
    if not all(enough(side.to_numpy(np.float64)) for side in (train, test)):
        counts[f"dropped: {kind} has too few cases"] += len(METRICS)
        return []
    x = examples.features
    scores = fit_risk(x.loc[train.index], train, x.loc[test.index])
    part = Part(train.to_numpy(np.float64), test, scores.to_numpy(np.float64))
    name = kind if column == "value" else f"{kind}-{column.replace(' ', '-').lower()}"
    return [
        Question(
            task_id=f"{name}-{metric}", category=kind, group=kind, split="test", image=image,
            what=_what(kind, column), rows="`held_out`", metric=metric, parts=[part],
            solution=_solution(column),
        )
        for metric in METRICS
    ]  # fmt: skip


def _what(kind: str, column: str) -> str:
    opening = (
        "The kernel holds patients of EHRSHOT: `features` from before the prediction time, the training "
        "patients' `labels`, and the patients to predict, `held_out`. "
    )
    if kind == "chexpert":
        return (
            f"{opening}Score each patient by how likely the next chest X-ray report has the finding "
            f"{column!r} (that column is 1). The prediction time is 24 hours before the report."
        )
    asked = ASKED[kind]
    if kind.startswith("lab_"):
        asked = f"has an abnormal next result ({kind.removeprefix('lab_')}, mild or worse). The prediction time is just before the result"
    return f"{opening}Score each patient by how likely it is that the patient {asked}."


def _solution(column: str) -> tuple[str, ...]:
    return (
        cell_source(fit_risk),
        f"y = labels[{column!r}]\nprint(features.shape, y.mean())",
        "submit(fit_risk(features.loc[labels.index], y, features.loc[held_out.index]))",
    )
