"""Supervisors, zygotes and kernels that are killed: typed results, and nothing is left."""

import asyncio
import contextlib
import dataclasses
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchside_kernels import forked_kernel, packets, zygotes
from benchside_kernels.errors import ImageError, KernelError, KernelStartError
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.forked_kernel import ForkedKernel
from benchside_kernels.image import ImageSource, KernelImage, build_image, images_folder
from benchside_kernels.kept import take_kept
from benchside_kernels.kernel_family import KernelEnds
from benchside_kernels.meeting_place import connections
from benchside_kernels.output import OutputCollector
from benchside_kernels.request import KernelRequest
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.session import KernelSession
from benchside_kernels.supervisor_link import SupervisorLink
from benchside_kernels.zygotes import Zygotes
from tests.kernels.processes import (
    below,
    children,
    gone,
    is_running,
    named,
    newest_child,
    open_descriptors,
    settled,
    until,
    zygote_processes,
)


@pytest.fixture(autouse=True)
def _sandbox() -> None:
    if problem := sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")


@pytest.mark.parametrize(
    "name", ["supervisor", "root's outer", "bs-root", "bs-nursery", "bs-zygote-outer", "zygote"]
)
async def test_kill_9_above_kernels_ends_them_and_the_next_start_makes_new_ones(name: str) -> None:
    async with ForkedKernels() as maker:  # noqa: SIM117
        async with KernelSession(maker=maker) as busy, KernelSession(maker=maker) as idle:
            victim = newest_child()
            inside = below(victim)
            if name == "root's outer":
                (victim,) = children(victim)
            elif name == "zygote":
                victim = zygote_below(victim)
            elif name.startswith("bs-"):
                (victim,) = named(victim, name)
            running = asyncio.create_task(busy.run("while True: pass", timeout_s=60))
            await asyncio.sleep(0.3)
            os.kill(victim, signal.SIGKILL)
            killed = time.monotonic()
            assert (await running).status == "dead"
            assert time.monotonic() - killed < 5
            assert (await idle.run("1")).status == "dead"
            await idle.restart()
            assert (await idle.run("6 * 7")).outputs[0]["data"]["text/plain"] == "42"
            alive = {newest_child(), *below(newest_child())}
            assert not [pid for pid in inside if is_running(pid) and pid not in alive]


async def test_kill_9_of_a_kernels_init_is_a_death_of_that_kernel_only() -> None:
    async with ForkedKernels(stock=0) as maker:  # noqa: SIM117
        async with KernelSession(maker=maker) as first:
            present = set(below(newest_child()))
            async with KernelSession(maker=maker) as second:
                init = min(set(below(newest_child())) - present)
                os.kill(init, signal.SIGKILL)
                assert (await second.run("import time; time.sleep(60)")).status == "dead"
            assert (await first.run("1")).status == "ok"


async def test_many_starts_leave_nothing() -> None:
    async with ForkedKernels() as maker:
        async with KernelSession(maker=maker) as session:
            assert (await session.run("1")).status == "ok"

        async def counts() -> tuple[int, int, str]:
            await asyncio.sleep(0.5)
            descriptors = len(list(Path("/proc/self/fd").iterdir()))
            return descriptors, len(below(os.getpid())), Path("/proc/self/mounts").read_text()

        before = await counts()
        for _ in range(100):
            async with KernelSession(maker=maker):
                pass
        assert await counts() == before


def a_request(**details: object) -> KernelRequest:
    plain = KernelRequest(None, (), (), 0, 512, 1000, "")
    return dataclasses.replace(plain, **details)  # type: ignore[arg-type]


def plain_image(home: Path, name: str, *imports: str, **variables: object) -> KernelImage:
    source = ImageSource(f"tests.{name}", variables, imports=imports)
    return build_image(source, images_folder(home))


def zygote_below(supervisor: int) -> int:
    """The inner process of a supervisor's only zygote."""
    (zygote,) = zygote_processes(supervisor)
    return zygote


def cradle_below(supervisor: int) -> int:
    """The only cradle; inits, which are its children, have its name."""
    (root,) = named(supervisor, "bs-root")
    (cradle,) = {*named(supervisor, "bs-cradle")} & {*children(root)}
    return cradle


class Exits:
    """Unpickled in a kernel or zygote, it ends that."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (7,)


@pytest.fixture
def meeting_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Kept kernels of a test are nobody else's. Longer than a socket's address may be."""
    runtime = tmp_path / ("run für " * 16)
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    return runtime / "benchside"


