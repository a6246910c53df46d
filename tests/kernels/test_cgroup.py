"""One cgroup for all kernels, on the real hierarchies of this machine."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchside_kernels import cgroup
from benchside_kernels.admission import MIN_RESERVED_MIB, our_memory
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.sandbox import group_problem, sandbox_problem
from benchside_kernels.session import KernelSession
from tests.kernels.processes import newest_child


@pytest.fixture
def parent() -> Path:
    """Where groups for kernels of this process are made."""
    if problem := group_problem():
        pytest.skip(f"no cgroup for kernels here: {problem}")
    return cgroup.places()["memory"].own


@pytest.fixture
def small_group(parent: Path) -> Iterator[Path]:
    """A group that leaves 600 MiB for kernels."""
    if cgroup.places()["memory"].version != 1:
        pytest.skip("made for version 1")
    folder = parent / f"test-{os.getpid()}"
    folder.mkdir()
    (folder / "memory.limit_in_bytes").write_text(f"{600 + int(MIN_RESERVED_MIB)}M")
    yield folder
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            folder.rmdir()
            return
        except OSError:
            time.sleep(0.05)
    folder.rmdir()


def run_in(group: Path, source: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a group."""
    enter = f"open({str(group / 'cgroup.procs')!r}, 'w').write('0')\n"
    return subprocess.run(
        [sys.executable, "-c", enter + textwrap.dedent(source)],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


async def test_kernels_are_in_one_group_that_goes_with_the_supervisor(parent: Path) -> None:
    if problem := sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")
    async with ForkedKernels() as maker:
        async with KernelSession(maker=maker), KernelSession(maker=maker):
            supervisor = newest_child()
            (group,) = parent.glob(f"benchside-{supervisor}")
            # outer, zygote, and two kernels of init and cells at least
            assert len((group / "cgroup.procs").read_text().split()) >= 6
            assert str(supervisor) not in (group / "cgroup.procs").read_text().split()
        assert maker.isolation.gaps[0].startswith("shares of single kernels")
    assert not group.exists()


async def test_group_of_a_killed_supervisor_goes_at_the_next_start(parent: Path) -> None:
    if problem := sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")
    async with ForkedKernels() as maker, KernelSession(maker=maker) as session:
        supervisor = newest_child()
        group = parent / f"benchside-{supervisor}"
        os.kill(supervisor, signal.SIGKILL)
        assert (await session.run("import time; time.sleep(60)")).status == "dead"
        assert group.exists()
        deadline = time.monotonic() + 5
        while (group / "cgroup.procs").read_text() and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        await session.restart()
        assert not group.exists()


def test_admission_sees_the_limit_of_our_own_group(small_group: Path) -> None:
    done = run_in(
        small_group,
        """
        from benchside_kernels.admission import our_memory
        print(*our_memory())
        """,
    )
    total, free = map(float, done.stdout.split())
    assert total == 600 + MIN_RESERVED_MIB
    assert total - 200 < free < total
    assert our_memory()[0] > total


@pytest.mark.slow
def test_a_hog_of_many_processes_is_killed_and_nobody_else(small_group: Path) -> None:
    if problem := sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")
    done = run_in(
        small_group,
        """
        import asyncio, json
        from benchside_kernels.forked import ForkedKernels
        from benchside_kernels.session import KernelSession

        HOG = '''
        import os, time
        pids = []
        for _ in range(8):
            if not (pid := os.fork()):
                kept = bytearray(b"x" * (150 << 20))
                time.sleep(60)
                os._exit(0)
            pids.append(pid)
            time.sleep(0.2)
        killed = 0
        while not killed:
            pid, status = os.waitpid(-1, 0)
            killed = os.WTERMSIG(status) == 9
        for other in set(pids) - {pid}: os.kill(other, 9)
        print("killed")
        '''

        async def main():
            async with ForkedKernels() as maker:
                async with KernelSession(maker=maker) as sibling:
                    await sibling.run("kept = 42")
                    async with KernelSession(maker=maker, memory_mib=400) as hog:
                        result = await hog.run(HOG, timeout_s=60)
                    after = await sibling.run("kept")
                    async with KernelSession(maker=maker) as fresh:
                        last = await fresh.run("6 * 7")
                    said = [out.get("text") for out in result.outputs]
                    print(json.dumps([result.status, said, after.status, last.status]))
        asyncio.run(main())
        """,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in (
        '["ok", ["killed\\n"], "ok", "ok"]',  # a part of the hog was killed,
        '["dead", [], "ok", "ok"]',  # or the hog as a whole
    )


def test_version_2_moves_our_own_processes_aside() -> None:
    """On the hugetlb controller where the others belong to version 1."""
    place = cgroup.places().get("hugetlb") or cgroup.places().get("pids")
    if place is None or place.version != 2 or not os.access(place.own, os.W_OK):
        pytest.skip("no controller of version 2 for us here")
    name = "hugetlb" if "hugetlb" in cgroup.places() else "pids"
    outer = place.own / f"test-{os.getpid()}"
    outer.mkdir()
    handed_down = place.own / "cgroup.subtree_control"
    before = handed_down.read_text().split()
    handed_down.write_text(f"+{name}")
    script = f"""
    import subprocess
    from benchside_kernels import cgroup
    child = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL)
    group = cgroup.make_cgroup(1024, controllers=({name!r},))
    print(group.folders[0].parent.name, cgroup.places()[{name!r}].own.name)
    again = cgroup.make_cgroup(1024, controllers=({name!r},))
    assert again == group
    group.add(child.pid)
    print((group.folders[0] / "cgroup.procs").read_text().split() == [str(child.pid)])
    child.kill()
    child.wait()
    group.remove()
    print(group.folders[0].exists())
    """
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        assert run_in(outer, script).stdout.split() == [outer.name, cgroup.HOST, "True", "False"]
        (outer / "cgroup.subtree_control").write_text(f"-{name}")
        (outer / "cgroup.procs").write_text(str(stranger.pid))
        refused = run_in(
            outer,
            f"""
            from benchside_kernels import cgroup
            cgroup.make_cgroup(1024, controllers=({name!r},))
            """,
        )
        assert "holds processes that are not ours" in refused.stderr
        assert "Delegate=yes" in refused.stderr
    finally:
        stranger.kill()
        stranger.wait()
        for folder in (outer / cgroup.HOST, outer):
            folder.rmdir()
        if name not in before:
            handed_down.write_text(f"-{name}")
