"""Memory plans against numbers worked out by hand."""

import pytest
from peft import get_peft_model
from transformers import AutoModelForCausalLM, Qwen2Config

from benchside_training.base_model import Lora
from benchside_training.memory_plan import GIB, adapter_count, memory_plan, parameter_count
from tests.training.tiny import tiny_llama

# the published shape of Qwen2.5-7B-Instruct
QWEN_7B = Qwen2Config(
    vocab_size=152_064, hidden_size=3584, intermediate_size=18_944, num_hidden_layers=28,
    num_attention_heads=28, num_key_value_heads=4, tie_word_embeddings=False,
)  # fmt: skip


# between peft 0.21 and transformers 5.23; nothing that we call
@pytest.mark.filterwarnings("ignore:.*(gradient|activation)_checkpointing.*:FutureWarning")
def test_counts_are_those_of_real_models() -> None:
    assert parameter_count(QWEN_7B) == 7_615_616_512  # as its model card has it: 7.61 B
    small = tiny_llama()
    assert parameter_count(small.config) == sum(one.numel() for one in small.parameters())
    adapted = get_peft_model(AutoModelForCausalLM.from_config(small.config), Lora(rank=3).config)
    trained = sum(one.numel() for one in adapted.parameters() if one.requires_grad)
    assert adapter_count(small.config, 3) == trained


def test_a_plan_of_all_weights_is_sixteen_bytes_a_parameter() -> None:
    """4 for the weight, 4 for its gradient, 8 for the moments; beside them 2 for a cast."""
    alone = memory_plan(QWEN_7B, precision="mixed", tokens=0, trained_tokens=0)
    assert alone.total == 18 * 7_615_616_512
    sharded = memory_plan(QWEN_7B, precision="mixed", tokens=0, trained_tokens=0, shards=8)
    assert sharded.total - sharded.casts == 16 * 7_615_616_512 // 8
    # 3584 × 3584 twice, 3584 × 512 twice, 3584 × 18,944 three times
    assert sharded.casts == 2 * (2 * 3584 * 3584 + 2 * 3584 * 512 + 3 * 3584 * 18_944)
    with_reference = memory_plan(
        QWEN_7B, precision="mixed", tokens=0, trained_tokens=0, shards=8, reference=True
    )
    assert with_reference.total - sharded.total == 4 * 7_615_616_512 // 8


def test_a_plan_of_adapters_and_a_generator() -> None:
    plan = memory_plan(
        QWEN_7B, precision="bfloat16", lora_rank=16, tokens=8192, trained_tokens=2048,
        kv_tokens=100_000, checkpointing=True, reference=True,
    )  # fmt: skip
    adapters = 16 * 28 * (2 * 7168 + 2 * 4096 + 3 * 22_528)
    assert adapters == 40_370_176
    assert plan.parameters == 2 * (7_615_616_512 + adapters)
    assert (plan.gradients, plan.optimiser) == (2 * adapters, 4 * adapters)
    # a layer's input is 3584 wide; inside are 6 × 3584 + 2 × 512 + 4 × 18,944 = 98,304
    assert plan.activations == 8192 * 2 * (28 * 3584 + 98_304)
    assert plan.logits == 2048 * 152_064 * 12
    assert plan.kv == 100_000 * 2 * 28 * 512 * 2
    assert plan.total / GIB == pytest.approx(26.4, abs=0.1)
    assert plan.lines()[-1] == f"total        {plan.total / GIB:8.2f} GiB"