async def test_a_zygote_that_has_threads_does_not_come_up(home: Path) -> None:
    line = "import threading, time; threading.Thread(target=time.sleep, args=(60,)).start()"
    image = plain_image(home, "threads", line)
    async with ForkedKernels() as maker:
        with pytest.raises(KernelStartError, match="the zygote has 2 threads"):
            await maker.start(a_request(image=image))
        async with KernelSession(maker=maker) as session:
            assert (await session.run("1")).status == "ok"


async def test_a_zygote_that_gets_a_thread_later_refuses_to_fork(home: Path) -> None:
    later = (
        "import signal, threading, time",
        "signal.signal(signal.SIGUSR1, lambda *_: threading.Thread(target=time.sleep, "
        "args=(60,), name='late').start())",
    )
    image = plain_image(home, "later", *later)
    async with ForkedKernels(stock=0) as maker, KernelSession(image, maker=maker) as session:
        zygote = zygote_below(newest_child())
        os.kill(zygote, signal.SIGUSR1)
        await until(lambda: len(list(Path(f"/proc/{zygote}/task").iterdir())) == 2)
        with pytest.raises(KernelStartError, match="refused: the zygote has threads"):
            async with KernelSession(image, maker=maker):
                pass
        async with await session.fork() as copy:
            assert (await copy.run("6 * 7")).status == "ok", "which the zygote does not fork"
        async with KernelSession(image, maker=maker) as other:
            assert (await other.run("6 * 7")).status == "ok", "of another zygote"
        assert (await session.run("6 * 7")).status == "ok", "the original goes on"


async def test_images_that_cannot_be_loaded_fail_with_the_reason(home: Path) -> None:
    raising = plain_image(home, "raising", "1 / 0")
    exits = plain_image(home, "exits", data=Exits())
    large_exits = plain_image(home, "large", data=Exits(), padding=np.zeros(2_000_000))
    missing = plain_image(home, "missing", data=[1])
    shutil.rmtree(missing.folder)
    async with ForkedKernels() as maker:
        for image, kind, reason in (
            (raising, KernelStartError, "ZeroDivisionError"),
            (exits, KernelStartError, "ended at its start"),
            (large_exits, KernelStartError, "the zygote ended"),
            (missing, KernelError, "is not prepared"),
        ):
            with pytest.raises(kind, match=reason):
                await maker.start(a_request(image=image))
        async with KernelSession(maker=maker) as session:
            assert (await session.run("1")).status == "ok"


async def test_a_file_that_an_image_has_lost_fails_the_start(home: Path) -> None:
    image = plain_image(home, "lost", data=[1])
    async with ForkedKernels() as maker:
        async with KernelSession(image, maker=maker):
            pass
        (image.folder / "variables.pkl").unlink()
        with pytest.raises((KernelStartError, ImageError), match=r"variables\.pkl"):
            async with KernelSession(image, maker=maker):
                pass


async def test_a_large_image_is_loaded_once_and_private_to_each_kernel(home: Path) -> None:
    image = plain_image(home, "shared", numbers=np.arange(4_000_000))
    total = "int(numbers[:10].sum()), int(numbers[-1])"
    async with ForkedKernels() as maker:
        async with (
            KernelSession(image, maker=maker) as one,
            KernelSession(image, maker=maker) as two,
        ):
            loaded = await two.run("open('/proc/self/smaps_rollup').read()")
            private = [
                int(line.split()[1])
                for line in loaded.outputs[0]["data"]["text/plain"].split("\\n")
                if line.startswith("Private_")
            ]
            assert sum(private) < 31_000 / 2, "KiB: half of what the table has"
            await one.run("numbers[:] = 7")
            assert (await one.run(total)).outputs[0]["data"]["text/plain"] == "(70, 7)"
            seen = (await two.run(total)).outputs[0]["data"]["text/plain"]
            assert seen == "(45, 3999999)"
        async with KernelSession(image, maker=maker) as three:
            assert (await three.run(total)).outputs[0]["data"]["text/plain"] == seen


async def test_stock_that_has_died_is_not_handed_out() -> None:
    async with ForkedKernels(stock=2) as maker:
        async with KernelSession(maker=maker) as session:
            zygote = zygote_below(newest_child())
            await until(lambda: len(below(zygote)) == 3)  # kernels
        await until(lambda: len(below(zygote)) == 2)
        first, _ = children(zygote)
        cradle = cradle_below(newest_child())
        _, init_of_second = children(cradle)
        victims = [first, init_of_second]
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        await gone(victims)
        for _ in range(4):
            async with KernelSession(maker=maker) as session:
                assert (await session.run("1")).status == "ok"


