"""Copies of live kernels: all state, independent both ways, in odd conditions, and confined."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from benchside_kernels.cell import Submission
from benchside_kernels.errors import KernelStartError, SessionClosedError
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.forked_kernel import ForkedKernel
from benchside_kernels.image import KernelImage
from benchside_kernels.request import KernelRequest
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.self_test import self_test
from benchside_kernels.session import KernelSession
from tests.kernels.processes import below, gone, is_running, newest_child, open_descriptors, until
from tests.kernels.test_attacks import NOBODY, readable_python  # noqa: F401 (a fixture)


@pytest.fixture(autouse=True)
def _sandbox() -> None:
    if problem := sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")


@pytest.fixture
async def maker() -> AsyncIterator[ForkedKernels]:
    async with ForkedKernels(stock=0) as maker:
        yield maker


@pytest.fixture
async def session(maker: ForkedKernels) -> AsyncIterator[KernelSession]:
    async with KernelSession(maker=maker, seed=5) as session:
        yield session


async def value(session: KernelSession, source: str) -> str:
    result = await session.run(source, timeout_s=30)
    assert result.status == "ok", result
    output = result.outputs[-1]
    return str(output["text"] if "text" in output else output["data"]["text/plain"])


async def test_variables_and_folder_are_there_and_go_on_apart(
    session: KernelSession, image: KernelImage
) -> None:
    await session.run(
        "import os, numpy as np\nx = [1]\nos.makedirs('deep/er'); os.chdir('deep/er')\n"
        "open('/kernel/work/shared.txt', 'w').write('before'); a = np.arange(3)"
    )
    async with await session.fork() as copy:
        assert copy.lost_threads == ()
        look = "x, a.tolist(), os.getcwd(), open('/kernel/work/shared.txt').read()"
        for one in (session, copy):
            assert await value(one, look) == "([1], [0, 1, 2], '/kernel/work/deep/er', 'before')"
        write = "x.append({0!r}); a[:] = 7; open('/kernel/work/shared.txt', 'w').write({0!r}); 0"
        await value(copy, write.format("copy"))
        assert await value(session, look) == "([1], [0, 1, 2], '/kernel/work/deep/er', 'before')"
        await value(session, write.format("original"))
        await session.run("")
        await session.run("os.chdir('/tmp'); os.mkdir('mine')")
        found = "([1, 'copy'], [7, 7, 7], '/kernel/work/deep/er', 'copy')"
        assert await value(copy, look) == found
        assert await value(copy, "os.path.exists('/tmp/mine')") == "False"
        assert (await copy.run("!echo hello")).outputs[-1]["text"] == "hello\n"


async def test_files_of_every_kind_are_copied(session: KernelSession) -> None:
    await session.run(
        """
import os, stat
os.mkfifo("fifo"); os.symlink("target", "link"); os.symlink("/etc", "away")
open("empty", "w").close(); open("target", "w").write("aimed at")
open("/tmp/t", "w").write("t"); open("/dev/shm/s", "w").write("s")
os.makedirs("/".join(["d"] * 60)); open("/".join(["d"] * 60) + "/leaf", "w").write("leaf")
os.mkdir("closed"); open("closed/in", "w").write("in"); os.chmod("closed/in", 0o400)
os.chmod("closed", 0o500); os.chmod("target", 0o741)
kept = open("log", "w"); kept.write("one "); kept.flush()
"""
    )
    look = """
print(stat.S_ISFIFO(os.lstat("fifo").st_mode), os.readlink("link"), os.readlink("away"),
      os.path.getsize("empty"), open("link").read(), open("/tmp/t").read(),
      open("/dev/shm/s").read(), open("/".join(["d"] * 60) + "/leaf").read(),
      open("closed/in").read(), oct(os.stat("closed").st_mode), oct(os.stat("target").st_mode),
      open("log").read())
