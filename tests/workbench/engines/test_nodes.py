"""What runs on a node of a cluster, without the cluster: kernels, leases, handing over, limits."""

import asyncio
import dataclasses
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchside.engines import ray_engine, ray_node
from benchside.engines.engine import NodeLostError
from benchside.engines.handover import ObjectStore, SharedFolder, open_handover
from benchside.engines.job import Job, Order
from benchside.engines.limits import Limits, SharedProviders
from benchside.engines.ray_engine import RayEngine, open_ray
from benchside.engines.ray_node import Node
from benchside.engines.telling import Inbox, Outbox, Told
from benchside.errors import (
    BenchsideError,
    BudgetSpentError,
    InfrastructureError,
    InputError,
    ServerDownError,
)
from benchside.evaluation import Evaluation
from benchside.library import Suite
from benchside.policies import make_policy
from benchside.policies.options import PolicyOptions
from benchside.policy import Turn, Usage
from benchside.rollout import Assignment
from benchside.store import EpisodeRow, RunConfig, RunFolder, SuiteUse
from benchside.task import ServiceRef

ENDLESS = "import time; time.sleep(600)"


def job_of(suite: Suite, handover: SharedFolder | ObjectStore, policy: str) -> Job:
    asked = Evaluation.model_validate({"suites": ["power"], "policies": [policy]})
    made = make_policy(policy, None, lambda task: suite.answer_key(task.task_id).solution)
    return Job.of(asked, [(suite, suite.tasks[:1])], [made], handover, ())


def test_a_job_has_a_task_for_each_kind_of_kernel(suite: Suite, tmp_path: Path) -> None:
    handover = open_handover(None, tmp_path, resume=False)
    first = suite.tasks[0]
    served = [
        first.model_copy(
            update={
                "services": (
                    ServiceRef(name="fhir", host="h:80", image=first.image, params={"now": now}),
                )
            }
        )
        for now in ("2100", "2101", "2101")
    ]
    asked = Evaluation.model_validate({"suites": [suite.name], "policies": ["reference"]})
    policy = make_policy("reference", solutions=lambda task: ())
    job = Job.of(asked, [(suite, [first, first, *served])], [policy], handover, ())
    assert job.tasks == (first, served[0], served[2])


def order_of(suite: Suite, job: Job, lease: str) -> Order:
    (name,) = job.configs
    return Order(lease, suite.tasks[0], name, 0, 7)


@asynccontextmanager
async def opened(job: Job) -> AsyncIterator[Node]:
    node = Node(job, "here")
    try:
        await node.open()
        yield node
    finally:
        await node.close()


def started(path: Path) -> RunFolder:
    folder = RunFolder(path)
    use = SuiteUse(name="power", version="1", build="b", split=None, limit=1)
    config = RunConfig(suites=(use,), policies={}, samples=1, seed=0, provenance={})
    folder.start(config, resume=False)
    return folder


@pytest.mark.parametrize("store", [None, "memory://runs/first"])
async def test_a_node_plays_and_the_driver_takes_over(
    suite: Suite, tmp_path: Path, store: str | None
) -> None:
    folder = started(tmp_path / "run")
    handover = open_handover(store, folder.path, resume=False)
    job = job_of(suite, handover, "reference")
    async with opened(job) as node:
        played = await node.play(order_of(suite, job, "lease-1"))
    turns, row = played.rest.turns, played.row
    assert turns and all(isinstance(turn, Turn) for turn in turns)
    assert isinstance(row, EpisodeRow)
    assert row.outcome == "solved"
    assert not list((folder.path / "episodes").iterdir()), "only the driver writes there"
    handover.take("lease-1", row)
    folder.append(row)
    episode = folder.episode(row.episode_id)
    assert [turn.action for turn in episode.turns] == [turn.action for turn in turns]
    assert episode.provenance.suite_build == suite.record.build
    handover.close()
    assert not (folder.path / "incoming").exists()
    if store is not None:
        with pytest.raises(InputError, match="holds a run already"):
            open_handover(store, tmp_path / "elsewhere", resume=False)
        open_handover(store, tmp_path / "elsewhere", resume=True)
        fetched = RunFolder(tmp_path / "elsewhere")
        assert fetched.rows() == folder.rows()
        assert fetched.episode(row.episode_id) == episode


