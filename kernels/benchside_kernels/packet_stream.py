"""Packets (see `packets.py`) on an event loop, as runners and supervisors have one.

By itself, so that processes which only wait for packets, and are forked again and again, are
without asyncio and what it needs.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence

from benchside_kernels import packets
from benchside_kernels.packets import Message


class PacketStream:
    """Packets on the running event loop; what the other end does not take yet waits here.

    Args:
        on_packet: called with each packet; the descriptors are the callee's to close.
        on_end: called once when the other end is gone or has sent what is no packet.
    """

    def __init__(
        self,
        stream: socket.socket,
        on_packet: Callable[[Message, list[int]], None],
        on_end: Callable[[], None],
    ) -> None:
        self._stream, self._on_packet, self._on_end = stream, on_packet, on_end
        self._waiting: deque[tuple[bytes, list[int]]] = deque()
        self._loop = asyncio.get_running_loop()
        stream.setblocking(False)
        self._loop.add_reader(stream, self._read)
        self.open = True

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Send one packet, now or as soon as there is room; the caller may close its `fds`.

        Raises:
            ValueError: it is larger than `MAX_BYTES`.
        """
        if not self.open:
            return
        self._waiting.append(packets.packed(message, fds))
        if len(self._waiting) == 1:
            self._write()

    def close(self) -> None:
        """Stop, and let the other end see it."""
        if not self.open:
            return
        self.open = False
        self._loop.remove_reader(self._stream)
        self._loop.remove_writer(self._stream)
        self._stream.close()
        for _, fds in self._waiting:
            packets.close(fds)
        self._waiting.clear()

    def _read(self) -> None:
        try:
            packet = packets.receive(self._stream)
        except BlockingIOError:
            return
        except (OSError, ValueError):
            packet = None
        if packet is None:
            self.close()
            self._on_end()
        else:
            self._on_packet(*packet)

    def _write(self) -> None:
        while self._waiting:
            data, fds = self._waiting[0]
            try:
                self._stream.sendmsg([data], packets.rights(fds))
            except BlockingIOError:
                self._loop.add_writer(self._stream, self._write)
                return
            except OSError:  # gone: the reader will see the end
                pass
            packets.close(self._waiting.popleft()[1])
        self._loop.remove_writer(self._stream)
