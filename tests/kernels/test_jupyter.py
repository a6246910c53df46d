"""Forked kernels as Jupyter kernels: through jupyter_client, nbclient and papermill, unmodified."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager

from benchside.kernelspecs import write_kernelspec
from benchside_kernels import provisioner
from benchside_kernels.errors import KernelStartError, SessionClosedError
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.image import KernelImage
from benchside_kernels.jupyter_kernels import jupyter_kernels
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.session import KernelSession
from benchside_kernels.startup import HOME_VARIABLE
from benchside_kernels.stock import StockKernels

if problem := sandbox_problem():
    pytest.skip(f"no sandbox here: {problem}", allow_module_level=True)

MODULES = ("matplotlib.pyplot", "matplotlib_inline.backend_inline")


LATE_CONTROL_THREAD = """
import os, time
from ipykernel.kernelapp import IPKernelApp
app = IPKernelApp.instance()
publish, stop = app.kernel._publish_status_and_flush, app.iopub_thread.stop
def late(status, channel, *args):
    if (status, channel) == ("idle", "control"):
        time.sleep(2)  # meanwhile the main thread ends
    publish(status, channel, *args)
def watched():
    if app.control_thread.is_alive():  # in the midst of a message it would hang or abort
        os._exit(3)
    stop()
app.kernel._publish_status_and_flush, app.iopub_thread.stop = late, watched
"""


class Client:
    """A Jupyter client of one kernel; `run` gives the reply and the outputs by message type."""

    def __init__(self, client: AsyncKernelClient) -> None:
        self.client = client

    async def run(
        self, source: str, answer: str | None = None, heard: Callable[[], object] = str
    ) -> tuple[dict[str, Any], list[Any]]:
        """Run a cell; `heard` is called for what it prints."""
        outputs: list[Any] = []

        def keep(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream":
                heard()
            if message["msg_type"] not in ("status", "execute_input"):
                outputs.append((message["msg_type"], message["content"]))

        reply = await self.client.execute_interactive(
            source, allow_stdin=answer is not None, timeout=20, output_hook=keep,
            stdin_hook=lambda _: self.client.input(answer),
        )  # fmt: skip
        return reply["content"], outputs

    async def value(self, source: str, answer: str | None = None) -> str:
        _, outputs = await self.run(source, answer)
        return str(outputs[-1][1]["data"]["text/plain"])


async def connect(client: AsyncKernelClient) -> Client:
    client.start_channels()
    await client.wait_for_ready(timeout=30)
    return Client(client)


@pytest.fixture
async def maker() -> AsyncIterator[ForkedKernels]:
    async with ForkedKernels(MODULES) as forked:
        yield forked


@pytest.fixture
def jupyter(
    home: Path, image: KernelImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A kernelspec `benchside-ward` on a path of its own; and no kernel is left afterwards."""
    write_kernelspec(
        "benchside-ward", "Benchside: ward", {"image": image.ref, "modules": list(MODULES)},
        user=False, prefix=tmp_path,
    )  # fmt: skip
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    yield tmp_path
    kernels = jupyter_kernels()
    asyncio.run(kernels.call(kernels.drop_spare()))
    assert list(Path(kernels.folder).iterdir()) == []


@pytest.fixture
async def manager(jupyter: Path) -> AsyncIterator[AsyncKernelManager]:
    manager = AsyncKernelManager(kernel_name="benchside-ward")
    await manager.start_kernel()
    yield manager
    if manager.has_kernel:
        await manager.shutdown_kernel(now=True)


async def test_attach_keeps_all_state_and_hands_the_kernel_over(
    image: KernelImage, maker: ForkedKernels
) -> None:
    async with KernelSession(image, maker=maker, files=["notes.txt"]) as session:
        await session.run(
            "import matplotlib.pyplot as plt\nx = patients.age.mean()\nopen('mine', 'w').write('1')"
        )
        file = await session.attach()
        assert file.parent.stat().st_mode & 0o777 == 0o700
        with pytest.raises(SessionClosedError, match="attach"):
            await session.run("1")
        with pytest.raises(SessionClosedError):
            await session.attach()
        client = AsyncKernelClient()
        client.load_connection_file(str(file))
        kernel = await connect(client)
        reply, outputs = await kernel.run("x")
        assert outputs[0][1]["data"]["text/plain"] == "np.float64(54.5)"
        assert reply["execution_count"] == 3  # the set-up cell and ours came before
        assert await kernel.value("sorted(__import__('os').listdir())") == "['mine', 'notes.txt']"
        _, plotted = await kernel.run("plt.plot([1, 2]);")
        assert plotted[-1][1]["data"]["image/png"].startswith("iVBOR")
        failed, _ = await kernel.run("1 / 0")
        assert failed["ename"] == "ZeroDivisionError"
        assert await kernel.value("input('name? ')", "Ada") == "'Ada'"
        _, printed = await kernel.run(
            "import subprocess, multiprocessing as mp; print('own')\n"
            "subprocess.run(['sh', '-c', 'echo sub']);\n!echo shell\n"
            "child = mp.get_context('fork').Process(target=print, args=('forked',))\n"
            "child.start(); child.join()"
        )
        text = "".join(content["text"] for _, content in printed)
        assert sorted(text.split()) == ["forked", "own", "shell", "sub"]
        client.stop_channels()
    assert not file.exists()
    assert session.usage.cpu_s


