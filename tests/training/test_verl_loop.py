"""verl's agent loop over real kernels and a tiny model, with a double of verl's own classes."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import datasets
import pytest
from pydantic import BaseModel

from benchside.errors import InputError
from benchside.library import prepare
from benchside.transcript import read_transcript
from benchside_training.local.engine import Engine
from benchside_training.local.sampling import Sampling
from benchside_training.rl_config import RlConfig
from benchside_training.trajectory import only_trajectory
from tests.training.families import tokenizer_of
from tests.training.tiny import tiny_llama


class Metrics(BaseModel):
    """As verl 0.9.1's `AgentLoopMetrics`."""

    generate_sequences: float = 0.0
    tool_calls: float = 0.0


class Output(BaseModel, extra="forbid"):
    """The fields of verl 0.9.1's `AgentLoopOutput` that a loop for text fills in."""

    prompt_ids: list[int]
    response_ids: list[int]
    response_mask: list[int]
    response_logprobs: list[float] | None = None
    reward_score: float | None = None
    num_turns: int = 0
    metrics: Metrics
    extra_fields: dict[str, Any] = {}


class Server:
    """As verl's `LLMServerClient`, with one of our engines behind it."""

    def __init__(self, engine: Engine, stop: int):
        self._engine, self._stop = engine, stop
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def generate(
        self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any]
    ) -> SimpleNamespace:
        self.asked.append((request_id, sampling_params))
        sampling = Sampling(
            sampling_params["max_tokens"], frozenset({self._stop}), seed=len(self.asked)
        )
        found = await self._engine.sample(prompt_ids, sampling)
        return SimpleNamespace(
            token_ids=found.ids, log_probs=found.logprobs, stop_reason="completed"
        )


@pytest.fixture
def verl_loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module, imported over the double."""
    for name in ("verl", "verl.experimental", "verl.experimental.agent_loop"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    module = ModuleType("verl.experimental.agent_loop.agent_loop")
    module.AgentLoopOutput, module.AgentLoopMetrics = Output, Metrics  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    yield importlib.import_module("benchside_training.verl_loop")
    sys.modules.pop("benchside_training.verl_loop")


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_verl_gets_the_tokens_of_our_episodes(verl_loop: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    prepare("power", home, size=8)
    tokenizer = tokenizer_of("qwen")
    model = tiny_llama(vocabulary=len(tokenizer), context=16384)
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    asked = {
        "model": str(tmp_path / "base"), "out": str(tmp_path / "out"), "suites": ["power"],
        "max_tokens": 8, "limits": {"max_turns": 2},
    }  # fmt: skip
    rl = tmp_path / "rl.yaml"
    rl.write_text(json.dumps(asked))
    verl_loop.write_rows(RlConfig.model_validate(asked), tmp_path / "tasks.parquet", home)
    rows = datasets.load_dataset("parquet", data_files=str(tmp_path / "tasks.parquet"))["train"]
    assert rows[0]["agent_name"] == "benchside"
    engine = Engine(model, kv_memory_mib=64)
    server = Server(engine, tokenizer.eos_token_id)
    lengths = SimpleNamespace(prompt_length=8192, response_length=4096)
    config = SimpleNamespace(
        config=SimpleNamespace(actor_rollout_ref=SimpleNamespace(rollout=lengths))
    )
    await verl_loop.open_shared(str(rl), home)

    def loop() -> Any:
        return verl_loop.VerlLoop(
            trainer_config=config, server_manager=server, tokenizer=tokenizer, rl=str(rl),
            processor=None, name="benchside",
        )  # fmt: skip

    params = {"temperature": 1.0, "top_p": 1.0, "top_k": -1, "logprobs": True}
    try:
        given = await loop().run(params, raw_prompt=rows[0]["prompt"], index=0)
        lengths.prompt_length = 10
        with pytest.raises(InputError, match="prompt_length"):
            await loop().run(params, raw_prompt=rows[0]["prompt"])
        with pytest.raises(InputError, match="names no task"):
            await loop().run(params, raw_prompt=[{"role": "user", "content": "power/none"}])
    finally:
        await verl_loop.close_shared(str(rl))
        await engine.aclose()
    assert len({name for name, _ in server.asked[:2]}) == 1  # both turns go to one server
    assert all(one["max_tokens"] == 8 and one["logprobs"] for _, one in server.asked[:2])
    episodes = [read_transcript(path) for path in (tmp_path / "out").rglob("*.ipynb")]
    wholes = [only_trajectory(one) for one in episodes]
    ids = given.prompt_ids + given.response_ids
    (own,) = [one for one in wholes if one.input_ids.tolist() == ids]
    start = len(given.prompt_ids)
    assert given.response_mask == own.loss_mask[start:].int().tolist()
    assert given.response_mask[0] == 1 and 0 < sum(given.response_mask) <= 16
    assert given.response_logprobs == pytest.approx(own.logprobs[start:].tolist())
    assert (given.reward_score, given.num_turns) == (0.0, 5)
