"""A zygote process, seen from the supervisor: has it fork, keeps a stock of forked kernels.

A kernel from the stock has only to load its data; each is used once. Hears of exits, and of the
zygote's own end.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import select
import socket
from collections import deque
from collections.abc import Sequence

from benchside_kernels import packets
from benchside_kernels.errors import KernelStartError
from benchside_kernels.kernel_family import KernelEnds, KernelFamily
from benchside_kernels.packet_stream import PacketStream
from benchside_kernels.packets import Message
from benchside_kernels.pidfd import ended, kill
from benchside_kernels.process import ProcessExit
from benchside_kernels.zygote import ZygoteSpec

READY_TIMEOUT_S = 120.0
FORK_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 1.0
REFILL_AFTER_S = 0.02


class ZygoteProcess:
    """One zygote process and its kernels.

    Args:
        process: pidfd of its outer process.
        control: our end of its control socket.
        stock: kernels to keep forked in advance.
    """

    def __init__(self, process: int, control: socket.socket, stock: int) -> None:
        self._process = process
        self._packets = PacketStream(control, self._take, self._end)
        self._numbers = itertools.count(1)
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._families: dict[int, KernelFamily] = {}
        self._stock: deque[KernelFamily] = deque()
        self._stock_size = stock
        self._refilling: asyncio.Task[None] | None = None
        self.gone = self.unfit = False

    @property
    def load(self) -> int:
        """Forks that it has been asked for and has not answered yet."""
        return len(self._answers)

    @property
    def kernels(self) -> int:
        """Families in use, without those in stock."""
        return len(self._families) - len(self._stock) - len(self._answers)

    async def start(self, spec: ZygoteSpec) -> None:
        """Send the spec and wait until it is warm.

        Raises:
            KernelStartError: it ended, failed, or took too long.
        """
        self._packets.send(dict(spec))
        try:
            await asyncio.wait_for(asyncio.shield(self._ready), READY_TIMEOUT_S)
        except TimeoutError:
            raise KernelStartError(f"it was not ready within {READY_TIMEOUT_S:.0f} s") from None

    async def take(self, *, network: bool = False) -> KernelFamily:
        """Return a forked kernel that waits for its preparation: from the stock, else a new one.

        Args:
            network: with a way to a proxy; such kernels are never in stock.

        Raises:
            KernelStartError: the zygote refused, did not answer in time, or is gone.
        """
        while self._stock and not network:
            family = self._stock.popleft()
            if _is_alive(family):
                return family
            family.discard()
        return await self._fork(network=network)

    def refill(self) -> None:
        """Fork what the stock lacks, in the background and while nobody waits for a fork.

        It starts after `REFILL_AFTER_S`: a fork takes a core from the kernel that was just taken,
        which has its first cell to answer.
        """
        if self._refilling is None or self._refilling.done():
            self._refilling = asyncio.create_task(self._refill())

    def drain(self) -> None:
        """Give up the stock, for its memory."""
        while self._stock:
            self._stock.popleft().discard()

    async def furnish(self, family: KernelFamily, copy: int) -> None:
        """Have folders made for a copy of a kernel; `copy` is its pidfd.

        Raises:
            KernelStartError: it was refused, or took too long.
        """
        number = next(self._numbers)
        await self._ask(number, {"furnish": number, "of": family.number}, [copy])

    async def close(self) -> None:
        """End the zygote and all its kernels."""
        if self._refilling is not None:
            self._refilling.cancel()
        self._packets.close()
        if not self.gone and not await ended(self._process, CLOSE_TIMEOUT_S):
            kill(self._process)
            await ended(self._process, CLOSE_TIMEOUT_S)
        self._end()

    async def _fork(self, *, network: bool = False) -> KernelFamily:
        number = next(self._numbers)
        ours, theirs = KernelEnds.pair()
        try:
            exits, kernel_exits = os.pipe()
        except OSError:
            ours.close()
            theirs.close()
            raise
        family = self._families[number] = KernelFamily(number, ours, exits)
        family.watch()
        try:
            order = {"fork": number, "network": network}
            await self._ask(number, order, [*theirs.descriptors, kernel_exits])
        except BaseException:
            family.discard()
            if family.init is None and not self.gone:  # a late answer finds no family
                self._families.pop(number).close()
            raise
        finally:
            theirs.close()
            os.close(kernel_exits)
        return family

    async def _ask(self, number: int, message: Message, fds: Sequence[int]) -> None:
        if self.gone:
            raise KernelStartError("the zygote has ended")
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            self._packets.send(message, fds)
            await asyncio.wait_for(answer, FORK_TIMEOUT_S)
        except TimeoutError:
            raise KernelStartError(
                f"the zygote did not answer within {FORK_TIMEOUT_S:.0f} s"
            ) from None
        finally:
            self._answers.pop(number, None)

    async def _refill(self) -> None:
        await asyncio.sleep(REFILL_AFTER_S)
        with contextlib.suppress(KernelStartError):  # whoever needs a kernel will be told
            while len(self._stock) < self._stock_size and not self.gone:
                if self._answers:
                    await asyncio.wait(self._answers.values())
                else:
                    self._stock.append(await self._fork())

    def _take(self, message: Message, fds: list[int]) -> None:
        """Take one packet of the zygote."""
        if "ready" in message:
            self._ready.set_result(None)
        elif "failed" in message:
            self._ready.set_exception(KernelStartError(message["failed"]))
        elif "forked" in message:
            self._hand_over(message["forked"], message["handles"], fds)
        elif "unfit" in message:
            self.unfit = True
        elif "furnished" in message:
            self._answer(message["furnished"])
        elif "refused" in message:
            reason = f"the zygote refused: {message['refused']}"
            self._answer(message["number"], KernelStartError(reason))
        elif "ended" in message:
            family = self._families.get(message.pop("ended"))
            if family is not None:
                family.first_has_ended(ProcessExit(**message))
        elif "exited" in message:
            family = self._families.pop(message["exited"], None)
            if family is not None:
                if family in self._stock:
                    self._stock.remove(family)
                    family.discard()
                family.close()

    def _answer(self, number: int, error: KernelStartError | None = None) -> None:
        answer = self._answers.get(number)
        if answer is None or answer.done():
            return
        if error is None:
            answer.set_result(None)
        else:
            answer.set_exception(error)

    def _hand_over(self, number: int, handles: int, fds: list[int]) -> None:
        """Note new processes; end them if nobody waits any more, or there is no way to hold them.

        Args:
            handles: how many descriptors were sent.
        """
        family = self._families.get(number)
        if family is None or len(fds) < handles:
            for fd in fds:
                os.close(fd)
            self._packets.send({"end": number})
            self._answer(number, KernelStartError(f"in the supervisor {packets.shortage()}"))
            return
        kernel, init, *listeners = fds
        family.init, family.first, family.listeners = init, kernel, listeners
        self._answer(number)

    def _end(self) -> None:
        """The zygote is gone, and with it all its kernels."""
        if self.gone:
            return
        self.gone = True
        self._packets.close()
        os.close(self._process)
        error = KernelStartError("the zygote ended")
        for waiting in (self._ready, *self._answers.values()):
            if not waiting.done():
                waiting.set_exception(error)
                waiting.exception()  # it may be that nobody waits
        for family in self._families.values():
            family.close()
        self._families.clear()
        self.drain()


def _is_alive(family: KernelFamily) -> bool:
    """True for a kernel in stock whose init and first process run."""
    if family.gone or family.init is None or family.first is None:
        return False
    poll = select.poll()
    for pidfd in (family.init, family.first):
        poll.register(pidfd, select.POLLIN)
    return not poll.poll(0)
