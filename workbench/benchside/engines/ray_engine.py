"""`RayEngine`: episodes on the nodes of a Ray cluster, one actor with a supervisor on each.

The driver alone decides: it hands each episode to one node at a time, hears of each turn, puts the
transcript in its place and appends the row. A node that vanishes, or does not answer for as long
as a lease lasts, is given up: its episodes are handed to others, and it may come back as a new one.
An episode whose row is not wanted any more, since the budget is spent, is ended on its node.
Ray's own retries are off, since a second attempt has to be recorded as one.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import os
import socket
import time
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from ray import exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from benchside.engines.engine import NodeLostError
from benchside.engines.handover import ObjectStore
from benchside.engines.job import Job, Order
from benchside.engines.limits import Limits
from benchside.engines.ray_node import LEASE_S, Node
from benchside.engines.telling import Inbox, Played, Told
from benchside.episode import Provenance
from benchside.errors import BenchsideError, InfrastructureError, InputError
from benchside.parallel import side_by_side
from benchside.policy import Turn
from benchside.provenance import provenance
from benchside.rollout import Assignment
from benchside.store import EpisodeRow
from benchside_kernels.sandbox import Isolation

RENEW_EVERY_S = LEASE_S / 6
LOOK_EVERY_S = 5.0
OPEN_S = 300.0
MIRROR_EVERY_S = 30.0
NO_NODE_S = 120.0
MOST_DEATHS = 3  # of one node's actor, after which the node is left alone
CLOSE_S = 20.0
CONNECT_S = 10.0

_HTTP2_SETTINGS, _HTTP2_HEAD = 4, 9  # the type of a frame, the bytes before its content: RFC 9113
_HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])

_GONE = (
    exceptions.RayActorError, exceptions.ObjectLostError, exceptions.NodeDiedError,
    exceptions.TaskCancelledError, exceptions.ActorUnschedulableError,
)  # fmt: skip
_ACTOR = {
    "num_cpus": 0, "max_restarts": 0, "max_task_retries": 0, "max_concurrency": 10_000,
    "enable_task_events": False,  # else Ray keeps a record of each call
}  # fmt: skip


@dataclass(slots=True, eq=False)
class RunningNode:
    """A node that takes part; `lost` is done when it does no more."""

    node_id: str
    name: str
    address: str
    cpus: float
    actor: Any
    isolation: Isolation
    lost: asyncio.Future[None]
    inboxes: dict[str, Inbox] = field(default_factory=dict)  # of its episodes, by lease
    watching: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def load(self) -> float:
        """Episodes for each core."""
        return len(self.inboxes) / self.cpus

    def unwatch(self) -> None:
        """End what goes on as long as the node takes part, but not the task that asks for it."""
        for task in self.watching:
            if task is not asyncio.current_task():
                task.cancel()


class RayEngine:
    """Runs episodes on the cluster; see `open_ray`.

    Args:
        job: what all nodes are told.
        say: told of nodes that come and go, a line at a time.
    """

    def __init__(self, job: Job, say: Callable[[str], None]) -> None:
        self._job, self._say = job, say
        self._nodes: dict[str, RunningNode] = {}
        self._some = asyncio.Event()
        self._deaths: Counter[str] = Counter()
        self._died: dict[str, float] = {}
        self._leases = itertools.count(1)
        self._isolation: Isolation | None = None
        self._slots = 0
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def isolation(self) -> Isolation:
        """The weakest of the nodes that were there at the start."""
        assert self._isolation is not None  # since `open`
        return self._isolation

    @property
    def provenance(self) -> Provenance:
        """Of this machine, with the nodes' isolation."""
        return provenance(self._job.seed, self.isolation)

    @property
    def slots(self) -> int:
        """The cores of the cluster, at the start."""
        return self._slots

    async def open(self) -> None:
        """Start an actor on every node.

        Raises:
            InputError: a node cannot take part, or there is none.
        """
        known = await asyncio.to_thread(alive_nodes)
        if not known:
            raise InputError(
                "no node of the cluster has a core to run episodes on", where="--engine ray",
                fix="start nodes with `ray start --address=HEAD:6379`",
            )  # fmt: skip
        await side_by_side(
            known, lambda node_id: self._take_in(node_id, *known[node_id]), len(known)
        )
        nodes = list(self._nodes.values())
        if not nodes:
            raise InputError(
                "no node of the cluster can take part: no actor started", where="--engine ray",
                value=", ".join(address for address, _ in known.values()),
                fix="look into Ray's logs, or start other nodes",
            )  # fmt: skip
        weak = [node.isolation for node in nodes if node.isolation.level != "sandbox"]
        self._isolation = (weak or [node.isolation for node in nodes])[0]
        self._slots = max(1, int(sum(node.cpus for node in nodes)))
        listed = ", ".join(f"{node.address} ({node.cpus:g} cores)" for node in nodes)
        self._say(f"{len(nodes)} nodes: {listed}")

    async def play(self, assignment: Assignment, on_turn: Callable[[Turn], None]) -> EpisodeRow:
        """Hand an episode to the node with the least to do; take its transcript over."""
        node = await self._choose()
        lease = f"{assignment.episode_id}-{next(self._leases)}-{self._job.mark[-8:]}"
        order = Order(
            lease, assignment.task, assignment.policy.name, assignment.sample, assignment.seed
        )
        row = await self._follow(node, order, on_turn)
        await asyncio.to_thread(self._job.handover.take, lease, row)
        return row

    async def look_for_nodes(self) -> None:
        """Take nodes in that have joined the cluster, for as long as the run goes on."""
        banned: set[str] = set()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            for node_id, (address, cpus) in (await asyncio.to_thread(alive_nodes)).items():
                if node_id in self._nodes or node_id in banned or self._is_resting(node_id):
                    continue
                try:
                    if await self._take_in(node_id, address, cpus):
                        self._say(f"node {address} has joined")
                except BenchsideError as error:
                    banned.add(node_id)
                    self._say(f"left out: {error}")

    async def guard(self, what: str, work: Coroutine[None, None, None]) -> None:
        """Do what has to go on for as long as the run does; where it fails, the run ends."""
        try:
            await work
        except Exception as error:
            if self._broken.done():
                return
            reason = InfrastructureError(
                f"{what} has failed: {type(error).__name__}: {error}", where="--engine ray",
                fix="go on with --resume",
            )  # fmt: skip
            reason.__cause__ = error
            self._broken.set_exception(reason)
            self._broken.exception()  # it may be that no episode is running
            self._some.set()

    async def close(self) -> None:
        """End all actors and with them all kernels."""
        nodes = list(self._nodes.values())
        for node in nodes:
            node.unwatch()
        closing = [asyncio.ensure_future(_answer(node.actor.close.remote())) for node in nodes]
        if closing:
            await asyncio.wait(closing, timeout=CLOSE_S)
        for node, answer in zip(nodes, closing, strict=True):
            answer.cancel()
            ray.kill(node.actor)
        await asyncio.gather(*closing, return_exceptions=True)

    async def _take_in(self, node_id: str, address: str, cpus: float) -> bool:
        """Let a node join; False if it is gone, which Ray tells of some seconds late."""
        try:
            await self._join(node_id, address, cpus)
        except NodeLostError as error:
            self._note_death(node_id)
            self._say(f"node {address} is left out: {error}")
            return False
        return True

    async def _join(self, node_id: str, address: str, cpus: float) -> None:
        """Start an actor on a node.

        Raises:
            NodeLostError: the node, or its actor, is gone.
            InputError: it cannot take part.
        """
        here = NodeAffinitySchedulingStrategy(node_id, soft=False)
        name = f"{node_id}-{next(self._leases)}"
        options = ray.remote(Node).options(**_ACTOR, scheduling_strategy=here)
        actor: Any = options.remote(self._job, name)
        try:
            async with asyncio.timeout(OPEN_S):
                isolation: Isolation = await _answer(actor.open.remote())
        except BenchsideError as error:
            ray.kill(actor)
            raise InputError(
                f"node {address} cannot take part: {error.what}", where=error.where,
                value=error.value, fix=error.fix,
            ) from None  # fmt: skip
        except _GONE as error:
            ray.kill(actor)
            raise NodeLostError(f"its actor died ({type(error).__name__})") from None
        except TimeoutError:
            ray.kill(actor)
            raise InputError(
                f"node {address} cannot take part: its actor did not start in {OPEN_S:g} s",
                where=node_id, fix="look into its logs; `ray stop` there leaves it out",
            ) from None  # fmt: skip
        if self._isolation is not None and isolation.level != self._isolation.level:
            ray.kill(actor)
            raise InputError(
                f"node {address} cannot take part: its isolation is not the run's",
                where=node_id, value=isolation.level, fix=f"set up {self._isolation.level} there",
            )  # fmt: skip
        lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        node = RunningNode(node_id, name, address, cpus, actor, isolation, lost)
        works = {"keeping a node's leases": self._keep(node), "hearing of a node": self._hear(node)}
        node.watching += [asyncio.create_task(self.guard(*work)) for work in works.items()]
        self._nodes[node_id] = node
        self._some.set()

    def _note_death(self, node_id: str) -> None:
        self._deaths[node_id] += 1
        self._died[node_id] = time.monotonic()

    def _is_resting(self, node_id: str) -> bool:
        """True for a node that was just lost, which Ray may not know yet, or lost too often."""
        died = self._died.get(node_id, -math.inf)
        return time.monotonic() - died < LEASE_S or self._deaths[node_id] >= MOST_DEATHS

    async def _choose(self) -> RunningNode:
        try:
            async with asyncio.timeout(NO_NODE_S):
                await self._some.wait()
        except TimeoutError:
            raise InfrastructureError(
                f"the cluster has had no node for {NO_NODE_S:g} s", where="--engine ray",
                fix="start nodes, then go on with --resume",
            ) from None  # fmt: skip
        if self._broken.done():
            self._broken.result()
        return min(self._nodes.values(), key=lambda node: node.load)

    async def _follow(
        self, node: RunningNode, order: Order, on_turn: Callable[[Turn], None]
    ) -> EpisodeRow:
        """Hear of an episode until its row comes, or its node is lost.

        Where the episode is to end before, it is ended on its node, too.
        """
        inbox = node.inboxes[order.lease] = Inbox(on_turn)

        async def play() -> EpisodeRow:
            played: Played = await _answer(node.actor.play.remote(order))
            await inbox.whole(played.rest)
            return played.row

        playing = asyncio.create_task(play())
        try:
            ends = (playing, node.lost, self._broken, inbox.refused)
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in (self._broken, inbox.refused):
                if end.done():
                    end.result()
            if not playing.done():
                raise NodeLostError(node.address)
            return await playing
        except _GONE as error:
            await self._lose(node, type(error).__name__)
            raise NodeLostError(node.address) from None
        except (BenchsideError, asyncio.CancelledError):  # as where the budget is spent
            if not node.lost.done():
                node.actor.drop.remote(order.lease)
            raise
        finally:
            del node.inboxes[order.lease]
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)

    async def _hear(self, node: RunningNode) -> None:
        """Hear of turns until the node is lost."""
        while True:
            try:
                heard: list[Told] = await _answer(node.actor.hear.remote())
            except _GONE as error:
                await self._lose(node, type(error).__name__)
                return
            for told in heard:
                if told.lease in node.inboxes:
                    node.inboxes[told.lease].hear(told)

    async def _keep(self, node: RunningNode) -> None:
        """Renew a node's leases until it does not answer any more."""
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            try:
                async with asyncio.timeout(LEASE_S):
                    await _answer(node.actor.renew.remote())
            except (TimeoutError, *_GONE) as error:
                await self._lose(node, type(error).__name__)
                return

    async def _lose(self, node: RunningNode, why: str) -> None:
        """Give a node up, once: its episodes are run again."""
        if node.lost.done():
            return
        node.lost.set_result(None)
        if self._nodes.pop(node.node_id, None) and not self._nodes:
            self._some.clear()
        self._note_death(node.node_id)
        self._say(f"node {node.address} is gone ({why}): what it was running is run again")
        node.unwatch()
        ray.kill(node.actor)
        if self._job.limits is not None:
            await _answer(self._job.limits.forget.remote(node.name))


