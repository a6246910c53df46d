"""The sandbox probe: enters the sandbox in a process of its own and looks around from inside."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from benchside_kernels import landlock, seccomp
from benchside_kernels.kernel_sandbox import SandboxSpec
from benchside_kernels.namespaces import enter_zygote
from benchside_kernels.program import program
from benchside_kernels.tree import WORK

_ROOM = Path(__file__).resolve().parent
_CAPABILITY_SETS = ("Eff", "Prm", "Inh", "Bnd", "Amb")
_TIMEOUT_S = 30


def probe() -> str | None:
    """Return why there is no sandbox here; it takes about 0.2 s.

    Returns:
        None where it works and confines; else one phrase: the reason and, where known, the cure.
    """
    if sys.platform != "linux":
        return "namespaces exist on Linux only: run in a Linux machine or container"
    if platform.machine() not in seccomp.MACHINES:
        known = ", ".join(seccomp.MACHINES)
        return f"no system call filter for this machine ({platform.machine()}; known: {known})"
    if landlock.abi() < 1:
        return "no Landlock, which hides answer keys: Linux 5.13 or later with lsm=...,landlock"
    with tempfile.NamedTemporaryFile(prefix="bs-probe-") as marker:
        os.fchmod(marker.fileno(), 0o644)
        script = program("sandbox_probe", f"look({marker.name!r})")
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-S", "-c", script],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"the sandbox did not answer within {_TIMEOUT_S} s"
    return _verdict(done)


def _verdict(done: subprocess.CompletedProcess[str]) -> str | None:
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    if done.returncode != 0 or not lines:
        said = lines[-1] if lines else f"the sandbox's process ended with {done.returncode}"
        return said.rpartition("SandboxError: ")[2].removeprefix("no sandbox: ")
    holes = json.loads(lines[-1])
    return "the sandbox does not confine: " + "; ".join(holes) if holes else None


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
