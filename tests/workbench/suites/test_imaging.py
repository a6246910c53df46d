"""The imaging suite: files say what was drawn, solutions run in kernels and leave plots."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("skimage")

from benchside.batch import assign, run_batch  # noqa: E402
from benchside.graders.probes import check_probes  # noqa: E402
from benchside.library import Suite, prepare  # noqa: E402
from benchside.policies import make_policy  # noqa: E402
from benchside.provenance import provenance  # noqa: E402
from benchside.store import RunConfig, RunFolder  # noqa: E402
from benchside.suites.imaging import dicom, measure  # noqa: E402
from benchside.suites.imaging.build import makers  # noqa: E402
from benchside.suites.imaging.edf import read_edf, write_edf  # noqa: E402
from benchside_kernels.makers import open_kernels  # noqa: E402

SIZE = 44


@pytest.fixture(scope="module")
def suite(home: Path) -> Suite:
    return prepare("imaging", home, size=SIZE)


def test_categories_splits_and_probes(suite: Suite) -> None:
    categories = {task.category for task in suite.tasks}
    assert categories == set(makers())
    assert len(categories) >= 12
    assert not [name for name in suite.record.counts if "otherwise" in name]
    for task in suite.tasks:
        assert check_probes(task, suite.answer_key(task.task_id)) == []


def test_a_wrong_gold_is_noticed(tmp_path: Path) -> None:
    from benchside.manifests import manifest
    from benchside.suites.imaging.build import _agrees, _task, _write

    for category, maker in makers().items():
        scene = maker(np.random.default_rng(7), "s")
        folder = tmp_path / category.replace("/", "-")
        written = _write(folder, scene)
        wrong = {"left": "right", "right": "left"}.get(scene.gold)
        if wrong is None and isinstance(scene.gold, str):
            choices = scene.answer.choices or ()
            wrong = next(one for one in choices if one != scene.gold)
        if wrong is None:
            wrong = scene.gold + 1 if isinstance(scene.gold, int) else scene.gold * 1.1 + 1
        other = replace(scene, gold=wrong)
        described = manifest("imaging")
        assert _agrees(scene, *_task(described, category, "s", "test", scene), written)
        assert not _agrees(other, *_task(described, category, "s", "test", other), written)


def test_edf_round_trip(tmp_path: Path) -> None:
    clock = np.arange(400) / 100
    signals = {"one": np.sin(clock), "two": 40 * np.cos(clock)}
    path = tmp_path / "x.edf"
    path.write_bytes(write_edf(signals, 100, "mV", {"one": 1.5, "two": 50.0}))
    raw = path.read_bytes()
    assert raw[:8] == b"0       "
    assert int(raw[184:192]) == 256 * 3
    assert len(raw) == 256 * 3 + 2 * 2 * 400
    read, rate = read_edf(path)
    assert rate == 100
    for label, limit in (("one", 1.5), ("two", 50.0)):
        assert np.abs(read[label] - signals[label]).max() <= limit / 32767


def test_dicom_files_hold_what_was_drawn() -> None:
    image = np.zeros((64, 64))
    image[10:20, 30:40] = 250
    raw = dicom.dicom_bytes(image, "seed", PixelSpacing=[0.5, 2.0])
    header = pydicom.dcmread(io.BytesIO(raw))
    assert (header.pixel_array * 0.5 - 1024 == image).all()
    path = io.BytesIO(raw)
    assert measure.area_above(path, 100) == 100.0  # 10 × 10 pixels of 0.5 mm × 2 mm


async def test_in_kernels_the_reference_solves_and_plots(suite: Suite, tmp_path: Path) -> None:
    reference = make_policy("reference", solutions=lambda t: suite.answer_key(t.task_id).solution)
    folder = RunFolder(tmp_path / "run")
    folder.start(RunConfig(suites=(), policies={}, samples=1, seed=0, provenance={}), resume=False)
    tasks = [task for task in suite.tasks if task.category in ("dicom/volume", "edf/pause")]
    async with open_kernels() as maker:
        assignments = assign([(suite, tasks)], [reference], 1, 0)
        await run_batch(
            assignments, folder, provenance(0, maker.isolation), maker=maker, parallel=2
        )
    rows = folder.rows()
    assert Counter(row.outcome for row in rows.values()) == {"solved": len(tasks)}
    for name in rows:
        turns = folder.episode(name).turns
        results = [turn.result for turn in turns if turn.result is not None]
        outputs = [out for result in results for out in result.outputs]
        assert any("image/png" in out.get("data", {}) for out in outputs)
