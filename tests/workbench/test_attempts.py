"""Budgets, drafts and oracles: what an episode may spend, and what ends it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import nbformat
import pytest
import pytest_asyncio

from benchside.batch import assign
from benchside.episode import Episode
from benchside.errors import InputError
from benchside.library import Suite
from benchside.manner import Manner
from benchside.policy import Action, Conversation, FreshKernel, Message, Remark, Usage
from benchside.protocol import run_cell_action, submit_action, text_action
from benchside.protocols import action_form
from benchside.provenance import provenance
from benchside.rollout import run_episode
from benchside.runs import _EPISODE_TYPES
from benchside.store import row_of
from benchside.task import Limits, ServiceRef
from benchside.transcript import from_notebook, to_notebook
from benchside_kernels.backend import KernelMaker
from benchside_kernels.makers import open_kernels

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def maker() -> AsyncIterator[KernelMaker]:
    async with open_kernels() as opened:
        yield opened


@dataclass
class Played:
    actions: list[Action]
    manner: Manner = field(default_factory=Manner)
    name: str = "played"

    async def act(self, conversation: Conversation) -> Action:
        return self.actions[len(conversation.turns)]


async def attempt(suite: Suite, maker: KernelMaker, policy: Played, **limits) -> Episode:
    task = suite.tasks[0]
    if limits:
        task = task.model_copy(update={"limits": Limits(**limits)})
    [assignment] = assign([(suite, [task])], [policy], 1, 0)
    episode = await run_episode(assignment, provenance(7, maker.isolation), maker=maker)
    assert from_notebook(to_notebook(episode)) == episode
    return episode


def spending(action: Action, **usage: float) -> Action:
    return action.model_copy(update={"usage": Usage(**usage)})


async def test_tokens_and_dollars_end_an_episode_which_is_scored(
    suite: Suite, maker: KernelMaker
) -> None:
    costly = spending(run_cell_action("1"), input_tokens=60, output_tokens=10, cost_usd=0.4)
    for limits, reason in [
        ({"max_tokens": 140}, "max_tokens"),
        ({"max_cost_usd": 0.8}, "max_cost"),
        ({"max_turns": 2}, "max_turns"),
    ]:
        episode = await attempt(suite, maker, Played([costly] * 3), **limits)
        assert (episode.outcome, episode.end_reason) == ("truncated", reason), episode.failure
        assert len(episode.turns) == 2
        assert episode.grade is not None and episode.grade.reward == 0
    done = [costly, spending(submit_action(1), input_tokens=900)]
    assert (await attempt(suite, maker, Played(done), max_tokens=100)).end_reason == "submitted"
    assert "100 tokens" in str(
        (await attempt(suite, maker, Played(done), max_tokens=100)).opening[0].content
    )


async def test_malformed_messages_are_counted_and_remarks_are_not(
    suite: Suite, maker: KernelMaker
) -> None:
    remark = Action(
        message=Message(role="assistant", content="4?"), asks=Remark(tool="remark", text="Sure?")
    )
    actions = [text_action("Hm."), remark, remark, remark, text_action("Hm."), submit_action(1)]
    episode = await attempt(suite, maker, Played(actions))
    assert episode.usage.malformed == row_of(episode).malformed == 2
    assert episode.end_reason == "submitted"
    assert episode.turns[1].observations == (Message(role="user", content="Sure?"),)
    assert "malformed" in _EPISODE_TYPES


async def test_drafts_are_noted_and_each_attempt_is_in_a_fresh_kernel(
    suite: Suite, maker: KernelMaker
) -> None:
    draft = run_cell_action("x = 1\nopen('left', 'w').close()\nsubmit(5)")
    look = "import os\n('x' in globals(), os.path.exists('left'))"
    fresh = Action(
        message=Message(role="assistant", content="Again."), asks=FreshKernel(tool="fresh_kernel")
    )
    actions = [
        draft.model_copy(update={"draft": True}), run_cell_action(look), run_cell_action("x = 1"),
        fresh, run_cell_action(look), submit_action(7),
    ]  # fmt: skip
    episode = await attempt(suite, maker, Played(actions))
    assert episode.end_reason == "submitted", episode.failure
    assert episode.submission is not None and episode.submission.value == 7
    results = [turn.result for turn in episode.turns]
    assert results[0] is not None and results[0].submission is not None
    for shown in (results[1], results[4]):
        assert shown is not None and shown.outputs[0]["data"]["text/plain"] == "(False, False)"
    assert "fresh kernel" in str(episode.turns[0].observations[0].content)
    assert episode.usage.kernel_restarts == 0
    notebook = to_notebook(episode)
    nbformat.validate(notebook)
    first = next(cell for cell in notebook.cells if cell.id == "cell-001")
    assert first.metadata["benchside"]["kind"] == "draft"
    assert first.metadata["tags"] == ["skip-execution"]


async def test_an_oracle_ends_the_episode_at_the_first_right_answer(
    suite: Suite, maker: KernelMaker
) -> None:
    gold = suite.answer_key(suite.tasks[0].task_id).value
    form = action_form("medagentgym", "oracle")

    def said(code: str) -> Action:
        text = f'{{"action": "validate_code", "params": {{"code": "{code}"}}}}'
        return form.action(Message(role="assistant", content=text), Usage())

    oracle = Manner("medagentgym", "oracle", ("request_info",))
    tried = [said("answer = -1.5"), said("print(answer)"), said(f"answer = {gold!r}")]
    episode = await attempt(suite, maker, Played(tried, oracle))
    assert (episode.outcome, len(episode.turns)) == ("solved", 3), episode.failure
    assert [turn.action.draft for turn in episode.turns] == [True, True, False]
    assert "NameError" in str(episode.turns[1].observations[0].content), "a fresh kernel"
    assert (episode.feedback, row_of(episode).feedback) == ("oracle", "oracle")
    assert episode.tools == ("request_info",)
    assert "not comparable" in to_notebook(episode).cells[0].source
    wrong = await attempt(suite, maker, Played([said("answer = -1.5")] * 15, oracle))
    assert (wrong.outcome, wrong.end_reason, len(wrong.turns)) == ("truncated", "max_turns", 15)
    assert wrong.submission is None


async def test_several_attempts_never_write_to_one_service(suite: Suite) -> None:
    served = suite.tasks[0].model_copy(
        update={"services": (ServiceRef(name="fhir", host="h:1", image="i"),)}
    )
    with pytest.raises(InputError, match="several attempts at a task with a service"):
        assign([(suite, [served])], [Played([], Manner(attempts=2))], 1, 0)
