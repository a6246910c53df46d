"""People as policies: in the terminal, by pexpect, and in JupyterLab, by its own interfaces."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pexpect
import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from benchside.library import Suite
from benchside.policies import make_policy
from benchside.transcript import read_transcript
from tests.workbench.test_cli import command, environment

SETTINGS = {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
COLD = (
    "from benchside.engines import local; local.WARM_MODULES = (); "
    "from benchside.__main__ import main; main()"
)


def run_of(policy: str, out: Path, limit: int) -> list[str]:
    return [
        sys.executable, "-c", COLD, "run", "power", "--limit", str(limit), "--policy", policy,
        "--out", str(out),
    ]  # fmt: skip


def rows_of(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "episodes.jsonl").read_text().splitlines()]


def test_a_person_solves_a_task_in_the_terminal_and_gives_up_the_next(
    suite: Suite, tmp_path: Path
) -> None:
    program, *arguments = run_of("human", tmp_path / "run", 2)
    terminal = pexpect.spawn(
        program, arguments, env={**environment(suite.home), **SETTINGS},
        timeout=100, encoding="utf-8", dimensions=(50, 200),
    )  # fmt: skip
    terminal.expect("submit\\(value\\) ends the task")
    terminal.expect(r"\[1\] \(15 turns, \d+ s left\) >")
    terminal.send("for i in (2, 3):\r")
    terminal.send("print('seen', i * 7)\r\r")
    terminal.expect("seen 14\\s+seen 21")
    terminal.expect(r"\[2\] \(14 turns")
    terminal.send("1 / 0\r")
    terminal.expect("ZeroDivisionError: division by zero")
    terminal.expect(r"\[3\] \(13 turns")
    terminal.send("submit(-1.5)\r")
    terminal.expect(r"\[1\] \(15 turns")
    terminal.sendcontrol("d")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0, terminal.before
    rows = rows_of(tmp_path / "run")
    assert [(row["outcome"], row["turns"]) for row in rows] == [("wrong", 3), ("policy_error", 0)]
    first = read_transcript(tmp_path / "run" / rows[0]["transcript"])
    assert all(turn.action.usage.latency_s for turn in first.turns)
    assert rows[0]["policy_s"] > 0


def test_without_a_terminal_it_says_so(suite: Suite, tmp_path: Path) -> None:
    done = subprocess.run(
        command("run", "power", "--limit", 1, "--policy", "human", "--out", tmp_path / "run"),
        env=environment(suite.home), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "policy human needs a terminal" in done.stderr
    assert make_policy("human:lab").config == {"policy": "human", "front_end": "lab"}


def until_ready(jupyter: BlockingKernelClient) -> None:
    """Wait for a kernel that may not have bound its sockets yet, which counts as dead."""
    deadline = time.monotonic() + 100
    while True:
        try:
            jupyter.wait_for_ready(timeout=60)
            return
        except RuntimeError:
            assert time.monotonic() < deadline
            time.sleep(0.5)


class Lab:
    """What a browser would be to the JupyterLab of an episode: its contents, kernels and cells."""

    def __init__(self, line: str) -> None:
        url, self.notebook, token = re.findall(
            r"(http\S+)lab/tree/(\S+)\.ipynb\?token=(\w+)", line
        )[0]
        self._http = httpx.Client(
            base_url=url, headers={"Authorization": f"token {token}"}, timeout=60
        )
        self.told: list[dict[str, object]] = []

    def __enter__(self) -> "Lab":
        self.shown = self.get(f"api/contents/{self.notebook}.ipynb")["content"]
        name = self.shown["metadata"]["kernelspec"]["name"]
        started = self._http.post("api/kernels", json={"name": name})
        kernel = started.raise_for_status().json()["id"]
        spec = self.get(f"api/kernelspecs/{name}")["spec"]
        self.runtime = Path(spec["env"]["BENCHSIDE_EPISODE_SOCKET"]).parent / "runtime"
        self._jupyter = BlockingKernelClient()
        self._jupyter.load_connection_file(str(self.runtime / f"kernel-{kernel}.json"))
        self._jupyter.start_channels()
        until_ready(self._jupyter)
        return self

    def __exit__(self, *_: object) -> None:
        self._jupyter.stop_channels()
        self._http.close()

    def get(self, path: str):
        return self._http.get(path).raise_for_status().json()

    def execute(self, code: str) -> str:
        self.told.clear()
        reply = self._jupyter.execute_interactive(
            code, timeout=60, output_hook=lambda message: self.told.append(message["content"])
        )
        return str(reply["content"]["status"])


@pytest.mark.slow
def test_a_person_works_in_jupyterlab_which_may_die(suite: Suite, tmp_path: Path) -> None:
    own = {**environment(suite.home), "JUPYTER_CONFIG_DIR": str(tmp_path)}
    running = subprocess.Popen(
        run_of("human:lab", tmp_path / "run", 1), env=own, stderr=subprocess.PIPE, text=True
    )
    assert running.stderr is not None
    with running.stderr as said:
        with Lab(next(line for line in said if "lab/tree/" in line)) as lab:
            assert "Submit" in lab.shown["cells"][0]["source"]
            assert lab.execute("x = 6; x * 7") == "ok"
            assert any(one.get("data") == {"text/plain": "42"} for one in lab.told), lab.told
            assert lab.execute("1 / 0") == "error"
            assert any(one.get("ename") == "ZeroDivisionError" for one in lab.told), lab.told
        (server,) = lab.runtime.glob("jpserver-*.json")
        os.kill(json.loads(server.read_text())["pid"], signal.SIGKILL)
        with Lab(next(line for line in said if "lab/tree/" in line)) as again:
            assert again.notebook == lab.notebook, "the episode goes on"
            assert again.execute("submit(x)") == "ok"
            assert any("The episode is over" in str(one.get("text")) for one in again.told)
        said.read()
    deadline = time.monotonic() + 60
    while running.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert running.returncode == 0
    (row,) = rows_of(tmp_path / "run")
    assert (row["outcome"], row["turns"], row["policy"]) == ("wrong", 3, "human:lab")
    assert not lab.runtime.exists()
