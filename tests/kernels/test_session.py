"""A kernel that works, and kernels that misbehave on purpose: typed results, nothing left."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from benchside_kernels.backend import KernelMaker
from benchside_kernels.cell import Submission
from benchside_kernels.errors import KernelStartError, SessionClosedError
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.image import KernelImage
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.session import KernelSession
from benchside_kernels.stock import StockKernels


def processes_of(folder_prefix: str) -> list[str]:
    """Command lines of all processes that name a session folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if folder_prefix in line:
            found.append(line)
    return found


def text_of(result) -> str:
    return "".join(out.get("text", "") for out in result.outputs)


@pytest.fixture(params=["stock", "forked"])
async def maker(request: pytest.FixtureRequest) -> AsyncIterator[KernelMaker]:
    """Every test runs on both kinds of kernels."""
    if request.param == "stock":
        yield StockKernels()
        return
    if problem := sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")
    async with ForkedKernels() as forked:
        yield forked


async def test_state_outputs_and_submission(image: KernelImage, maker: KernelMaker) -> None:
    async with KernelSession(image, maker=maker, files=["notes.txt"], seed=3) as session:
        first = await session.run("x = patients.age.mean()\nprint('hello')\nx")
        assert first.status == "ok"
        assert first.state_survived
        assert [out["output_type"] for out in first.outputs] == ["stream", "execute_result"]
        assert first.outputs[1]["data"]["text/plain"] == "np.float64(54.5)"
        assert first.duration_s > 0
        assert first.cpu_s is not None
        assert first.peak_mib is not None
        assert first.peak_mib > 20

        database = await session.run("con.execute('select value from labs').fetchall()")
        assert database.outputs[0]["data"]["text/plain"] == "[(140.0,), (4.1,)]"
        assert (await session.run("con.execute('delete from labs')")).status == "error"
        assert text_of(await session.run("print(open('notes.txt').read())")) == "afebrile\n"

        plot = await session.run("import matplotlib.pyplot as plt\nplt.plot([1, 2]);")
        assert plot.outputs[-1]["data"]["image/png"].startswith("iVBOR")

        failed = await session.run("1 / 0")
        assert failed.status == "error"
        assert failed.outputs[0]["ename"] == "ZeroDivisionError"
        assert (await session.run("await __import__('asyncio').sleep(0.01)\nx")).status == "ok"
        assert (await session.run("input()")).status == "error"
        assert text_of(await session.run("import gc\nprint(gc.isenabled())")) == "True\n"

        answer = await session.run("submit({'mean': x, 'sexes': {'f', 'm'}})")
        assert answer.submission is not None
        assert answer.submission.value["mean"] == 54.5
        again = await session.run("submit(1)")
        assert again.status == "error"
        assert "already called" in again.outputs[0]["evalue"]
        assert again.submission is None
    assert session.usage.cpu_s
    assert not session.usage.leftover_processes
    with pytest.raises(SessionClosedError):
        await session.run("1")


async def test_equal_seeds_give_equal_numbers_and_tables_are_private(
    image: KernelImage, maker: KernelMaker
) -> None:
    code = "import random; patients.loc[0, 'age'] = -1; (np.random.rand(), random.random())"
    shown = []
    for seed in (1, 1, 2):
        async with KernelSession(image, maker=maker, seed=seed) as session:
            assert "20.0" in text_of(await session.run("print(patients.age[0])"))
            shown.append((await session.run(code)).outputs[0]["data"]["text/plain"])
    assert shown[0] == shown[1] != shown[2]


async def test_timeouts_are_interrupted_or_killed_and_the_truth_is_told(
    image: KernelImage, maker: KernelMaker
) -> None:
    async with KernelSession(image, maker=maker) as session:
        await session.run("kept = 41")
        for slow in (
            "while True: pass",
            "import time; time.sleep(60)",
            "import asyncio; await asyncio.sleep(60)",
            "!sleep 60",
        ):
            result = await session.run(slow, timeout_s=0.5)
            assert result.status == "timeout", slow
            assert result.state_survived, (slow, result.note)
            assert "kept" in result.note
            assert result.duration_s < 5
        after = await session.run("kept + 1")
        assert after.outputs[0]["data"]["text/plain"] == "42"

        started = time.monotonic()
        stubborn = await session.run(
            "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
            "print('ignoring', flush=True)\nwhile True: time.sleep(0.01)",
            timeout_s=0.5,
        )
        assert stubborn.status == "timeout", stubborn.note
        assert not stubborn.state_survived
        assert "killed" in stubborn.note
        assert "ignoring" in text_of(stubborn)
        assert time.monotonic() - started < 10
        assert not session.alive
        not_running = await session.run("1")
        assert not_running.status == "dead"
        await session.restart()
        assert (await session.run("patients.shape")).status == "ok"
        assert (await session.run("kept")).status == "error"
    assert session.usage.starts == 2


