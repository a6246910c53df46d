"""The command line as a user meets it: real processes, exit codes, no tracebacks."""

import asyncio
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

import benchside
from benchside.commands import RunRequest, run_suites
from benchside.evaluation import read_evaluation
from benchside.library import Suite
from benchside.store import EpisodeRow
from benchside.tables import result_table

Run = Callable[..., subprocess.CompletedProcess[str]]


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BENCHSIDE")}
    return {**kept, "BENCHSIDE_HOME": str(home), "COLUMNS": "120"}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "benchside", *map(str, arguments)]


@pytest.fixture
def run(home: Path, suite: Suite, tmp_path: Path) -> Run:
    def call(*arguments: object, code: int = 0, **variables: str):
        done = subprocess.run(
            command(*arguments), env=environment(home) | variables, cwd=tmp_path,
            capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        assert done.returncode == code, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    return call


def test_list_run_show_grade(run: Run, tmp_path: Path, suite: Suite) -> None:
    listed = json.loads(run("suites", "--json").stdout)
    power = next(item for item in listed if item["name"] == "power")
    assert power["tasks"] == len(suite.tasks)
    assert power["licence"] == "Apache-2.0"
    shown = json.loads(run("tasks", "power", "--limit", 3, "--json").stdout)
    assert [task["task_id"] for task in shown] == [task.task_id for task in suite.tasks[:3]]
    listed_ids = run("tasks", "power").stdout.split()
    assert {task.task_id for task in suite.tasks} <= set(listed_ids)

    out = tmp_path / "run"
    policies = ["--policy", "reference", "--policy", "do-nothing"]
    done = run("run", "power", *policies, "--limit", 2, "--out", out)
    assert "2/2\N{NO-BREAK SPACE}34–100" in done.stdout
    assert "0/2\N{NO-BREAK SPACE}0–66" in done.stdout
    assert "isolation: " in done.stderr

    frame = benchside.load_run(out).episodes
    assert sorted(frame.outcome) == ["solved", "solved", "truncated", "truncated"]
    assert frame.task_id.nunique() == 2
    assert set(frame.policy) == {"reference", "do-nothing"}
    assert frame.input_tokens.isna().all()
    for notebook in frame.transcript:
        assert Path(notebook).exists()
    config = json.loads((out / "run.json").read_text())
    assert config["suites"][0]["build"] == suite.record.build
    assert config["provenance"]["versions"]["pandas"]

    solved = frame[frame.outcome == "solved"].iloc[0]
    assert "reward 1" in run("show", solved.transcript).stdout
    as_json = json.loads(run("show", f"{out}/{solved.episode_id}", "--json").stdout)
    assert as_json["episode_id"] == solved.episode_id
    assert "0 verdicts changed" in run("grade", out).stdout

    again = run("run", "power", *policies, "--limit", 2, "--out", out, "--resume")
    assert "4 of 4 episodes are done" in again.stderr
    assert len(benchside.load_run(out).episodes) == 4


def test_scores_are_shown_with_intervals_comparisons_and_defects(
    run: Run, finished_run: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(finished_run, tmp_path / "copy")
    with (folder / "episodes.jsonl").open("a") as file:
        file.write("{")
    shown = run("scores", folder, "--against", "constant").stdout.replace("\N{NO-BREAK SPACE}", " ")
    assert re.search(r"success +0 0–0.658 n=4 +1 0.342–1 n=4", shown)
    assert "pass@2" in shown
    assert "reference against constant: +1.000 (" in shown
    assert "torn row: " in shown
    found = json.loads(run("scores", folder, "--against", "constant", "--json").stdout)
    assert {row["measure"] for row in found["scores"]} >= {"success", "pass^k", "floor"}
    assert found["compared"][0]["difference"]["n"] == 2
    assert "choose two of" in run("scores", folder, "--against", "nobody", code=2).stderr


def test_regrading_repairs_a_changed_verdict(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run("run", "power", "--policy", "reference", "--limit", 1, "--out", out)
    rows = out / "episodes.jsonl"
    (notebook,) = (out / "episodes").glob("*.ipynb")
    for path in (rows, notebook):
        text = path.read_text().replace('"solved"', '"wrong"')
        path.write_text(text.replace('"passed": true', '"passed": false'))
    assert json.loads(run("grade", out, "--json").stdout)[0]["after"] == "solved"
    assert benchside.load_run(out).episodes.outcome.tolist() == ["solved"]
    notebook.write_text(notebook.read_text()[:500])
    assert str(notebook) in run("grade", out, code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "phrases"),
    [
        (["run", "powr", "--policy", "reference"], ["powr", "did you mean power?"]),
        (["run", "power", "--policy", "referense"], ["referense", "reference"]),
        (["run", "power", "--policy", "reference", "--resume"], ["--out"]),
        (["run", "power", "--policy", "scripted:none.py", "--limit", "1"], ["none.py"]),
        (["run", "power", "--policy", "openai:m", "--base-url", "http://127.0.0.1:9/v1"],
         ["http://127.0.0.1:9/v1"]),
        (["run", "ehrsql2024", "--policy", "reference"], ["prepare ehrsql2024 --data"]),
        (["prepare", "medcalcbench", "--data", "."], ["medcalcbench", "missing"]),
        (["show", "nowhere/x"], ["nowhere/x", "RUN-FOLDER/EPISODE-ID"]),
        (["show", "nowhere.ipynb"], ["nowhere.ipynb"]),
        (["grade", "nowhere"], ["nowhere", "run.json"]),
    ],
)  # fmt: skip
def test_a_mistake_is_one_message_and_exit_code_2(run: Run, arguments, phrases) -> None:
    failed = run(*arguments, code=2, OPENAI_API_KEY="sk-x")
    for phrase in phrases:
        assert phrase in failed.stderr
    assert "next:" in failed.stderr


def assert_same(first: pd.DataFrame, second: pd.DataFrame, by: list[str]) -> None:
    pd.testing.assert_frame_equal(
        first.sort_values(by, ignore_index=True), second.sort_values(by, ignore_index=True)
    )


def test_kill_9_then_resume_equals_an_undisturbed_run(
    home: Path, suite: Suite, run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    (tmp_path / "config.yaml").write_text(
        "suites: [{name: power, limit: 6}]\npolicies: [reference, constant]\nparallel: 2\n"
    )
    options = ["evaluate", str(tmp_path / "config.yaml")]
    generator = random.Random(7)
    for attempt in range(2):
        arguments = [*options, "--out", str(out)]
        started = subprocess.Popen(
            command(*arguments, *(["--resume"] if (out / "run.json").exists() else [])),
            env=environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wanted = attempt * 2 + 1  # rows that must be there before the kill
        rows = out / "episodes.jsonl"
        deadline = time.monotonic() + 60
        while not rows.exists() or rows.read_bytes().count(b"\n") < wanted:
            assert time.monotonic() < deadline
            assert started.poll() is None
            time.sleep(0.02)
        time.sleep(generator.random())
        started.send_signal(signal.SIGKILL)
        started.wait()
    before = benchside.load_run(out).episodes
    run(*options, "--out", out, "--resume")
    found = benchside.load_run(out)
    assert found.defects == ()
    frame = found.episodes
    whole = RunRequest(read_evaluation(tmp_path / "config.yaml"), tmp_path / "undisturbed")
    asyncio.run(run_suites(whole, home, Console(file=io.StringIO())))
    undisturbed = benchside.load_run(tmp_path / "undisturbed")
    same = ["episode_id", "task_hash", "policy", "outcome", "reward", "end_reason", "turns"]
    assert_same(frame[same], undisturbed.episodes[same], ["episode_id"])
    steps = ["episode_id", "turn", "source", "status", "text", "submitted"]
    assert_same(found.cells[steps], undisturbed.cells[steps], ["episode_id", "turn"])
    written = [json.loads(line)["episode_id"] for line in rows.read_text().splitlines()]
    assert len(written) == len(set(written)) == 12, "no finished episode was run again"
    assert set(before.episode_id) <= set(frame.episode_id)
    assert list((out / "turns").iterdir()) == []


def test_ctrl_c_says_how_to_go_on(home: Path, suite: Suite, tmp_path: Path) -> None:
    out = tmp_path / "run"
    started = subprocess.Popen(
        command("run", "power", "--policy", "reference", "--out", out),
        env=environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with started:
        deadline = time.monotonic() + 60
        while not (out / "episodes.jsonl").exists():
            assert time.monotonic() < deadline
            assert started.poll() is None
            time.sleep(0.02)
        started.send_signal(signal.SIGINT)
        _, said = started.communicate(timeout=60)
    assert started.returncode not in (0, 2)
    assert "--resume --out" in said
    assert "Traceback" not in said
    assert len(benchside.load_run(out).episodes) >= 1


EARLY = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512))

class CtrlC:
    def find_spec(self, name, *_):
        if name == "{module}":
            print(resource.getrlimit(resource.RLIMIT_NOFILE))
            raise KeyboardInterrupt

sys.meta_path.insert(0, CtrlC())
from benchside.__main__ import main
main()
"""


@pytest.mark.parametrize("module", ["benchside.cli", "pandas", "nbformat"])
def test_ctrl_c_while_the_command_is_still_importing_is_quiet(module: str) -> None:
    script = EARLY.format(module=module)
    done = subprocess.run(
        [sys.executable, "-c", script, "attach"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "")
    assert done.stdout == "(512, 512)\n", "as many descriptors as the system allows"


def test_a_policy_that_is_named_twice_runs_once(run: Run, tmp_path: Path) -> None:
    options = ["--policy", "constant"] * 2
    run("run", "power", *options, "--limit", 1, "--out", tmp_path / "run")
    assert list(benchside.load_run(tmp_path / "run").episodes.policy) == ["constant"]


def test_a_run_without_any_score_says_so(run: Run, tmp_path: Path) -> None:
    """No kernel starts: its sockets' paths would be too long."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    failed = run(
        "run", "power", "--policy", "constant", "--limit", 2, "--isolation", "process",
        "--out", tmp_path / "run", code=2, TMPDIR=str(long),
    )  # fmt: skip
    assert "no episode could be scored" in failed.stderr
    assert "set TMPDIR to a shorter folder" in failed.stderr
    assert "--resume" in failed.stderr
    assert list(long.iterdir()) == []
    rows = benchside.load_run(tmp_path / "run").episodes
    assert list(rows.outcome) == ["infrastructure_error"] * 2
    assert rows.reward.isna().all()


def test_names_with_markup_are_shown_as_they_are(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run("run", "power", "--policy", "constant", "--limit", 1, "--out", out)
    rows = out / "episodes.jsonl"
    row = json.loads(rows.read_text()) | {"policy": "[bold]p[/bold]", "category": "[red]c"}
    shown = io.StringIO()
    console = Console(file=shown, width=120)
    console.print(result_table([EpisodeRow.model_validate(row)]))
    assert "[bold]p[/bold]" in shown.getvalue()
    assert "[red]c" in shown.getvalue()


@pytest.mark.parametrize("verb", ["prepare", "run"])
def test_a_home_that_cannot_be_written_is_one_message(run: Run, tmp_path: Path, verb: str) -> None:
    (tmp_path / "file").touch()
    options = ["--size", 40] if verb == "prepare" else ["--policy", "reference", "--limit", 1]
    failed = run(verb, "power", *options, code=2, BENCHSIDE_HOME=str(tmp_path / "file" / "home"))
    assert "Not a directory" in failed.stderr
    assert "file/home" in failed.stderr
    assert "next:" in failed.stderr


def test_a_home_on_a_full_disk_is_one_message(run: Run, tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20k", "tmpfs", str(mount)],
        capture_output=True, check=False,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        failed = run("prepare", "power", "--size", 40, code=2, BENCHSIDE_HOME=str(mount))
        assert "the disk is full" in failed.stderr
        assert list(mount.glob(".preparing-*")) == []
        subprocess.run(["mount", "-o", "remount,ro", str(mount)], check=True)
        failed = run("prepare", "power", "--size", 40, code=2, BENCHSIDE_HOME=str(mount))
        assert "Read-only file system" in failed.stderr
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_a_full_disk_keeps_what_was_done(home: Path, suite: Suite, tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=60k", "tmpfs", str(mount)],
        capture_output=True, check=False,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        failed = subprocess.run(
            command("run", "power", "--policy", "reference", "--limit", 12, "--out", mount / "run"),
            env=environment(home), capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        assert failed.returncode == 2
        assert "the disk is full" in failed.stderr
        assert "--resume" in failed.stderr
        assert "Traceback" not in failed.stderr
        frame = benchside.load_run(mount / "run").episodes
        assert len(frame) >= 1
        assert all(Path(notebook).stat().st_size for notebook in frame.transcript)
    finally:
        subprocess.run(["umount", str(mount)], check=True)