async def test_comms_reach_both_ways_and_interrupts_come_by_message(maker: ForkedKernels) -> None:
    async with KernelSession(maker=maker) as session:
        client = AsyncKernelClient()
        client.load_connection_file(str(await session.attach()))
        kernel = await connect(client)
        await kernel.run(
            "def opened(comm, _):\n"
            "    comm.on_msg(lambda m: comm.send({'twice': 2 * m['content']['data']['n']}))\n"
            "get_ipython().kernel.comm_manager.register_target('double', opened)"
        )
        for kind, content in (
            ("comm_open", {"comm_id": "c", "target_name": "double", "data": {}}),
            ("comm_msg", {"comm_id": "c", "data": {"n": 21}}),
        ):
            client.shell_channel.send(client.session.msg(kind, content))
        message = await client.get_iopub_msg(timeout=10)
        while message["msg_type"] != "comm_msg":
            message = await client.get_iopub_msg(timeout=10)
        assert message["content"] == {"comm_id": "c", "data": {"twice": 42}}

        def interrupt() -> None:
            client.control_channel.send(client.session.msg("interrupt_request", {}))

        reply, _ = await kernel.run("print('runs', flush=True)\nwhile True: pass", heard=interrupt)
        assert reply["ename"] == "KeyboardInterrupt"
        client.stop_channels()


async def test_an_attached_kernel_is_as_confined_as_before(
    image: KernelImage, maker: ForkedKernels
) -> None:
    async with KernelSession(image, maker=maker) as session:
        file = await session.attach()
        client = AsyncKernelClient()
        client.load_connection_file(str(file))
        kernel = await connect(client)
        for attempt in (
            "open('/etc/shadow')",
            f"open({str(file)!r})",
            f"__import__('os').kill({os.getpid()}, 9)",
            "__import__('os').mkdir('/kernel/new')",
            "import socket; socket.create_connection(('127.0.0.1', 9), timeout=2)",
            f"import socket; socket.socket(socket.AF_UNIX).connect({str(file.parent / 'k-1')!r})",
            "__import__('ctypes').CDLL(None).unshare(0x10000000) and open('/refused')",
        ):
            reply, _ = await kernel.run(attempt)
            assert reply["status"] == "error", attempt
            assert reply["ename"] in (
                "FileNotFoundError", "PermissionError", "ProcessLookupError", "OSError",
            ), attempt  # fmt: skip
        client.stop_channels()


async def test_a_kernel_that_cannot_attach_says_so(image: KernelImage) -> None:
    async with KernelSession(image, maker=StockKernels()) as session:
        with pytest.raises(KernelStartError, match="sandboxed"):
            await session.attach()
        assert not session.alive
    with pytest.raises(SessionClosedError):
        await session.attach()


async def test_the_manager_interrupts_restarts_and_kills(manager: AsyncKernelManager) -> None:
    kernel = await connect(manager.client())
    assert await kernel.value("kept = 41; patients.shape") == "(70, 2)"
    tasks = []

    async def interrupt() -> None:
        await asyncio.sleep(0.2)
        await manager.interrupt_kernel()

    for slow in (
        "while True: pass",
        "import time; time.sleep(60)",
        "!sleep 60",
        "import asyncio; await asyncio.sleep(60)",  # nothing but the signal wakes it
    ):
        reply, _ = await kernel.run(
            f"print('runs', flush=True)\n{slow}",
            heard=lambda: tasks.append(asyncio.ensure_future(interrupt())),
        )
        assert reply["status"] == "error", slow
    reply, outputs = await kernel.run("kept + 1")
    assert outputs[0][1]["data"]["text/plain"] == "42"
    assert reply["execution_count"] == 6

    await manager.restart_kernel()
    await kernel.client.wait_for_ready(timeout=30)  # the same client finds the new kernel
    reply, _ = await kernel.run("kept")
    assert (reply["ename"], reply["execution_count"]) == ("NameError", 1)

    kernel.client.execute("import os; os._exit(7)")
    for _ in range(100):
        if not await manager.is_alive():
            break
        await asyncio.sleep(0.05)
    assert manager.provisioner is not None
    assert await manager.provisioner.poll() == 7
    await manager.restart_kernel(now=True)
    await kernel.client.wait_for_ready(timeout=30)
    kernel.client.execute("import signal\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)")
    kernel.client.execute("while True: pass")
    started = time.monotonic()
    await manager.shutdown_kernel(now=True)
    assert time.monotonic() - started < 5
    assert not manager.has_kernel
    kernel.client.stop_channels()