"""
    expected = "True target /etc 0 aimed at t s leaf in 0o40500 0o100741 one \n"
    async with await session.fork() as copy:
        assert await value(copy, look) == expected
        await value(copy, "for name in ('fifo', 'target'): os.unlink(name)\n0")
        assert await value(session, look) == expected
        await value(copy, "open('log', 'a').write('two'); 0")
        assert await value(session, "open('log').read()") == "'one '"


async def test_random_numbers_go_on_or_start_anew(session: KernelSession) -> None:
    draw = "import random, numpy as np\nrandom.random(), float(np.random.rand())"
    await value(session, draw)
    async with (
        await session.fork() as same,
        await session.fork(seed=9) as other,
        await session.fork(seed=9) as again,
    ):
        found = [await value(one, draw) for one in (session, same, other, again)]
    assert found[0] == found[1]
    assert found[2] == found[3] != found[0]


async def test_copies_of_copies_and_either_end_first(maker: ForkedKernels) -> None:
    async with contextlib.AsyncExitStack() as stack:
        generations = [await stack.enter_async_context(KernelSession(maker=maker))]
        for number in range(5):
            await value(generations[-1], f"n = {number}; open('n', 'w').write('{number}')")
            generations.append(await stack.enter_async_context(await generations[-1].fork()))
        await generations[0].close()  # the parent first
        await generations[3].close()
        look = "n, open('n').read()"
        found = [await value(generations[at], look) for at in (1, 2, 4, 5)]
        assert found == ["(1, '1')", "(2, '2')", "(4, '4')", "(4, '4')"]
        async with await generations[5].fork() as last:
            await generations[5].close()
            assert await value(last, look) == "(4, '4')"
        inside = below(newest_child())
        for one in generations:
            await one.close()
        await until(
            lambda: len(below(newest_child())) == 6
        )  # root, nursery, zygote, two outer, cradle
        assert inside


@pytest.mark.parametrize("end", ["os._exit(3)", "os.kill(os.getpid(), 9)", "exit()"])
async def test_a_copy_lives_on_when_the_original_dies_and_the_other_way_round(
    session: KernelSession, end: str
) -> None:
    await session.run("import os; x = 42; os.environ['K'] = 'k'")
    async with await session.fork() as copy:
        result = await copy.run(end)
        assert not result.state_survived
        assert await value(session, "x") == "42"
    async with await session.fork() as copy:
        result = await session.run(end)
        assert not result.state_survived
        if end == "os._exit(3)":
            assert "exit code 3" in result.note
        assert await value(copy, "x, os.environ['K']") == "(42, 'k')"
        with pytest.raises(SessionClosedError):
            await session.fork()
        await session.restart()
        assert (await session.run("x")).status == "error"
        assert await value(copy, "x") == "42"


async def test_kernels_in_odd_states_can_be_copied(session: KernelSession) -> None:
    await session.run(
        """
import asyncio, os, signal, threading, time
heard = []
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
ticks = []
async def tick():
    while True:
        ticks.append(1)
        await asyncio.sleep(0.01)
task = asyncio.get_running_loop().create_task(tick())
held = threading.Lock()
def hold():
    held.acquire()
    time.sleep(600)
