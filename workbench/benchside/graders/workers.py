"""Grading in processes apart: warm, used again, and ended where a grader runs on.

A thread that grades cannot be stopped, and stalls all others while it holds Python's lock. So each
grading goes to one of as many processes as there are cores; they start when first needed and end
with this process.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from benchside.errors import GraderError
from benchside.grade import Grade
from benchside.graders.grader import grader_modules
from benchside.graders.worker import LENGTH, READY
from benchside.state import ServiceState
from benchside.task import AnswerKey, TaskSpec
from benchside_kernels.submission import Json

START_S = 120.0  # for importing the graders, about a second on an idle machine
SLACK_S = 5.0  # after which a worker ends itself, should nobody have ended it

_SECRET = re.compile("KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)
_idle: list[_Worker] = []
_slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def grade_apart(
    task: TaskSpec, key: AnswerKey, value: Json, states: Sequence[ServiceState], *, limit_s: float
) -> Grade:
    """Grade a submission in another process.

    Args:
        limit_s: from when a process is free for it.

    Raises:
        GraderError: it took too long or crashed, or the task or its key is malformed.
    """
    request = json.dumps(
        {
            "task": task.model_dump(mode="json"), "key": key.model_dump(mode="json"),
            "value": value, "states": [state.model_dump(mode="json") for state in states],
            "limit_s": limit_s + SLACK_S, "modules": grader_modules(),
        }
    ).encode()  # fmt: skip
    async with _slot():
        worker = _take()
        try:
            async with asyncio.timeout(START_S):
                await worker.ready()
            async with asyncio.timeout(limit_s):
                reply = await worker.ask(request)
        except BaseException as error:
            worker.end()
            if isinstance(error, TimeoutError | OSError | EOFError):
                why = (
                    f"grading took longer than {limit_s:g} s" if isinstance(error, TimeoutError)
                    else "the process that graded has ended"
                )  # fmt: skip
                raise GraderError(why, where=task.task_id, value=task.grader.name) from None
            raise
        _idle.append(worker)
    return _grade(reply, task)


@functools.cache
def warm_up() -> None:
    """Start the first process, once, which takes it about a second; does not wait for it."""
    _idle.append(_Worker())


def _grade(reply: dict[str, Any], task: TaskSpec) -> Grade:
    if "grade" in reply:
        return Grade.model_validate(reply["grade"])
    if "error" in reply:
        found = reply["error"]
        raise GraderError(
            found["what"], where=found["where"], value=found["value"], fix=found["fix"]
        )
    crash = GraderError(
        f"the grader crashed: {reply['crash']['said']}", where=task.task_id, value=task.grader.name
    )
    crash.add_note(reply["crash"]["traceback"])
    raise crash


def _slot() -> asyncio.Semaphore:
    """As many gradings at a time as there are cores; a semaphore belongs to one event loop."""
    loop = asyncio.get_running_loop()
    return _slots.setdefault(loop, asyncio.Semaphore(os.cpu_count() or 1))


def _take() -> _Worker:
    while _idle:
        worker = _idle.pop()
        if worker.alive:
            return worker
        worker.end()
    return _Worker()


class _Worker:
    """One process that grades, and the socket to it."""

    def __init__(self) -> None:
        self._ready = False
        self._stream, theirs = socket.socketpair()
        self._stream.setblocking(False)
        with theirs:
            # a session of its own: Ctrl-C in the terminal is this process's to handle
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "benchside.graders.worker"],
                stdin=theirs.fileno(), stdout=subprocess.DEVNULL, start_new_session=True,
                env=_without_secrets(os.environ),
            )  # fmt: skip

    @property
    def alive(self) -> bool:
        """True while the process runs."""
        return self._process.poll() is None

    async def ready(self) -> None:
        """Wait until the process has imported the graders."""
        if not self._ready:
            self._ready = await self._read(asyncio.get_running_loop(), len(READY)) == READY

    async def ask(self, request: bytes) -> dict[str, Any]:
        """Send a request and return its reply; `EOFError` where the process ends instead."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._stream, LENGTH.pack(len(request)) + request)
        [size] = LENGTH.unpack(await self._read(loop, LENGTH.size))
        reply: dict[str, Any] = json.loads(await self._read(loop, size))
        return reply

    async def _read(self, loop: asyncio.AbstractEventLoop, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            part = await loop.sock_recv(self._stream, min(size - len(parts), 1 << 20))
            if not part:
                raise EOFError
            parts += part
        return bytes(parts)

    def end(self) -> None:
        """Kill the process and close the socket."""
        self._stream.close()
        self._process.kill()
        self._process.wait()


def _without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without keys to servers, which no grader asks; known by their names only."""
    return {name: value for name, value in environment.items() if not _SECRET.search(name)}


@atexit.register
def _end_all() -> None:
    while _idle:
        _idle.pop().end()
