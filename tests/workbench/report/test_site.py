"""The report of a run, and the same pages served while it goes on."""

import http.client
import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from benchside.cli import app
from benchside.errors import InputError, StoreError
from benchside.failures.finding import FailureRow, Finding
from benchside.replay.compare import CellVerdict
from benchside.replay.row import ReplayRow
from benchside.report.site import Report, write_report
from benchside.report.summary import COLUMNS
from benchside.report.view import live_server
from benchside.store import RunFolder, append_line

QUIET = Console(quiet=True)


@pytest.fixture
def folder(finished_run: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(shutil.copytree(finished_run, tmp_path / "run"))


@pytest.fixture(scope="module")
def written(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    return write_report(RunFolder(finished_run), tmp_path_factory.mktemp("site"), QUIET)


def listed(site: Path) -> list[dict[str, object]]:
    script = (site / "episodes.js").read_text()
    content = json.loads(script.removeprefix("const EPISODES = ").removesuffix(";\n"))
    rows = [dict(zip(content["columns"], row, strict=True)) for row in content["rows"]]
    return [row | {"prompt": content["prompts"][row["prompt"]]} for row in rows]


def test_every_episode_has_a_line_and_a_page(written: Report, finished_run: Path) -> None:
    site, run = written.index.parent, RunFolder(finished_run)
    rows = run.rows()
    assert written.episodes == len(rows) == 12
    assert written.defects == ()
    found = listed(site)
    assert [tuple(line) for line in found] == [COLUMNS] * 12
    for line in found:
        row = rows[str(line["episode_id"])]
        episode = run.episode(row.episode_id)
        assert (line["outcome"], line["reward"], line["turns"]) == (
            row.outcome,
            row.reward,
            row.turns,
        )
        assert episode.task.prompt.startswith(str(line["prompt"])[:20])
        page = (site / "episodes" / f"{row.episode_id}.html").read_text()
        assert page.count('<section class="turn"') == row.turns
        assert row.policy in page and row.outcome in page
        assert "<script" not in page


def test_the_index_has_figures_and_needs_nothing_from_elsewhere(
    written: Report,
) -> None:
    text = written.index.read_text()
    assert text.count("<svg") == text.count("<figure>") == 6
    assert "reference, pass@k" in text  # two samples each
    assert 'role="img" aria-label="Success by suite' in text
    for part in written.index.parent.rglob("*.*"):
        content = part.read_text()
        assert (
            'src="http' not in content and 'href="http' not in content and "@import" not in content
        )


def test_what_stands_beside_episodes_is_linked(folder: RunFolder, tmp_path: Path) -> None:
    """Findings, a replay that differs and a counterfactual, as their commands leave them."""
    first, second, *_ = folder.rows()
    finding = Finding(kind="wrong unit", cell_id="cell-001", evidence="1,000 times")
    facts = folder.rows()[first]
    row = FailureRow(episode_id=first, task_id=facts.task_id, suite=facts.suite,
                     policy=facts.policy, outcome=facts.outcome, findings=(finding,))  # fmt: skip
    append_line(folder.path / "failures.jsonl", row.model_dump_json())
    verdict = CellVerdict(cell_id="cell-001", verdict="different", nature="text")
    replayed = ReplayRow(episode_id=first, task_id="", suite="", policy="", transcript="",
                         isolation="", cells=1, different=(verdict,))  # fmt: skip
    append_line(folder.path / "replay.jsonl", replayed.model_dump_json())
    (folder.path / "replays").mkdir()
    shutil.copy(folder.transcript_path(first), folder.path / "replays")
    child = folder.episode(second).model_copy(
        update={"episode_id": "0" * 16, "parent": first, "edited_cell": "cell-001"}
    )
    others = RunFolder(folder.path / "counterfactuals")
    others.start(folder.config(), resume=False)
    others.finish(child)
    with live_server(folder, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
        for place in (f"replays/{first}", f"counterfactuals/{'0' * 16}", f"episodes/{first}"):
            status, page, _ = asked(client, f"/{place}.html")
            assert status == 200 and '<h2 id="grade">' in page
        assert "1,000 times" in page
        client.close()
        server.shutdown()
    alone = folder.rows_path.read_text().splitlines(keepends=True)
    kept = [line for line in alone if json.loads(line)["policy"] != "constant"]
    shutil.copytree(folder.path, tmp_path / "floors")
    folder.rows_path.write_text("".join(kept))
    report = write_report(folder, tmp_path / "site", QUIET, str(tmp_path / "floors"))
    assert report.defects == ()
    page = (tmp_path / "site" / "episodes" / f"{first}.html").read_text()
    assert "something else, first in cell-001 (text)" in page
    assert f"compare.html#{first},replays/{first}" in page
    assert f"compare.html#{first},counterfactuals/{'0' * 16}" in page
    assert "1,000 times" in page
    made = (tmp_path / "site" / "counterfactuals" / f"{'0' * 16}.html").read_text()
    assert f"../episodes/{first}.html" in made
    assert (tmp_path / "site" / "replays" / f"{first}.html").is_file()
    assert [line["finding"] for line in listed(tmp_path / "site")].count(["wrong unit"]) == 1
    index = report.index.read_text()
    assert "#finding=wrong%20unit&amp;policy=" in index
    assert f"floor 0% (0–66), n = 4, from {tmp_path / 'floors'}" in index


def test_what_cannot_be_read_is_named_and_the_rest_is_there(folder: RunFolder) -> None:
    first, second, *_ = folder.rows().values()
    folder.transcript_path(first.episode_id).write_text("{")
    lines = folder.rows_path.read_text().splitlines(keepends=True)
    folder.rows_path.write_text("".join([lines[0], "{}\n", *lines[2:]]))
    report = write_report(folder, folder.path / "report", QUIET)
    assert report.episodes == 10
    assert [defect.kind for defect in report.defects] == ["damaged row", "unreadable transcript"]
    ids = {line["episode_id"] for line in listed_without_prompts(folder.path / "report")}
    assert first.episode_id in ids and second.episode_id not in ids


def listed_without_prompts(site: Path) -> list[dict[str, object]]:
    content = json.loads((site / "episodes.js").read_text()[len("const EPISODES = ") : -2])
    return [dict(zip(content["columns"], row, strict=True)) for row in content["rows"]]


def test_mistakes_have_a_message(folder: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a run folder"):
        write_report(RunFolder(tmp_path), tmp_path / "site", QUIET)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="--to"):
        write_report(folder, tmp_path / "file" / "site", QUIET)
    folder.rows_path.write_text("")
    with pytest.raises(StoreError, match="no finished episode"):
        write_report(folder, tmp_path / "site", QUIET)


def test_the_command_says_where_to_look(folder: RunFolder) -> None:
    done = CliRunner().invoke(app, ["report", str(folder.path)])
    assert done.exit_code == 0, done.output
    assert f"12 episodes: open {folder.path / 'report' / 'index.html'}" in done.output.replace(
        "\n", ""
    )


@pytest.fixture
def client(folder: RunFolder) -> Iterator[http.client.HTTPConnection]:
    with live_server(folder, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
        yield connection
        connection.close()
        server.shutdown()


def asked(client: http.client.HTTPConnection, path: str, **headers: str) -> tuple[int, str, str]:
    client.request("GET", path, headers={name.replace("_", "-"): v for name, v in headers.items()})
    answer = client.getresponse()
    return answer.status, answer.read().decode(), answer.headers.get("ETag", "")


def test_a_run_is_followed_while_it_goes_on(
    client: http.client.HTTPConnection, folder: RunFolder
) -> None:
    *before, last = folder.rows_path.read_text().splitlines(keepends=True)
    folder.rows_path.write_text("".join(before))
    status, content, tag = asked(client, "/episodes.json")
    assert (status, len(json.loads(content)["rows"])) == (200, 11)
    assert asked(client, "/episodes.json", If_None_Match=tag)[:2] == (304, "")
    with folder.rows_path.open("a") as file:
        file.write(last)
    status, content, _ = asked(client, "/episodes.json", If_None_Match=tag)
    assert (status, len(json.loads(content)["rows"])) == (200, 12)


def test_live_pages(client: http.client.HTTPConnection, folder: RunFolder) -> None:
    status, index, _ = asked(client, "/")
    assert status == 200 and "data-live" in index
    assert asked(client, "/index.js")[0] == asked(client, "/style.css")[0] == 200
    first = next(iter(folder.rows()))
    status, page, _ = asked(client, f"/episodes/{first}.html")
    assert status == 200 and first not in ("", page) and '<h2 id="grade">' in page
    for path in (
        "/episodes/../run.json",
        "/episodes/0123456789abcdef.html",
        "/cli.py",
        "/%2e%2e/x",
    ):
        assert asked(client, path)[0] == 404


def test_only_this_machine_is_answered_under_its_own_name(
    client: http.client.HTTPConnection,
) -> None:
    assert asked(client, "/episodes.json", Host="evil.test:80")[0] == 421


def test_a_port_that_is_taken_is_a_message(folder: RunFolder) -> None:
    with live_server(folder, 0) as server, pytest.raises(InputError, match="--port"):
        live_server(folder, server.server_port)


def test_pages_are_written_on_all_cores(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchside.report.pages.PAGES_PER_JOB", 5)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    report = write_report(folder, tmp_path / "site", QUIET)
    assert report.episodes == len(list((tmp_path / "site" / "episodes").iterdir())) == 12