async def test_a_lease_ends_by_itself_and_says_so() -> None:
    async with ForkedKernels() as maker:
        session = KernelSession(maker=maker)
        session._request = dataclasses.replace(session._request, lease_s=1.0)
        async with session:
            result = await session.run("import time; time.sleep(60)")
            assert result.status == "dead"
            assert "the end of its lease of 1 s" in result.note
            await session.restart()
            async with await session.fork() as copy:
                result = await copy.run("import time; time.sleep(60)")
                assert "the end of its lease of 1 s" in result.note


async def test_a_supervisor_that_hangs_is_killed_with_its_kernels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forked_kernel, "KILL_TIMEOUT_S", 0.5)
    async with ForkedKernels() as maker:
        async with KernelSession(maker=maker):
            supervisor = newest_child()
            inside = below(supervisor)
            os.kill(supervisor, signal.SIGSTOP)
        await gone([supervisor, *inside])
        async with KernelSession(maker=maker) as session:
            assert (await session.run("1")).status == "ok"


async def test_thirty_starts_at_once() -> None:
    async with ForkedKernels() as maker:

        async def episode(number: int) -> str:
            async with KernelSession(maker=maker) as session:
                return str((await session.run(f"{number} * 2")).outputs[0]["data"]["text/plain"])

        found = await asyncio.gather(*map(episode, range(30)))
    assert found == [str(2 * number) for number in range(30)]


async def test_starts_given_up_at_any_point_leave_nothing() -> None:
    draw = random.Random(7)
    async with ForkedKernels(stock=1) as maker:
        async with KernelSession(maker=maker) as session:
            await session.run("1")
        supervisor = newest_child()
        zygote = zygote_below(supervisor)

        def counts() -> tuple[int, ...]:
            known = map(open_descriptors, ("self", supervisor, zygote))
            return (*known, len(below(supervisor)))

        before = await settled(counts)

        async def start() -> None:
            async with KernelSession(maker=maker) as session, await session.fork():
                await session.run("1")

        for _ in range(25):
            task = asyncio.create_task(start())
            await asyncio.sleep(draw.random() * 0.12)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled() or task.exception() is None
        assert await settled(counts) == before


async def test_a_display_that_is_too_large_becomes_a_note() -> None:
    async with ForkedKernels() as maker, KernelSession(maker=maker) as session:
        result = await session.run(
            "from IPython.display import display\n"
            "display({'image/png': 'x' * 40_000_000}, raw=True)\n1"
        )
        assert result.status == "ok"
        said = "".join(output.get("text", "") for output in result.outputs)
        assert "[display_data of 40,0" in said
        assert "is too large]" in said