async def test_a_node_that_is_cut_off_gives_its_episodes_up(
    suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "endless.py").write_text(ENDLESS)
    handover = SharedFolder(tmp_path / "run")
    job = job_of(suite, handover, f"scripted:{tmp_path / 'endless.py'}")
    monkeypatch.setattr(ray_node, "LEASE_S", 0.5)
    async with opened(job) as node:
        with pytest.raises(NodeLostError):
            await node.play(order_of(suite, job, "lease-1"))
    assert not list((tmp_path / "run" / "incoming").glob("*.ipynb"))


async def test_an_episode_that_the_driver_drops_ends_on_its_node(
    suite: Suite, tmp_path: Path
) -> None:
    (tmp_path / "endless.py").write_text(f"1\n# %%\n{ENDLESS}")
    job = job_of(suite, SharedFolder(tmp_path / "run"), f"scripted:{tmp_path / 'endless.py'}")
    async with opened(job) as node:
        playing = asyncio.create_task(node.play(order_of(suite, job, "lease-1")))
        (told,) = await node.hear()
        assert (told.lease, told.first, len(told.turns)) == ("lease-1", 0, 1)
        await node.drop("another")
        await node.drop("lease-1")
        with pytest.raises(NodeLostError):
            await playing
        await node.drop("lease-1")  # it has ended by itself, as far as the driver knows
    assert not list((tmp_path / "run" / "incoming").glob("*.ipynb"))


async def test_turns_that_cost_are_told_at_once_the_others_with_the_row(
    finished_run: Path,
) -> None:
    run = RunFolder(finished_run)
    free = run.episode(next(iter(run.rows()))).turns[0]
    usage = Usage(input_tokens=3)
    costly = dataclasses.replace(free, action=free.action.model_copy(update={"usage": usage}))
    outbox = Outbox()
    hearing = asyncio.create_task(outbox.take())
    outbox.add("a", free)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not hearing.done()
    assert outbox.end("a") == Told("a", 0, (free,))
    outbox.add("b", free)
    outbox.add("b", costly)
    assert await hearing == [Told("b", 0, (free, costly))]
    outbox.add("b", free)
    assert await outbox.take() == [Told("b", 2, (free,))]  # after it has lingered
    outbox.add("b", costly)
    assert outbox.end("b") == Told("b", 3, (costly,))


async def test_turns_are_heard_in_order_whatever_comes_first(finished_run: Path) -> None:
    run = RunFolder(finished_run)
    turns = next(e.turns for e in map(run.episode, run.rows()) if len(e.turns) > 1)[:2]
    heard: list[Turn] = []
    inbox = Inbox(heard.append)
    whole = asyncio.create_task(inbox.whole(Told("a", 1, turns[1:])))
    await asyncio.sleep(0)
    assert not heard
    inbox.hear(Told("a", 0, turns[:1]))
    await whole
    assert heard == list(turns)

    def refuse(_: Turn) -> None:
        raise BudgetSpentError("spent")

    refusing = Inbox(refuse)
    refusing.hear(Told("a", 0, turns[:1]))
    with pytest.raises(BudgetSpentError):
        await refusing.whole(Told("a", 1, turns[1:]))