@pytest.mark.parametrize(
    ("source", "phrase"),
    [
        ("import os; print('last words', flush=True); os._exit(3)", "exit code 3"),
        ("import ctypes; print('last words', flush=True); ctypes.string_at(0)", "SIGSEGV"),
        ("import os; print('last words', flush=True); os.abort()", "SIGABRT"),
        ("print('last words'); exit()", "exit code 0"),
        ("import os, signal; print('last words', flush=True); os.kill(os.getpid(), 9)", "SIGKILL"),
    ],
)
async def test_death_is_a_result_at_once(
    image: KernelImage, maker: KernelMaker, source: str, phrase: str
) -> None:
    async with KernelSession(image, maker=maker) as session:
        started = time.monotonic()
        result = await session.run(source, timeout_s=60)
        assert result.status == "dead"
        assert not result.state_survived
        assert phrase in result.note
        assert time.monotonic() - started < 5
        await session.restart()
        assert (await session.run("1 + 1")).status == "ok"


async def test_output_without_end_is_capped_while_it_comes(
    image: KernelImage, maker: KernelMaker
) -> None:
    async with KernelSession(image, maker=maker, max_output_chars=1_000) as session:
        flood = await session.run(
            "print('first line')\nn = 0\nwhile True:\n    n += 1\n    print('x' * 1000, n)",
            timeout_s=1.5,
        )
        assert flood.status == "timeout"
        kept = text_of(flood)
        assert kept.startswith("first line")
        assert len(kept) < 1_200
        assert flood.dropped_chars > 100_000
        assert re.search(r"\d{3},\d{3} characters of output dropped", kept)
        after = await session.run("print('next cell')")
        assert text_of(after) == "next cell\n"


async def test_memory_is_limited(image: KernelImage, maker: KernelMaker) -> None:
    async with KernelSession(image, maker=maker, memory_mib=1024) as session:
        greedy = await session.run("hog = np.ones(4 * 1024**3 // 8)")
        assert greedy.status == "error"
        assert greedy.outputs[0]["ename"].endswith("MemoryError")
        assert (await session.run("patients.age.sum()")).status == "ok"


async def test_what_a_kernel_leaves_behind_is_gone_after_close(
    image: KernelImage, maker: KernelMaker
) -> None:
    mark = f"mark-{uuid.uuid4()}"
    async with KernelSession(image, maker=maker) as session:
        work = text_of(await session.run("import os; print(os.getcwd(), end='')"))
        daemon = await session.run(
            "import subprocess\n"
            "for _ in range(3):\n"
            f"    subprocess.Popen(['setsid', 'sh', '-c', 'sleep 600; echo {mark}'])\n"
            "import time; time.sleep(0.2)"
        )
        assert daemon.status == "ok"
        assert len(processes_of(mark)) >= 3
        forked = await session.run(
            "import os\nif os.fork() == 0:\n    os.setsid()\n    while True: pass", 1.0
        )
        assert forked.status in ("ok", "timeout")
    assert processes_of(mark) == []
    if isinstance(maker, StockKernels):
        assert not Path(work).exists()
        assert (session.usage.leftover_processes or 0) >= 3


