"""Episodes that go on from copies of one live kernel."""

import asyncio
import dataclasses

import pytest

from benchside.episode import Episode, Fork
from benchside.fork_point import ForkPoint
from benchside.library import Suite
from benchside.policy import Action, Conversation
from benchside.protocol import run_cell_action, submit_action
from benchside.provenance import provenance
from benchside.rollout import Assignment, run_episode
from benchside.transcript import from_notebook, to_notebook
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.sandbox import sandbox_problem


@dataclasses.dataclass
class Played:
    """Plays a list of actions, told by the number of the turn."""

    actions: list[Action]
    name: str = "played"

    async def act(self, conversation: Conversation) -> Action:
        return self.actions[len(conversation.turns)]


async def test_siblings_go_on_from_the_cell_that_only_the_stem_has_run(suite: Suite) -> None:
    if problem := sandbox_problem():
        pytest.skip(problem)
    task = suite.tasks[0]
    first = run_cell_action("import random; x = [random.random()]")
    never = run_cell_action("raise SystemExit")

    def assigned(sample: int, point: ForkPoint, *actions: Action) -> Assignment:
        return Assignment(suite, task, Played(list(actions)), sample, 7, fork=point)

    stem = Assignment(suite, task, Played([]), 0, 7).episode_id
    early, point = ForkPoint(stem, 1, 1), ForkPoint(stem, 1, 2)
    added = [run_cell_action(f"x.append({n}); print(x)") for n in range(3)]
    asked = [
        assigned(0, point, first, added[0], submit_action(0)),
        assigned(1, point, never, added[1], submit_action(1)),
        assigned(2, point, never, added[2], submit_action(2)),
        assigned(0, early, submit_action(0)),  # over before the fork: the other starts afresh
        assigned(1, early, first, submit_action(1)),
    ]
    async with ForkedKernels() as maker:

        async def played(one: Assignment) -> Episode:
            return await run_episode(one, provenance(7, maker.isolation), maker=maker)

        found = await asyncio.gather(*[played(one) for one in asked])
        again = await played(asked[0])  # after a failure of infrastructure: nobody is waiting
    siblings, alone = found[:3], found[3:]
    assert [one.fork for one in siblings] == [Fork(stem=stem, turn=1)] * 3
    assert [one.fork for one in [*alone, again]] == [None] * 3
    assert all(one.turns[0] == siblings[0].turns[0] for one in siblings)
    printed = [one.turns[1].observations[0].content for one in siblings]
    drawn = {text.split("[")[1].split(",")[0] for text in printed}
    assert len(drawn) == 1  # the random number that the stem has drawn
    assert [f", {n}]" in text for n, text in enumerate(printed)] == [True] * 3
    assert [one.end_reason for one in found] == ["submitted"] * 5
    assert from_notebook(to_notebook(siblings[1])) == siblings[1]
