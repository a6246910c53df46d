"""What the sandbox probe's process does: enter the sandbox and look around from inside.

Started by `namespaces.probe`, in a process of its own.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from benchside_kernels import landlock
from benchside_kernels.namespaces import SandboxSpec, enter_zygote
from benchside_kernels.tree import WORK

_ROOM = Path(__file__).resolve().parent
_CAPABILITY_SETS = ("Eff", "Prm", "Inh", "Bnd", "Amb")


def look(marker: str) -> None:
    """The probe's process: enter, fork one kernel, print what it finds wrong as a JSON list."""
    room = str(_ROOM)
    sandbox = enter_zygote(SandboxSpec((room,), ((room, landlock.READ),), memory_mib=256))
    sandbox.before_fork()
    kernel = os.fork()
    if kernel == 0:
        code = 1
        try:
            sandbox.enter_kernel(0)
            os.write(1, json.dumps(_holes(marker)).encode() + b"\n")
            code = 0
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(code)
    sandbox.after_fork()
    _, status = os.waitpid(kernel, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 255)


def _holes(marker: str) -> list[str]:
    """Look around in a kernel: what is there that should not be."""
    lines = Path("/proc/self/status").read_text().splitlines()
    status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    network = Path("/proc/net/dev").read_text().splitlines()[2:]
    routes = Path("/proc/net/route").read_text().splitlines()[1:]
    numbers = [path.name for path in Path("/proc").iterdir() if path.name.isdigit()]
    seen = {
        "a file of the host can be seen": Path(marker).exists(),
        "the work folder cannot be written": not os.access(WORK, os.W_OK),
        "the root folder can be written": os.access("/", os.W_OK),
        "foreign processes can be seen": numbers != ["1"],
        "there is a network": bool(routes) or any("lo:" not in line for line in network),
        "system calls are not filtered": status["Seccomp"] != "2",
        "privileges can be gained": status["NoNewPrivs"] != "1",
        "capabilities are left": any(int(status[f"Cap{kind}"], 16) for kind in _CAPABILITY_SETS),
    }
    return [phrase for phrase, wrong in seen.items() if wrong]
