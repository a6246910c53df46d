"""TRL's own trainer over real kernels, with a tiny random model."""

from pathlib import Path
from typing import Any

import pytest
import torch
from trl import GRPOConfig, GRPOTrainer

from benchside.library import prepare
from benchside.runs import load_run
from benchside_training.rl_config import RlConfig
from benchside_training.trl_rollouts import TrlRollouts
from tests.training.families import tokenizer_of
from tests.training.tiny import tiny_llama


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore:.*(gradient|activation)_checkpointing.*:FutureWarning")
@pytest.mark.filterwarnings("ignore:You are using 'rollout_func'")
def test_trl_trains_on_the_tokens_of_our_episodes(tmp_path: Path) -> None:
    prepare("power", tmp_path / "home", size=8)
    base = tmp_path / "base"
    tokenizer = tokenizer_of("qwen")
    model = tiny_llama(vocabulary=len(tokenizer), context=16384)
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(base)
    tokenizer.save_pretrained(base)
    config = RlConfig.model_validate(
        {
            "model": str(base), "out": tmp_path / "out", "suites": ["power"], "max_tokens": 8,
            "limits": {"max_turns": 2}, "device": "cpu", "parallel": 2,
        }
    )  # fmt: skip
    given: list[dict[str, list[Any]]] = []
    with TrlRollouts(config, tmp_path / "home") as rollouts:

        def played(prompts: list[Any], trainer: GRPOTrainer) -> dict[str, list[Any]]:
            given.append(rollouts(prompts, trainer))
            return given[-1]

        def rewarded(**columns: Any) -> list[float]:
            assert rollouts.reward(**columns) == [0.0, 0.0]  # nothing was solved
            return [float(number) for number in range(len(columns["completion_ids"]))]

        before = {name: one.clone() for name, one in rollouts.loaded.model.state_dict().items()}
        trainer = GRPOTrainer(
            model=rollouts.loaded.model, processing_class=rollouts.loaded.tokenizer,
            reward_funcs=rewarded, rollout_func=played, train_dataset=rollouts.dataset(),
            args=GRPOConfig(
                output_dir=str(tmp_path / "trl"), per_device_train_batch_size=2,
                num_generations=2, max_steps=1, bf16=False, use_cpu=True, report_to="none",
                gradient_checkpointing=False, save_strategy="no", beta=0.0, learning_rate=1e-2,
            ),
        )  # fmt: skip
        trainer.train()
        after = rollouts.loaded.model.state_dict()
        assert any(not torch.equal(one, after[name]) for name, one in before.items())
    rows = load_run(tmp_path / "out" / "rollouts" / "step-00001").episodes
    assert len(rows) == 2
    (columns,) = given
    for ids, logprobs, mask in zip(
        columns["completion_ids"], columns["logprobs"], columns["env_mask"], strict=True
    ):
        assert len(ids) == len(logprobs) == len(mask)
        assert mask[0] == 1
        assert 0 < sum(mask) <= 16  # two turns of eight; the rest was observed
        assert all(logprob < 0 for logprob, own in zip(logprobs, mask, strict=True) if own)
