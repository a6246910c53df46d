"""Hostile code in a copy of a kernel, aimed at the original, at another copy and at the host.

Run as a program by test_fork.py, as this user and as an ordinary one: prints one JSON object,
attack → what stopped it, "done" where nothing did.
"""

import asyncio
import json

from benchside_kernels.attacks import PRELUDE
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.session import KernelSession

VICTIM = """
import os, socket, time
secret = "kept" + "-by-the-victim"
open("mine", "w").write(secret)
listener = socket.socket(socket.AF_UNIX)
listener.bind("\\0victim-" + str(os.getpid()))
listener.listen()
"""
INTACT = """
import resource
[secret, open("mine").read(), os.getpriority(os.PRIO_PROCESS, 0), len(os.sched_getaffinity(0)),
 os.sched_getscheduler(0), resource.getrlimit(resource.RLIMIT_CPU), sorted(os.listdir("."))]
"""
ATTACKS = """
import signal, threading
others = {others}
def handle(pid): return os.pidfd_open(pid)
def read(pid, part): return open(f"/proc/{{pid}}/{{part}}", "rb").read(1)
def text(pid, part): return os.listdir(f"/proc/{{pid}}/{{part}}")
def lower(pid): resource.prlimit(pid, resource.RLIMIT_CPU, (0, 0))
def slow(pid): os.setpriority(os.PRIO_PROCESS, pid, 19)
def pin(pid): os.sched_setaffinity(pid, {{0}})
def idle(pid): os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
def connect(pid): socket.socket(socket.AF_UNIX).connect("\\0victim-" + str(pid))
def call_libc(name, *arguments):
    if getattr(libc, name)(*arguments) < 0: raise OSError(ctypes.get_errno(), name)
found = {{
    name: [attempt(attack, pid) for pid in others]
    for name, attack in {{
        "kill": lambda pid: os.kill(pid, 9),
        "group": lambda pid: os.killpg(max(pid, 2), 9),
        "pidfd signal": lambda pid: signal.pidfd_send_signal(handle(pid), 9),
        "ptrace": lambda pid: call("ptrace", 16, pid, 0, 0),
        "vm read": lambda pid: call("process_vm_readv", pid, 0, 0, 0, 0, 0),
        "steal descriptor": lambda pid: call("pidfd_getfd", handle(pid), 3, 0),
        "join namespaces": lambda pid: call("setns", handle(pid), 0x10020000),
        "mem": lambda pid: read(pid, "mem"),
        "environ": lambda pid: read(pid, "environ"),
        "maps": lambda pid: read(pid, "maps"),
        "descriptors": lambda pid: os.readlink(f"/proc/{{pid}}/fd/3"),
        "root": lambda pid: text(pid, "root/kernel/work"),
        "folder": lambda pid: text(pid, "cwd"),
        "limits": lower,
        "priority": slow,
        "cores": pin,
        "scheduler": idle,
        "socket": connect,
    }}.items()
}}
found |= {{
    "unshare without key": attempt(call, "unshare", 0x10020000, 0),
    "unshare with a wrong key": attempt(call, "unshare", 0x10020000, 0x1234567890ABCDEF),
    "unshare user": attempt(call, "unshare", 0x10000000, 0),
    "mount": attempt(call, "mount", 0, 0, 0, 0, 0),
    "pivot_root": attempt(call, "pivot_root", 0, 0),
    "chroot": attempt(os.chroot, "."),
    "device": attempt(os.mknod, "disk", 0o600 | stat.S_IFBLK, os.makedev(254, 0)),
    "priority of all of the user": attempt(os.setpriority, os.PRIO_USER, 0, 19),
    "become root": attempt(os.setuid, 0 if os.getuid() else 1),
    "messages": attempt(call_libc, "msgget", 7, 0o1666),
    "semaphores": attempt(call_libc, "semget", 7, 1, 0o1666),
    "named queue": attempt(call_libc, "mq_open", b"/q", 0o102, 0o666, None),
}}
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines()
              if ":\\t" in line)
found["powers"] = [status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")]
found["walls"] = [status["NoNewPrivs"], status["Seccomp"]]
print(json.dumps(found))
"""


async def main() -> None:
    async with ForkedKernels() as maker, KernelSession(maker=maker) as original:
        await original.run(VICTIM)
        async with await original.fork() as attacker, await original.fork() as sibling:
            pids = [
                json.loads(await said(one, "print(os.getpid())")) for one in (original, sibling)
            ]
            before = [await said(one, INTACT) for one in (original, sibling)]
            await attacker.run(PRELUDE)
            found = json.loads(await said(attacker, ATTACKS.format(others=[1, *pids])))
            await attacker.run("open('/kernel/work/mine', 'w').write('spoilt')")
            after = [await said(one, INTACT) for one in (original, sibling)]
            found["victims as they were"] = after == before
    print(json.dumps(found))


async def said(session: KernelSession, source: str) -> str:
    result = await session.run(source)
    assert result.status == "ok", result
    output = result.outputs[-1]
    return str(output["text"] if "text" in output else output["data"]["text/plain"])


if __name__ == "__main__":
    asyncio.run(main())
