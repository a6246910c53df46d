"""Stock kernels: started ahead and used once, deaf to strangers, gone with their owner."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.asynchronous.client import AsyncKernelClient

from benchside_kernels import stock
from benchside_kernels.admission import Admission
from benchside_kernels.image import KernelImage
from benchside_kernels.output import OutputCollector
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.session import KernelSession
from benchside_kernels.stock import StockKernels

STATE = "import os, random\n(patients.age.mean(), random.random(), sorted(os.listdir()))"


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder of its own, with a short path for sockets."""
    made = Path(tempfile.mkdtemp(prefix="t"))
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    yield made
    shutil.rmtree(made)


async def spares(maker: StockKernels) -> list[stock._Spare]:
    """What is in stock, once the background is done."""
    assert maker._refilling is not None
    await maker._refilling
    return [spare for kind in maker._spares.values() for spare in kind]


async def test_kernels_started_ahead_are_used_once_and_like_fresh_ones(
    image: KernelImage, folder: Path
) -> None:
    async with KernelSession(image, files=["notes.txt"], seed=5) as session:
        cold = await session.run(STATE)
        count = cold.outputs[0]["execution_count"]
    async with StockKernels(stock=1) as maker:
        assert "1 of a kind started ahead" in maker.isolation.kernels
        async with KernelSession(image, files=["notes.txt"], seed=1, maker=maker) as first:
            (spare,) = await spares(maker)
            await first.run("patients = None; open('left', 'w').close()")
            async with KernelSession(image, files=["notes.txt"], seed=5, maker=maker) as second:
                assert second._kernel is spare.kernel
                warm = await second.run(STATE)
                assert warm.outputs[0]["data"] == cold.outputs[0]["data"]
                assert warm.outputs[0]["execution_count"] == count
            assert not spare.folder.exists()
            (other,) = await spares(maker)
            assert other.kernel is not spare.kernel
            async with KernelSession(maker=maker) as bare:  # another kind
                assert bare._kernel is not other.kernel
                assert (await bare.run("patients")).status == "error"
    assert list(folder.iterdir()) == []


async def test_a_spare_that_died_or_hangs_is_replaced(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock, "TAKE_TIMEOUT_S", 1.0)
    async with StockKernels(stock=1) as maker:
        async with KernelSession(maker=maker):
            pass
        for number in (signal.SIGKILL, signal.SIGSTOP):
            (spare,) = await spares(maker)
            os.kill(spare.kernel._process.pid, number)
            if number == signal.SIGKILL:
                await spare.kernel.exited
            async with KernelSession(maker=maker) as session:
                assert session._kernel is not spare.kernel
                assert (await session.run("6 * 7")).status == "ok"
    assert list(folder.iterdir()) == []


async def test_the_stock_is_given_up_while_memory_is_short(folder: Path) -> None:
    async with StockKernels(stock=1) as maker, KernelSession(maker=maker):
        assert len(await spares(maker)) == 1
        maker._admission = Admission(memory=lambda: (10_000.0, 900.0), start_mib=stock.KERNEL_MIB)
        async with KernelSession(memory_mib=1000, maker=maker) as session:  # another kind
            assert await spares(maker) == []
            assert (await session.run("1")).status == "ok"
            assert len(list(folder.iterdir())) == 2, "the folders of the two sessions"


async def test_nobody_else_can_connect(folder: Path) -> None:
    async with KernelSession() as session:
        (connection,) = folder.glob("*/c0/connection.json")
        assert [path.name for path in connection.parent.iterdir()] == ["connection.json"]
        client = AsyncKernelClient()
        client.load_connection_file(str(connection))
        client.start_channels(stdin=False, hb=False)
        try:
            with pytest.raises(RuntimeError, match="didn't respond"):
                await client.wait_for_ready(timeout=2)
        finally:
            client.stop_channels()
        assert (await session.run("6 * 7")).status == "ok", "the control: its owner still can"


async def test_a_cell_that_patches_json_still_gets_its_result() -> None:
    async with KernelSession() as session:
        patched = await session.run("import json\njson.dumps = json.loads = None\n6 * 7", 10)
        assert patched.status == "ok"
        assert patched.outputs[0]["data"]["text/plain"] == "42"
        assert (await session.run("'still here'", 10)).status == "ok"


async def test_an_interrupt_that_meets_the_answer_does_not_lose_it() -> None:
    async with KernelSession() as session:
        kernel = session._kernel
        assert kernel is not None
        cell = kernel.execute("1", OutputCollector(100))
        time.sleep(0.5)  # noqa: ASYNC251 -- the answer comes while nobody looks
        kernel.interrupt()
        async with asyncio.timeout(5):
            await cell.done


async def test_close_that_is_cancelled_leaves_nothing(folder: Path) -> None:
    session = KernelSession()
    await session.__aenter__()
    kernel = session._kernel
    assert kernel is not None
    closing = asyncio.create_task(session.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert kernel.exited.done()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("kind", ["stock", "forked", "jupyter"])
def test_kill_9_of_the_runner_leaves_no_file(folder: Path, kind: str) -> None:
    if kind != "stock" and (problem := sandbox_problem()):
        pytest.skip(f"no sandbox here: {problem}")
    maker = "StockKernels(stock=1)" if kind == "stock" else "ForkedKernels()"
    attach = "" if kind == "stock" else "await session.attach()"
    script = f"""
    import asyncio
    from pathlib import Path
    from benchside_kernels.jupyter_kernels import KernelRecipe, jupyter_kernels
    from benchside_kernels.forked import ForkedKernels
    from benchside_kernels.session import KernelSession
    from benchside_kernels.stock import StockKernels

    async def main():
        async with {maker} as maker, KernelSession(maker=maker) as session:
            await session.run("open('file', 'w').close()")
            {attach}
            if {kind == "stock"}:
                await maker._refilling
            print("up", flush=True)
            await asyncio.sleep(60)
    async def serve():
        recipe = KernelRecipe(Path({str(folder)!r}), "", (), (), 512, 1)
        await jupyter_kernels().call(jupyter_kernels().take(recipe))
        print("up", flush=True)
        await asyncio.sleep(60)

    asyncio.run({"serve" if kind == "jupyter" else "main"}())
    """
    runner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(folder)},
    )  # fmt: skip
    with runner:
        assert runner.stdout is not None
        assert runner.stdout.readline() == b"up\n"
        assert list(folder.iterdir()) != []
        runner.kill()
    deadline = time.monotonic() + 20
    while list(folder.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(folder.iterdir()) == []
