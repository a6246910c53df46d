"""Episodes on real kernels: every way in which one can end."""

import asyncio
import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from benchside.episode import Episode
from benchside.errors import InfrastructureError, PolicyError
from benchside.isolation import hidden_paths
from benchside.library import Suite, load_suite
from benchside.policies import make_policy
from benchside.policy import Action, Conversation
from benchside.protocol import run_cell_action, submit_action, text_action
from benchside.provenance import provenance
from benchside.rollout import Assignment, run_episode
from benchside.store import EpisodeRow, row_of
from benchside.task import Limits, TaskSpec
from benchside.transcript import from_notebook, to_notebook
from benchside_kernels.makers import open_kernels
from benchside_kernels.stock import StockKernels

MAKER = StockKernels()


@dataclasses.dataclass
class Played:
    """Plays a list of actions; an exception in it is raised."""

    actions: list[Action | Exception]
    name: str = "played"

    async def act(self, conversation: Conversation) -> Action:
        action = self.actions[len(conversation.turns)]
        if isinstance(action, Exception):
            raise action
        return action


@dataclasses.dataclass
class Hanging:
    name: str = "hanging"

    async def act(self, conversation: Conversation) -> Action:
        await asyncio.sleep(60)
        raise AssertionError("unreachable")


async def attempt(suite: Suite, policy, **limits) -> Episode:
    task = suite.tasks[0]
    limited = task.model_copy(update={"limits": Limits(**limits)})
    assignment = Assignment(suite, limited, policy, 0, 7)
    return await run_episode(
        assignment, provenance(7, MAKER.isolation), maker=MAKER, hidden=hidden_paths(suite.home)
    )


def answer_of(suite: Suite, task: TaskSpec):
    return suite.answer_key(task.task_id).value