async def test_shutdown_leaves_nothing(manager: AsyncKernelManager) -> None:
    kernel = await connect(manager.client())
    mark = f"mark-{uuid.uuid4()}"
    await kernel.run(f"import subprocess; subprocess.Popen(['sh', '-c', 'sleep 600; {mark}'])")
    await kernel.run(LATE_CONTROL_THREAD)
    assert _mentions(mark)
    file = Path(manager.connection_file)
    process = manager.provisioner._kernel
    manager.shutdown_wait_time = 120  # half of it for the kernel, on a busy machine
    await manager.shutdown_kernel()
    assert process.exited.result().code == 0  # by itself
    kernel.client.stop_channels()
    assert not manager.has_kernel
    assert not file.exists()
    assert not _mentions(mark)


async def test_the_next_kernel_waits_fresh_and_is_used_once(jupyter: Path) -> None:
    """From the second kernel of a kernelspec on; one that dies while it waits is not handed out."""
    config = {"modules": list(MODULES), "memory_mib": 1000}
    write_kernelspec("benchside-next", "Benchside: next", config, user=False, prefix=jupyter)
    kernels = jupyter_kernels()
    waiting: list[int] = []
    for turn in range(5):
        manager = AsyncKernelManager(kernel_name="benchside-next")
        await manager.start_kernel()
        spare, process = kernels._spare, manager.provisioner._kernel
        assert (spare is not None) == (turn > 0)
        assert (id(process) in waiting) == (turn in (2, 4))
        kernel = await connect(manager.client())
        reply, outputs = await kernel.run("'mine' in globals()")
        assert outputs[0][1]["data"]["text/plain"] == "False"
        assert reply["execution_count"] == 1
        await kernel.run("mine = 1")
        if spare is not None:
            attached = await kernels.call(_result(spare.starting))
            waiting.append(id(attached.kernel))
            if turn == 2:
                await kernels.call(attached.kernel.kill())
        kernel.client.stop_channels()
        await manager.shutdown_kernel(now=True)
        assert process.exited.done()
    assert kernels._spare is not None
    together = [AsyncKernelManager(kernel_name="benchside-next") for _ in range(3)]
    await asyncio.gather(*(manager.start_kernel() for manager in together))
    assert len({id(manager.provisioner._kernel) for manager in together}) == 3
    for manager in together:
        await manager.shutdown_kernel(now=True)


async def _result(task: Any) -> Any:
    return await task


def _mentions(mark: str) -> bool:
    found = False
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found |= mark.encode() in path.read_bytes()
        except OSError:
            continue
    return found


async def test_without_a_sandbox_the_reason_is_told(
    jupyter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provisioner, "sandbox_problem", lambda: "namespaces are forbidden")
    with pytest.raises(KernelStartError, match="namespaces are forbidden"):
        await AsyncKernelManager(kernel_name="benchside-ward").start_kernel()


async def test_images_of_a_suite_are_loaded_by_the_set_up_cell(
    jupyter: Path, image: KernelImage
) -> None:
    config = {"images": [image.ref], "modules": list(MODULES)}
    write_kernelspec("benchside-suite", "Benchside: suite", config, user=False, prefix=jupyter)
    manager = AsyncKernelManager(kernel_name="benchside-suite")
    await manager.start_kernel()
    kernel = await connect(manager.client())
    reply, _ = await kernel.run("patients")
    assert reply["ename"] == "NameError"
    setup = f"from benchside_kernels.startup import setup; setup({image.ref!r}); len(patients)"
    assert await kernel.value(setup) == "70"
    kernel.client.stop_channels()
    await manager.shutdown_kernel()


AS_A_USER = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]


