"""What reinforcement learning changes: adapters, precision, checkpointing, the learning rate."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from benchside.errors import InputError
from benchside_training.base_model import Lora
from benchside_training.learner import Learner
from benchside_training.local.engine import Engine
from benchside_training.local.sampling import Sampling
from benchside_training.policy_update import UpdateConfig, UpdateReport, update
from benchside_training.rl_config import RlConfig
from benchside_training.trajectory import Trajectory, trajectories
from tests.training.families import tokenizer_of
from tests.training.tiny import episode_of, sampled, tiny_llama

# between peft 0.21 and transformers 5.23; nothing that we call
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*(gradient|activation)_checkpointing.*:FutureWarning"
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    tokenizer = tokenizer_of("qwen")
    tiny_llama(vocabulary=len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def config_of(base: Path, **asked: object) -> RlConfig:
    told = {
        "model": str(base), "out": base / "out", "suites": ["power"], "device": "cpu",
        "learning_rate": 1e-2, "update": UpdateConfig(max_tokens=64), **asked,
    }  # fmt: skip
    return RlConfig.model_validate(told)


async def played(learner: Learner) -> list[Trajectory]:
    """Two episodes of one task, sampled by the generator; one is a success."""
    engine = Engine(learner.generator, max_batch=4, kv_memory_mib=8)
    found = []
    try:
        await engine.update(learner.new_weights, 0)
        for number in range(2):
            drawn = await engine.sample([5, 6, 7], Sampling(6, frozenset(), seed=number))
            tokens = sampled([5, 6, 7], drawn.ids)
            tokens = tokens.model_copy(update={"logprobs": tuple(drawn.logprobs)})
            found += trajectories(episode_of([tokens], float(number), sample=number))
    finally:
        await engine.aclose()
    return found


def step(learner: Learner, learned: list[Trajectory], config: RlConfig) -> UpdateReport:
    return update(
        learner.model, learner.optimiser, learned, config.update, version=0,
        reference=learner.reference,
    )  # fmt: skip


async def test_adapters_alone_are_trained_saved_and_restored(base: Path, tmp_path: Path) -> None:
    config = config_of(base, lora=Lora(rank=2), update={"kl_weight": 0.1, "max_tokens": 64})
    learner = Learner(config)
    before = {name: one.clone() for name, one in learner.model.state_dict().items()}
    learned = await played(learner)
    report = step(learner, learned, config)
    assert report.kl == pytest.approx(0, abs=1e-6)  # nothing was learned yet
    again = step(learner, await played(learner), config)
    assert again.kl is not None and again.kl > 1e-6  # the reference is still the first policy
    changed = {
        name for name, one in learner.model.state_dict().items()
        if not torch.equal(one, before[name])
    }  # fmt: skip
    assert changed and all("lora_" in name for name in changed)
    learner.save(tmp_path / "checkpoint-2")
    state = torch.load(tmp_path / "checkpoint-2" / "state.pt", weights_only=True)
    assert all("lora_" in name for name in state["model"])
    other = Learner(config)
    assert other.restore(tmp_path / "checkpoint-2") == 2
    ours, theirs = learner.model.state_dict(), other.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    learner.write(tmp_path / "result")
    assert not (tmp_path / "result" / "model.safetensors").exists()
    loaded = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base), tmp_path / "result"
    )
    ids = torch.tensor([[5, 6, 7]])
    torch.testing.assert_close(loaded(ids).logits, learner.model(ids).logits)


@pytest.mark.parametrize("precision", ["float32", "mixed", "bfloat16"])
async def test_trainer_and_generator_agree_in_each_precision(base: Path, precision: str) -> None:
    """Also where the generator is a copy, and layers are checkpointed."""
    ratios = []
    for more in ({}, {"max_staleness": 1, "gradient_checkpointing": True}):
        config = config_of(base, precision=precision, **more)
        learner = Learner(config)
        report = step(learner, await played(learner), config)
        assert report.ratios is not None
        ratios.append(report.ratios.largest_log)
        assert next(learner.generator.parameters()).dtype == next(learner.model.parameters()).dtype
    limit = 1e-5 if precision == "float32" else 5e-2
    assert max(ratios) < limit


async def test_checkpointed_layers_give_the_same_gradient(base: Path) -> None:
    weights, passes = [], []
    for checkpointing in (False, True):
        config = config_of(base, gradient_checkpointing=checkpointing)
        learner = Learner(config)
        learned = await played(learner)
        layer = learner.loaded.model.model.layers[0]
        counted: list[int] = []
        layer.mlp.register_forward_pre_hook(lambda *_, counted=counted: counted.append(1))
        step(learner, learned, config)
        passes.append(len(counted))
        weights.append(learner.loaded.model.state_dict())
    assert passes[1] == 2 * passes[0]  # each layer was gone through again
    for name, one in weights[0].items():
        torch.testing.assert_close(weights[1][name], one)


def test_the_learning_rate_rises_and_stays(base: Path) -> None:
    learner = Learner(config_of(base, warmup_steps=3))
    rates = []
    for number in range(6):
        learner.set_rate(number)
        rates.append(learner.optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx([0.0025, 0.005, 0.0075, 0.01, 0.01, 0.01])


def test_a_named_parameter_learns_at_its_own_rate(base: Path) -> None:
    learner = Learner(config_of(base, rates={"model.norm.weight": 0.5}, warmup_steps=1))
    named = dict(learner.model.named_parameters())
    before = {name: one.detach().clone() for name, one in named.items()}
    learner.set_rate(0)
    for one in named.values():
        one.grad = torch.ones_like(one)
    learner.optimiser.step()
    for name, one in named.items():
        step = 0.25 if name == "model.norm.weight" else 0.005
        torch.testing.assert_close(before[name] - one, torch.full_like(one, step))
    with pytest.raises(InputError, match=r"rates[\s\S]*nrm[\s\S]*model\.norm\.weight"):
        Learner(config_of(base, rates={"model.nrm.weight": 0.5}))


async def test_a_restored_optimiser_goes_on_with_its_momentum(base: Path, tmp_path: Path) -> None:
    config = config_of(base, update={"max_tokens": 64, "most_kl": 100.0})
    learner = Learner(config)
    learned = await played(learner)
    step(learner, learned, config)
    learner.save(tmp_path / "checkpoint-1")
    step(learner, learned, config)
    restored, forgetful = Learner(config), Learner(config)
    restored.restore(tmp_path / "checkpoint-1")
    forgetful.model.load_state_dict(restored.model.state_dict())
    for other in (restored, forgetful):
        step(other, learned, config)
    ours = learner.model.state_dict()
    same = [
        all(torch.equal(one, ours[name]) for name, one in other.model.state_dict().items())
        for other in (restored, forgetful)
    ]
    assert same == [True, False]
