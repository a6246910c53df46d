"""`vllm:` over a stand-in for vLLM's API that runs real models; see `vllm_stand_in`."""

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from rich.console import Console

from benchside.commands import RunRequest, run_suites
from benchside.errors import InfrastructureError, InputError, PolicyError, ServerDownError
from benchside.evaluation import Evaluation
from benchside.policies import PolicyOptions, make_policy
from benchside.transcript import read_transcript
from benchside_training.local.engine import Engine
from benchside_training.local.loading import load
from benchside_training.local.sampling import Sampling
from benchside_training.local.token_engine import TokenEngine
from tests.training.local.small import llama, save, tokenizer
from tests.training.local.vllm_stand_in import AsyncLLM, installed

PROMPT = list(range(40, 80))
DRAWN = Sampling(max_tokens=12, stop_ids=frozenset(), temperature=0.7, top_k=20, seed=3)
ENDLESS = Sampling(max_tokens=8000, stop_ids=frozenset(), temperature=0)


@pytest.fixture
def vllm() -> Iterator[type[AsyncLLM]]:
    with installed() as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save(tmp_path / "model")


def engine_of(folder: Path, **options: Any) -> TokenEngine:
    return make_policy(f"vllm:{folder}", PolicyOptions(**options)).engine


async def begun(llm: AsyncLLM) -> None:
    while not llm.sampling:
        await asyncio.sleep(0.001)


async def test_an_episode_has_the_tokens_and_logprobs_that_hf_has(
    vllm: type[AsyncLLM], acting: Path, home: Path, tmp_path: Path
) -> None:
    common = {"temperature": 0.5, "top_p": 0.9, "seed": 5, "max_tokens": 120, "kv_memory_mib": 64}
    asked = Evaluation.model_validate(
        {
            "suites": [{"name": "power", "limit": 1}], "limits": {"max_turns": 4},
            "policies": [{"policy": f"{form}:{acting}", **common} for form in ("hf", "vllm")],
        }
    )  # fmt: skip
    await run_suites(RunRequest(asked, tmp_path / "run"), home, Console(file=io.StringIO()))
    episodes = [read_transcript(path) for path in (tmp_path / "run" / "episodes").glob("*.ipynb")]
    local, ours = sorted(episodes, key=lambda one: one.policy)
    assert ours.policy == f"vllm:{acting}" and ours.end_reason == "submitted"
    assert ours.submission is not None and ours.submission.value == 42
    assert len(ours.turns) == len(local.turns) == 2
    for turn, other in zip(ours.turns, local.turns, strict=True):
        mine, its = turn.action.tokens, other.action.tokens
        assert mine is not None and its is not None
        assert (mine.context_ids, mine.sampled_ids) == (its.context_ids, its.sampled_ids)
        assert mine.logprobs == pytest.approx(its.logprobs, abs=1e-5)
    first, second = vllm.made[0].prompts  # the second goes on from the first's own ids
    tokens = ours.turns[0].action.tokens
    assert tokens is not None
    assert second[: len(first) + len(tokens.sampled_ids)] == [*first, *tokens.sampled_ids]
    with pytest.raises(InfrastructureError, match="closed"):  # of Engine: the run has shut it down
        await vllm.made[0].engines[None].sample(PROMPT, DRAWN)


async def test_options_reach_vllm_and_are_recorded(vllm: type[AsyncLLM], folder: Path) -> None:
    options = PolicyOptions(
        dtype="bfloat16", kv_memory_mib=8, max_concurrent_requests=3, extra={"max_model_len": 64}
    )
    policy = make_policy(f"vllm:{folder}", options)
    args = vllm.made[0].args
    assert (args.dtype, args.kv_cache_memory_bytes, args.max_num_seqs) == ("bfloat16", 8 * 2**20, 3)
    recorded = {"policy": "vllm", "dtype": "bfloat16", "device": "cpu", "attention": "vllm"}
    assert recorded.items() <= policy.config.items()
    assert str(policy.config["weights"]).startswith("sha256:")
    found = await policy.engine.sample(PROMPT, ENDLESS)
    assert len(found.ids) == 64 - len(PROMPT) and found.cut_off
    assert set(found.logprobs) == {0.0}  # at temperature 0
    with pytest.raises(PolicyError, match="the model takes 64"):
        await policy.engine.sample([1] * 64, DRAWN)
    await policy.aclose()


