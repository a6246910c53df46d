"""The MCP server by the SDK's own client, over both transports, with clients that vanish."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mcp import Client

from benchside.errors import StoreError
from benchside.library import Suite
from benchside.protocol import run_cell_action, submit_action
from benchside.serving.mcp_server import Guests
from benchside.store import RunFolder
from tests.workbench.serving.test_driven import desk_of

COLD = (
    "from benchside.engines import local; local.WARM_MODULES = (); "
    "from benchside.__main__ import main; main()"
)

CLIENT = """
import asyncio, os, re, sys
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

async def main():
    server = StdioServerParameters(command=sys.executable, args=sys.argv[1:], env=dict(os.environ))
    async with Client(stdio_client(server)) as client:
        async def call(name, **arguments):
            result = await client.call_tool(name, arguments)
            assert not result.is_error, result
            return result.content[0].text
        for value in (0, None):
            told = await call("start")
            episode = re.search('Episode "(.+?)"', told)[1]
            assert await call("run_cell", episode=episode, code="x = 6; x * 7") == "42"
            if value is not None:
                print(await call("submit", episode=episode, value=value), flush=True)
        print("waiting", flush=True)
        await call("run_cell", episode=episode, code="while True: pass")

asyncio.run(main())
"""


def until(there: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def environment(suite: Suite) -> dict[str, str]:
    return {**os.environ, "BENCHSIDE_HOME": str(suite.home)}


async def test_clients_over_http_have_kernels_of_their_own(
    environment: dict[str, str], suite: Suite, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = (
        sys.executable, "-c", COLD, "mcp", "power", "--http", "--port", "0", "--limit", "3",
        "--idle", "2", "--out", out,
    )  # fmt: skip
    server = subprocess.Popen(  # noqa: ASYNC220 (takes no time)
        command, env=environment, stderr=subprocess.PIPE, text=True
    )
    assert server.stderr is not None
    with server.stderr as said:
        url = next(found[0] for line in said if (found := re.search(r"http://\S+", line)))

        async def call(client: Client, name: str, **arguments: object) -> str:
            result = await client.call_tool(name, arguments)
            told: str = result.content[0].text
            return f"error: {told}" if result.is_error else told

        async with Client(url) as modern:
            async with Client(url, mode="legacy") as old:
                tools = await modern.list_tools()
                assert {tool.name for tool in tools.tools} == {
                    "tasks", "start", "run_cell", "submit",
                }  # fmt: skip
                ids = json.loads(await call(modern, "tasks"))["tasks"]
                assert len(ids) == 3
                opened = await asyncio.gather(
                    *[call(client, "start", task_id=ids[0]) for client in (modern, old)]
                )
                first, second = [re.findall('Episode "(.+?)"', text)[0] for text in opened]
                assert suite.task(ids[0]).prompt.strip()[:40] in opened[0]
                await call(modern, "run_cell", episode=first, code="mine = 1")
                theirs = await call(old, "run_cell", episode=second, code="mine")
                assert "NameError" in theirs
                assert "is open" in await call(old, "run_cell", episode="guess", code="1")
                assert "no such task" in await call(old, "start", task_id="other")
                solution = suite.answer_key(ids[0]).solution
                for cell in solution:
                    told = await call(modern, "run_cell", episode=first, code=cell)
                assert told.endswith("[The episode is over: submitted.]")  # not whether it is right
                assert "is open" in await call(modern, "submit", episode=first, value=1)
            rows = RunFolder(out).all_rows
            until(lambda: len(list(rows())) == 2)  # the old client's session has ended
            await call(modern, "start", task_id=ids[1])
        until(lambda: len(list(rows())) == 3)  # it has not called for two seconds
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0
    assert [(row.outcome, row.sample) for row in rows()] == [
        ("solved", 0), ("infrastructure_error", 1), ("infrastructure_error", 0),
    ]  # fmt: skip


async def test_a_call_that_waits_keeps_its_episode_and_one_that_fails_gives_it_up(
    suite: Suite, tmp_path: Path
) -> None:
    async with desk_of(suite, tmp_path / "run", limit=1) as desk:
        guests = Guests(desk, idle_s=0.3)

        async def started() -> str:
            return re.findall('Episode "(.+?)"', await guests.start("", None))[0]

        handle = await started()
        slow = run_cell_action("import time; time.sleep(0.8); 'slow'")
        told = await asyncio.gather(*[guests.act(handle, slow) for _ in range(2)])
        assert told == ["'slow'"] * 2, "the timer stands still while a call waits for another"
        while handle in guests._open:
            await asyncio.sleep(0.05)
        await guests.close()
        (left,) = desk.folder.all_rows()
        assert (left.outcome, left.turns) == ("infrastructure_error", 2)

        guests = Guests(desk, idle_s=60)
        handle = await started()
        rows = desk.folder.path / "episodes.jsonl"
        rows.unlink()
        rows.mkdir()  # the episode cannot be stored
        with pytest.raises(StoreError):
            await guests.act(handle, submit_action(0))
        assert not guests._open
        await guests.close()
        rows.rmdir()


@pytest.mark.slow
def test_a_client_over_stdio_that_is_killed_takes_server_and_kernel_with_it(
    environment: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = (
        sys.executable, "-c", CLIENT, "-c", COLD, "mcp", "power", "--limit", "2", "--out", str(out),
    )  # fmt: skip
    client = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert client.stdout is not None
    with client.stdout as said:
        assert said.readline() == "Submitted: 0\n"
        until(lambda: said.readline() == "waiting\n")
        time.sleep(0.5)
        server = int(
            subprocess.check_output(["pgrep", "-P", str(client.pid)], text=True).split()[0]
        )
        client.kill()
        client.wait()
    until(lambda: not Path(f"/proc/{server}").exists())
    folder = RunFolder(out)
    with folder.lock():  # nobody else holds it
        rows = list(folder.all_rows())
    assert [row.outcome for row in rows] == ["wrong"]
    assert len(list((out / "turns").glob("*.jsonl"))) == 1  # of the one that was left amid a cell