async def test_zygotes_of_kinds_that_are_not_used_are_retired(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(zygotes, "MAX_KINDS", 2)
    kinds = [a_request(memory_mib=256 + number) for number in range(4)]
    made = Zygotes((), 0)
    try:
        used = await made.choose(kinds[0])
        family = await used.take()
        chosen = [await made.choose(kind) for kind in kinds[1:]]
        assert not used.gone, "a kernel of it lives"
        await until(lambda: chosen[0].gone)
        assert not chosen[2].gone
        assert await made.choose(kinds[0]) is used
        assert await made.choose(kinds[1]) is not chosen[0]
        family.discard()
        # all at once: whoever is served gets a zygote that can fork
        monkeypatch.setattr(zygotes, "MAX_KINDS", 1)
        served = await asyncio.gather(*(_served(made, kind) for kind in kinds))
        assert served == ["forked"] * 4
    finally:
        inside = below(os.getpid())
        await made.close()
    await gone(inside)


async def test_zygotes_are_forks_of_one_root_and_share_nothing_that_is_open() -> None:
    made = Zygotes(("colorsys",), 1)
    try:
        several = [await made.choose(a_request(memory_mib=256 + number)) for number in range(3)]
        for zygote in several:
            (await zygote.take()).discard()
        (root,) = named(os.getpid(), "bs-root")
        inner = zygote_processes(os.getpid())
        assert len(inner) == 3
        for kind in ("mnt", "pid", "net", "ipc", "uts"):
            spaces = {Path(f"/proc/{pid}/ns/{kind}").readlink() for pid in (root, *inner)}
            assert len(spaces) == 4, kind
        held = [open_channels(pid) for pid in (root, *inner)]
        assert all(held)
        assert len(set().union(*held)) == sum(map(len, held)), held
        for pid in inner:
            known = {channel for kernel in children(pid) for channel in open_channels(kernel)}
            others = [open_channels(other) for other in (root, *inner) if other != pid]
            assert not known & set().union(*others)
    finally:
        await made.close()


def open_channels(pid: int) -> set[str]:
    """Sockets and pipes that a process has open; what it closes meanwhile is not among them."""
    links = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            links.add(str(path.readlink()))
    return {link for link in links if link.startswith(("socket:", "pipe:"))}


async def test_a_hash_seed_has_a_root_of_its_own_which_goes_when_unused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(zygotes, "MAX_KINDS", 1)
    made = Zygotes((), 0)
    try:
        for seed in range(3):
            assert await _served(made, a_request(hash_seed=seed)) == "forked"
            await asyncio.sleep(0.1)
        await until(lambda: len(named(os.getpid(), "bs-root")) < 3)
        hashes = []
        for seed in (0, 1):
            async with (
                ForkedKernels(stock=0) as maker,
                KernelSession(maker=maker, hash_seed=seed) as session,
            ):
                hashes.append((await session.run("hash('a')")).outputs[0]["data"]["text/plain"])
        assert hashes[0] != hashes[1]
    finally:
        await made.close()
    assert not named(os.getpid(), "bs-root")


async def test_a_root_that_cannot_come_up_says_why_and_the_next_start_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zygotes, "_readable", lambda _: (str(tmp_path), "/proc/self"))
    made = Zygotes((), 0)
    try:
        with pytest.raises(KernelStartError, match=r"(?s)no root for zygotes: .*which has its own"):
            await made.choose(a_request())
        monkeypatch.undo()
        assert await _served(made, a_request()) == "forked"
    finally:
        await made.close()


async def _served(made: Zygotes, request: KernelRequest) -> str:
    (await (await made.choose(request)).take()).discard()
    return "forked"


async def test_a_kept_kernel_is_frozen_and_goes_on_when_taken(meeting_folder: Path) -> None:
    async with ForkedKernels() as maker:
        session = KernelSession(maker=maker)
        async with session:
            await session.run("import threading, time; beats = []")
            await session.run(
                "def beat():\n    while True: beats.append(1); time.sleep(0.01)\n"
                "threading.Thread(target=beat, daemon=True).start()"
            )
            supervisor = newest_child()
            await session.keep("mine", 60)
            assert not session.alive
        async with KernelSession(maker=maker) as other:
            with pytest.raises(KernelStartError, match="mine is kept already"):
                await other.keep("mine", 60)
    assert is_running(supervisor), "it waits for whoever takes the kernel"
    assert [path.name for path in meeting_folder.iterdir()] == [f"{supervisor}.socket"]
    (stream,) = connections()
    link = SupervisorLink(stream)
    with pytest.raises(KernelStartError, match="no kernel yours is kept"):
        await link.ask("take", 4, name="yours")
    _, (listed, _) = await link.ask("list", 0)
    assert listed["kept"] == ["mine"]
    number, (_, fds) = await link.ask("take", 4, name="mine")
    kernel = ForkedKernel(link, number, KernelEnds.of(fds[:3]), pidfd=fds[3])
    try:
        collector = OutputCollector(1000)
        cell = kernel.execute("len(beats) > 0, sum(beats) * 0.01 < 30", collector)
        await asyncio.wait_for(cell.done, 10)
        assert collector.outputs()[0]["data"]["text/plain"] == "(True, True)"
        inside = below(supervisor)
    finally:
        await kernel.kill()
        await kernel.release()
        await link.close()
    await gone([supervisor, *inside])
    assert list(meeting_folder.iterdir()) == []


async def test_of_two_who_take_a_kept_kernel_at_once_one_gets_it(meeting_folder: Path) -> None:
    async def take() -> object:
        async with take_kept("mine") as kernel:
            collector = OutputCollector(1000)
            await asyncio.wait_for(kernel.execute("x * 7", collector).done, 10)
            return collector.outputs()[0]["data"]["text/plain"]

    async with ForkedKernels() as maker, KernelSession(maker=maker) as session:
        await session.run("x = 6")
        await session.keep("mine", 60)
        taken = await asyncio.gather(take(), take(), return_exceptions=True)
    assert taken.count("42") == 1, taken
    (refused,) = (one for one in taken if one != "42")
    assert isinstance(refused, KernelStartError)
    assert "mine" in str(refused)


