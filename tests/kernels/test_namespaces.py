"""Attacks from inside a sandboxed kernel, as root and as an ordinary user.

Each kernel is forked by the zygote of attacked_zygote.py and runs the attack after `enter_kernel`.
"""

import contextlib
import functools
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchside_kernels import landlock, sandbox_probe, seccomp
from benchside_kernels.kernel_sandbox import SandboxSpec

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces exist on Linux only")

STAGE = Path(__file__).with_name("attacked_zygote.py")
NOBODY = 65534
WORK_MIB, MEMORY_MIB, MAX_PROCESSES = 16, 256, 24


class Zygote:
    """A running attacked_zygote.py."""

    def __init__(self, command: list[str], spec: dict[str, Any]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.rootless = self._tell(spec)["value"]
        self._started = 0

    def start(self) -> int:
        """Fork a kernel and return its number."""
        self._started += 1
        reply = self._tell({"start": self._started})
        assert reply == {"value": "ready"}, reply["failed"]
        return self._started

    def ask(self, kernel: int | None, source: str) -> Any:
        """Run `source` in a kernel, or for None in the zygote, and return its `value`."""
        reply = self._tell({"to": kernel, "source": source})
        assert "value" in reply, reply.get("failed", reply)
        return reply["value"]

    def run(self, source: str) -> Any:
        """Run `source` in a fresh kernel, kill that, return the `value`."""
        kernel = self.start()
        try:
            return self.ask(kernel, source)
        finally:
            assert self.kill(kernel) == {"dead": -signal.SIGKILL}

    def kill(self, kernel: int) -> dict[str, Any]:
        return self._tell({"kill": kernel})

    def close(self) -> int:
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()  # type: ignore[union-attr]
        self.process.stdout.close()  # type: ignore[union-attr]
        return self.process.wait(timeout=10)

    def _tell(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the zygote ended: {self.process.wait(timeout=10)}"
        return dict(json.loads(line))


@functools.cache
def python_for_nobody() -> str | None:
    """A Python that an ordinary user may execute; None without one or without setpriv."""
    # stat: setpriv still has root's powers when it executes a file in a folder of root's
    recent = "import os, sys, ctypes; os.stat(sys.executable); 1 / (sys.version_info >= (3, 11))"
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        check = as_nobody(python, "-I", "-S", "-c", recent)
        with contextlib.suppress(OSError):
            if subprocess.run(check, capture_output=True, check=False).returncode == 0:
                return python
    return None


def as_nobody(*command: str) -> list[str]:
    ids = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return ["setpriv", *ids, *command]


@pytest.fixture(scope="module")
def stage() -> Iterator[Path]:
    """A folder that every user can read: the package, the stage, and data with a hidden file."""
    folder = Path(tempfile.mkdtemp(prefix="bs-stage-"))
    room = folder / "room"
    shutil.copytree(
        Path(seccomp.__file__).parent, room / "benchside_kernels",
        ignore=shutil.ignore_patterns("__pycache__"),
    )  # fmt: skip
    shutil.copy(STAGE, room)
    for name in ("data/open.txt", "data/answers/key.txt", "data/more/open.txt", "other/file.txt"):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(name)
    (folder / "linked").symlink_to("data")
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module", params=["root", "user"])
def command(request: pytest.FixtureRequest, stage: Path) -> list[str]:
    """How to start the stage as this kind of user."""
    arguments = ["-I", "-S", str(stage / "room" / STAGE.name), str(stage / "room")]
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("the tests do not run as root")
    if request.param == "root" or os.geteuid() != 0:
        return [sys.executable, *arguments]
    if shutil.which("setpriv") is None:
        pytest.skip("no setpriv to become an ordinary user")
    if python_for_nobody() is None:
        pytest.skip("no Python that an ordinary user can execute")
    return as_nobody(str(python_for_nobody()), *arguments)


@pytest.fixture(scope="module")
def spec(stage: Path) -> dict[str, Any]:
    data = stage / "data"
    rules = landlock.readable_rules(data, frozenset([data / "answers"]))
    return {
        "readable": [str(data), str(stage / "linked"), str(stage / "absent")], "rules": rules,
        "memory_mib": MEMORY_MIB, "work_mib": WORK_MIB, "max_processes": MAX_PROCESSES,
    }  # fmt: skip


@pytest.fixture(scope="module")
def zygote(command: list[str], spec: dict[str, Any]) -> Iterator[Zygote]:
    mounts = Path("/proc/self/mounts").read_text()
    running = Zygote(command, spec)
    inside = below(running.process.pid)
    yield running
    assert running.ask(None, "value = 1 + 1") == 2  # no attack took the zygote down
    assert running.close() == 0
    assert gone(inside)
    assert Path("/proc/self/mounts").read_text() == mounts


def below(root: int) -> list[int]:
    """All processes below `root`, as the host sees them."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, queue = [], [root]
    while queue:
        found += (more := children.get(queue.pop(), []))
        queue += more
    return found


def gone(pids: list[int]) -> bool:
    return soon(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


# ---- what works


def test_ordinary_work_goes_on(zygote: Zygote) -> None:
    work = zygote.run(
        """
import multiprocessing, pwd, socket, sqlite3, subprocess, tempfile, time
open("/tmp/x", "w").write("tmp")
open("/var/tmp/y", "w").write("tmp")
open("table.csv", "w").write("a,b")
threading.Thread(target=lambda: open("thread", "w")).start()
connection = sqlite3.connect("db.sqlite")
connection.execute("create table t (x)")
connection.commit()
multiprocessing.Lock()
os.symlink("table.csv", "link")
os.rename("table.csv", "sub.csv")
left, right = socket.socketpair()
open("/dev/null", "w").write("x")
value = {
    "folder": os.getcwd(), "name": pwd.getpwuid(os.getuid()).pw_name,
    "tmp": os.listdir("/kernel/tmp"),
    "shell": subprocess.check_output(["/bin/sh", "-c", "echo $((6 * 7)) | cat"]).decode(),
    "python": subprocess.check_output([sys.executable, "-I", "-S", "-c", "print(42)"]).decode(),
    "random": len(open("/dev/urandom", "rb").read(9)), "host": socket.gethostname(),
    "inner": attempt(signal.signal, signal.SIGINT, signal.default_int_handler),
}
"""
    )
    assert {"x", "y"} <= set(work.pop("tmp"))
    assert work == {
        "folder": "/kernel/work", "name": "agent", "shell": "42\n", "python": "42\n", "random": 9,
        "host": "kernel", "inner": "done",
    }  # fmt: skip


def test_readable_paths_appear_at_their_own_place(zygote: Zygote, stage: Path) -> None:
    names = ["data/open.txt", "data/more/open.txt", "linked/open.txt"]
    paths = [str(stage / name) for name in names]
    assert zygote.run(f"value = [open(path).read() for path in {paths}]") == [
        "data/open.txt", "data/more/open.txt", "data/open.txt",
    ]  # fmt: skip


def test_status_is_that_of_a_confined_process(zygote: Zygote) -> None:
    source = """
fields = dict(line.rstrip().split(":", 1) for line in open("/proc/self/status"))
value = {name: text.strip() for name, text in fields.items()}
with os.scandir("/proc/self/fd") as entries:
    value["fds"] = [os.readlink(entry.path) for entry in entries]
value["oom"] = open("/proc/self/oom_score_adj").read().strip()
value["dumpable"] = os.stat("/proc/self/maps").st_uid == os.getuid()
value["secure"] = ctypes.CDLL(None).prctl(27, 0, 0, 0, 0)
"""
    first, second = zygote.start(), zygote.start()
    status, other = zygote.ask(first, source), zygote.ask(second, source)
    for kind in ("Eff", "Prm", "Inh", "Bnd", "Amb"):
        assert int(status[f"Cap{kind}"], 16) == 0
    assert (status["Seccomp"], status["NoNewPrivs"], status["Pid"]) == ("2", "1", "1")
    assert status["secure"] == 0b11101111
    assert (status["oom"], status["dumpable"]) == ("900", True)
    uids, others = set(status["Uid"].split()), set(other["Uid"].split())
    if zygote.rootless:
        assert uids == {str(os.geteuid() or NOBODY)}
    else:
        assert len(uids) == 1
        assert not uids & others
        assert "0" not in uids
        assert status["Groups"] == ""
    streams, rest = status["fds"][:3], status["fds"][3:]
    assert streams == ["/dev/null"] * 3
    assert sorted((name.partition(":")[0] for name in rest), reverse=True) == [
        "pipe",
        "pipe",
        "/.live/proc/1/fd",
    ]
    zygote.kill(first)
    zygote.kill(second)


# ---- files


def test_files_outside_are_not_there(zygote: Zygote, stage: Path) -> None:
    outcome = zygote.run(
        f"""
import glob
stage = {str(stage)!r}
hidden = stage + "/data/answers"
value = {{
    "shadow": attempt(open, "/etc/shadow"), "other": attempt(open, stage + "/other/file.txt"),
    "other folder": os.path.exists(stage + "/other"), "home": attempt(open, "/root/.bashrc"),
    "hidden": attempt(open, hidden + "/key.txt"),
    "by link": attempt(open, stage + "/linked/answers/key.txt"),
    "aside": attempt(open, "/.host" + hidden + "/key.txt"),
    "linked in": attempt(os.link, hidden + "/key.txt", "key"),
    "run": os.path.exists("/run"), "boot": os.path.exists("/boot"),
    "disk": glob.glob("/dev/[sv]d*"), "up": attempt(open, "/../../../etc/shadow"),
    "by root": attempt(open, "/proc/self/root/etc/shadow"), "kcore": attempt(open, "/proc/kcore"),
}}
"""
    )
    assert outcome.pop("disk") == []
    assert outcome == {
        "shadow": "ENOENT", "other": "ENOENT", "other folder": False, "home": "ENOENT",
        "hidden": "EACCES", "by link": "EACCES", "aside": "EACCES",
        "linked in": outcome["linked in"], "run": False, "boot": False, "up": "ENOENT",
        "by root": "ENOENT", "kcore": outcome["kcore"],
    }  # fmt: skip
    assert outcome["linked in"] in ("EXDEV", "EACCES", "EPERM")
    assert outcome["kcore"] in ("EACCES", "EPERM", "ENOENT")


def test_nothing_but_the_own_folders_can_be_written(zygote: Zygote, stage: Path) -> None:
    places = [
        "/x", "/usr/x", "/etc/x", "/etc/passwd", "/dev/x", "/kernel/x", "/.host/x", "/.live/x",
        "/var/x", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname",
        "/proc/self/oom_score_adj", "/proc/sysrq-trigger", "/sys/devices/system/cpu/x",
        str(stage / "data/x"), str(stage / "data/open.txt"), str(stage / "room/x"),
        sys.prefix + "/x",
    ]  # fmt: skip
    outcome = zygote.run(
        f"""
import stat
value = {{path: attempt(open, path, "r+" if os.path.exists(path) else "w") for path in {places}}}
value["chmod"] = attempt(os.chmod, "/etc/passwd", 0o666)
value["unlink"] = attempt(os.unlink, "/tmp")
value["device"] = attempt(os.mknod, "disk", 0o600 | stat.S_IFBLK, os.makedev(254, 0))
value["remount"] = attempt(system_call, "mount_setattr", -100, 0, 0, 0, 0)
"""
    )
    assert {path: said for path, said in outcome.items() if said == "done"} == {}


def test_links_and_fifos_lead_nowhere(zygote: Zygote) -> None:
    outcome = zygote.run(
        """
import subprocess
os.symlink("/etc/shadow", "shadow")
os.symlink("/proc/1/root/../../etc/shadow", "up")
os.mkfifo("fifo")
open("su", "wb").write(b"#!/bin/sh\\nid -u\\n")
os.chmod("su", 0o4755)
value = {
    "shadow": attempt(open, "shadow"), "up": attempt(open, "up"),
    "hard link": attempt(os.link, "/usr/bin/env", "env"),
    "fifo": attempt(os.open, "fifo", os.O_WRONLY | os.O_NONBLOCK),
    "set-uid": [subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True).stdout
                for line in ("id -u", "./su", "su -c 'id -u'")],
    "uid": str(os.getuid()),
}
"""
    )
    uids = {text.strip() for text in outcome.pop("set-uid") if text}
    assert uids == {outcome.pop("uid")}
    assert outcome.pop("hard link") in ("EXDEV", "EACCES", "EPERM")
    assert outcome == {"shadow": "ENOENT", "up": "ENOENT", "fifo": "ENXIO"}


def test_writes_stop_at_one_quota(zygote: Zygote) -> None:
    outcome = zygote.run(
        """
import errno
def fill(name):
    written = 0
    with open(name, "wb", buffering=0) as file:
        try:
            while True: written += file.write(bytes(1 << 20))
        except OSError as error: return written >> 20, errno.errorcode[error.errno]
value = [fill(name) for name in ("/tmp/a", "/dev/shm/b", "/kernel/work/c")]
def inodes():
    for n in range(10**6): os.mkdir(f"/tmp/{n}")
os.unlink("/tmp/a")
value.append(attempt(inodes))
"""
    )
    assert outcome[0][0] + 1 in range(WORK_MIB - 2, WORK_MIB + 2)
    assert outcome[1:] == [[0, "ENOSPC"], [0, "ENOSPC"], "ENOSPC"]


# ---- processes


def test_other_processes_cannot_be_seen_or_touched(zygote: Zygote) -> None:
    victim = zygote.start()
    zygote.ask(victim, "value = 0")
    pids = [os.getpid(), zygote.process.pid, *below(zygote.process.pid)]
    outcome = zygote.run(
        f"""
pids = {pids}
value = {{
    "seen": [name for name in os.listdir("/proc") if name.isdigit()],
    "parent": os.getppid(), "all": attempt(os.kill, -1, signal.SIGKILL),
    "kill": [attempt(os.kill, pid, signal.SIGKILL) for pid in pids],
    "memory": [attempt(open, f"/proc/{{pid}}/mem") for pid in pids],
    "ptrace": [attempt(system_call, "ptrace", 16, pid, 0, 0) for pid in (*pids, 1, 0)],
    "read": [attempt(system_call, "process_vm_readv", pid, 0, 0, 0, 0, 0) for pid in pids],
    "zygote's files": attempt(os.listdir, "/proc/1/root/kernel/tmp/zygote"),
}}
"""
    )
    assert outcome["seen"] == ["1"]
    assert outcome["parent"] == 0
    assert set(outcome["kill"]) == {"ESRCH"}
    assert set(outcome["memory"]) == {"ENOENT"}
    assert set(outcome["ptrace"] + outcome["read"]) == {"EPERM"}
    assert outcome["zygote's files"] == "ENOENT"
    assert outcome["all"] in ("ESRCH", "EPERM", "done")  # nobody but itself is there to be hit
    assert zygote.ask(victim, "value = 'alive'") == "alive"
    zygote.kill(victim)


def test_siblings_share_nothing(zygote: Zygote) -> None:
    first = zygote.start()
    zygote.ask(None, "open('/kernel/tmp/zygote', 'w').write('scratch')")
    zygote.ask(
        first,
        """
import socket
open("secret", "w").write("mine")
open("/dev/shm/shared", "w").write("mine")
open("/tmp/file", "w").write("mine")
listeners = []
for name in ("\\0abstract", "/tmp/socket"):
    listeners.append(socket.socket(socket.AF_UNIX))
    listeners[-1].bind(name)
    listeners[-1].listen()
sys.kept = listeners
""",
    )
    outcome = zygote.run(
        """
import socket
value = {
    "files": [os.listdir(f"/kernel/{name}") for name in ("work", "shm")] + [
        [name for name in os.listdir("/tmp") if name in ("file", "socket", "zygote")]],
    "abstract": attempt(socket.socket(socket.AF_UNIX).connect, "\\0abstract"),
    "named": attempt(socket.socket(socket.AF_UNIX).connect, "/tmp/socket"),
    "System V": attempt(system_call, "shmget", 7, 4096, 0o1666),
}
"""
    )
    assert outcome == {
        "files": [[], [], []], "abstract": outcome["abstract"], "named": "ENOENT",
        "System V": "EPERM",
    }  # fmt: skip
    assert outcome["abstract"] in ("EPERM", "ECONNREFUSED")
    assert zygote.ask(first, "value = os.listdir()") == ["secret"]
    zygote.kill(first)


def test_bombs_stop_at_the_limit_and_siblings_go_on(zygote: Zygote) -> None:
    sibling, bomber = zygote.start(), zygote.start()
    outcome = zygote.ask(
        bomber,
        """
import time
value = {"processes": 0, "threads": 0}
pids = []
try:
    while True:
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        pids.append(pid)
except OSError as error: value["fork"] = error.errno
sys.kept = pids
value["processes"] = len(pids)
""",
    )
    start_some = """
import subprocess
value = [subprocess.run(["/bin/echo", "x"], capture_output=True).stdout.decode() for _ in "abc"]
"""
    assert zygote.ask(sibling, start_some) == ["x\n"] * 3
    assert outcome == {"processes": MAX_PROCESSES - 1, "threads": 0, "fork": 11}
    threads = zygote.ask(
        bomber,
        """
for pid in sys.kept:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
end, started = threading.Event(), []
try:
    while True:
        started.append(threading.Thread(target=end.wait))
        started[-1].start()
except RuntimeError: started.pop()
value = len(started)
end.set()
for thread in started: thread.join()
""",
    )
    assert threads == MAX_PROCESSES - 1
    for kernel in (sibling, bomber):
        zygote.kill(kernel)


def test_memory_ends_in_memory_error(zygote: Zygote) -> None:
    kernel = zygote.start()
    outcome = zygote.ask(
        kernel,
        """
value = [attempt(bytearray, 50 << 30)]
kept = []
try:
    while True: kept.append(bytearray(8 << 20))
except MemoryError: value.append(len(kept) * 8)
del kept
""",
    )
    assert outcome[0] == "MemoryError"
    assert MEMORY_MIB // 2 < outcome[1] <= MEMORY_MIB
    assert zygote.ask(kernel, "value = 1 + 1") == 2
    zygote.kill(kernel)


def test_limits_cannot_be_raised(zygote: Zygote) -> None:
    outcome = zygote.run(
        """
import resource
value = {}
for name in ("DATA", "NPROC", "NOFILE", "FSIZE", "CORE"):
    which = getattr(resource, f"RLIMIT_{name}")
    soft, hard = resource.getrlimit(which)
    value[name] = [soft == hard, attempt(resource.setrlimit, which, (hard + 1, hard + 1)),
                   attempt(resource.setrlimit, which, (-1, -1))]
value["priority"] = attempt(os.setpriority, os.PRIO_PROCESS, 0, -5)
value["OOM"] = attempt(lambda: open("/proc/self/oom_score_adj", "w").write("-900"))
"""
    )
    priority, oom = outcome.pop("priority"), outcome.pop("OOM")
    assert "done" not in (priority, oom)
    for name, (same, more, unlimited) in outcome.items():
        assert same, name
        assert (more, unlimited) == ("ValueError", "ValueError"), name


# ---- network and system calls


def test_there_is_no_network(zygote: Zygote) -> None:
    with tempfile.TemporaryDirectory() as folder:
        import socket

        host_socket = f"{folder}/s"
        with socket.socket(socket.AF_UNIX) as named, socket.socket(socket.AF_UNIX) as abstract:
            named.bind(host_socket)
            named.listen()
            abstract.bind("\0bs-test-host")
            abstract.listen()
            outcome = zygote.run(
                f"""
import socket
def unix(name): socket.socket(socket.AF_UNIX).connect(name)
value = {{
    "tcp": attempt(socket.create_connection, ("127.0.0.1", 80), 1),
    "udp": attempt(socket.socket, socket.AF_INET, socket.SOCK_DGRAM),
    "tcp6": attempt(socket.socket, socket.AF_INET6),
    "netlink": attempt(socket.socket, socket.AF_NETLINK),
    "packet": attempt(socket.socket, socket.AF_PACKET, socket.SOCK_RAW),
    "dns": attempt(socket.getaddrinfo, "example.org", 80), "named": attempt(unix, {host_socket!r}),
    "abstract": attempt(unix, "\\0bs-test-host"),
    "interfaces": [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line],
    "routes": open("/proc/net/route").read().splitlines()[1:],
}}
"""
            )
    assert outcome == {
        "tcp": "EAFNOSUPPORT", "udp": "EAFNOSUPPORT", "tcp6": "EAFNOSUPPORT",
        "netlink": "EAFNOSUPPORT", "packet": "EAFNOSUPPORT", "named": "ENOENT",
        "dns": outcome["dns"],
        "abstract": outcome["abstract"], "interfaces": ["lo"], "routes": [],
    }  # fmt: skip
    assert outcome["abstract"] in ("ECONNREFUSED", "EPERM")
    assert outcome["dns"] != "done"


def test_powerful_system_calls_are_refused(zygote: Zygote) -> None:
    names = sorted(seccomp.denied_calls(platform.machine()))
    outcome = zygote.run(
        f"""
value = {{name: attempt(system_call, name, 0, 0, 0, 0, 0) for name in {names}}}
value["setuid"] = attempt(os.setuid, 0)
value["setgid"] = attempt(os.setgid, 0)
value["setgroups"] = attempt(os.setgroups, [0])
value["chroot"] = attempt(os.chroot, "/kernel/work")
value["namespace"] = attempt(os.open, "/proc/1/ns/mnt", os.O_RDONLY)
libc = ctypes.CDLL(None, use_errno=True)
new_user = 0x10000000 | 17
value["clone"] = libc.syscall({56 if platform.machine() == "x86_64" else 220}, new_user, 0, 0, 0, 0)
"""
    )
    assert outcome.pop("namespace") in ("done", "EACCES")  # of itself: there is nobody else
    assert outcome.pop("clone") == -1
    assert outcome.pop("setuid") in ("EPERM", "EINVAL")
    assert outcome.pop("setgid") in ("EPERM", "EINVAL")
    assert outcome.pop("setgroups") == "EPERM"
    assert set(outcome.values()) == {"EPERM"}, outcome


# ---- ends


def test_what_a_kernel_leaves_behind_dies_with_it(zygote: Zygote) -> None:
    kernel = zygote.start()
    before = set(below(zygote.process.pid))
    zygote.ask(
        kernel,
        """
import time
if os.fork() == 0:
    os.setsid()
    if os.fork(): os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
os.wait()
""",
    )
    left = set(below(zygote.process.pid)) - before
    assert len(left) == 1
    assert zygote.kill(kernel) == {"dead": -signal.SIGKILL}
    assert gone(list(left))


@pytest.mark.parametrize("victim", ["outer", "root", "zygote's outer", "zygote", "host"])
def test_one_death_takes_all_down(command: list[str], spec: dict[str, Any], victim: str) -> None:
    host = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    python = command[0] if victim != "host" else sys.executable
    started = [python, "-c", host, *command] if victim == "host" else command
    zygote = Zygote(started, spec)
    zygote.ask(zygote.start(), "import subprocess; subprocess.Popen(['/bin/sleep', '600'])")
    everyone = [zygote.process.pid, *below(zygote.process.pid)]
    # outer, root, zygote's outer, zygote, kernel, sleep
    assert len(everyone) == (7 if victim == "host" else 6)
    order = ("host",) if victim == "host" else ("outer", "root", "zygote's outer", "zygote")
    os.kill(everyone[order.index(victim)], signal.SIGKILL)
    assert zygote.close() != 0
    assert gone(everyone)


def test_outer_processes_hold_nothing_open(zygote: Zygote) -> None:
    outer = zygote.process.pid, below(zygote.process.pid)[1]
    for pid in outer:
        names = [path.readlink() for path in Path(f"/proc/{pid}/fd").iterdir()]
        assert len(names) == 1  # the pipe by which the inner process learnt that it was alive
        assert names[0].name.startswith("pipe:")


def test_exit_codes_pass_through(command: list[str], spec: dict[str, Any]) -> None:
    zygote = Zygote(command, spec)
    assert zygote.process.stdin is not None
    order = {"to": None, "source": "os._exit(7)"}
    zygote.process.stdin.write(json.dumps(order).encode() + b"\n")
    zygote.process.stdin.flush()
    assert zygote.close() == 7


# ---- older systems


@pytest.mark.parametrize("abi", [1, 3, 5])
def test_an_older_landlock_still_confines(abi: int, stage: Path) -> None:
    room = str(Path(seccomp.__file__).parent)
    spec = SandboxSpec(
        (sys.base_prefix, room, str(stage / "data")),
        ((room, landlock.READ), (str(stage / "data/more"), landlock.READ)), memory_mib=64,
    )  # fmt: skip
    outcome = entering(
        f"""
import socket
landlock.abi = lambda: {abi}
def start(slot, work):
    sandbox.before_fork()
    if os.fork() == 0:
        sandbox.enter_kernel(slot)
        work()
        os._exit(0)
    sandbox.after_fork()
    print(os.waitstatus_to_exitcode(os.wait()[1]), end=" ")
def listen():
    listener.bind(chr(0) + "sibling")
    listener.listen()
def attack():
    open("own", "w").close()
    assert open({str(stage / "data/more/open.txt")!r}).read()
    for stopped, act in (
        (PermissionError, lambda: open({str(stage / "data/answers/key.txt")!r})),
        (PermissionError, lambda: os.listdir("/usr")),
        (ConnectionRefusedError, lambda: socket.socket(socket.AF_UNIX).connect(chr(0) + "sibling")),
    ):
        try: act()
        except stopped: continue
        os._exit(1)
""",
        spec,
        """for number, work in enumerate([listen, attack]):
        listener = socket.socket(socket.AF_UNIX)
        start(number, work)""",
    )
    assert outcome == "0 0"


# ---- refusals


def entering(prepare: str, spec: SandboxSpec, then: str = "") -> str:
    """The SandboxError that a process gets which enters after `prepare`, and does `then`."""
    script = f"""
import json, os, sys
from benchside_kernels import kernel_sandbox, landlock, linux, namespaces, seccomp
spec = kernel_sandbox.SandboxSpec.from_dict(json.loads(sys.argv[1]))
{prepare}
try:
    sandbox = namespaces.enter_zygote(spec)
    {then or "print('entered')"}
except linux.SandboxError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(asdict(spec))],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert not done.stderr
    return done.stdout.strip()


