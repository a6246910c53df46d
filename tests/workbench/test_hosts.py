"""Tasks that list hosts, and tasks that need a level of isolation: from the spec to the record."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError
from rich.console import Console

from benchside.batch import run_batch
from benchside.commands import RunRequest, run_suites
from benchside.errors import InputError
from benchside.evaluation import Evaluation
from benchside.isolation import check_isolation, hidden_paths
from benchside.library import Suite
from benchside.policies.scripted import ScriptedPolicy
from benchside.protocol import opening_messages, run_cell_action
from benchside.provenance import provenance
from benchside.rollout import Assignment, run_episode
from benchside.store import RunFolder
from benchside.task import TaskSpec
from benchside.transcript import from_notebook, to_notebook
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.stock import StockKernels


@pytest.fixture
def server() -> Iterator[str]:
    """A server on this machine, as a user would list it."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"served")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


def with_fields(task: TaskSpec, **fields: object) -> TaskSpec:
    return TaskSpec.model_validate({**task.model_dump(mode="json"), **fields})


def test_hashes_stay_and_hosts_are_checked(suite: Suite) -> None:
    task = suite.tasks[0]
    assert with_fields(task, hosts=(), isolation=None).hash == task.hash
    assert with_fields(task, hosts=("fhir:80",)).hash != task.hash
    for wrong in (
        "fhir",
        "http://fhir:80",
        "fhir:0",
        "fhir:99999",
        "FHIR:80",
        "a b:80",
        "fhir:80/x",
    ):
        with pytest.raises(ValidationError, match="is no host: write name:port"):
            with_fields(task, hosts=(wrong,))


def test_the_policy_is_told_which_hosts(suite: Suite) -> None:
    task = suite.tasks[0]
    listed = opening_messages(with_fields(task, hosts=("fhir:80",)), "")[0].content or ""
    assert "can reach these hosts, by HTTP, and no others: fhir:80." in listed
    assert "reach" not in (opening_messages(task, "")[0].content or "")


async def test_an_episode_reaches_its_host_and_records_it(suite: Suite, server: str) -> None:
    if problem := sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")
    task = with_fields(suite.tasks[0], hosts=(server,))
    other = "127.0.0.1:1"
    code = (
        f"import urllib.request as u\nprint(u.urlopen('http://{server}/').read())\n"
        f"u.urlopen('http://{other}/')"
    )
    policy = ScriptedPolicy("asks", lambda _, turn: None if turn else run_cell_action(code))
    async with ForkedKernels() as maker:
        episode = await run_episode(
            Assignment(suite, task, policy, 0, 7), provenance(7, maker.isolation), maker=maker,
            hidden=hidden_paths(suite.home),
        )  # fmt: skip
    assert episode.failure is None
    (result,) = [turn.result for turn in episode.turns if turn.result is not None][:1]
    assert "served" in str(result.outputs)
    assert f"{other} is not on this kernel's list of hosts: {server}" in str(result.outputs)
    assert episode.provenance.hosts == (server,)
    assert f"# network: only {server}" in episode.setup_source
    assert from_notebook(to_notebook(episode)) == episode


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"sensitivity": "credentialed"}, "its data are credentialed"),
        ({"hosts": ("fhir:80",)}, r"keeps a kernel to listed hosts \(fhir:80\)"),
        ({"isolation": "sandbox"}, "as it says itself"),
    ],
)
async def test_a_weaker_machine_refuses_at_the_start(
    suite: Suite, tmp_path: Path, fields: dict[str, object], reason: str
) -> None:
    maker = StockKernels()
    task = with_fields(suite.tasks[0], **fields)
    with pytest.raises(InputError, match=reason) as told:
        check_isolation([suite.tasks[1], task], maker.isolation)
    assert task.task_id in str(told.value)
    assert "sandbox" in str(told.value.fix)
    check_isolation(suite.tasks, maker.isolation)
    policy = ScriptedPolicy("asks", lambda *_: None)
    assignment = Assignment(suite, task, policy, 0, 7)
    folder, origin = RunFolder(tmp_path), provenance(7, maker.isolation)
    with pytest.raises(InputError, match=reason):
        await run_batch([assignment], folder, origin, maker=maker, parallel=1)
    assert not list(tmp_path.iterdir())
    episode = await run_episode(assignment, origin, maker=maker)
    assert episode.outcome == "infrastructure_error"
    assert episode.failure is not None
    assert episode.failure.kind == "InputError"


async def test_a_run_refuses_before_it_makes_a_folder(
    suite: Suite, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = with_fields(suite.tasks[0], sensitivity="credentialed")
    monkeypatch.setattr("benchside.commands.select", lambda *_: [task])
    asked = Evaluation.model_validate(
        {"suites": ["power"], "policies": ["do-nothing"], "isolation": "process"}
    )
    request = RunRequest(asked, tmp_path / "run")
    with pytest.raises(InputError, match="since its data are credentialed"):
        await run_suites(request, home, Console(quiet=True))
    assert not (tmp_path / "run").exists()