@asynccontextmanager
async def open_ray(job: Job, say: Callable[[str], None]) -> AsyncIterator[RayEngine]:
    """Own actors on all nodes of the cluster that RAY_ADDRESS names, or of one on this machine.

    Raises:
        InputError: there is no cluster at RAY_ADDRESS, or a node cannot take part.
    """
    connected = ray.is_initialized()
    tasks: list[asyncio.Task[None]] = []
    engine = None
    try:
        if not connected:
            await asyncio.to_thread(_check_address)
            _connect()
        if any("base_url" in config for config in job.configs.values()):
            job = replace(job, limits=_start_limits())
        engine = RayEngine(job, say)
        await engine.open()
        loops = {"looking for nodes": engine.look_for_nodes()}
        if isinstance(job.handover, ObjectStore):
            loops["copying rows to the store"] = _mirror(job.handover)
        tasks += [asyncio.create_task(engine.guard(*loop)) for loop in loops.items()]
        yield engine
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if engine is not None:
            await engine.close()
        if not connected:
            ray.shutdown()
        await asyncio.to_thread(job.handover.close)


def _check_address() -> None:
    """Ask whether Ray answers where RAY_ADDRESS says: itself it tries for a minute, or for ever.

    Its servers speak HTTP/2: a client's first words are answered by their settings.

    Raises:
        InputError: nobody does, or somebody else.
    """
    address = os.environ.get("RAY_ADDRESS") or "local"
    if address in ("auto", "local"):
        return
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=CONNECT_S) as asked:
            if os.environ.get("RAY_USE_TLS") == "1":
                return
            asked.sendall(_HTTP2_GREETING)
            answer = asked.recv(_HTTP2_HEAD, socket.MSG_WAITALL)
    except (OSError, ValueError, OverflowError) as error:
        raise _no_cluster(error) from None
    if len(answer) < _HTTP2_HEAD or answer[3] != _HTTP2_SETTINGS:
        raise _no_cluster(ConnectionError(f"a server that is not Ray's answers {answer!r}"))


