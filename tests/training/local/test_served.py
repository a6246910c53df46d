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
from tests.training.local.small import tokenizer

START_S = 100.0

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
    """Sampled for one turn, since a server is sent the same seed with each."""
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
