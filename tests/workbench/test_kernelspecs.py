"""`benchside kernelspec install` as a user meets it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchside.library import Suite

Install = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def install(suite: Suite, tmp_path: Path) -> Install:
    def call(*options: str) -> subprocess.CompletedProcess[str]:
        code = "from benchside.cli import main; main()"
        return subprocess.run(
            [sys.executable, "-c", code, "kernelspec", "install", "--prefix", tmp_path, *options],
            env={**os.environ, "BENCHSIDE_HOME": str(suite.home)},
            capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip

    return call


def test_bare_suite_and_image(install: Install, suite: Suite, tmp_path: Path) -> None:
    image, ref = next(iter(suite.record.images.items()))
    for options, name, shown, key in (
        ([], "benchside", "Benchside", None),
        (["--suite", "power"], "benchside-power", "Benchside: power", "image"),
        (["--image", image], f"benchside-{image}", f"Benchside: {image}", "image"),
        (["--image", ref], f"benchside-{image}", f"Benchside: {image}", "image"),
    ):
        done = install(*options)
        assert done.returncode == 0, done.stderr
        folder = tmp_path / "share/jupyter/kernels" / name
        assert str(folder) in done.stdout
        described = json.loads((folder / "kernel.json").read_text())
        assert described["display_name"] == shown
        stanza = described["metadata"]["kernel_provisioner"]
        assert stanza["provisioner_name"] == "benchside-provisioner"
        assert stanza["config"].get("image") == (ref if key else None)
        assert "matplotlib.pyplot" in stanza["config"]["modules"]


@pytest.mark.parametrize(
    ("options", "phrase"),
    [
        (["--image", "power.nothing"], "power has no image power.nothing"),
        (["--suite", "no-such-suite"], "no-such-suite"),
        (["--suite", "power", "--image", "power.pilot"], "--image and --suite"),
    ],
)
def test_mistakes_are_told(install: Install, options: list[str], phrase: str) -> None:
    done = install(*options)
    assert done.returncode == 2
    assert phrase in done.stderr
    assert "Traceback" not in done.stderr
