"""`Node`: what runs on each node of a Ray cluster: one actor, with the supervisor of its kernels.

It plays the episodes that it has leases for, and tells the driver of each turn. Its leases hold as
long as the driver renews them: a node that is cut off ends its episodes, since they are run again
elsewhere.
"""

from __future__ import annotations

import asyncio
import functools
from contextlib import AsyncExitStack, aclosing

import benchside
from benchside.build_record import BuildRecord
from benchside.engines.engine import NodeLostError
from benchside.engines.job import Job, Order
from benchside.engines.limits import SharedProviders
from benchside.engines.local import LocalEngine
from benchside.engines.telling import Outbox, Played, Told
from benchside.episode import Provenance
from benchside.errors import DataMissingError, InfrastructureError, InputError
from benchside.library import Suite, load_suite
from benchside.lookup.index import open_index
from benchside.manner import manner_of, tools_of
from benchside.policies import Memory, ShippedPolicy, make_policy
from benchside.provenance import provenance
from benchside.rollout import Assignment
from benchside.services import check_services
from benchside.store import EpisodeRow
from benchside.task import TaskSpec
from benchside.task_kernel import WARM_MODULES
from benchside_kernels.backend import KernelMaker
from benchside_kernels.errors import KernelError
from benchside_kernels.makers import open_kernels
from benchside_kernels.sandbox import Isolation
from benchside_kernels.startup import home_folder

LEASE_S = 60.0
"""A node whose leases were not renewed for so long has lost them."""


class Node:
    """The actor.

    Args:
        name: tells the nodes of a run apart.
    """

    def __init__(self, job: Job, name: str) -> None:
        self._job, self._name = job, name
        self._stack = AsyncExitStack()
        self._suites: dict[str, Suite] = {}
        self._policies: dict[str, ShippedPolicy] = {}
        self._maker: KernelMaker
        self._origin: Provenance
        self._watching: asyncio.Task[None] | None = None
        self._renewed = 0.0
        self._outbox = Outbox()
        self._running: dict[str, asyncio.Task[EpisodeRow]] = {}  # by lease
        self._expired: set[asyncio.Task[EpisodeRow]] = set()

    async def open(self) -> Isolation:
        """Get ready; return the isolation of this node's kernels.

        Raises:
            BenchsideError: this node cannot take part; the message says what it lacks.
        """
        job = self._job
        if job.version != benchside.__version__:
            raise InputError(
                "another version of Benchside is installed here", value=benchside.__version__,
                fix=f"install version {job.version}, which the driver has",
            )  # fmt: skip
        if not await asyncio.to_thread(job.handover.sees, job.mark):
            raise InputError(
                "the run folder is not the driver's, or the store is another one", where="--out",
                fix="put --out on a file system that all nodes share, or give --store URL",
            )  # fmt: skip
        self._suites = {name: self._suite(name, build) for name, build in job.builds.items()}
        check_services(job.tasks)
        await self._make_policies()
        if job.tools or any(manner_of(policy).tools for policy in self._policies.values()):
            await asyncio.to_thread(self._index)
        try:
            maker = await self._stack.enter_async_context(open_kernels(job.isolation, WARM_MODULES))
        except KernelError as error:
            raise InfrastructureError(str(error)) from None
        self._maker = maker
        self._origin = provenance(job.seed, maker.isolation)
        await self.renew()
        self._watching = asyncio.create_task(self._watch())
        return maker.isolation

    async def play(self, order: Order) -> Played:
        """Run one episode; return its row, and the turns that `hear` has not told of.

        Raises:
            NodeLostError: its lease was not renewed, or the driver has dropped it.
        """
        lease, task, policy = order.lease, order.task, self._policies[order.policy]
        assignment = Assignment(
            self._suites[task.suite], task, policy, order.sample, order.seed,
            tools_of(manner_of(policy), self._job.tools),
        )  # fmt: skip
        store = functools.partial(self._job.handover.leave, lease)
        engine = LocalEngine(self._maker, self._origin, self._job.hidden, store)
        on_turn = functools.partial(self._outbox.add, lease)
        running = asyncio.create_task(engine.play(assignment, on_turn))
        self._running[lease] = running
        try:
            row = await running
            return Played(self._outbox.end(lease), row)
        except asyncio.CancelledError:
            if running in self._expired:
                raise NodeLostError("the lease has ended") from None
            raise
        finally:
            running.cancel()
            self._outbox.end(lease)
            del self._running[lease]
            self._expired.discard(running)

    async def hear(self) -> list[Told]:
        """Called by the driver, again and again: wait for turns that it is to know now."""
        return await self._outbox.take()

    async def renew(self) -> None:
        """Called by the driver, again and again: the leases hold."""
        self._renewed = asyncio.get_running_loop().time()

    async def drop(self, lease: str) -> None:
        """Called by the driver, which does not want an episode's row any more: end it."""
        if lease in self._running:
            self._end(self._running[lease])

    async def close(self) -> None:
        """End all that runs here."""
        if self._watching is not None:
            self._watching.cancel()
        self._give_up()
        await self._stack.aclose()

    async def _watch(self) -> None:
        """End episodes whose leases have run out."""
        while True:
            await asyncio.sleep(LEASE_S / 10)
            if asyncio.get_running_loop().time() - self._renewed > LEASE_S:
                self._give_up()

    def _give_up(self) -> None:
        for task in self._running.values():
            self._end(task)

    def _end(self, episode: asyncio.Task[EpisodeRow]) -> None:
        self._expired.add(episode)
        episode.cancel()

    def _suite(self, name: str, wanted: BuildRecord) -> Suite:
        """The suite as the driver has it, from the driver's home folder or this node's."""
        for home in dict.fromkeys((self._job.home, home_folder())):
            try:
                suite = load_suite(name, home, build=wanted.build)
            except DataMissingError:
                continue
            if (suite.record.hashes, suite.record.images) == (wanted.hashes, wanted.images):
                suite.check_answers()
                return suite
        raise DataMissingError(
            f"suite {name} is not prepared here as the driver has it", where=home_folder(),
            value=wanted.build,
            fix="let BENCHSIDE_HOME name a folder that all nodes share, or run "
            f"`benchside prepare {name}` on this node with the driver's options",
        )  # fmt: skip

    async def _make_policies(self) -> None:
        job = self._job
        providers = None if job.limits is None else SharedProviders(job.limits, self._name)
        memory = Memory(self._suites)
        for choice in job.policies:
            policy = make_policy(
                choice.policy, choice.options, self._solution, providers, memory, choice.price_list
            )
            await self._stack.enter_async_context(aclosing(policy))
            if job.configs.get(policy.name) != policy.config:
                raise InputError(
                    "a policy is set up in another way here", where=choice.policy,
                    value=policy.config,
                    fix="give its options in the configuration, and its files under the same path",
                )  # fmt: skip
            await policy.check()
            self._policies[policy.name] = policy

    def _solution(self, task: TaskSpec) -> tuple[str, ...]:
        return self._suites[task.suite].answer_key(task.task_id).solution

    def _index(self) -> None:
        """Make the indexes that tools will ask, so that no episode waits for them."""
        for suite in self._suites.values():
            for task in self._job.tasks:
                if task.suite == suite.name:
                    open_index(suite.image(task), suite.home)