def _connect() -> None:
    """Join the cluster that RAY_ADDRESS names; start one on this machine where it is not set."""
    address = os.environ.get("RAY_ADDRESS") or "local"
    alone = {"include_dashboard": False} if address == "local" else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Ray's own, of its future versions
            ray.init(
                address, log_to_driver=False, configure_logging=False, logging_level=logging.ERROR,
                **alone,
            )  # fmt: skip
    except (ConnectionError, RuntimeError, ValueError, exceptions.RayError) as error:
        raise _no_cluster(error) from None


def _no_cluster(error: Exception) -> InputError:
    return InputError(
        f"there is no Ray cluster to be reached: {(str(error).splitlines() or [''])[0]}",
        where="RAY_ADDRESS", value=os.environ.get("RAY_ADDRESS"),
        fix="start one with `ray start --head` and set RAY_ADDRESS to its HOST:6379, or to auto on "
        "its nodes; unset, a cluster of this machine alone is started for the run",
    )  # fmt: skip


def _start_limits() -> Any:
    """Start the actor of the run's limits, beside the driver."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Limits).options(**_ACTOR, scheduling_strategy=here).remote()


async def _mirror(store: ObjectStore) -> None:
    while True:
        await asyncio.sleep(MIRROR_EVERY_S)
        await asyncio.to_thread(store.mirror)


async def _answer(reference: Any) -> Any:
    """Wait for an actor's answer; our own errors come as they were raised there."""
    try:
        return await reference
    except exceptions.RayTaskError as error:
        if isinstance(error.cause, BenchsideError | NodeLostError):
            raise error.cause from None
        raise


def alive_nodes() -> dict[str, tuple[str, float]]:
    """Return address and cores of each node that has any, by id."""
    return {
        node["NodeID"]: (
            f"{node['NodeManagerHostname']}/{node['NodeID'][:6]}",
            node["Resources"]["CPU"],
        )
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("CPU")
    }
