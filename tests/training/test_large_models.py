"""Steps of the recipes that ship for 7B models, on random weights of that shape, on one GPU.

`pytest -m gpu -s` prints what `benchside_training.throughput` measured. On a CPU a model of the
same kind, but tiny, goes the same way.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, Qwen2Config

from benchside.curves import load_curves
from benchside.library import prepare
from benchside.manifests import read_yaml
from benchside_training import rl, sft
from benchside_training.accelerator import free_memory
from benchside_training.memory_plan import GIB
from benchside_training.rl_config import RlConfig
from benchside_training.sft import SftConfig
from benchside_training.throughput import show, throughput
from tests.training.families import tokenizer_of
from tests.training.test_configs import CONFIGS, GPU
from tests.training.test_memory_plan import QWEN_7B
from tests.training.test_render import example


class Size(NamedTuple):
    """A shape, where it runs, and what is changed in the recipes for it.

    Args:
        letters: said in a row's first turn; the tests' tokenizers give each a token.
    """

    config: Qwen2Config
    device: str
    letters: int
    sft: dict[str, Any]
    rl: dict[str, Any]


TINY = Qwen2Config(
    vocab_size=600, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=False,
    max_position_embeddings=32_768,
)  # fmt: skip
SIZES = {
    "tiny": Size(
        TINY, "cpu", 300, {"accumulate": 2}, {"tasks": 2, "samples": 2, "max_tokens": 8}
    ),
    "7b": Size(QWEN_7B, "cuda", 6500, {}, {}),
}  # fmt: skip


@pytest.fixture(
    params=["tiny", pytest.param("7b", marks=[pytest.mark.gpu, pytest.mark.timeout(1800)])]
)
def size(request: pytest.FixtureRequest) -> Size:
    return SIZES[request.param]


@pytest.fixture
def base(size: Size, tmp_path: Path) -> Iterator[Path]:
    """Random weights in bfloat16, with the tokenizer and template of the tests."""
    folder, tokenizer = tmp_path / "base", tokenizer_of("qwen")
    size.config.eos_token_id = tokenizer.eos_token_id
    torch.manual_seed(0)
    with torch.device(size.device):
        model = AutoModelForCausalLM.from_config(size.config, dtype=torch.bfloat16)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    del model
    free_memory()  # is the training's
    yield folder
    shutil.rmtree(folder)  # pytest would keep three of them
    free_memory()


# between peft and transformers; nothing that we call
quiet = pytest.mark.filterwarnings("ignore:.*(gradient|activation)_checkpointing.*:FutureWarning")


@quiet
def test_a_step_of_sft_with_adapters(size: Size, base: Path, tmp_path: Path) -> None:
    asked = read_yaml(CONFIGS / "qwen2.5-7b-sft-lora.yaml", SftConfig)
    changes = {
        "model": str(base), "data": long_examples(tmp_path, size.letters, asked.accumulate),
        "out": tmp_path / "sft", "max_steps": 2, "device": size.device, **size.sft,
    }  # fmt: skip
    config = SftConfig.model_validate({**asked.model_dump(), **changes})
    took_two_steps(config, lambda: sft.main(config))


@quiet
def test_a_step_of_grpo_with_adapters(size: Size, base: Path, tmp_path: Path) -> None:
    """Every other episode is rewarded, so that all groups train."""
    prepare("power", tmp_path / "home", size=40)
    asked = read_yaml(CONFIGS / "qwen2.5-7b-grpo.yaml", RlConfig)
    changes = {
        "model": str(base), "out": tmp_path / "grpo", "suites": ["power"], "steps": 2,
        "limits": {"max_turns": 2}, "held_out": None, "device": size.device, **size.rl,
    }  # fmt: skip
    config = RlConfig.model_validate({**asked.model_dump(), **changes})
    took_two_steps(
        config,
        lambda: rl.main(config, reward=lambda one: float(one.sample % 2), home=tmp_path / "home"),
    )
    rows = load_curves(config.out).metrics
    assert (rows["without_signal"] == 0).all() and (rows["groups"] == config.tasks).all()


def long_examples(folder: Path, letters: int, number: int) -> Path:
    """Examples in whose first turn so much was said."""
    one = example()
    messages = list(one.messages)
    said = next(place for place, own in enumerate(messages) if own.role == "assistant")
    messages[said] = messages[said].model_copy(update={"content": "7 " * (letters // 2)})
    line = one.model_copy(update={"messages": tuple(messages)}).model_dump_json()
    path = folder / "examples.jsonl"
    path.write_text(f"{line}\n" * number)
    return path


def took_two_steps(config: SftConfig | RlConfig, train: Callable[[], Path]) -> None:
    """The adapters have learned; all fitted into a GPU of 80 GB, a tenth of it left free."""
    model = train()
    rows = load_curves(config.out).metrics
    assert rows["step"].tolist() == [0, 1] and rows["loss"].notna().all()
    assert (rows["tokens"] > 0).all() and (rows["input_tokens"] > rows["tokens"]).all()
    assert (model / "adapter_model.safetensors").is_file()
    adapters = load_file(model / "adapter_model.safetensors")
    ups = [one for name, one in adapters.items() if "lora_B" in name]  # 0 at the start
    assert ups and all(one.isfinite().all() and one.any() for one in ups)
    if config.device == "cuda":
        assert rows["peak_gib"].max() * GIB < GPU
    show(throughput(str(config.out)), Console(width=160))
