"""The quickstarts of docs/quickstarts.md run as they stand, with each backend's own client.

Models and addresses are those of a local server; what needs one in transformers is run by
`tests/training/local/test_served.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchside.library import Suite
from tests.workbench.chat_server import ChatServer
from tests.workbench.policies.dialects import ANTHROPIC, GEMINI, OPENAI, Dialect

PAGE = Path(__file__).parents[3].joinpath("docs/quickstarts.md").read_text(encoding="utf-8")


def quickstart(section: str) -> str:
    """The block of a section."""
    return PAGE.partition(f"\n## {section}\n")[2].split("```sh\n")[1].partition("```")[0]


def run_block(block: str, home: Path, folder: Path, **variables: str) -> str:
    """Run a block in a shell and return what it showed."""
    commands = str(Path(sys.executable).parent)
    environment = {
        **os.environ, "BENCHSIDE_HOME": str(home), "COLUMNS": "200",
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", **variables,
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "-euc", block], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("section", "dialect", "policy"),
    [
        ("OpenAI", OPENAI, "openai:gpt-5-mini"),
        ("Anthropic", ANTHROPIC, "anthropic:claude-sonnet-4-5"),
        ("Gemini", GEMINI, "gemini:gemini-2.5-flash"),
        ("A server of your own", OPENAI, "openai:Qwen/Qwen3-8B"),
        (
            "Two models, a price file and what it cost", OPENAI,
            "plan(openai:gpt-5-mini, openai:gpt-5)",
        ),
    ],
)  # fmt: skip
def test_a_quickstart_runs(
    suite: Suite, tmp_path: Path, section: str, dialect: Dialect, policy: str
) -> None:
    with ChatServer(dialect.call(("submit", {"value": 12}), content="12")) as server:
        shown = run_block(
            quickstart(section).replace("http://localhost:8000/v1", server.url), suite.home,
            tmp_path, OPENAI_BASE_URL=server.url, ANTHROPIC_BASE_URL=server.root,
            GOOGLE_GEMINI_BASE_URL=server.root,
        )  # fmt: skip
        if section != "A server of your own":
            assert {dialect.key(one) for one in server.requests} <= {
                "sk-your-key", "sk-ant-your-key", "your-key",
            }  # fmt: skip
    (log,) = tmp_path.glob("runs/*/episodes.jsonl")
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(row["policy"], row["turns"]) for row in rows] == [(policy, 1)] * 2
    assert {row["outcome"] for row in rows} <= {"solved", "wrong"}
    if "plan" in policy:
        # 11 tokens in and 7 out: the plan by gpt-5, the action by gpt-5-mini
        assert [row["cost_usd"] for row in rows] == [pytest.approx(429e-6)] * 2
        assert "plan" in shown


def test_all_models_are_named_that_the_tests_replace() -> None:
    assert quickstart("transformers serve").count("Qwen/Qwen3-0.6B") == 1
    assert quickstart("In this process").count("hf:Qwen/Qwen3-0.6B") == 1