async def test_a_background_task_that_fails_ends_the_run(
    suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown() -> dict[str, tuple[str, float]]:
        raise KeyError("Resources")

    monkeypatch.setattr(ray_engine, "LOOK_EVERY_S", 0)
    monkeypatch.setattr(ray_engine, "alive_nodes", unknown)
    engine = RayEngine(job_of(suite, SharedFolder(tmp_path / "run"), "reference"), print)
    policy = make_policy("reference", None, lambda task: suite.answer_key(task.task_id).solution)
    playing = asyncio.create_task(
        engine.play(Assignment(suite, suite.tasks[0], policy, 0, 7), lambda _: None)
    )
    await engine.guard("looking for nodes", engine.look_for_nodes())
    with pytest.raises(InfrastructureError, match="looking for nodes has failed: KeyError"):
        await playing


@pytest.mark.parametrize("address", ["127.0.0.1:9", "no-port", "no.such.host.invalid:6379"])
async def test_an_address_where_nobody_answers_is_told_at_once(
    suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    job = job_of(suite, SharedFolder(tmp_path / "run"), "reference")
    with pytest.raises(InputError, match=r"(?s)no Ray cluster .*RAY_ADDRESS") as caught:
        async with open_ray(job, print):
            pass
    assert caught.value.value == address


@pytest.mark.parametrize("answer", [None, b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_an_address_where_somebody_else_answers_is_told(
    suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes | None
) -> None:
    def serve(server: socket.socket) -> None:
        if answer is not None:  # else it is silent
            asking, _ = server.accept()
            with asking:
                asking.sendall(answer)

    monkeypatch.setattr(ray_engine, "CONNECT_S", 0.5 if answer is None else 60)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{server.getsockname()[1]}")
        serving = asyncio.create_task(asyncio.to_thread(serve, server))
        job = job_of(suite, SharedFolder(tmp_path / "run"), "reference")
        with pytest.raises(InputError, match=r"(?s)no Ray cluster .*RAY_ADDRESS"):
            async with open_ray(job, print):
                pass
        await serving


async def test_a_node_says_what_it_lacks(suite: Suite, tmp_path: Path) -> None:
    job = job_of(suite, SharedFolder(tmp_path / "run"), "reference")
    record = suite.record.model_copy(update={"build": "another"})
    elsewhere = SharedFolder(tmp_path / "elsewhere")
    cases = {
        "benchside prepare power": dataclasses.replace(job, builds={"power": record}),
        "all nodes share": dataclasses.replace(job, handover=elsewhere),
        "install version 99": dataclasses.replace(job, version="99"),
        "set up in another way": dataclasses.replace(job, configs={"reference": {"seed": 1}}),
    }
    for phrase, wrong in cases.items():
        with pytest.raises(BenchsideError, match=phrase):
            async with opened(wrong):
                pass


def test_what_another_lease_left_is_not_taken(
    suite: Suite, finished_run: Path, tmp_path: Path
) -> None:
    folder = started(tmp_path / "run")
    run = RunFolder(finished_run)
    row, other = list(run.rows().values())[:2]
    handover = SharedFolder(folder.path)
    handover.mark()
    row = handover.leave("first", run.episode(row.episode_id))
    handover.leave("late", run.episode(other.episode_id))
    handover.take("first", row)
    handover.close()
    assert folder.episode(row.episode_id) == run.episode(row.episode_id)
    assert [path.stem for path in (folder.path / "episodes").iterdir()] == [row.episode_id]


class Wrapped(Exception):
    """An error as Ray hands it over: what an actor raised is its `cause`."""

    cause = ServerDownError("down", where="http://h/v1")


@pytest.mark.parametrize(
    ("raised", "kind"), [(Wrapped(), ServerDownError), (OSError("gone"), InfrastructureError)]
)
async def test_failing_limits_are_nobodys_wrong_answer(
    raised: Exception, kind: type[Exception]
) -> None:
    class Method:
        def remote(self, *_: object) -> "asyncio.Future[None]":
            answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            answer.set_exception(raised)
            return answer

    class Actor:
        enter = Method()

        class leave:
            remote = staticmethod(lambda *_: None)

    with pytest.raises(kind) as caught:
        async with SharedProviders(Actor(), "node").at("http://h/v1").slot():
            raise AssertionError("no slot was given")
    assert type(caught.value) is kind


async def test_nodes_share_the_limits_of_a_server() -> None:
    limits = Limits()
    await limits.tighten("http://h/v1", PolicyOptions(max_concurrent_requests=2))
    await limits.enter("a", 1, "http://h/v1")
    await limits.enter("a", 2, "http://h/v1")
    third = asyncio.create_task(limits.enter("b", 1, "http://h/v1"))
    given_up = asyncio.create_task(limits.enter("b", 2, "http://h/v1"))
    await asyncio.sleep(0)
    await limits.leave("b", 2)
    await given_up
    assert not third.done()
    await limits.leave("a", 1)
    await third
    fourth = asyncio.create_task(limits.enter("b", 3, "http://h/v1"))
    await asyncio.sleep(0)
    assert not fourth.done()
    await limits.forget("a")  # it has vanished with a slot
    async with asyncio.timeout(30):
        await fourth