thread = threading.Thread(target=hold, name="holder", daemon=True)
thread.start()
import subprocess
child = subprocess.Popen(["sleep", "600"])
"""
    )
    async with await session.fork() as copy:
        assert len(copy.lost_threads) == 1
        assert await value(copy, "os.kill(os.getpid(), signal.SIGUSR1); heard") == "[1]"
        assert await value(session, "heard") == "[]"
        assert await value(copy, "[thread.name for thread in threading.enumerate()]") == (
            "['MainThread']"
        )
        count = "n = len(ticks); await asyncio.sleep(0.2); len(ticks) > n"
        assert await value(session, count) == "True"
        assert await value(copy, count) == "False", "background tasks stay behind"
        assert await value(copy, "await asyncio.sleep(0.01, 'a new loop runs')") == (
            "'a new loop runs'"
        )
        # a thread of its own, a child of its own, an interrupt, and a copy of it
        assert (await copy.run("while True: pass", timeout_s=0.3)).state_survived
        async with await copy.fork() as second:
            assert await value(second, "t = threading.Thread(target=print); t.start(); 7") == "7"
        assert await value(session, "child.poll() is None") == "True"


async def test_at_its_limit_of_processes_a_kernel_says_so_and_goes_on(
    session: KernelSession,
) -> None:
    await session.run(
        "import os, signal, time\npids = []\ntry:\n"
        "    while True:\n        pid = os.fork()\n"
        "        if pid == 0: time.sleep(600)\n        pids.append(pid)\n"
        "except OSError: pass"
    )
    with pytest.raises(KernelStartError, match="the kernel cannot fork"):
        await session.fork()
    assert await value(session, "len(pids) > 50") == "True"
    await session.run("for pid in pids: os.kill(pid, 9); os.waitpid(pid, 0)")
    async with await session.fork() as copy:
        assert await value(copy, "6 * 7") == "42"


async def test_with_its_quota_filled_a_kernel_can_be_copied_or_says_why(
    session: KernelSession,
) -> None:
    await session.run(
        "try:\n    with open('fill', 'wb') as file:\n"
        "        while True: file.write(bytes(1 << 20))\nexcept OSError: pass"
    )
    size = "import os; os.path.getsize('fill') >> 20"
    filled = await value(session, size)
    try:
        async with await session.fork() as copy:
            assert await value(copy, size) == filled
    except KernelStartError as error:
        assert "No space left" in str(error)
    assert await value(session, size) == filled
    await session.run("os.unlink('fill')")
    async with await session.fork() as copy:
        assert await value(copy, "6 * 7") == "42"


async def test_an_answer_counts_once_over_the_fork(session: KernelSession) -> None:
    async with await session.fork() as before:
        assert (await session.run("submit(1)")).submission == Submission(1)
        assert (await before.run("submit(2)")).submission == Submission(2)
        async with await session.fork() as after:
            result = await after.run("submit(3)")
            assert result.status == "error"
            assert result.submission is None


async def test_what_cannot_be_copied_is_refused(session: KernelSession) -> None:
    async with await session.fork() as copy:
        await copy.attach()
        with pytest.raises(SessionClosedError):
            await copy.fork()
    async with await session.fork() as copy:
        await copy.run("import os; os._exit(0)")
        with pytest.raises(SessionClosedError):
            await copy.fork()
    await session.close()
    with pytest.raises(SessionClosedError):
        await session.fork()


async def test_a_kernel_that_dies_while_it_is_copied(session: KernelSession) -> None:
    # a fork while a cell runs waits for the cell's end, which here is the kernel's
    running = asyncio.create_task(session.run("import os, time; time.sleep(0.5); os._exit(1)"))
    await asyncio.sleep(0.1)
    with pytest.raises(KernelStartError, match="the kernel ended"):
        await session.fork()
    assert (await running).status == "dead"


FALSE_HANDLE = """
import os
from benchside_kernels import live_copy
def handle(pid): return {handle}
live_copy.os.pidfd_open, genuine = handle, os.pidfd_open
"""


@pytest.mark.parametrize(
    ("handle", "said"),
    [
        ("genuine(1)", "process 1, which is not new"),
        ("genuine(os.getppid() or 2)", "which is not new"),
        ("genuine(2)", "process 2, which is not new"),
        ("os.open('/dev/null', 0)", "no handle on its copy"),
    ],
)
async def test_a_kernel_that_gives_another_process_for_its_copy_harms_nobody(
    maker: ForkedKernels, session: KernelSession, handle: str, said: str
) -> None:
    supervisor = newest_child()
    async with KernelSession(maker=maker) as sibling:
        await session.run(FALSE_HANDLE.format(handle=handle))
        held = open_descriptors(supervisor)
        with pytest.raises(KernelStartError, match=said):
            await session.fork()
        await until(lambda: open_descriptors(supervisor) == held)
        assert (await session.run("1")).status == "ok"
        async with asyncio.timeout(5):
            await session.close()  # one whose end was never told took the supervisor with it
        assert (await sibling.run("1")).status == "ok"


async def test_sixteen_copies_at_once(session: KernelSession) -> None:
    await session.run("import os; x = list(range(1000)); open('f', 'w').write('0')")
    before = open_descriptors()
    async with contextlib.AsyncExitStack() as stack:
        copies = [
            await stack.enter_async_context(await session.fork(seed=number)) for number in range(16)
        ]

        async def use(number: int, copy: KernelSession) -> str:
            await copy.run(f"x.append({number}); open('f', 'a').write('{number}')")
            return await value(copy, "x[1000:], open('f').read()")

        found = await asyncio.gather(*(use(*each) for each in enumerate(copies)))
        assert found == [f"([{number}], '0{number}')" for number in range(16)]
        inside = below(newest_child())
    assert await value(session, "len(x), open('f').read()") == "(1000, '0')"
    assert open_descriptors() == before
    left = len(inside) - 16  # what is left of copies is reaped before the next cell
    await until(lambda: len(list(filter(is_running, below(newest_child())))) == left)
    await value(session, "0")
    await until(lambda: len(below(newest_child())) == left)


async def test_kill_9_of_a_copy_from_outside_hits_only_that(session: KernelSession) -> None:
    async with await session.fork() as first, await session.fork() as second:
        assert isinstance(first._kernel, ForkedKernel)
        pid = first._kernel._usage.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await gone([pid])
        assert (await first.run("1")).status == "dead"
        assert await value(second, "6 * 7") == "42"
        assert await value(session, "6 * 7") == "42"


def contained(output: str) -> None:
    """Judge what hostile_copies.py has printed."""
    found = json.loads(output)
    assert found.pop("victims as they were") is True
    assert found.pop("powers") == ["0" * 16] * 5
    assert found.pop("walls") == ["1", "2"]
    escaped = {name: said for name, said in found.items() if said == "done" or "done" in said}
    assert not escaped
    assert len(found) > 25
    assert {found["unshare without key"], found["mount"]} == {"EPERM"}


HOSTILE = Path(__file__).with_name("hostile_copies.py")


def test_hostile_code_in_a_copy_is_contained() -> None:
    done = subprocess.run(
        [sys.executable, str(HOSTILE)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    contained(done.stdout)


@pytest.mark.slow
def test_hostile_code_in_a_copy_is_contained_for_an_ordinary_user(
    readable_python: Path,  # noqa: F811
) -> None:
    home = readable_python.parents[2] / "home-of-copies"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    ids = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    done = subprocess.run(
        ["setpriv", *ids, str(readable_python), "-c", HOSTILE.read_text()],
        capture_output=True, text=True, timeout=100, check=False, cwd="/",
        env={"PATH": os.defpath, **dict.fromkeys(("HOME", "TMPDIR"), str(home))},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    contained(done.stdout)


class Copies(ForkedKernels):
    """Each kernel that it makes is a copy of one that has ended."""

    async def start(self, request: KernelRequest, folder: Path | None = None) -> ForkedKernel:
        original = await super().start(request, folder)
        try:
            return await original.fork(None)
        finally:
            await original.kill()
            await original.release()


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_all_attacks_from_a_copy_are_contained(image: KernelImage) -> None:
    async with Copies() as maker:
        outcomes = await self_test(maker, image)
    assert [outcome for outcome in outcomes if not outcome.contained] == []
    assert len(outcomes) >= 40


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_all_attacks_from_a_kernel_in_stock_are_contained(image: KernelImage) -> None:
    async with ForkedKernels(stock=4) as maker:
        outcomes = await self_test(maker, image)
    assert [outcome for outcome in outcomes if not outcome.contained] == []
