"""Preference pairs from samples, corrections and edited continuations."""

from pathlib import Path

import pytest

from benchside.errors import InputError
from benchside.policy import Message
from benchside.preference import Preference
from benchside.store import COUNTERFACTUALS, RunFolder, row_of
from benchside.transcript import write_transcript
from benchside_training.pairs import Pair, PairsConfig, main, read_pairs
from tests.training.tiny import episode_of, told


def stored(
    folder: RunFolder,
    name: str,
    outcome: str,
    says: int,
    *,
    task: str = "a",
    parent: str | None = None,
) -> None:
    """An episode in which the policy says the same where `says` is the same."""
    reward = 1.0 if outcome == "solved" else 0.0
    episode = episode_of([], reward, task_id=task).model_copy(
        update={
            "episode_id": name, "outcome": outcome, "turns": (told(says, None),), "parent": parent,
            "opening": (Message(role="user", content=f"Task {task}?"),),
        }
    )  # fmt: skip
    (folder.path / "episodes").mkdir(parents=True, exist_ok=True)
    write_transcript(episode, folder.transcript_path(name))
    with folder.rows_path.open("a") as file:
        file.write(row_of(episode).model_dump_json() + "\n")


def pairs_of(tmp_path: Path, **asked: object) -> list[tuple[str, str, str]]:
    config = PairsConfig.model_validate(
        {"runs": [str(tmp_path / "run")], "out": tmp_path / "set", "held_out_suites": [], **asked}
    )
    main(config, tmp_path / "home")
    rows: list[Pair] = read_pairs(tmp_path / "set" / "pairs.jsonl")
    return [(row.source, row.chosen.episode_id, row.rejected.episode_id) for row in rows]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """Task a: two successes, two failures, a repeated one; task b: only failures."""
    folder = RunFolder(tmp_path / "run")
    for number, outcome in enumerate(["solved", "wrong", "solved", "truncated"]):
        stored(folder, f"a{number}", outcome, number)
    stored(folder, "again", "wrong", 1)
    stored(folder, "unscored", "infrastructure_error", 7)
    stored(folder, "b0", "wrong", 0, task="b")
    return folder


def test_pairs_from_samples(folder: RunFolder, tmp_path: Path) -> None:
    assert pairs_of(tmp_path) == [("samples", "a0", "a1"), ("samples", "a2", "a3")]
    assert pairs_of(tmp_path, per_task=1) == [("samples", "a0", "a1")]
    card = (tmp_path / "set" / "data_card.md").read_text()
    assert "| outcome infrastructure_error | 1 |" in card
    assert "| no success and failure of its task | 1 |" in card


def test_edits_and_corrections_go_before_samples(folder: RunFolder, tmp_path: Path) -> None:
    edited = RunFolder(folder.path / COUNTERFACTUALS)
    stored(edited, "mended", "solved", 9, task="b", parent="b0")
    stored(edited, "worse", "wrong", 10, task="b", parent="b0")
    row = Preference(
        suite="wards", task_id="a", task_hash="h", chosen="a2", chosen_transcript="",
        rejected="a0", rejected_transcript="", rejected_outcome="solved", cell_id="cell-1",
        who="A. Reader", why="shorter", made_at="2026-01-01T00:00:00Z",
    )  # fmt: skip
    lost = row.model_copy(update={"chosen": "gone"})
    text = f"{row.model_dump_json()}\n{lost.model_dump_json()}\n"
    (folder.path / "preferences.jsonl").write_text(text)
    assert pairs_of(tmp_path) == [
        ("corrections", "a2", "a0"), ("edits", "mended", "b0"), ("samples", "a0", "a1"),
        ("samples", "a2", "a3"),
    ]  # fmt: skip
    assert pairs_of(tmp_path, sources=["edits"]) == [("edits", "mended", "b0")]
    with pytest.raises(InputError, match="nothing is left"):
        pairs_of(tmp_path, sources=["edits"], suites=["power"])