@pytest.mark.parametrize("prefix", [[], AS_A_USER], ids=["as we are", "without privileges"])
def test_nbclient_and_papermill_run_a_notebook_and_leave_no_process(
    jupyter: Path, prefix: list[str]
) -> None:
    """In a process of its own, which ends without a word about kernels."""
    if prefix and (
        not shutil.which("unshare") or subprocess.run([*prefix, "true"], check=False).returncode
    ):
        pytest.skip("no user namespaces here")
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell("least = 20", metadata={"tags": ["parameters"]}),
            nbformat.v4.new_code_cell("import matplotlib.pyplot as plt\nplt.plot([1, 2]);"),
            nbformat.v4.new_code_cell("int((patients.age > least).sum())"),
        ],
        metadata={
            "kernelspec": {"name": "benchside-ward", "display_name": "", "language": "python"}
        },
    )
    nbformat.write(notebook, jupyter / "in.ipynb")
    script = """
        from pathlib import Path
        import nbformat, papermill
        from nbclient import NotebookClient

        def last(notebook):
            plot, number = notebook.cells[-2].outputs[0], notebook.cells[-1].outputs[0]
            assert plot["data"]["image/png"].startswith("iVBOR")
            return number["data"]["text/plain"]

        read = nbformat.read("in.ipynb", as_version=4)
        print(last(NotebookClient(read).execute()))
        print(last(papermill.execute_notebook(
            "in.ipynb", "out.ipynb", parameters={"least": 80}, progress_bar=False)))
        print(*[path.read_text() for path in Path("/proc/self/task").glob("*/children")])
    """
    done = subprocess.run(
        [*prefix, sys.executable, "-c", textwrap.dedent(script)],
        cwd=jupyter, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    all_rows, old, *processes = done.stdout.split()
    assert (all_rows, old) == ("69", "9")
    assert processes  # the zygote was kept for the second notebook
    deadline = time.monotonic() + 5
    while any(Path("/proc", pid).exists() for pid in processes):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_documented_commands_run_notebooks(home: Path, tmp_path: Path) -> None:
    """Of docs/jupyter.md: install a kernelspec, then papermill and `jupyter execute`."""
    text = (Path(__file__).parents[2] / "docs" / "jupyter.md").read_text()
    install, *commands = re.findall(
        r"^(?:benchside kernelspec install$|papermill .*|jupyter execute .*)", text, re.MULTILINE
    )
    assert len(commands) == 2
    cells = ["threshold = 0.1", "import pandas as pd\n(pd.Series([0.2, 0.7]) > threshold).sum()"]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}},
    )
    notebook.cells[0].metadata["tags"] = ["parameters"]
    for name in ("in.ipynb", "notebook.ipynb"):
        nbformat.write(notebook, tmp_path / name)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "JUPYTER_PATH": str(tmp_path / "share" / "jupyter"),
        HOME_VARIABLE: str(home),
    }
    for command in (f"{install} --prefix {tmp_path}", *commands):
        done = subprocess.run(
            command.split(), cwd=tmp_path, env=environment, capture_output=True, text=True,
            timeout=100, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    results = []
    for name in ("out.ipynb", "notebook.ipynb"):
        read = nbformat.read(tmp_path / name, as_version=4)
        nbformat.validate(read)
        results.append(read.cells[-1].outputs[0].data["text/plain"])
    assert results == ["np.int64(1)", "np.int64(2)"]  # papermill's threshold, and the notebook's


def test_a_killed_server_takes_its_kernels_along(jupyter: Path) -> None:
    mark = f"mark-{uuid.uuid4()}"
    script = f"""
        import asyncio
        from jupyter_client.manager import AsyncKernelManager

        async def main():
            manager = AsyncKernelManager(kernel_name="benchside-ward")
            await manager.start_kernel()
            client = manager.client()
            client.start_channels()
            await client.wait_for_ready(timeout=30)
            cell = "import subprocess; p = subprocess.Popen(['sh', '-c', 'sleep 600; {mark}'])"
            await client.execute_interactive(cell, timeout=20)
            print("ready", flush=True)
            await asyncio.sleep(60)

        asyncio.run(main())
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    deadline = time.monotonic() + 5
    while _mentions(mark):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_kernelspec_starts_nothing_without_its_provisioner(jupyter: Path) -> None:
    path = jupyter / "share/jupyter/kernels/benchside-ward/kernel.json"
    described = json.loads(path.read_text())
    assert described["display_name"] == "Benchside: ward"
    done = subprocess.run(described["argv"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "provisioner" in done.stderr
