"""The run folder under crashes, full disks and damage."""

import os
from pathlib import Path

import pytest

from benchside.errors import InputError, StoreError
from benchside.runs import load_run
from benchside.store import EpisodeRow, RunConfig, RunFolder, SuiteUse


def config(seed: int = 0) -> RunConfig:
    use = SuiteUse(name="power", version="1", build="b", split=None, limit=2)
    return RunConfig(suites=(use,), policies={"p": {}}, samples=1, seed=seed, provenance={})


def row(number: int, outcome: str = "solved") -> EpisodeRow:
    values = dict.fromkeys(EpisodeRow.model_fields, None) | {
        "episode_id": f"id-{number}", "task_id": "t", "task_hash": "h", "suite": "power",
        "category": "c", "split": "test", "group": "g", "policy": "p", "sample": 0,
        "outcome": outcome, "end_reason": "submitted", "turns": 1, "duration_s": 1.0,
        "policy_s": 0.0, "kernel_s": 0.0, "kernel_restarts": 0, "isolation": "none",
        "transcript": f"episodes/id-{number}.ipynb",
    }  # fmt: skip
    return EpisodeRow.model_validate(values)


def started(path: Path) -> RunFolder:
    folder = RunFolder(path)
    with folder.lock():
        folder.start(config(), resume=False)
    return folder


def write(folder: RunFolder, *rows: EpisodeRow, torn: str = "") -> None:
    with folder.rows_path.open("a") as file:
        file.writelines(row.model_dump_json() + "\n" for row in rows)
        file.write(torn)


def test_a_torn_row_is_ignored_and_cut_off_on_resume(tmp_path: Path) -> None:
    folder = started(tmp_path)
    write(folder, row(1), row(2), torn=row(3).model_dump_json()[:40])
    assert list(folder.rows()) == ["id-1", "id-2"]
    (tmp_path / "turns" / "id-3.jsonl").write_text("{}\n")
    folder.start(config(), resume=True)
    write(folder, row(3))
    assert list(folder.rows()) == ["id-1", "id-2", "id-3"]
    assert [path.name for path in (tmp_path / "interrupted").iterdir()] == ["id-3.0.jsonl"]


def test_the_last_row_of_an_episode_counts(tmp_path: Path) -> None:
    folder = started(tmp_path)
    write(folder, row(1, "infrastructure_error"), row(1, "wrong"))
    assert [found.outcome for found in folder.rows().values()] == ["wrong"]
    frame = load_run(tmp_path).episodes
    assert len(frame) == 1
    assert frame.loc[0, "transcript"] == str(tmp_path / "episodes" / "id-1.ipynb")
    assert frame["reward"].isna().all()


def test_a_damaged_row_is_named_by_file_and_line(tmp_path: Path) -> None:
    folder = started(tmp_path)
    write(folder, row(1))
    with folder.rows_path.open("a") as file:
        file.write('{"episode_id": 3}\n')
    with pytest.raises(StoreError, match=r"episodes\.jsonl, line 2"):
        folder.rows()


def test_two_runs_do_not_mix(tmp_path: Path) -> None:
    folder = started(tmp_path)
    with pytest.raises(InputError, match="--resume"):
        folder.start(config(), resume=False)
    with pytest.raises(InputError, match="other seed"):
        folder.start(config(seed=1), resume=True)
    with folder.lock(), pytest.raises(StoreError, match="another process"), folder.lock():
        pass
    with pytest.raises(StoreError, match="not a run folder"):
        load_run(tmp_path / "elsewhere")


def test_a_folder_without_rights_or_space_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="--resume"), RunFolder(tmp_path / "file" / "run").lock():
        pass
    folder = started(tmp_path / "run")
    folder.rows_path.symlink_to("/dev/full")
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    with pytest.raises(StoreError, match="disk is full"):
        folder._guarded(lambda: os.write(os.open("/dev/full", os.O_WRONLY), b"x"))
