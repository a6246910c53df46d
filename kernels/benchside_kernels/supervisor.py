"""The supervisor: a process that owns all kernels of a runner, so that none outlives its owner.

A runner starts it with one end of a socket pair. It warms zygotes, keeps kernels in stock, holds
starts back while memory is short, and hands each kernel out on a lease: the runner gets the
kernel's connection and talks to it directly. A lease ends when the runner says so, at its deadline,
or with the runner, also by `kill -9`. If the supervisor itself dies, the system kills the zygotes
and they all kernels.

Packets in, the settings {"modules": ..., "stock": ..., "grouped": ...} first; a lease is a
number of the client's:
{"start": lease, "request": ...}; {"copy": lease, "of": lease} gives the ends of a copy to be;
{"adopt": lease, "of": lease, "lease_s": ...} with its pidfd; {"end": lease};
{"keep": lease, "name": ..., "keep_s": ...} with descriptors; {"take": lease, "name": ...};
{"list": lease}; {"scratch": 0, "path": ...}, a folder that is deleted with the client. Out:
{"done": lease, ...} with what was asked for, {"failed": lease, "reason": ...},
{"exited": lease, "exit": ...}.

A kernel that is kept is frozen until somebody takes it, by a named socket that only the user can
reach; the supervisor lives on without its runner until the last one's time is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import shutil
import signal
import socket
import struct
from collections.abc import Coroutine, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchside_kernels import packets
from benchside_kernels.admission import Admission
from benchside_kernels.errors import KernelError, KernelStartError
from benchside_kernels.frames import pack
from benchside_kernels.kernel_family import FIRST_PID, KernelEnds, KernelFamily
from benchside_kernels.meeting_place import listen
from benchside_kernels.packet_stream import PacketStream
from benchside_kernels.packets import Message
from benchside_kernels.process import ProcessExit
from benchside_kernels.request import KernelRequest
from benchside_kernels.zygote_process import ZygoteProcess
from benchside_kernels.zygotes import Zygotes, preparation

OOM_SCORE = -500

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid


@dataclass(slots=True, eq=False)
class Client:
    """A process that holds leases, by numbers that it has chosen."""

    stream: PacketStream = field(init=False)
    process: int | None = None
    scratch: list[str] = field(default_factory=list)
    leases: dict[int, Lease] = field(default_factory=dict)
    working: dict[int, asyncio.Task[None]] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Lease:
    """One kernel, `pid` as numbered in its family's namespace.

    While it is kept, it has a name instead of a client, and `fds` are those of its owner to be:
    connection, stdout, stderr, pidfd.
    """

    zygote: ZygoteProcess
    family: KernelFamily
    pid: int
    number: int
    client: Client | None
    name: str = ""
    fds: tuple[int, ...] = ()
    deadline: asyncio.TimerHandle | None = None

    def limit(self, lease_s: float | None) -> None:
        """Have the kernel killed after so long; None: never."""
        if self.deadline is not None:
            self.deadline.cancel()
        if lease_s is not None:
            cause = f"the end of its lease of {lease_s:g} s"
            loop = asyncio.get_running_loop()
            self.deadline = loop.call_later(lease_s, self.family.end, self.pid, cause)

    def signal(self, number: int) -> None:
        """Send the kernel process of a kept kernel a signal."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.fds[-1], number)


