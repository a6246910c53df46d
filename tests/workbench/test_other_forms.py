"""Runs as Hugging Face messages and as logs of Inspect."""

import json
import shutil
from pathlib import Path

import pyarrow.json
import pytest

import benchside
from benchside.errors import InputError
from benchside.export.other_forms import export_as


def test_messages_are_the_conversations(finished_run: Path, tmp_path: Path) -> None:
    assert export_as(finished_run, tmp_path / "out", "messages") == 12
    path = tmp_path / "out" / "episodes.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    run = benchside.load_run(finished_run)
    turns = run.episodes.set_index("episode_id").turns
    for line in lines:
        roles = [message["role"] for message in line["messages"]]
        assert roles[:2] == ["system", "user"]
        assert roles.count("assistant") == turns[line["episode_id"]]
        calls = [m["tool_calls"][0] for m in line["messages"] if m["role"] == "assistant"]
        answers = [m["tool_call_id"] for m in line["messages"] if m["role"] == "tool"]
        assert [call["id"] for call in calls][: len(answers)] == answers
        cells = run.cells[run.cells.episode_id == line["episode_id"]]
        sent = [json.loads(call["function"]["arguments"]) for call in calls]
        for arguments, source in zip(sent, cells.source, strict=True):
            assert arguments.get("code") == source or source == f"submit({arguments['value']!r})"
        assert [tool["function"]["name"] for tool in line["tools"]] == ["run_cell", "submit"]
    rewards = dict(zip(run.episodes.episode_id, run.episodes.reward, strict=True))
    assert {line["episode_id"]: line["reward"] for line in lines} == rewards
    table = pyarrow.json.read_json(path)
    assert table.num_rows == 12, "one type for each column, as datasets needs it"


def test_logs_of_inspect_have_samples_epochs_and_scores(finished_run: Path, tmp_path: Path) -> None:
    assert export_as(finished_run, tmp_path / "out", "inspect") == 12
    logs = [json.loads(path.read_text()) for path in (tmp_path / "out").iterdir()]
    models = {log["eval"]["model"].partition("@")[0]: log for log in logs}
    assert set(models) == {
        "benchside/reference", "benchside/constant", "benchside/scripted:failing.py"
    }  # fmt: skip
    log = models["benchside/reference"]
    assert log["results"]["completed_samples"] == 4
    metrics = {name: one["value"] for name, one in log["results"]["scores"][0]["metrics"].items()}
    assert metrics == {"accuracy": 1.0, "low95": pytest.approx(0.342, abs=1e-3), "high95": 1.0}
    assert sorted(sample["epoch"] for sample in log["samples"]) == [1, 1, 2, 2]
    for sample in log["samples"]:
        assert sample["scores"]["benchside"]["value"] == 1.0
        assert sample["scores"]["benchside"]["answer"]
        assert sample["messages"][-1]["role"] == "tool"
        assert sample["messages"][-1]["function"] == "run_cell"
        assert set(sample["messages"][2]["tool_calls"][0]["arguments"]) == {"code"}
        assert sample["target"] == ""


@pytest.mark.parametrize("form", ["messages", "inspect"])
def test_what_may_not_be_shared_is_refused(finished_run: Path, tmp_path: Path, form: str) -> None:
    run = shutil.copytree(finished_run, tmp_path / "run")
    for path in (run / "episodes").iterdir():
        task = json.loads(path.read_text())
        task["metadata"]["benchside"]["episode"]["task"]["sensitivity"] = "credentialed"
        path.write_text(json.dumps(task))
    with pytest.raises(InputError, match="credentialed"):
        export_as(run, tmp_path / "out", form)
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="there already"):
        export_as(finished_run, tmp_path, form)
