"""Packets that are none, too large, or not taken: an end that is told, and no descriptor lost."""

import asyncio
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchside_kernels import packets
from benchside_kernels.packet_stream import PacketStream
from benchside_kernels.packets import MAX_BYTES, Message


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield ours, theirs
    ours.close()
    theirs.close()


@dataclass
class Listener:
    """What a stream has told."""

    stream: PacketStream = field(init=False)
    messages: list[Message] = field(default_factory=list)
    ends: int = 0

    @classmethod
    def on(cls, stream: socket.socket) -> "Listener":
        listener = cls()

        def take(message: Message, fds: list[int]) -> None:
            listener.messages.append(message)
            for fd in fds:
                os.close(fd)

        def end() -> None:
            listener.ends += 1

        listener.stream = PacketStream(stream, take, end)
        return listener

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.messages) + self.ends < count:
                await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    "data",
    [b"{", b"[]", b"7", b"null", b"\xff\xfe", b'{"a": ' * 50, b'{"a": "' + b"x" * 190_000],
    ids=lambda data: repr(data[:12]),
)
async def test_what_is_no_packet_is_the_end_and_its_descriptors_are_closed(
    pair: tuple[socket.socket, socket.socket], data: bytes
) -> None:
    ours, theirs = pair
    before = open_descriptors()
    with pytest.raises(ValueError, match=r".+"):
        socket.send_fds(theirs, [data], [0, 1, 2])
        packets.receive(ours)
    assert open_descriptors() == before

    listener = Listener.on(ours)
    socket.send_fds(theirs, [data], [0, 1, 2])
    await listener.until(1)
    assert (listener.messages, listener.ends) == ([], 1)
    assert not listener.stream.open
    listener.stream.send({"too": "late"})  # goes nowhere, raises nothing
    listener.stream.close()
    assert listener.ends == 1
    assert open_descriptors() == before - 1


async def test_nesting_without_end_is_the_end(pair: tuple[socket.socket, socket.socket]) -> None:
    listener = Listener.on(pair[0])
    pair[1].send(b"[" * 150_000)
    await listener.until(1)
    assert listener.ends == 1


async def test_large_packets_arrive_and_larger_ones_are_refused(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """A runner that hides many thousand files sends long lists."""
    before = open_descriptors()
    listener = Listener.on(pair[0])
    other = PacketStream(pair[1], lambda *_: None, lambda: None)
    text = "x" * (MAX_BYTES - 1000)
    other.send({"text": text}, [0])
    await listener.until(1)
    assert listener.messages == [{"text": text}]
    with pytest.raises(ValueError, match="MiB"):
        other.send({"text": text * 2})
    other.send({"still": "open"})
    await listener.until(2)
    assert listener.messages[1:] == [{"still": "open"}]
    assert open_descriptors() == before
    listener.stream.close()
    other.close()


async def test_packets_wait_for_a_slow_receiver_with_their_descriptors(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    before = open_descriptors()
    sender = PacketStream(pair[1], lambda *_: None, lambda: None)
    reading, writing = os.pipe()
    for number in range(200):
        sender.send({"number": number, "text": "x" * 10_000}, [writing])
    os.close(writing)  # those on their way are copies
    assert open_descriptors() > before + 1
    listener = Listener.on(pair[0])
    await listener.until(200)
    assert [message["number"] for message in listener.messages] == list(range(200))
    assert os.read(reading, 1) == b"", "all copies of the writing end are closed"
    os.close(reading)
    assert open_descriptors() == before
    listener.stream.close()
    sender.close()


async def test_close_with_packets_waiting_closes_their_descriptors(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    before = open_descriptors()
    sender = PacketStream(pair[1], lambda *_: None, lambda: None)
    for _ in range(100):
        sender.send({"text": "x" * 10_000}, [0, 1, 2])
    sender.close()
    assert open_descriptors() == before - 1
    sender.close()


async def test_two_that_wait_for_each_other_exchange_large_packets(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """Without an event loop, as zygotes do."""
    ours, theirs = pair
    packets.send(ours, {"text": "x" * 500_000}, [0, 1])
    packet = packets.receive(theirs)
    assert packet is not None
    message, fds = packet
    assert len(message["text"]) == 500_000
    assert len(fds) == 2
    for fd in fds:
        os.close(fd)


async def test_an_end_is_told_once_and_a_last_packet_before_it(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    listener = Listener.on(pair[0])
    packets.send(pair[1], {"last": 1})
    pair[1].close()
    await listener.until(2)
    assert (listener.messages, listener.ends) == ([{"last": 1}], 1)
    lone, gone = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    gone.close()
    assert packets.receive(lone) is None
    packets.send(lone, {"nobody": "hears"})
    lone.close()
