"""Run folders as DataFrames: sound ones, and damaged ones as far as they are sound."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchside.errors import StoreError
from benchside.runs import load_run

Damage = Callable[[Path], str]


@pytest.fixture
def original(finished_run: Path) -> Path:
    return finished_run


@pytest.fixture
def folder(finished_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished_run, tmp_path / "run")


def test_episodes_turns_and_cells_belong_together(original: Path) -> None:
    run = load_run(original)
    assert run.defects == ()
    assert len(run.episodes) == 12
    assert run.turns.groupby("episode_id").size().to_dict() == (
        run.episodes.set_index("episode_id").turns.to_dict()
    )
    cells = run.cells.merge(run.episodes, on=["run", "episode_id"], suffixes=("", "_episode"))
    assert cells.groupby("episode_id").duration_s.sum().sum() == pytest.approx(
        run.episodes.kernel_s.sum()
    )
    submitted = cells[cells.submitted.notna()]
    assert submitted.policy.nunique() == 3
    assert submitted[submitted.policy == "constant"].source.str.startswith("submit(").all()
    assert (submitted.text.str.startswith("Submitted: ")).all()
    assert run.turns.latency_s.isna().all()
    assert run.cells.output_chars.sum() == run.episodes.output_chars.sum()


def test_a_failed_cell_has_its_error(original: Path) -> None:
    failed = load_run(original).cells.query("status == 'error'")
    assert set(failed.error) == {"ZeroDivisionError"}
    assert set(failed.error_text) == {"division by zero"}
    assert set(failed.text) == {"before\n"}


def test_runs_side_by_side_and_queries(original: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(original, tmp_path / name)
    (tmp_path / "no-run").mkdir()
    both = load_run(tmp_path / "*")
    assert [path.name for path in both.paths] == ["a", "b"]
    counted = both.sql(
        "select run, count(*) as n from cells join episodes using (run, episode_id) "
        "where outcome = 'solved' group by run order by run"
    )
    alone = load_run(original)
    solved = alone.episodes[alone.episodes.outcome == "solved"].episode_id
    assert counted.n.tolist() == [alone.cells.episode_id.isin(solved).sum()] * 2
    with pytest.raises(StoreError, match="not a run folder"):
        load_run(tmp_path / "no-*")


def rows_of(folder: Path) -> list[str]:
    return (folder / "episodes.jsonl").read_text().splitlines()


def notebook_of(folder: Path) -> Path:
    return folder / json.loads(rows_of(folder)[0])["transcript"]


def torn(folder: Path) -> None:
    *whole, last = rows_of(folder)
    (folder / "episodes.jsonl").write_text("\n".join([*whole, last[:50]]))
    (folder / json.loads(last)["transcript"]).unlink()


def not_json(folder: Path) -> None:
    first, *rest = rows_of(folder)
    (folder / json.loads(first)["transcript"]).unlink()
    (folder / "episodes.jsonl").write_text("\n".join(["{" + first, *rest, ""]))


def newer(folder: Path) -> None:
    first, *rest = rows_of(folder)
    row = json.dumps(json.loads(first) | {"mood": 1})
    (folder / "episodes.jsonl").write_text("\n".join([row, *rest, ""]))


def without_row(folder: Path) -> None:
    (folder / "episodes.jsonl").write_text("\n".join([*rows_of(folder)[1:], ""]))


def changed_text(folder: Path, before: str, after: str) -> None:
    path = notebook_of(folder)
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


@pytest.mark.parametrize(
    ("damage", "kind", "says", "episodes", "transcripts"),
    [
        (lambda run: (run / "run.json").unlink(), "damaged run.json", "run.json", 12, 12),
        (lambda run: (run / "run.json").write_text("{"), "damaged run.json", "JSON", 12, 12),
        (torn, "torn row", "line 12", 11, 11),
        (not_json, "damaged row", "line 1", 11, 11),
        (newer, "unknown fields", "mood", 12, 12),
        (without_row, "transcript without row", "--resume", 11, 11),
        (lambda run: notebook_of(run).unlink(), "missing transcript", ".ipynb", 12, 11),
        (lambda run: notebook_of(run).write_text('{"a'), "unreadable transcript", "row", 12, 11),
        (lambda run: notebook_of(run).write_text("[]"), "unreadable transcript", "row", 12, 11),
        (lambda run: changed_text(run, '"schema": 1', '"schema": 99'), "unknown schema", "99",
         12, 11),
        (lambda run: changed_text(run, "import", "import  "), "edited transcript", "stand now",
         12, 12),
        (lambda run: changed_text(run, '"outcome": "', '"outcome": "not '), "edited transcript",
         "outcome", 12, 12),
    ],
)  # fmt: skip
def test_damage_is_named_and_the_rest_is_read(
    folder: Path, damage: Damage, kind: str, says: str, episodes: int, transcripts: int
) -> None:
    damage(folder)
    run = load_run(folder)
    (defect,) = run.defects
    assert defect.kind == kind
    assert says in f"{defect.where} {defect.what}"
    assert len(run.episodes) == episodes
    assert run.turns.episode_id.nunique() == transcripts


def test_a_turn_beyond_reading_costs_only_itself(folder: Path) -> None:
    path = notebook_of(folder)
    notebook = json.loads(path.read_text())
    place, cell = next(
        (place, cell) for place, cell in enumerate(notebook["cells"])
        if "turn" in cell["metadata"]["benchside"]
    )  # fmt: skip
    del cell["metadata"]["benchside"]["turn"]["action"]
    notebook["cells"].append({"cell_type": "markdown", "metadata": {}, "source": "mine"})
    path.write_text(json.dumps(notebook))
    run = load_run(folder)
    assert [defect.kind for defect in run.defects] == ["edited transcript", "unreadable transcript"]
    assert run.defects[1].where == f"{path}, cell {place}"
    assert len(run.turns) == run.episodes.turns.sum() - 1


def test_a_running_episode_is_no_defect(folder: Path) -> None:
    episode_id = json.loads(rows_of(folder)[0])["episode_id"]
    without_row(folder)
    (folder / "turns" / f"{episode_id}.jsonl").touch()
    assert load_run(folder).defects == ()