RUNNER = """
import asyncio, os, sys
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.session import KernelSession

async def main():
    async with ForkedKernels() as maker:
        sessions = [await KernelSession(maker=maker).__aenter__() for _ in range(3)]
        copy = await sessions[0].fork()
        await sessions[0].run("import subprocess; subprocess.Popen(['sleep', '600'])")
        pids = [session._kernel._usage.pid for session in (*sessions, copy)]
        await sessions[2].keep("left", 6)
        print(*pids, flush=True)
        await sessions[1].run("while True: pass", timeout_s=600)

asyncio.run(main())
"""


@pytest.fixture
def runner(meeting_folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", RUNNER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


async def test_kill_9_of_a_runner_ends_its_kernels_but_those_kept(
    runner: "subprocess.Popen[str]", meeting_folder: Path
) -> None:
    assert runner.stdout is not None
    pids = [int(word) for word in (await asyncio.to_thread(runner.stdout.readline)).split()]
    kept_at = time.monotonic()
    kept = pids[2]
    inside = below(runner.pid)
    (supervisor,) = children(runner.pid)
    runner.kill()
    killed = time.monotonic()
    await gone(set(pids) - {kept})
    assert time.monotonic() - killed < 5
    assert is_running(kept)
    stat = Path(f"/proc/{kept}/stat").read_text()
    assert stat.rpartition(")")[2].split()[0] == "T", "frozen"
    await gone(inside, timeout_s=15)
    assert time.monotonic() - kept_at > 4
    assert not is_running(supervisor)
    assert list(meeting_folder.iterdir()) == []


async def test_a_start_given_up_as_its_answer_comes_is_given_up_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    starts: list[asyncio.Task[KernelSession]] = []
    take = SupervisorLink._take

    def take_and_cancel(link: SupervisorLink, message: packets.Message, fds: list[int]) -> None:
        take(link, message, fds)
        if fds and starts:
            starts[-1].cancel()

    monkeypatch.setattr(SupervisorLink, "_take", take_and_cancel)
    async with ForkedKernels(stock=0) as maker:
        async with KernelSession(maker=maker):
            held = open_descriptors()
        held -= 6
        session = KernelSession(maker=maker)
        starts.append(asyncio.create_task(session.__aenter__()))
        with pytest.raises(asyncio.CancelledError):
            await starts[-1]
        assert open_descriptors() == held


FORKING_RUNNER = """
import asyncio, os, sys, time
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.session import KernelSession

async def main():
    async with ForkedKernels() as maker, KernelSession(maker=maker) as session:
        print(session._kernel._usage.pid, flush=True)
        if os.fork() == 0:
            time.sleep(20)  # as a worker of multiprocessing, which has all our sockets
            os._exit(0)
        print("forked", flush=True)
        await session.run("while True: pass", timeout_s=600)

asyncio.run(main())
"""


@pytest.fixture
def forking_runner() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", FORKING_RUNNER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


async def test_kill_9_of_a_runner_that_has_forked_ends_its_kernels(
    forking_runner: "subprocess.Popen[str]",
) -> None:
    assert forking_runner.stdout is not None
    kernel = int(await asyncio.to_thread(forking_runner.stdout.readline))
    assert await asyncio.to_thread(forking_runner.stdout.readline) == "forked\n"
    supervisor, worker = children(forking_runner.pid)
    forking_runner.kill()
    try:
        await gone([kernel, supervisor])
        assert is_running(worker)
    finally:
        os.kill(worker, signal.SIGKILL)


STARTS = """
import asyncio, contextlib, resource
from benchside_kernels.errors import KernelStartError
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.session import KernelSession

async def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (48, 4096))
    async with ForkedKernels(stock=0) as maker, contextlib.AsyncExitStack() as stack:
        sessions = []
        try:
            for _ in range(9):
                sessions.append(await stack.enter_async_context(KernelSession(maker=maker)))
        except KernelStartError as error:
            print(error)
        await sessions.pop().close()
        again = await stack.enter_async_context(KernelSession(maker=maker))
        print([(await one.run("1")).status for one in (sessions[0], again)])

asyncio.run(main())
"""


def test_a_runner_in_an_odd_place_gets_kernels(tmp_path: Path) -> None:
    """With few descriptors, in a folder whose files are named like the standard library's."""
    for module in ("queue", "resource", "asyncio", "shutil"):
        (tmp_path / f"{module}.py").write_text("raise RuntimeError('not the one of the library')")
    (tmp_path / "runner").mkdir()
    script = tmp_path / "runner" / "runner.py"
    script.write_text(STARTS)
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "a process may open 48, and each kernel takes six" in done.stdout, done.stderr
    assert done.stdout.endswith("['ok', 'ok']\n")
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["supervisor", "zygote"])
async def test_starts_fail_at_once_and_leave_nothing_where_descriptors_run_out(name: str) -> None:
    async with ForkedKernels(stock=0) as maker, KernelSession(maker=maker) as session:
        supervisor = newest_child()
        short = supervisor if name == "supervisor" else zygote_below(supervisor)
        before, limits = len(below(supervisor)), resource.prlimit(short, resource.RLIMIT_NOFILE)
        held = open_descriptors(supervisor)
        errors: list[BaseException] = []

        async def start() -> None:
            async with asyncio.timeout(15), KernelSession(maker=maker):
                pass

        for spare in range(0, 36, 3):
            limit = open_descriptors(short) + spare
            resource.prlimit(short, resource.RLIMIT_NOFILE, (limit, limits[1]))
            ended = await asyncio.gather(*(start() for _ in range(3)), return_exceptions=True)
            errors += filter(None, ended)
            resource.prlimit(short, resource.RLIMIT_NOFILE, limits)
            await until(lambda: len(below(supervisor)) == before)
        await until(lambda: open_descriptors(supervisor) == held)
        assert errors
        assert {type(error) for error in errors} == {KernelStartError}, errors
        async with KernelSession(maker=maker) as other:
            assert (await other.run("1")).status == (await session.run("1")).status == "ok"