async def test_reference_solves_and_its_notebook_runs_again_with_the_same_outputs(
    suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = make_policy(
        "reference", solutions=lambda task: suite.answer_key(task.task_id).solution
    )
    episode = await attempt(suite, policy)
    assert episode.outcome == "solved", episode
    assert episode.grade is not None
    assert episode.grade.reward == 1.0
    assert episode.terminated
    assert not episode.truncated
    assert episode.usage.cpu_s
    assert episode.provenance.image.startswith(suite.tasks[0].image)
    assert "benchside" in episode.provenance.versions

    notebook = to_notebook(episode)
    before = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    monkeypatch.setenv("BENCHSIDE_HOME", str(suite.home))
    again = nbformat.from_dict(notebook)
    client = NotebookClient(again, timeout=60, resources={"metadata": {"path": str(tmp_path)}})
    await client.async_execute()
    after = [cell.outputs for cell in again.cells if cell.cell_type == "code"]
    assert after == before


async def test_a_home_may_be_given_by_a_relative_path(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(suite.home.parent)
    found = load_suite(suite.name, Path(suite.home.name))
    policy = make_policy(
        "reference", solutions=lambda task: found.answer_key(task.task_id).solution
    )
    async with open_kernels(None) as maker:
        episode = await run_episode(
            Assignment(found, found.tasks[0], policy, 0, 7), provenance(7, maker.isolation),
            maker=maker, hidden=hidden_paths(found.home),
        )  # fmt: skip
    assert episode.outcome == "solved", episode


@pytest.mark.parametrize(
    ("actions", "limits", "outcome", "reason", "reward"),
    [
        ([submit_action(-1.25)], {}, "wrong", "submitted", 0.0),
        ([run_cell_action("1")] * 2, {"max_turns": 2}, "truncated", "max_turns", 0.0),
        ([text_action("I give up.")] * 3, {}, "truncated", "no_action", 0.0),
        ([PolicyError("context is full")], {}, "policy_error", "failed", 0.0),
        ([KeyError("a bug")], {}, "policy_error", "failed", 0.0),
        ([InfrastructureError("server is down")], {}, "infrastructure_error", "failed", None),
        ([run_cell_action("import os; os._exit(1)")], {"max_kernel_restarts": 0},
         "truncated", "kernel_restarts", 0.0),
    ],
)  # fmt: skip
async def test_each_ending_has_its_outcome(
    suite: Suite, actions, limits, outcome, reason, reward
) -> None:
    episode = await attempt(suite, Played(actions), **limits)
    assert (episode.outcome, episode.end_reason) == (outcome, reason)
    assert (None if episode.grade is None else episode.grade.reward) == reward
    assert episode.truncated == (outcome == "truncated")
    assert (episode.failure is not None) == outcome.endswith("_error")
    assert len(to_notebook(episode).cells) >= 3


async def test_a_hanging_policy_and_a_slow_cell_end_in_time(suite: Suite) -> None:
    started = time.monotonic()
    hung = await attempt(suite, Hanging(), episode_timeout_s=0.5)
    assert (hung.outcome, hung.end_reason) == ("truncated", "episode_timeout")
    slow = [run_cell_action("while True: pass"), run_cell_action("1")]
    late = await attempt(suite, Played(slow), episode_timeout_s=1.0)
    assert (late.outcome, late.end_reason) == ("truncated", "episode_timeout")
    assert late.turns[0].result is not None
    assert late.turns[0].result.status == "timeout"
    assert time.monotonic() - started < 30


async def test_a_dead_kernel_is_replaced_and_the_policy_is_told(suite: Suite) -> None:
    played = Played(
        [
            run_cell_action("x = 1"),
            run_cell_action("import os; os._exit(1)"),
            run_cell_action("x"),
            run_cell_action("submit(None)"),
        ]
    )
    episode = await attempt(suite, played)
    assert episode.end_reason == "submitted"
    assert episode.usage.kernel_restarts == 1
    told = episode.turns[1].observations[0].content or ""
    assert "exit code 1" in told
    assert "fresh kernel" in told
    assert episode.turns[2].result is not None
    assert episode.turns[2].result.outputs[0]["ename"] == "NameError"


async def test_a_crashing_grader_is_no_reward(suite: Suite, home: Path) -> None:
    stranger = suite.tasks[0].model_copy(update={"task_id": "no-key-for-this"})
    assignment = Assignment(suite, stranger, Played([submit_action(1)]), 0, 7)
    episode = await run_episode(assignment, provenance(7, MAKER.isolation), maker=MAKER)
    assert episode.outcome == "grader_error"
    assert episode.grade is None
    assert episode.failure is not None


RUNAWAY = """
import os
import re
from benchside.graders.grader import Verdict, register
from benchside.graders.number import NumberGrader

@register
class Runaway(NumberGrader):
    name = "runaway"

    def judge_read(self, submitted, gold):
        if submitted == 1:
            re.fullmatch("(a|a)*b", "a" * 60)  # holds Python's lock, and no signal handler runs
        if submitted == 2:
            raise ZeroDivisionError("on purpose")
        return Verdict(True, "three" + os.environ.get("OPENAI_API_KEY", ""))  # no key gets here
"""


def test_a_grader_without_end_holds_up_neither_the_batch_nor_the_exit(
    suite: Suite, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "runaway_grader.py").write_text(RUNAWAY)
    script = f"""
import asyncio
from pathlib import Path
import runaway_grader
from benchside import rollout
from benchside.episode import Submitted
from benchside.errors import GraderError
from benchside.graders.workers import grade_apart
from benchside.library import load_suite
from benchside.task import GraderRef

suite = load_suite("power", Path({str(home)!r}))
task = suite.tasks[0].model_copy(update={{"grader": GraderRef(name="runaway")}})
key = suite.answer_key(task.task_id).model_copy(update={{"params": {{}}}})

def graded(value, limit_s=60.0):
    return grade_apart(task, key, value, (), limit_s=limit_s)

async def main():
    assert (await graded(3)).evidence == "three"
    ticks = 0
    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1
    ticking = asyncio.create_task(tick())
    errors = await asyncio.gather(*[graded(1, 0.5) for _ in range(3)], return_exceptions=True)
    ticking.cancel()
    assert all("took longer than 0.5 s" in str(error) for error in errors), errors
    assert ticks >= 3, ticks  # the loop went on
    try:
        await graded(2)
    except GraderError as error:
        assert "ZeroDivisionError: on purpose" in str(error), error
        assert "judge_read" in error.__notes__[0]
    hung = asyncio.create_task(graded(1))
    await asyncio.sleep(0.1)
    hung.cancel()
    await asyncio.wait([hung])
    await again()

async def again():
    print((await rollout.grade_submission(suite, suite.tasks[0], Submitted(value=-1))).reward)

asyncio.run(main())
asyncio.run(again())  # processes serve another event loop, too
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "OPENAI_API_KEY": "sk-1"},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "0.0\n0.0\n"), done.stderr


async def test_output_is_accounted(suite: Suite) -> None:
    actions = [
        run_cell_action("print('x' * 4_999)"), run_cell_action("print('y' * 9)"), submit_action(1),
    ]  # fmt: skip
    episode = await attempt(suite, Played(actions), max_output_chars=1_000)
    first, second, last = (turn.result for turn in episode.turns)
    assert first is not None
    assert second is not None
    assert last is not None
    assert (first.output_chars, first.dropped_chars) == (5_000, 4_000)
    assert (second.output_chars, second.dropped_chars) == (10, 0)
    assert last.output_chars is not None
    assert episode.usage.output_chars == 5_010 + last.output_chars
    row = row_of(episode).model_dump(mode="json")
    assert row.pop("output_chars") == episode.usage.output_chars
    assert EpisodeRow.model_validate(row).output_chars is None, "rows of before are read"
    notebook = to_notebook(episode)
    header = notebook.metadata["benchside"]["episode"]
    del header["usage"]["output_chars"]
    for cell in notebook.cells:
        record = cell.metadata.get("benchside", {}).get("turn")
        if record is not None:
            del record["result"]["output_chars"]
    old = from_notebook(notebook)
    assert old.usage.output_chars is None
    assert [turn.result.output_chars for turn in old.turns if turn.result] == [None] * 3


async def test_gold_cannot_be_reached_from_the_kernel(suite: Suite) -> None:
    hunt = (
        "import os, pathlib, sys\n"
        "seen = []\n"
        f"for name in [{str(suite.home / 'answers')!r}, {str(suite.home / 'suites')!r}]:\n"
        "    try:\n        seen += os.listdir(name)\n"
        "    except OSError:\n        pass\n"
        "try:\n    import benchside.library\n    seen.append(1)\n"
        "except ImportError:\n    pass\n"
        "print(seen)"
    )
    control = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", hunt], capture_output=True, check=True
    )
    assert b"power" in control.stdout, "the control: outside of a kernel the hunt finds them"
    episode = await attempt(suite, Played([run_cell_action(hunt), submit_action(None)]))
    if "no Landlock" in episode.provenance.isolation:
        pytest.skip("this kernel has no Landlock: files cannot be hidden here")
    assert episode.turns[0].result is not None
    assert episode.turns[0].result.outputs[0]["text"] == "[]\n"
