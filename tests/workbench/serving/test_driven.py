"""Episodes driven from outside end as those of a policy do, by the same rules."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from rich.console import Console

from benchside.errors import GraderError, InfrastructureError, InputError
from benchside.library import Suite
from benchside.protocol import run_cell_action, submit_action, text_action
from benchside.serving.desk import Desk, Offer, open_desk
from benchside.serving.driven import reward_of
from benchside.task import Limits
from benchside.transcript import read_transcript


@contextlib.asynccontextmanager
async def desk_of(suite: Suite, out: Path, **offer) -> AsyncIterator[Desk]:
    asked = Offer(target=offer.pop("target", suite.name), policy="outside", out=out, **offer)
    async with open_desk(asked, suite.home, Console(file=io.StringIO())) as desk:
        yield desk


async def test_an_outsider_gets_the_episode_that_a_policy_would(
    suite: Suite, tmp_path: Path
) -> None:
    async with desk_of(suite, tmp_path / "run", limit=2) as desk:
        task = desk.tasks[0]
        cells = suite.answer_key(task.task_id).solution
        async with desk.episode(task) as driven:
            assert task.prompt.strip()[:40] in driven.opening_text
            steps = [
                await driven.step(run_cell_action(cell, turn=number))
                for number, cell in enumerate(cells)
            ]
        ended = steps[-1].ended
        assert ended is not None
        assert [step.ended for step in steps[:-1]] == [None] * (len(cells) - 1)
        assert reward_of(ended) == 1.0
        assert "over: submitted" in steps[-1].text

        stored = read_transcript(desk.folder.transcript_path(ended.episode_id))
        assert stored == ended
        assert (stored.policy, stored.sample, stored.outcome) == ("outside", 0, "solved")
        assert [turn.action.code for turn in stored.turns] == list(cells)

        async with desk.episode(task) as again:  # another attempt has its own number and seed
            late = await again.step(submit_action(0))
        assert late.ended is not None
        assert late.ended.sample == 1
        assert late.ended.provenance.seed != ended.provenance.seed
        with pytest.raises(InputError, match="is offered here"):
            desk.task("nothing")
    with pytest.raises(InputError, match="no such task"):
        async with desk_of(suite, tmp_path / "none", target="power/nothing"):
            raise AssertionError("unreachable")
    async with desk_of(suite, tmp_path / "run", limit=2) as desk, desk.episode(task) as third:
        assert (await third.step(submit_action(0))).ended.sample == 2  # the folder is gone on with


async def test_limits_cut_it_off_and_one_that_is_left_is_unscored(
    suite: Suite, tmp_path: Path
) -> None:
    target = f"power/{suite.tasks[0].task_id}"
    async with desk_of(suite, tmp_path / "run", target=target) as desk:

        def limited(**limits):
            return desk.tasks[0].model_copy(update={"limits": Limits(**limits)})

        async with desk.episode(limited(max_turns=2)) as driven:
            await driven.step(run_cell_action("1"))
            cut = await driven.step(text_action("I am not sure."))
            assert cut.ended is not None
            assert (cut.ended.truncated, cut.ended.end_reason) == (True, "max_turns")
            assert reward_of(cut.ended) == 0.0
            assert (await driven.step(submit_action(1))).turn is None  # it was over

        async with desk.episode(limited(episode_timeout_s=0.3)) as slow:
            while slow.ended is None:
                await asyncio.sleep(0.05)
            late = await slow.step(run_cell_action("1"))
            assert late.turn is None
            assert late.ended.end_reason == "episode_timeout"

        async with desk.episode(desk.tasks[0]) as left:
            await left.step(run_cell_action("1"))
        assert left.ended is not None
        assert left.ended.outcome == "infrastructure_error"
        with pytest.raises(InfrastructureError, match="client left"):
            reward_of(left.ended)

        async with desk.episode(desk.tasks[0]) as busy:
            stepping = asyncio.create_task(busy.step(run_cell_action("while True: pass")))
            await asyncio.sleep(0.3)
            await busy.leave()
            with pytest.raises(InfrastructureError, match="client left"):
                await stepping
        assert busy.ended is None
        rows = list(desk.folder.all_rows())
        async with desk.episode(desk.tasks[0]) as after:
            numbered = (await after.step(submit_action(0))).ended
        assert numbered is not None and numbered.sample == 4
    async with desk_of(suite, tmp_path / "run", target=target) as desk:
        async with desk.episode(desk.tasks[0]) as fresh:
            later = (await fresh.step(submit_action(0))).ended
        assert later is not None and later.sample == 5, "none that has a row is overwritten"
        assert [row.outcome for row in rows] == [
            "truncated", "truncated", "infrastructure_error",
        ]  # fmt: skip


async def test_who_leaves_after_submitting_is_graded_and_who_gives_up_a_call_goes_on(
    suite: Suite, tmp_path: Path
) -> None:
    async with desk_of(suite, tmp_path / "run", limit=1) as desk:
        task = desk.tasks[0]
        for cancelled in (False, True):  # the call, as frameworks do with clients that vanish
            async with desk.episode(task) as driven:
                cells = suite.answer_key(task.task_id).solution
                for cell in cells[:-1]:
                    await driven.step(run_cell_action(cell))
                stepping = asyncio.create_task(driven.step(run_cell_action(cells[-1])))
                while len(driven._turns) < len(cells):
                    await asyncio.sleep(0)
                assert not driven.over, "it is being graded"
                if cancelled:
                    stepping.cancel()
                await asyncio.gather(driven.leave(), driven.leave())
                await asyncio.wait([stepping])
            assert driven.ended is not None and driven.ended.outcome == "solved"

        async with desk.episode(task) as patient:
            given_up = asyncio.create_task(patient.step(run_cell_action("x = 6")))
            await asyncio.sleep(0)
            given_up.cancel()
            after = await patient.step(run_cell_action("x * 7"))
            assert after.text == "42"
            given_up = asyncio.create_task(patient.step(run_cell_action("1")))
            while len(patient._turns) < 3:
                await asyncio.sleep(0)
            given_up.cancel()
            await patient.leave()
        assert patient.ended is not None and patient.ended.outcome == "infrastructure_error"
        assert [row.outcome for row in desk.folder.all_rows()] == [
            "solved", "solved", "infrastructure_error",
        ]  # fmt: skip


async def test_a_grader_that_fails_tells_its_gold_to_no_client(
    suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Suite, task_id: str) -> None:
        raise GraderError("the gold 4711 is out of range", where=task_id)

    monkeypatch.setattr(Suite, "answer_key", broken)
    async with desk_of(suite, tmp_path / "run", limit=1) as desk:
        async with desk.episode(desk.tasks[0]) as driven:
            with pytest.raises(InfrastructureError, match="transcript says why") as told:
                await driven.step(submit_action(1))
        assert "4711" not in str(told.value)
        assert driven.ended is not None and driven.ended.outcome == "grader_error"
        assert "4711" in desk.folder.transcript_path(driven.ended.episode_id).read_text()
        with pytest.raises(InfrastructureError) as late:
            reward_of(driven.ended)
        assert "4711" not in str(late.value)
