"""`hf:` episodes in real kernels: what is kept of their tokens, and what cannot be loaded."""

import io
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from rich.console import Console

from benchside.commands import RunRequest, run_suites
from benchside.completer import Completer
from benchside.errors import InputError
from benchside.evaluation import Evaluation
from benchside.policies import PolicyOptions, make_policy
from benchside.policy import Conversation, Message, Turn
from benchside.protocol import observation_messages, opening_messages
from benchside.protocols.fenced import FencedForm
from benchside.transcript import read_transcript
from benchside_training.local.loading import load
from benchside_training.local.policy import LocalPolicy
from tests.training.local.small import llama, save, tokenizer
from tests.workbench.protocols.test_forms import TASK


async def test_an_episode_keeps_the_ids_that_the_model_was_given_and_sampled(
    acting: Path, home: Path, tmp_path: Path
) -> None:
    choice = {"policy": f"hf:{acting}", "temperature": 0, "max_tokens": 120, "kv_memory_mib": 64}
    asked = Evaluation.model_validate(
        {
            "suites": [{"name": "power", "limit": 1}], "policies": [choice],
            "limits": {"max_turns": 4},
        }
    )  # fmt: skip
    await run_suites(RunRequest(asked, tmp_path / "run"), home, Console(file=io.StringIO()))
    episode = read_transcript(next((tmp_path / "run" / "episodes").glob("*.ipynb")))
    assert episode.end_reason == "submitted" and episode.submission is not None
    assert episode.submission.value == 42
    first, second = (turn.action for turn in episode.turns)
    assert first.code == "sum([19, 23])" and first.tokens is not None and second.tokens is not None
    text = tokenizer().decode
    assert text(first.tokens.sampled_ids).endswith("</tool_call><|im_end|>")
    assert text(first.tokens.context_ids).startswith("<|im_start|>system\nYou solve")
    assert text(second.tokens.context_ids) == (
        "\n<|im_start|>user\n<tool_response>\n42\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert not second.tokens.restarted
    assert [first.usage.output_tokens, second.usage.input_tokens] == [
        len(first.tokens.sampled_ids),
        len(first.tokens.context_ids + first.tokens.sampled_ids + second.tokens.context_ids),
    ]


async def test_make_policy_finds_it_and_records_weights_and_precision(tmp_path: Path) -> None:
    folder = save(tmp_path / "model")
    options = PolicyOptions(dtype="bfloat16", attention="eager", device="cpu", kv_memory_mib=8)
    policy = make_policy(f"hf:{folder}", options)
    assert isinstance(policy, LocalPolicy)
    await policy.aclose()
    assert {"style": "qwen", "dtype": "bfloat16", "attention": "eager"}.items() <= (
        policy.config.items()
    )
    assert str(policy.config["weights"]).startswith("sha256:")
    assert policy.engine.model.dtype == torch.bfloat16


# peft 0.21.2 asks transformers 5.23 by a name that will go
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
async def test_an_adapter_is_worked_into_the_weights(tmp_path: Path) -> None:
    folder = save(tmp_path / "model")
    torch.manual_seed(1)
    lora = LoraConfig(target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    adapted = get_peft_model(llama(eos_token_id=tokenizer().eos_token_id), lora)
    adapted.save_pretrained(tmp_path / "adapter")
    ids = torch.arange(20)[None]
    plain = load(str(folder), PolicyOptions())
    with_it = load(str(folder), PolicyOptions(adapter=str(tmp_path / "adapter")))
    with torch.no_grad():
        assert torch.allclose(with_it.model(ids).logits, adapted(ids).logits, atol=1e-4)
        assert not torch.allclose(plain.model(ids).logits, adapted(ids).logits, atol=1e-2)
    assert with_it.weights.startswith(f"{plain.weights} + sha256:")


def test_what_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="hf needs an argument"):
        make_policy("hf:")
    with pytest.raises(InputError, match=r"cannot be loaded[\s\S]*hf:.*empty"):
        make_policy(f"hf:{tmp_path / 'empty'}")
    folder = save(tmp_path / "model")
    with pytest.raises(InputError, match="no such device"):
        load(str(folder), PolicyOptions(device="cuda:99"))
    (folder / "model.safetensors").write_bytes(b"spoilt")
    with pytest.raises(InputError, match="cannot be loaded"):
        load(str(folder), PolicyOptions())


async def test_it_speaks_in_plain_text_compacts_and_completes(tmp_path: Path) -> None:
    options = PolicyOptions(
        protocol="fenced", compact_chars=1500, max_tokens=4, temperature=0, kv_memory_mib=8
    )
    scaffold = make_policy(f"plan(hf:{save(tmp_path / 'model')})", options)
    policy = scaffold.inner
    assert policy.name.endswith("[fenced]") and isinstance(policy, Completer)
    opening = opening_messages(TASK, "", (), FencedForm().system_prompt(TASK, ()))
    turns: list[Turn] = []
    for _ in range(3):
        action = await policy.act(Conversation(TASK, opening, turns))
        assert action.problem is not None and action.tokens is not None
        assert "run_cell" not in tokenizer().decode(action.tokens.context_ids)
        turns.append(Turn(action, None, observation_messages(action, "x" * 700)))
    assert [turn.action.compacted for turn in turns] == [0, 0, 1]
    assert [turn.action.tokens.restarted for turn in turns if turn.action.tokens] == [
        False, False, True,
    ]  # fmt: skip
    said = await policy.complete([Message(role="user", content="Plan.")])
    assert said.usage.output_tokens and "<|im_end|>" not in said.text
    await scaffold.aclose()
