"""A zygote whose kernels run whatever they are told: the stage of test_namespaces.py.

Run as `python -I -S attacked_zygote.py ROOM`, with ROOM the folder of the package. It reads one
JSON object a line and answers each with one: first the spec, then {"start": kernel},
{"kill": kernel}, or {"to": kernel, "source": ...}, with null for the zygote itself. A source sets
`value`, or its error is told.
"""

import contextlib
import ctypes
import errno
import json
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, sys.argv[1])

from benchside_kernels import namespaces, seccomp
from benchside_kernels.kernel_sandbox import SandboxSpec, ZygoteSandbox

_kernels: dict[int, tuple[int, int, int]] = {}  # number → pid, requests, replies


def main() -> None:
    fields = json.loads(sys.stdin.readline())
    environment = str(Path(sys.executable).parent.parent)  # -S leaves sys.prefix at the base
    own = [environment, sys.base_prefix, "/usr", sys.argv[1]]
    fields["readable"] = [*own, *fields["readable"]]
    fields["rules"] = [*((path, "read") for path in own), *fields["rules"]]
    spec = SandboxSpec.from_dict(fields)
    walls = namespaces.enter_walls(spec)
    if root := os.fork():  # here the process that was started is the root, with one zygote
        os._exit(os.waitstatus_to_exitcode(os.waitpid(root, 0)[1]))
    sandbox = namespaces.enter_room(spec, walls)
    _say(1, {"value": sandbox.rootless})
    for line in sys.stdin:
        order = json.loads(line)
        if "start" in order:
            reply = _start(sandbox, order["start"])
        elif "kill" in order:
            reply = _kill(order["kill"])
        elif order["to"] is None:
            reply = _run(order["source"])
        else:
            reply = _ask(order["to"], line)
        _say(1, reply)


def _start(sandbox: ZygoteSandbox, number: int) -> dict[str, Any]:
    requests, ask = os.pipe()
    listen, replies = os.pipe()
    sandbox.before_fork()
    pid = os.fork()
    if pid == 0:
        _be_kernel(sandbox, number, requests, replies)
    sandbox.after_fork()
    os.close(requests)
    os.close(replies)
    _kernels[number] = pid, ask, listen
    return _reply(number)


def _be_kernel(sandbox: ZygoteSandbox, number: int, requests: int, replies: int) -> NoReturn:
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        sandbox.enter_kernel(number, keep=(requests, replies))
        _say(replies, {"value": "ready"})
        with os.fdopen(requests) as lines:
            for line in lines:
                _say(replies, _run(json.loads(line)["source"]))
    except BaseException:
        _say(replies, {"failed": traceback.format_exc(limit=-1)})
    finally:
        os._exit(70)


def _ask(number: int, line: str) -> dict[str, Any]:
    with contextlib.suppress(BrokenPipeError):
        os.write(_kernels[number][1], line.encode())
    return _reply(number)


def _reply(number: int) -> dict[str, Any]:
    pid, ask, listen = _kernels[number]
    text = b""
    while not text.endswith(b"\n"):
        chunk = os.read(listen, 1 << 16)
        if not chunk:
            del _kernels[number]
            os.close(ask)
            os.close(listen)
            return {"dead": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}
        text += chunk
    return dict(json.loads(text))


def _kill(number: int) -> dict[str, Any]:
    os.kill(_kernels[number][0], signal.SIGKILL)
    return _reply(number)


def _run(source: str) -> dict[str, Any]:
    scope: dict[str, Any] = {
        "attempt": attempt, "system_call": system_call, "ctypes": ctypes, "os": os,
        "signal": signal, "threading": threading, "sys": sys,
    }  # fmt: skip
    try:
        exec(source, scope)
        return {"value": scope.get("value")}
    except BaseException as error:
        return {"failed": f"{type(error).__name__}: {error}\n{traceback.format_exc()}"}


def attempt(function: Any, *arguments: Any) -> str:
    """Return what stopped a call: an errno's name or an exception's; "done" if nothing did."""
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    except Exception as error:
        return type(error).__name__
    return "done"


def system_call(name: str, *arguments: int) -> None:
    """Make a system call by the name that the filter knows it by."""
    libc = ctypes.CDLL(None, use_errno=True)
    number = {"setuid": {"x86_64": 105, "aarch64": 146}[os.uname().machine]}.get(
        name, seccomp.denied_calls(os.uname().machine).get(name)
    )
    assert number is not None, name
    if libc.syscall(ctypes.c_long(number), *(ctypes.c_long(value) for value in arguments)) < 0:
        raise OSError(ctypes.get_errno(), name)


def _say(descriptor: int, message: dict[str, Any]) -> None:
    text = json.dumps(message).encode() + b"\n"
    while text:
        text = text[os.write(descriptor, text) :]


if __name__ == "__main__":
    main()