async def test_a_fork_whose_handles_are_dropped_fails_at_once_and_is_ended() -> None:
    made, limits = Zygotes((), 0), resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        zygote = await made.choose(a_request())
        before = below(os.getpid())
        taking = asyncio.create_task(zygote.take())
        await asyncio.sleep(0)  # it has asked
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        async with asyncio.timeout(10):
            with pytest.raises(KernelStartError, match="a process may open 3,"):
                await taking
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        await until(lambda: set(below(os.getpid())) <= set(before))  # others end as they like
        assert await _served(made, a_request()) == "forked"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        await made.close()


async def test_a_kernel_that_cannot_be_kept_stays_the_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "benchside").mkdir(mode=0o755)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with ForkedKernels() as maker, KernelSession(maker=maker) as session:
        async with asyncio.timeout(10):
            with pytest.raises(KernelStartError, match="is not this user's alone"):
                await session.keep("mine", 60)
        assert (await session.run("1")).status == "ok"


async def test_a_supervisor_outlives_clients_that_talk_nonsense(meeting_folder: Path) -> None:
    async with ForkedKernels() as maker, KernelSession(maker=maker) as session:
        async with await session.fork() as copy:
            await copy.keep("bait", 60)
        for nonsense in (b"{", b"[]", b"{}", b'{"what": 1}', b'{"take": 1}', b'{"keep": 1}',
                         b'{"copy": 1, "of": 99}', b'{"adopt": 1, "of": 1, "lease_s": 1}',
                         b'{"start": 1}', b'{"end": "x"}', b'{"end": []}'):  # fmt: skip
            for stream in connections():
                stream.send(nonsense)
                await asyncio.sleep(0.05)
                stream.close()
        assert (await session.run("6 * 7")).status == "ok"
        async with KernelSession(maker=maker) as other:
            assert (await other.run("1")).status == "ok"


async def test_a_bug_in_a_start_is_told_and_does_not_hang(meeting_folder: Path) -> None:
    async with ForkedKernels() as maker, KernelSession(maker=maker) as session:
        async with await session.fork() as copy:
            await copy.keep("bait", 60)
        (stream,) = connections()
        stream.setblocking(True)
        stream.settimeout(10)
        packets.send(stream, {"start": 1, "request": {"no": "request"}})
        packet = await asyncio.to_thread(packets.receive, stream)
        assert packet is not None
        assert packet[0]["failed"] == 1
        assert "KeyError" in packet[0]["reason"]
        stream.close()
