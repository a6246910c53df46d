"""The Jupyter wire to one kernel: sends cells, routes what comes back to the cell it belongs to.

Messages are routed by their parent's id, so that late output of an interrupted cell never reaches
the next one. What a kernel sends is hostile input: what does not parse is counted and dropped.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import zmq
import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient

from benchside_kernels.output import OutputCollector

MAX_SOCKETS = 16_384
LOST_IDLE_S = 1.0
_YIELD_EVERY = 50

_contexts: list[zmq.asyncio.Context] = []


def _context() -> zmq.asyncio.Context:
    """One context for all kernels: each has an I/O thread, and 1,023 sockets are its default."""
    if not _contexts:
        context = zmq.asyncio.Context()
        context.set(zmq.MAX_SOCKETS, MAX_SOCKETS)
        _contexts.append(context)
    return _contexts[0]


@dataclass(slots=True)
class RunningCell:
    """A cell that was sent. `done` is set once the kernel has replied and all output is in."""

    msg_id: str
    collector: OutputCollector
    done: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    failed: bool = False
    exiting: bool = False
    replied: bool = False
    idle: bool = False
    output_lost: bool = False
    last_message: float = field(default_factory=time.monotonic)

    def settle(self) -> None:
        """Set `done` if both the reply and the end of output are here."""
        if self.replied and (self.idle or self.output_lost) and not self.done.done():
            self.done.set_result(None)


class KernelWire:
    """Client side of one kernel; made after the kernel's sockets exist."""

    def __init__(self, connection_file: str) -> None:
        self._client = AsyncKernelClient(context=_context())
        self._client.load_connection_file(connection_file)
        self._client.start_channels(shell=True, iopub=True, stdin=False, hb=False, control=False)
        self._cells: dict[str, RunningCell] = {}
        self.malformed = 0
        channels = (self._client.shell_channel, self._client.iopub_channel)
        self._pumps = [asyncio.create_task(self._pump(channel)) for channel in channels]

    async def ready(self) -> None:
        """Wait until the kernel answers and its output reaches us; the caller sets the deadline."""
        while True:
            probe = RunningCell(self._client.kernel_info(), OutputCollector(0))
            self._look_again()
            self._cells[probe.msg_id] = probe
            await asyncio.wait([probe.done], timeout=0.3)
            del self._cells[probe.msg_id]
            if probe.idle and probe.replied:
                return

    def execute(
        self, source: str, collector: OutputCollector, *, silent: bool = False
    ) -> RunningCell:
        """Send one cell; a silent one is not counted."""
        msg_id = self._client.execute(source, silent=silent, allow_stdin=False, stop_on_error=False)
        cell = self._cells[msg_id] = RunningCell(msg_id, collector)
        self._look_again()
        return cell

    def nudge(self) -> None:
        """Make ipykernel look at a pending interrupt: an `await` in a cell ignores SIGINT alone."""
        self._client.kernel_info()
        self._look_again()

    def _look_again(self) -> None:
        """After sending, see what has come meanwhile.

        ZeroMQ tells once that something has come, and jupyter_client's way to send takes that sign
        from asyncio, which would wait without end. Asking for the events gives it back.
        """
        self._client.shell_channel.socket.get(zmq.EVENTS)

    def finish(self, cell: RunningCell) -> None:
        """Forget a cell; what still comes for it is dropped."""
        self._cells.pop(cell.msg_id, None)

    async def close(self) -> None:
        """Close the sockets."""
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        self._client.stop_channels()

    async def _pump(self, channel: Any) -> None:
        received = 0
        while True:
            try:
                self._route(await channel.get_msg())
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                self.malformed += 1  # bad signature, frames or content
            received += 1
            if received % _YIELD_EVERY == 0:
                await asyncio.sleep(0)  # a flood must not starve the event loop

    def _route(self, message: dict[str, Any]) -> None:
        parent, content = message.get("parent_header"), message.get("content")
        if not isinstance(parent, dict) or not isinstance(content, dict):
            self.malformed += 1
            return
        cell = self._cells.get(str(parent.get("msg_id")))
        if cell is None:
            return
        cell.last_message = time.monotonic()
        kind = str(message.get("msg_type"))
        if kind == "status":
            cell.idle = cell.idle or content.get("execution_state") == "idle"
        elif kind.endswith("_reply"):
            cell.replied = True
            cell.failed = content.get("status") != "ok"
            payload = content.get("payload")
            cell.exiting = isinstance(payload, list) and any(
                isinstance(item, dict) and item.get("source") == "ask_exit" for item in payload
            )
            self._expect_idle(cell)
        else:
            cell.collector.add(kind, content)
        cell.settle()

    def _expect_idle(self, cell: RunningCell) -> None:
        """A flood may lose the idle message: stop waiting once output has paused for a while."""

        def check() -> None:
            if cell.done.done():
                return
            if time.monotonic() - cell.last_message >= LOST_IDLE_S:
                cell.output_lost = True
                cell.settle()
            else:
                self._expect_idle(cell)

        asyncio.get_running_loop().call_later(LOST_IDLE_S, check)
