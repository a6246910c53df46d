"""The same seeded episode through a real server, `transformers serve`, and through `hf:`."""

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from benchside.commands import RunRequest, run_suites
from benchside.episode import Episode
from benchside.evaluation import Evaluation
from benchside.transcript import read_transcript
from tests.training.local.small import save_acting, tokenizer
from tests.workbench.policies.test_quickstarts import quickstart, run_block

START_S = 200.0  # on a busy machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("served") / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [
                Path(sys.executable).with_name("transformers"), "serve",
                "--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32",
            ],
            env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
            stdout=sink, stderr=sink,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and process.poll() is None:
            try:
                httpx.get(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            except httpx.TransportError:
                time.sleep(0.2)
        else:
            pytest.fail(f"transformers serve did not start: {log.read_text()[-2000:]}")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def speaking(acting: Path, tmp_path: Path) -> Path:
    """The same model, whose calls are read as text: the server fails on calls that are no JSON."""
    folder = shutil.copytree(acting, tmp_path / "speaking")
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    del config["response_template"]["fields"]["tool_calls"]
    path.write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("section", ["transformers serve", "In this process"])
def test_the_documented_quickstarts_run(
    server: str, acting: Path, home: Path, tmp_path: Path, section: str
) -> None:
    block = quickstart(section).replace("Qwen/Qwen3-0.6B", str(acting))
    run_block(block.replace("http://localhost:8000/v1", server), home, tmp_path)
    (log,) = tmp_path.glob("runs/*/episodes.jsonl")
    row = json.loads(log.read_text())
    # sampled, as the quickstart says no temperature: now and then it takes another turn
    assert row["outcome"] in ("wrong", "truncated")
    assert row["turns"] >= 2


@pytest.mark.parametrize(("temperature", "turns"), [(0.0, 4), (1.5, 1)])
async def test_the_same_seeded_episode_gives_the_same_tokens(
    server: str,
    acting: Path,
    speaking: Path,
    home: Path,
    tmp_path: Path,
    temperature: float,
    turns: int,
) -> None:
    """At a high temperature for one turn: what is no text comes back from a server as other ids."""
    model = speaking if temperature else acting
    common = {"temperature": temperature, "seed": 5, "max_tokens": 120}
    asked = Evaluation.model_validate(
        {
            "suites": [{"name": "power", "limit": 1}], "limits": {"max_turns": turns},
            "policies": [
                {"policy": f"hf:{model}", "kv_memory_mib": 64, **common},
                {"policy": f"openai:{model}", "base_url": server, **common},
            ],
        }
    )  # fmt: skip
    await run_suites(RunRequest(asked, tmp_path / "run"), home, Console(file=io.StringIO()))
    episodes = [read_transcript(path) for path in (tmp_path / "run" / "episodes").glob("*.ipynb")]
    local, served = sorted(episodes, key=lambda one: one.policy)
    assert (local.policy[:3], served.policy[:7]) == ("hf:", "openai:")
    assert said(local) == said(served)
    assert len(local.turns) == (2 if temperature == 0 else 1)
    if temperature == 0:
        assert local.submission == served.submission is not None
    for turn, other in zip(local.turns, served.turns, strict=True):
        mine, its = turn.action.usage, other.action.usage
        assert (mine.input_tokens, mine.output_tokens) == (its.input_tokens, its.output_tokens)
        assert turn.action.tokens is not None
        if turn.action.code is not None:
            text = tokenizer().decode(turn.action.tokens.sampled_ids)
            assert other.action.message.tool_calls[0].arguments in text


async def test_sampled_episodes_of_several_turns_give_the_same_tokens(
    server: str, home: Path, tmp_path: Path
) -> None:
    """Each turn of each sample draws by a seed of its own, the same in both backends."""
    model = save_acting(tmp_path / "choosing", drawn=tuple(range(1, 9)))
    common = {"temperature": 0.5, "seed": 5, "max_tokens": 120}
    asked = Evaluation.model_validate(
        {
            "suites": [{"name": "power", "limit": 1}], "samples": 4, "parallel": 1,
            "policies": [
                {"policy": f"hf:{model}", "kv_memory_mib": 64, **common},
                {"policy": f"openai:{model}", "base_url": server, **common},
            ],
        }
    )  # fmt: skip
    await run_suites(RunRequest(asked, tmp_path / "run"), home, Console(file=io.StringIO()))
    episodes = [read_transcript(path) for path in (tmp_path / "run" / "episodes").glob("*.ipynb")]
    episodes.sort(key=lambda one: (one.policy, one.sample))
    local, served = episodes[:4], episodes[4:]
    assert [len(one.turns) for one in episodes] == [2] * 8
    assert [said(one) for one in local] == [said(one) for one in served]
    drawn = [(one.turns[0].action.code, one.submission) for one in local]
    assert len({code for code, _ in drawn}) > 1 and len({str(value) for _, value in drawn}) > 1


def said(episode: Episode) -> list[tuple[object, ...]]:
    """What the model said in each turn, and what it was shown."""
    return [
        (
            turn.action.message.content or "",
            [(call.name, call.arguments) for call in turn.action.message.tool_calls],
            [message.content for message in turn.observations],
        )
        for turn in episode.turns
    ]