def test_refusals_name_the_reason(tmp_path: Path) -> None:
    def spec(*readable: str) -> SandboxSpec:
        return SandboxSpec((sys.prefix, sys.base_prefix, *readable), (), memory_mib=64)

    (tmp_path / "root").symlink_to("/")
    assert "its own /etc" in entering("", spec("/etc"))
    assert "its own /" in entering("", spec(str(tmp_path / "root")))
    assert "its own /proc" in entering("", spec("/proc/sys"))
    assert "not absolute" in entering("", spec("usr"))
    assert "not absolute" in entering("", spec("/usr/../etc"))
    forbidden = entering("seccomp.install()", spec())
    assert forbidden.startswith("no sandbox: ")
    assert "Operation not permitted" in forbidden
    if os.geteuid() == 0:
        public = SandboxSpec(("/usr",), (), memory_mib=64)
        mask = """
linux.unshare(linux.NEWNS, "masking")
linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
linux.mount("tmpfs", "/proc/sys", "tmpfs", 0)
os.setresuid(65534, 65534, 65534)
linux.prctl(linux.PR_SET_DUMPABLE, 1, "as after exec")
"""
        assert "/proc is masked, as in a container" in entering(mask, public)
    (tmp_path / "shut").mkdir(mode=0o700)
    if os.geteuid() == 0:
        assert f"chmod -R a+rX {tmp_path}/shut" in entering("", spec(str(tmp_path / "shut")))
    else:
        assert entering("", spec(str(tmp_path / "shut"))) == "entered"
    # a step that fails is told, whichever it is
    room = spec(str(Path(seccomp.__file__).parent))
    assert "slot 4096" in entering("", room, "sandbox.enter_kernel(4096)")
    assert entering("", room, "os.close(sandbox.descriptors[1]); sandbox.enter_kernel(0)") == (
        "kernel not confined: Landlock: [Errno 9] landlock_restrict_self: Bad file descriptor"
    )


def test_a_spec_survives_json() -> None:
    spec = SandboxSpec(("/usr",), (("/usr", "read"),), memory_mib=64, first_uid=300_000)
    assert SandboxSpec.from_dict(json.loads(json.dumps(asdict(spec)))) == spec
    with pytest.raises(ValueError, match="typo"):
        SandboxSpec.from_dict({**asdict(spec), "typo": 1})


def test_the_probe_tells_whether_the_sandbox_works(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sandbox_probe.probe() is None
    with monkeypatch.context() as patch:
        patch.setattr(platform, "machine", lambda: "riscv64")
        assert "riscv64" in str(sandbox_probe.probe())
    with monkeypatch.context() as patch:
        patch.setattr(landlock, "abi", lambda: 0)
        assert "no Landlock" in str(sandbox_probe.probe())
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "darwin")
        assert "Linux only" in str(sandbox_probe.probe())
    script = (
        "from benchside_kernels import sandbox_probe, seccomp; seccomp.install(); "
        "print(sandbox_probe.probe())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert "Operation not permitted" in done.stdout
