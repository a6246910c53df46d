"""The process that grades: reads tasks, keys and submissions from a socket, writes grades to it.

It imports the graders once and serves one request after another. A timer of the operating system
ends it where a grader runs on, even within a regular expression, which no thread or signal handler
of Python can stop. Started by `benchside.graders.workers`; it reads no file and holds no answers
but those it is sent.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import signal
import socket
import struct
import sys
import traceback
from typing import Any

from benchside.errors import GraderError
from benchside.graders import grade
from benchside.state import ServiceState
from benchside.task import AnswerKey, TaskSpec

READY = b"+"  # sent once the graders are imported
LENGTH = struct.Struct(">Q")  # of the JSON text that follows, in bytes


def main() -> None:
    """Serve requests on standard input, a socket, until it is closed."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process
    with socket.socket(fileno=0) as stream:
        stream.sendall(READY)
        while head := _read(stream, LENGTH.size):
            request = json.loads(_read(stream, LENGTH.unpack(head)[0]))
            signal.setitimer(signal.ITIMER_REAL, request["limit_s"])
            reply = json.dumps(_reply(request), default=repr).encode()
            signal.setitimer(signal.ITIMER_REAL, 0)
            stream.sendall(LENGTH.pack(len(reply)) + reply)


def _read(stream: socket.socket, size: int) -> bytes:
    """Read so many bytes; none where the other side has closed."""
    parts = bytearray()
    while len(parts) < size:
        part = stream.recv(min(size - len(parts), 1 << 20))
        if not part:
            return b""
        parts += part
    return bytes(parts)


def _reply(request: dict[str, Any]) -> dict[str, Any]:
    for name in request["modules"]:
        if name not in sys.modules:  # of a grader that is not Benchside's own
            with contextlib.suppress(ImportError):  # an unknown grader is named below
                importlib.import_module(name)
    try:
        verdict = grade(
            TaskSpec.model_validate(request["task"]),
            AnswerKey.model_validate(request["key"]),
            request["value"],
            [ServiceState.model_validate(state) for state in request["states"]],
        )
        return {"grade": verdict.model_dump(mode="json")}
    except GraderError as error:
        where = None if error.where is None else str(error.where)
        return {
            "error": {"what": error.what, "where": where, "value": error.value, "fix": error.fix}
        }
    except Exception as error:  # a crash, which the host records
        said = f"{type(error).__name__}: {error}"
        return {"crash": {"said": said, "traceback": traceback.format_exc()}}


if __name__ == "__main__":
    main()
