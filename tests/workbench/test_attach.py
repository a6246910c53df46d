"""Stepping into an episode after its end, from another process, as a user does."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from benchside.library import Suite
from benchside_kernels.sandbox import sandbox_problem
from tests.workbench.test_cli import command, environment


@pytest.fixture(autouse=True)
def _sandbox() -> None:
    if problem := sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")


@pytest.fixture
def settings(home: Path, tmp_path: Path) -> dict[str, str]:
    """Own folders for sockets and connection files."""
    for name in ("runtime", "jupyter"):
        (tmp_path / name).mkdir(mode=0o700)
    own = {
        "XDG_RUNTIME_DIR": str(tmp_path / "runtime"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "jupyter"),
    }
    return environment(home) | own


def call(settings: dict[str, str], *arguments: object, code: int = 0) -> str:
    done = subprocess.run(
        command(*arguments), env=settings, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_a_kept_kernel_is_stepped_into_once_and_ends_with_it(
    settings: dict[str, str], suite: Suite, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    run = ("run", "power", "--policy", "reference", "--limit", 2, "--keep", 2, "--out", out)
    call(settings, *run)
    kept = call(settings, "attach")
    first, _ = sorted(path.stem for path in (out / "episodes").glob("*.ipynb"))
    assert f"{out}/{first}" in kept.replace("\n", "")
    assert "2 kernels are kept" in kept

    attached = subprocess.Popen(
        command("attach", out / first), env=settings, stdout=subprocess.DEVNULL
    )
    try:
        offered = tmp_path / "jupyter" / "external_kernels"
        deadline = time.monotonic() + 60
        while not list(offered.glob("*.json")) and time.monotonic() < deadline:
            time.sleep(0.05)
        (file,) = offered.glob("*.json")
        client = BlockingKernelClient()
        client.load_connection_file(str(file))
        client.start_channels()
        client.wait_for_ready(timeout=20)
        said: list[str] = []
        reply = client.execute_interactive(
            "print(callable(submit), [name for name in In if 'submit(' in name] != [])",
            timeout=20, output_hook=lambda message: said.append(json.dumps(message["content"])),
        )  # fmt: skip
        client.stop_channels()
        assert reply["content"]["status"] == "ok"
        assert any("True True" in text for text in said), said
        assert "no kernel is kept" in call(settings, "attach", out / first, code=2)
    finally:
        attached.send_signal(signal.SIGINT)
        assert attached.wait(timeout=20) == 0
    assert not list(offered.iterdir())
    assert "1 kernels are kept" in call(settings, "attach")
    assert "no such episode" in call(settings, "attach", out / "nobody", code=2)

    for socket in (tmp_path / "runtime" / "benchside").glob("*.socket"):
        os.kill(int(socket.stem), signal.SIGKILL)
    assert "0 kernels are kept" in call(settings, "attach")
