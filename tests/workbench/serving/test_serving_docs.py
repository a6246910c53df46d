"""The quickstarts of docs/serving.md run as they stand."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchside.library import Suite

TEXT = Path(__file__).parents[3].joinpath("docs", "serving.md").read_text(encoding="utf-8")
BLOCKS = [
    pytest.param(block, id=section.partition("\n")[0])
    for section in TEXT.split("\n## ")
    for block in re.findall(r"```python\n(.*?)```", section, re.DOTALL)
]
NEEDED = ("verifiers", "inspect_ai")


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS)
def test_quickstarts_run(suite: Suite, tmp_path: Path, block: str) -> None:
    for name in NEEDED:
        if re.search(rf"(import|from) {name}", block) and importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    commands = str(Path(sys.executable).parent)
    environment = {
        **os.environ, "BENCHSIDE_HOME": str(suite.home),
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=tmp_path, env=environment, capture_output=True,
        text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