async def test_what_fails_has_a_type(vllm: type[AsyncLLM], folder: Path) -> None:
    engine = engine_of(folder)
    (llm,) = vllm.made
    cancelled = asyncio.create_task(engine.sample(PROMPT, ENDLESS))
    await begun(llm)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert len(llm.aborted) == 1
    with pytest.raises(PolicyError, match="vLLM refuses the request: Token id 9999"):
        await engine.sample([9999], DRAWN)
    sampled = asyncio.create_task(engine.sample(PROMPT, ENDLESS))
    await begun(llm)
    await engine.aclose()
    with pytest.raises(InfrastructureError, match="is closed"):
        await sampled
    assert len(llm.aborted) == 2

    engine = engine_of(folder)
    llm = vllm.made[1]
    with torch.no_grad():
        llm.engines[None].model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(InfrastructureError, match="not finite"):
        await engine.sample(PROMPT, DRAWN)
    llm.dead = True
    with pytest.raises(ServerDownError, match="vLLM has died: EngineCore"):
        await engine.sample(PROMPT, DRAWN)
    await engine.aclose()


async def test_new_weights_wait_for_what_is_sampled_and_drop_what_was_encoded(
    vllm: type[AsyncLLM], folder: Path
) -> None:
    other = llama(seed=1)
    direct = Engine(llama(seed=1), kv_memory_mib=8)
    wanted = await direct.sample(PROMPT, DRAWN)
    await direct.aclose()
    engine = engine_of(folder)
    before = await engine.sample(PROMPT, DRAWN)
    long = Sampling(max_tokens=60, stop_ids=frozenset(), temperature=0)
    sampled = asyncio.create_task(engine.sample(PROMPT, long))
    await begun(vllm.made[0])
    updated = asyncio.create_task(engine.update(other.state_dict(), version=7))
    await asyncio.sleep(0)
    later = asyncio.create_task(engine.sample(PROMPT, DRAWN))
    assert (await sampled).versions == [0] * 60
    await updated
    found = await later
    assert found.ids == wanted.ids != before.ids and found.versions == [7] * 12
    assert found.logprobs == pytest.approx(wanted.logprobs, abs=1e-5)

    with pytest.raises(InputError, match="no change in place reaches"):
        await engine.update(None, version=8)
    with pytest.raises(InfrastructureError, match="did not take the new weights: Error"):
        await engine.update({"wrong": torch.zeros(1)}, version=8)
    with pytest.raises(InfrastructureError, match="may have a part of them"):
        await engine.sample(PROMPT, DRAWN)
    await engine.aclose()


# peft 0.21.2 asks transformers 5.23 by a name that will go
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
async def test_an_adapter_goes_with_each_request(
    vllm: type[AsyncLLM], folder: Path, tmp_path: Path
) -> None:
    adapter = str(tmp_path / "adapter")
    torch.manual_seed(1)
    lora = LoraConfig(
        r=20, target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM"
    )
    adapted = get_peft_model(llama(eos_token_id=tokenizer().eos_token_id), lora)
    adapted.save_pretrained(adapter)
    direct = Engine(load(str(folder), PolicyOptions(adapter=adapter)).model, kv_memory_mib=8)
    wanted = await direct.sample(PROMPT, DRAWN)
    await direct.aclose()
    policy = make_policy(f"vllm:{folder}", PolicyOptions(adapter=adapter))
    assert policy.name.endswith(f"+{adapter}")
    assert (await policy.engine.sample(PROMPT, DRAWN)).ids == wanted.ids
    assert vllm.made[0].args.max_lora_rank == 32
    with pytest.raises(InputError, match="under an adapter"):
        await policy.engine.update(adapted.state_dict(), version=1)
    await policy.aclose()


def test_what_it_cannot_do_is_said_before_the_run(
    vllm: type[AsyncLLM], folder: Path, tmp_path: Path
) -> None:
    for options, said in (
        ({"device": "cuda:1"}, "CUDA_VISIBLE_DEVICES"),
        ({"attention": "eager"}, "attention_backend"),
        ({"extra": {"no_such": 1}}, r"vLLM cannot run the model: .*no_such"),
        ({"extra": {"model": "x"}}, r"vLLM cannot run the model: .*multiple values"),
    ):
        with pytest.raises(InputError, match=said):
            make_policy(f"vllm:{folder}", PolicyOptions.model_validate(options))
    with pytest.raises(InputError, match="vllm needs an argument"):
        make_policy("vllm:")
    with pytest.raises(InputError, match=r"cannot be loaded[\s\S]*vllm:.*empty"):
        make_policy(f"vllm:{tmp_path / 'empty'}")


def test_without_vllm_the_extra_is_named(folder: Path) -> None:
    with (
        installed(vllm=False),
        pytest.raises(InputError, match=r"policy vllm cannot be loaded[\s\S]*benchside\[vllm\]"),
    ):
        make_policy(f"vllm:{folder}")
