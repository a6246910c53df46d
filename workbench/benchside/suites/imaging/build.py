"""Builder: draws scenes by category, measures each on its files, drops what does not agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchside.errors import InputError
from benchside.graders import grade
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites.imaging.scene import Scene
from benchside.task import AnswerKey, Split, TaskSpec
from benchside_kernels.image import ImageSource
from benchside_kernels.submission import encode

try:  # heavy and optional: the extra `imaging`
    from benchside.suites.imaging import dicom, pictures, samples, waves
except ModuleNotFoundError as _error:
    MISSING: str | None = _error.name
else:
    MISSING = None

IMAGE = "imaging.files"
Maker = Callable[[np.random.Generator, str], Scene]
SPLITS: tuple[Split, ...] = ("train", "train", "train", "valid", "test")


def makers() -> dict[str, Maker]:
    """Category → what makes its scenes."""
    return {
        "dicom/area": dicom.area,
        "dicom/density": dicom.density,
        "dicom/window": dicom.window,
        "dicom/distance": dicom.distance,
        "dicom/volume": dicom.volume,
        "dicom/slices": dicom.topmost,
        "dicom/orientation": dicom.side,
        "png/count": pictures.count,
        "png/largest": pictures.largest,
        "png/quadrant": pictures.quadrant,
        "png/stain": pictures.stain,
        "png/period": pictures.stripes,
        "png/shape": pictures.shape,
        "edf/heart rate": waves.heart_rate,
        "edf/pause": waves.pause,
        "edf/premature beats": waves.premature,
        "edf/breathing": waves.breathing,
        "edf/lead off": waves.lead_off,
        "edf/strongest": waves.strongest,
        "edf/delay": waves.transit,
        "sample/dicom": samples.sample,
        "sample/picture": samples.coins,
    }


def build(options: BuildOptions) -> SuiteBuild:
    """Generate `options.size` tasks; categories take turns.

    Raises:
        InputError: the extra `imaging` is not installed.
    """
    if MISSING is not None:
        raise InputError(
            "suite imaging needs more packages",
            where="module",
            value=MISSING,
            fix="pip install 'benchside[imaging]'",
        )
    size = options.size or 0
    if size < 1:
        raise InputError("the suite needs at least one task", where="size", value=size)
    chosen = list(makers().items())
    tasks: list[TaskSpec] = []
    keys: list[AnswerKey] = []
    files: dict[str, Path] = {}
    prompts: set[tuple[str, str]] = set()
    dropped: Counter[str] = Counter()
    for index in range(size):
        turn, place = divmod(index, len(chosen))
        category, maker = chosen[place]
        seed = f"{options.seed}-{index:05d}"
        scene = maker(np.random.default_rng([options.seed, index]), seed)
        # scenes without files of their own are told apart by their questions alone
        if not scene.files and (category, scene.prompt) in prompts:
            dropped[f"dropped: {category} asked before"] += 1
            continue
        prompts.add((category, scene.prompt))
        written = _write(options.scratch / seed, scene)
        split = SPLITS[turn % len(SPLITS)]
        task, key = _task(options.manifest, category, seed, split, scene)
        if not _agrees(scene, task, key, written):
            dropped[f"dropped: {category} measures otherwise"] += 1
            continue
        tasks.append(task)
        keys.append(key)
        files |= {f"{seed}/{name}": path for name, path in written.items()}
    counts = {"tasks": len(tasks), "categories": len({task.category for task in tasks}), **dropped}
    return SuiteBuild(tasks, keys, [ImageSource(IMAGE, files=files)], counts)


def _write(folder: Path, scene: Scene) -> dict[str, Path]:
    folder.mkdir()
    for name, content in scene.files.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in scene.files}


def _agrees(scene: Scene, task: TaskSpec, key: AnswerKey, written: dict[str, Path]) -> bool:
    """Measure the files as the solution does, and grade that."""

    def placed(value: object) -> object:
        if isinstance(value, list):
            return [placed(one) for one in value]
        return str(written.get(value, value)) if isinstance(value, str) else value

    found = scene.measure(*(placed(value) for value in scene.arguments))
    shortened = Path(found).name if isinstance(found, str) else found
    return grade(task, key, encode(shortened)).passed


def _task(
    manifest: SuiteManifest, category: str, seed: str, split: Split, scene: Scene
) -> tuple[TaskSpec, AnswerKey]:
    task_id = f"{category.replace('/', '.').replace(' ', '-')}.{seed}"
    where = (
        f"\n\nThe files are in the folder `{seed}` of the working folder." if scene.files else ""
    )
    enter = (f"import os\nos.chdir({seed!r})",) if scene.files else ()
    task = TaskSpec(
        task_id=task_id,
        suite=manifest.name,
        version=manifest.version,
        category=category,
        split=split,
        group=task_id,
        prompt=f"{scene.prompt}{where}",
        image=IMAGE,
        answer=scene.answer,
        grader=scene.grader,
        files=tuple(f"{seed}/{name}" for name in scene.files),
        licence=manifest.licence,
        sensitivity=manifest.sensitivity,
    )
    solution = (*enter, *scene.solution())
    key = AnswerKey(task_id=task_id, value=encode(scene.gold), solution=solution, ways=2)
    return task, key