class Supervisor:
    """Serves clients until the last one and the last kept kernel are gone."""

    def __init__(self, modules: Sequence[str], stock: int, grouped: bool) -> None:
        self._zygotes = Zygotes(modules, stock, grouped)
        self._admission = Admission()
        self._clients: set[Client] = set()
        self._kept: dict[str, Lease] = {}
        self._listening: tuple[socket.socket, Path] | None = None
        self._unneeded = asyncio.Event()

    def connect(self, stream: socket.socket) -> None:
        """Serve a client."""
        client = Client()
        client.stream = PacketStream(
            stream,
            lambda message, fds: self._obey(client, message, fds),
            lambda: self._leave(client),
        )
        self._clients.add(client)
        # processes that it has forked hold the socket open beyond its end
        peer = stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        with contextlib.suppress(OSError):  # gone; or, with pid 0, in a namespace beside ours
            client.process = os.pidfd_open(_CREDENTIALS.unpack(peer)[0])
            loop = asyncio.get_running_loop()
            loop.add_reader(client.process, self._leave, client)

    async def serve(self) -> None:
        """Wait until nobody needs this any more, then end all."""
        await self._unneeded.wait()
        if self._listening is not None:
            self._listening[1].unlink(missing_ok=True)
        await self._zygotes.close()

    def _obey(self, client: Client, message: Message, fds: list[int]) -> None:
        """Start on what a client asks; the descriptors that came are used up."""
        verb, number = next(iter(message.items()))
        work = {"start": self._start, "copy": self._copy, "adopt": self._adopt}.get(verb)
        if work is not None:
            self._begin(client, number, work(client, message, fds))
        elif verb == "end":
            self._end(client, number)
        elif verb == "keep":
            self._keep(client, message, fds)
        elif verb == "take":
            self._take(client, message)
        elif verb == "scratch":
            client.scratch.append(message["path"])
        else:
            client.stream.send({"done": number, "kept": sorted(self._kept)})

    def _begin(self, client: Client, number: int, work: Coroutine[None, None, None]) -> None:
        async def attempt() -> None:
            try:
                await work
            except Exception as error:
                expected = isinstance(error, KernelError | OSError)
                reason = str(error) if expected else f"{type(error).__name__}: {error}"
                if isinstance(error, OSError) and error.errno == errno.EMFILE:
                    reason = packets.shortage()
                client.stream.send({"failed": number, "reason": reason})
                self._end(client, number)
                if not expected:
                    raise  # the client does not wait in vain, and stderr tells of our bug
            finally:
                client.working.pop(number, None)

        client.working[number] = asyncio.create_task(attempt())

    async def _start(self, client: Client, message: Message, _: list[int]) -> None:
        request = KernelRequest.from_message(message["request"])
        await self._admission.enter(self._running, self._zygotes.drain)
        zygote = await self._zygotes.choose(request)
        family = await zygote.take(network=bool(request.hosts))
        if client not in self._clients:  # it left as the fork was answered
            family.discard()
            return
        family.ends.connection.sendall(pack({"prepare": preparation(request)}))
        lease = Lease(zygote, family, FIRST_PID, message["start"], client)
        client.leases[lease.number] = lease
        lease.limit(request.lease_s)
        fds = [*family.ends.descriptors, *family.listeners]
        client.stream.send({"done": lease.number}, fds)
        family.hand_out()
        family.add_first(lambda end: self._exited(lease, end))
        zygote.refill()

    async def _copy(self, client: Client, message: Message, _: list[int]) -> None:
        """Answer with both sides' ends for a copy of a kernel; its secret is on the way to it."""
        number, family = message["copy"], _lease(client, message["of"]).family
        ours, theirs = KernelEnds.pair()
        try:
            ours.connection.sendall(pack({"key": family.key.hex()}))
            client.stream.send({"done": number}, [*ours.descriptors, *theirs.descriptors])
        finally:
            ours.close()
            theirs.close()

    async def _adopt(self, client: Client, message: Message, fds: list[int]) -> None:
        """Take a copy of a client's kernel into its family and have it furnished."""
        (copy,) = fds
        try:
            original = _lease(client, message["of"])
            family = original.family
            lease = Lease(original.zygote, family, 0, message["adopt"], client)
            lease.pid = family.adopt_copy(copy, lambda end: self._exited(lease, end))
            client.leases[lease.number] = lease
            lease.limit(message["lease_s"])
            await original.zygote.furnish(family, copy)
            client.stream.send({"done": lease.number})
        finally:
            os.close(copy)

    def _end(self, client: Client, number: int) -> None:
        lease = client.leases.get(number)
        if lease is not None:
            lease.family.end(lease.pid)
        elif number in client.working:
            client.working[number].cancel()

    def _exited(self, lease: Lease, end: ProcessExit) -> None:
        lease.limit(None)
        if lease.client is not None:
            del lease.client.leases[lease.number]
            lease.client.stream.send({"exited": lease.number, "exit": asdict(end)})
        else:
            del self._kept[lease.name]
            _close(lease.fds)
            self._look_whether_needed()

    def _leave(self, client: Client) -> None:
        """A client is gone: so are its kernels."""
        if client not in self._clients:
            return
        self._clients.discard(client)
        client.stream.close()
        if client.process is not None:
            asyncio.get_running_loop().remove_reader(client.process)
            os.close(client.process)
        for task in list(client.working.values()):
            task.cancel()
        for lease in list(client.leases.values()):
            lease.family.end(lease.pid)
        for path in client.scratch:
            shutil.rmtree(path, ignore_errors=True)
        self._look_whether_needed()

    def _look_whether_needed(self) -> None:
        if not self._clients:
            self._zygotes.drain()
            if not self._kept:
                self._unneeded.set()

    def _running(self) -> int:
        return sum(len(client.leases) for client in self._clients)

    def _keep(self, client: Client, message: Message, fds: list[int]) -> None:
        number, name = message["keep"], message["name"]
        lease = client.leases.get(number)
        try:
            if lease is None or name in self._kept:
                reason = "the kernel has ended" if lease is None else f"{name} is kept already"
                raise KernelStartError(reason)
            self._listen()
        except (KernelStartError, OSError) as error:
            _close(fds)
            client.stream.send({"failed": number, "reason": str(error)})
            return
        del client.leases[number]
        lease.client, lease.name, lease.fds = None, name, tuple(fds)
        self._kept[name] = lease
        lease.signal(signal.SIGSTOP)
        lease.limit(message["keep_s"])
        client.stream.send({"done": number})

    def _take(self, client: Client, message: Message) -> None:
        number = message["take"]
        lease = self._kept.pop(message["name"], None)
        if lease is None:
            client.stream.send({"failed": number, "reason": f"no kernel {message['name']} is kept"})
            return
        lease.signal(signal.SIGCONT)
        lease.limit(None)
        lease.client, lease.number = client, number
        client.leases[number] = lease
        client.stream.send({"done": number}, lease.fds)
        _close(lease.fds)
        lease.fds = ()

    def _listen(self) -> None:
        """Let others take what is kept; once."""
        if self._listening is not None:
            return
        self._listening = listen(os.getpid())
        stream = self._listening[0]

        def accept() -> None:
            with contextlib.suppress(BlockingIOError):
                self.connect(stream.accept()[0])

        asyncio.get_running_loop().add_reader(stream, accept)


def _lease(client: Client, number: int) -> Lease:
    lease = client.leases.get(number)
    if lease is None:
        raise KernelStartError("the kernel that it would be a copy of has ended")
    return lease


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


async def _run(control: socket.socket) -> None:
    packet = packets.receive(control)
    if packet is not None:
        supervisor = Supervisor(**packet[0])
        supervisor.connect(control)
        await supervisor.serve()


def main(control_fd: int) -> None:
    """Run a supervisor on an inherited socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with its runner
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # it holds three for each kernel
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))  # only root may
    asyncio.run(_run(socket.socket(fileno=control_fd)))