async def test_the_environment_has_no_keys(
    image: KernelImage, maker: KernelMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789")
    async with KernelSession(image, maker=maker) as session:
        listing = await session.run("import os; print(dict(os.environ))")
        searched = await session.run(
            "import glob\nfound = []\nfor name in glob.glob('/proc/[0-9]*/environ'):\n"
            "    try:\n        found.append(b'sk-planted' in open(name, 'rb').read())\n"
            "    except OSError:\n        pass\nprint(any(found))"
        )
        hides = session.isolation.hides_files
    assert "sk-planted" not in text_of(listing)
    if hides:
        assert text_of(searched) == "False\n"


async def test_hidden_and_foreign_files_cannot_be_read(
    image: KernelImage, maker: KernelMaker, tmp_path: Path
) -> None:
    gold = tmp_path / "answers" / "gold.jsonl"
    gold.parent.mkdir()
    gold.write_text("42")
    async with KernelSession(image, maker=maker, hidden=[gold.parent]) as session:
        if not session.isolation.hides_files:
            pytest.skip("this kernel has no Landlock: files cannot be hidden here")
        for attempt in (
            f"open({str(gold)!r}).read()",
            f"__import__('os').listdir({str(gold.parent)!r})",
            "open('/etc/shadow').read()",
            "open(__import__('lifelines').__path__[0] + '/datasets/lung.csv').read()",
            f"open('/proc/{os.getpid()}/environ').read()",
            f"__import__('os').kill({os.getpid()}, 9)",
            "__import__('os').symlink('/etc/shadow', 's'); open('s').read()",
        ):
            result = await session.run(attempt)
            assert result.status == "error", attempt
            names = ("PermissionError", "ProcessLookupError", "FileNotFoundError")
            assert result.outputs[0]["ename"] in names, attempt
        assert (await session.run("import lifelines, sklearn.datasets")).status == "ok"
        if session.isolation.landlock_abi >= 4:
            network = "import socket; socket.create_connection(('127.0.0.1', 9), timeout=2)"
            refused = (await session.run(network)).outputs[-1]["ename"]
            assert refused in ("PermissionError", "OSError")


async def test_a_failing_setup_names_its_reason(image: KernelImage, maker: KernelMaker) -> None:
    session = KernelSession(image, maker=maker, files=["no-such-file.txt"])
    with pytest.raises(KernelStartError, match=r"no-such-file\.txt"):
        async with session:
            pass
    assert session.usage.starts == 1


async def test_cancelling_a_running_cell_cleans_up(image: KernelImage, maker: KernelMaker) -> None:
    mark = f"mark-{uuid.uuid4()}"
    started = asyncio.Event()

    async def episode() -> None:
        async with KernelSession(image, maker=maker) as session:
            await session.run(
                f"import subprocess; subprocess.Popen(['sh', '-c', 'sleep 600; {mark}'])"
            )
            started.set()
            await session.run("while True: pass", timeout_s=60)

    task = asyncio.create_task(episode())
    await asyncio.wait_for(started.wait(), 60)
    async with asyncio.timeout(10):
        while not processes_of(mark):  # it has started, but may not show its command yet
            await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert processes_of(mark) == []


@pytest.mark.parametrize("level", ["process", "sandbox"])
def test_nothing_survives_kill_9_of_the_runner(tmp_path: Path, level: str) -> None:
    if level == "sandbox" and (problem := sandbox_problem()):
        pytest.skip(f"no sandbox here: {problem}")
    mark = f"mark-{uuid.uuid4()}"
    script = tmp_path / "runner.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import asyncio
            from benchside_kernels.makers import open_kernels
            from benchside_kernels.session import KernelSession

            async def main():
                async with open_kernels({level!r}) as maker, KernelSession(maker=maker) as session:
                    result = await session.run(
                        "import os, subprocess; print(os.getcwd(), end='');"
                        "subprocess.Popen(['setsid', 'sh', '-c', 'sleep 601; {mark}'])"
                    )
                    print(result.outputs[0]["text"], flush=True)
                    await session.run("while True: pass", timeout_s=60)

            asyncio.run(main())
            """
        )
    )
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True
    ) as runner:
        assert runner.stdout is not None
        work = Path(runner.stdout.readline().strip())
        assert processes_of(mark)
        os.kill(runner.pid, signal.SIGKILL)
        runner.wait()
    deadline = time.monotonic() + 5
    while processes_of(mark) or (level == "process" and work.parent.exists()):
        assert time.monotonic() < deadline, processes_of(mark)
        time.sleep(0.05)


async def test_siblings_do_not_disturb_one_another(image: KernelImage, maker: KernelMaker) -> None:
    async def good() -> Submission | None:
        async with KernelSession(image, maker=maker) as session:
            return (await session.run("submit(patients.age.max())")).submission

    async def bad() -> str:
        async with KernelSession(image, maker=maker) as session:
            return (await session.run("import os; os.kill(os.getpid(), 11)")).status

    results = await asyncio.gather(good(), bad(), good())
    assert results == [Submission(89.0), "dead", Submission(89.0)]
