"""Services of an episode on real kernels: its own server, whose state is graded and kept."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from benchside.errors import InputError
from benchside.isolation import hidden_paths
from benchside.library import Suite, prepare
from benchside.policies.scripted import ScriptedPolicy, reference_policy
from benchside.protocol import run_cell_action
from benchside.provenance import provenance
from benchside.rollout import Assignment, grade_submission, run_episode
from benchside.services import check_services
from benchside.task import TaskSpec
from benchside.transcript import from_notebook, to_notebook
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.sandbox import sandbox_problem


@pytest.fixture(scope="module")
def charts(home: Path) -> Suite:
    return prepare("charts", home, size=30)


def of_kind(suite: Suite, kind: str) -> TaskSpec:
    return next(task for task in suite.tasks if task.task_id.startswith(kind))


async def test_an_episode_writes_to_a_server_of_its_own(charts: Suite) -> None:
    if problem := sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")
    solving = reference_policy(lambda task: charts.answer_key(task.task_id).solution)
    meddling = ScriptedPolicy(
        "meddles",
        lambda task, turn: None if turn else run_cell_action(
            "\n".join(charts.answer_key(task.task_id).solution).replace(
                "submit(", 'create({"resourceType": "Patient"}); submit('
            )
        ),
    )  # fmt: skip
    states = []
    async with ForkedKernels() as maker:
        for kind in ("referral", "stop", "find"):
            task = of_kind(charts, kind)
            for policy in (solving, meddling, solving):  # no episode sees what another wrote
                episode = await run_episode(
                    Assignment(charts, task, policy, 0, 7), provenance(7, maker.isolation),
                    maker=maker, hidden=hidden_paths(charts.home),
                )  # fmt: skip
                assert episode.failure is None
                assert episode.grade is not None
                assert (episode.outcome == "solved") == (policy is solving), episode.grade.evidence
                assert from_notebook(to_notebook(episode)) == episode
                assert episode.submission is not None
                again = await grade_submission(
                    charts, task, episode.submission, states=episode.states
                )
                assert again == episode.grade
                (state,) = episode.states
                states.append([(one.kind, one.id) for one in state.changes])
    assert states[0] == states[2] == [("ServiceRequest", "new-1")]
    assert states[1] == [("ServiceRequest", "new-1"), ("Patient", "new-2")]
    assert [len(one) for one in states] == [1, 2, 1, 1, 2, 1, 0, 1, 0]


def test_a_service_is_at_one_of_the_hosts(charts: Suite) -> None:
    task = charts.tasks[0]
    with pytest.raises(ValidationError, match="none of the hosts"):
        TaskSpec.model_validate({**task.model_dump(mode="json"), "hosts": []})
    plain = {**task.model_dump(mode="json"), "services": []}
    assert TaskSpec.model_validate(plain).hash != task.hash


def test_a_run_says_which_extra_is_missing(charts: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    check_services(charts.tasks)
    ref = charts.tasks[0].services[0].model_copy(update={"name": "fire"})
    strange = charts.tasks[0].model_copy(update={"services": (ref,)})
    with pytest.raises(InputError, match="there is no such service"):
        check_services([strange])
    monkeypatch.setattr("benchside.services._MODULES", {"fhir": "no_such_package.service"})
    with pytest.raises(InputError, match="pip install 'benchside\\[fhir\\]'"):
        check_services(charts.tasks)
