"""Configurations that ship: they parse, their plans fit, and two processes train one model."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file

from benchside.curves import load_curves
from benchside.manifests import read_yaml
from benchside_training.base_model import load_base
from benchside_training.dpo import DpoConfig
from benchside_training.memory_plan import GIB, memory_plan
from benchside_training.rl_config import RlConfig
from benchside_training.sft import SftConfig
from tests.training.families import tokenizer_of
from tests.training.test_memory_plan import QWEN_7B
from tests.training.test_render import example
from tests.training.tiny import tiny_llama

CONFIGS = Path(__file__).parents[2] / "training" / "configs"
GPU = 80 * GIB * 0.9


@pytest.mark.parametrize(
    ("name", "kind", "processes"),
    [
        ("one_gpu", "NO", 1), ("eight_gpus_fsdp", "FSDP", 8), ("eight_gpus_zero3", "DEEPSPEED", 8),
        ("two_processes_cpu", "MULTI_CPU", 2),
    ],
)  # fmt: skip
def test_the_installed_accelerate_reads_the_launch(name: str, kind: str, processes: int) -> None:
    found = load_config_from_file(str(CONFIGS / f"{name}.yaml"))
    assert (str(found.distributed_type.value), found.num_processes) == (kind, processes)
    # the recipe says the same: `precision: mixed`
    assert str(found.mixed_precision) == ("no" if kind == "MULTI_CPU" else "bf16")


def test_the_recipes_for_seven_billion_parameters_fit() -> None:
    sft = read_yaml(CONFIGS / "qwen2.5-7b-sft.yaml", SftConfig)
    adapted = read_yaml(CONFIGS / "qwen2.5-7b-sft-lora.yaml", SftConfig)
    dpo = read_yaml(CONFIGS / "qwen2.5-7b-dpo.yaml", DpoConfig)
    grpo = read_yaml(CONFIGS / "qwen2.5-7b-grpo.yaml", RlConfig)
    assert adapted.lora is not None and dpo.lora is not None and grpo.lora is not None
    whole = memory_plan(
        QWEN_7B, precision=sft.precision, tokens=sft.batch * sft.max_tokens,
        trained_tokens=sft.batch * sft.max_tokens, checkpointing=True, shards=8,
    )  # fmt: skip
    alone = memory_plan(
        QWEN_7B, precision=adapted.precision, lora_rank=adapted.lora.rank,
        tokens=adapted.batch * adapted.max_tokens,
        trained_tokens=adapted.batch * adapted.max_tokens, checkpointing=True,
    )  # fmt: skip
    pairs = memory_plan(
        QWEN_7B, precision=dpo.precision, lora_rank=dpo.lora.rank,
        tokens=2 * dpo.batch * dpo.max_tokens,
        trained_tokens=2 * dpo.batch * dpo.max_tokens,  # TRL asks for all logits
        checkpointing=True, reference=True,
    )  # fmt: skip
    played = memory_plan(
        QWEN_7B, precision=grpo.precision, lora_rank=grpo.lora.rank,
        tokens=grpo.update.max_tokens, trained_tokens=grpo.update.max_tokens // 2,
        checkpointing=True, kv_tokens=grpo.parallel * 8192,
    )  # fmt: skip
    plans = (whole, alone, pairs, played)
    assert all(plan.total < GPU for plan in plans)
    # such as 16 × 7.62e9 / 8 + 0.47e9 (casts) + 3.26e9 (activations) + 14.95e9 (logits) bytes
    assert [round(plan.total / GIB, 1) for plan in plans] == [31.6, 31.7, 48.7, 52.8]
    too_much = memory_plan(QWEN_7B, precision="mixed", tokens=8192, trained_tokens=8192)
    assert too_much.total > GPU  # all weights do not fit on one


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_processes_train_one_model(tmp_path: Path) -> None:
    """By gloo on a CPU; the loss of a step is that of both processes' rows."""
    base, data = tmp_path / "base", tmp_path / "examples.jsonl"
    tokenizer = tokenizer_of("qwen")
    model = tiny_llama(vocabulary=len(tokenizer), context=4096)
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(base)
    tokenizer.save_pretrained(base)
    data.write_text(f"{example().model_dump_json()}\n" * 4)
    asked = {
        "model": str(base), "data": str(data), "out": str(tmp_path / "out"), "max_steps": 2,
        "batch": 1, "precision": "float32", "learning_rate": 1e-3, "device": "cpu",
        "save_every": 1,
    }  # fmt: skip
    (tmp_path / "sft.yaml").write_text(yaml.safe_dump(asked))
    launch = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch"]
    launch += ["--config_file", str(CONFIGS / "two_processes_cpu.yaml")]
    launch += ["-m", "benchside_training.sft", str(tmp_path / "sft.yaml")]
    ended = subprocess.run(launch, capture_output=True, text=True, timeout=280, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    rows = load_curves(tmp_path / "out").metrics
    assert rows["step"].tolist() == [0, 1]
    assert (tmp_path / "out" / "model" / "README.md").is_file()
    assert load_base(str(tmp_path / "out" / "model"), "float32").model is not None
    assert (tmp_path / "out" / "checkpoints" / "checkpoint-2").is_dir()
