"""Building the suite: the patients of the user's extract in subsets of some thousand stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from benchside.errors import DataMissingError, InputError
from benchside.held_out.question import pose
from benchside.suite import BuildOptions, SuiteBuild
from benchside.suites.mimic_extract.extract import Extract
from benchside.suites.mimic_extract.read import read_extract
from benchside.suites.mimic_extract.subset import divide, questions, to_image

MOST_STAYS = 8000  # of a subset: an image of about 80 MB


def build(options: BuildOptions) -> SuiteBuild:
    """Pose up to `options.size` questions; fewer where there are not so many patients.

    Raises:
        DataMissingError, InputError: the file is missing or damaged.
    """
    path = options.manifest.data[0].find(options.data) if options.data else None
    if path is None:
        raise DataMissingError(
            "the extract is missing", where=options.data, fix=options.manifest.how_to_get
        )
    extract = read_extract(path)
    built = pose_subsets(_subsets(extract, options.seed), options)
    built.counts["stays"] = len(extract.patients)
    if not built.tasks:
        raise InputError(
            "there are too few stays to tell a model from guessing", where=path,
            value=len(extract.patients), fix="extract more patients (POP_SIZE)",
        )  # fmt: skip
    return built


def pose_subsets(subsets: Iterable[Extract], options: BuildOptions) -> SuiteBuild:
    """Pose questions about one subset after the other until there are `options.size`."""
    size = options.size or 0
    name = options.manifest.name
    if size < 1:
        raise InputError(f"{name} needs a size", where="size", value=options.size, fix="--size 24")
    counts: Counter[str] = Counter()
    built = SuiteBuild([], [], [])
    for number, extract in enumerate(subsets):
        rows = divide(extract, (options.seed, number), counts)
        image = to_image(f"{name}.subset-{number:03d}", rows, extract.patients)
        before = len(built.tasks)
        for question in questions(rows, extract, number, image.name, counts):
            if len(built.tasks) == size:
                break
            posed = pose(question, options.manifest)
            if posed is None:
                counts[f"dropped: {question.category} not told from guessing"] += 1
                continue
            built.tasks.append(posed[0])
            built.keys.append(posed[1])
        if len(built.tasks) > before:
            built.images.append(image)
        if len(built.tasks) in (size, before):
            break
    built.counts.update(counts)
    return built


def _subsets(extract: Extract, seed: int) -> Iterable[Extract]:
    """Parts that share no patient, each of up to `MOST_STAYS` patients."""
    owner = extract.patients["subject_id"]
    subjects = np.random.default_rng([seed, len(owner)]).permutation(owner.unique())
    for part in np.array_split(subjects, -(-len(subjects) // MOST_STAYS)):
        yield extract.of(owner.index[owner.isin(part)])
