"""SFT and DPO of tiny random models: masks, resumption, and errors that come in time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments
from transformers.loss import loss_utils

from benchside.curves import MetricsRow, load_curves
from benchside.errors import InputError
from benchside.policy import Message
from benchside_training.base_model import Lora, load_base
from benchside_training.dpo import DpoConfig, PairCollator, pair_rows
from benchside_training.dpo import main as dpo
from benchside_training.errors import TrainingError
from benchside_training.examples import read_examples
from benchside_training.pairs import Pair, read_pairs
from benchside_training.render import Renderer, Row
from benchside_training.sft import CountingSftTrainer, SftConfig
from benchside_training.sft import main as sft
from benchside_training.token_batch import padded
from benchside_training.token_scores import token_scores
from benchside_training.trainer_log import memory_named
from benchside_training.training_folder import TrainingFolder
from tests.training.families import tokenizer_of
from tests.training.test_render import example
from tests.training.tiny import tiny_llama

# between TRL 1.16 and transformers 5.23; nothing that we call
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*(gradient|activation)_checkpointing.*:FutureWarning"
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model with a tokenizer and a chat template."""
    folder = tmp_path_factory.mktemp("base")
    tokenizer = tokenizer_of("qwen")
    model = tiny_llama(vocabulary=len(tokenizer), context=4096)
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six examples, each on another question."""
    path = tmp_path_factory.mktemp("data") / "examples.jsonl"
    rows = []
    for number in range(6):
        (system, _, *rest) = example().messages
        asked = Message(role="user", content=f"How many of {number}?" + " Really?" * number)
        rows.append(example().model_copy(update={"messages": (system, asked, *rest)}))
    path.write_text("".join(f"{row.model_dump_json()}\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pairs that part at the second action."""
    path = tmp_path_factory.mktemp("data") / "pairs.jsonl"
    better = example()
    worse = list(better.messages)
    worse[4] = worse[4].model_copy(update={"tool_calls": better.messages[2].tool_calls})
    bad = better.model_copy(update={"messages": tuple(worse), "outcome": "wrong"})
    pair = Pair(source="samples", chosen=better, rejected=bad)
    path.write_text(f"{pair.model_dump_json()}\n" * 4)
    return path


def config_of(kind: type[SftConfig] | type[DpoConfig], **asked: object) -> SftConfig | DpoConfig:
    quick = {"max_steps": 2, "batch": 2, "precision": "float32", "learning_rate": 1e-3}
    return kind.model_validate({**quick, **asked})


def weights(folder: Path) -> dict[str, torch.Tensor]:
    model = AutoModelForCausalLM.from_pretrained(folder)
    return dict(model.state_dict())


def stop_after(step: int) -> Callable[[MetricsRow], None]:
    def stop(row: MetricsRow) -> None:
        if row.step == step:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_sft_trains_on_our_masks_and_goes_on_exactly(
    optimiser: str, base: Path, examples: Path, tmp_path: Path
) -> None:
    """Two trainings, one interrupted after its third step: the weights are equal bit by bit."""
    asked = {
        "model": str(base), "data": examples, "max_steps": 4, "save_every": 2,
        "optimiser": optimiser,
    }  # fmt: skip
    whole = sft(config_of(SftConfig, out=tmp_path / "whole", **asked))
    parted = config_of(SftConfig, out=tmp_path / "parted", **asked)
    with pytest.raises(KeyboardInterrupt):
        sft(parted, stop_after(2))
    assert not (tmp_path / "parted" / "model").exists()
    with pytest.raises(InputError, match=r"holds a training already[\s\S]*resume: true"):
        sft(parted)
    with pytest.raises(InputError, match=r"other config[\s\S]*training\.json"):
        sft(parted.model_copy(update={"resume": True, "learning_rate": 1.0}))
    resumed = sft(parted.model_copy(update={"resume": True}))
    first, second = weights(whole), weights(resumed)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], old) for name, old in weights(base).items())
    rows = load_curves(tmp_path / "parted").metrics
    assert rows["step"].tolist() == [0, 1, 2, 3]
    assert rows["loss"].tolist() == load_curves(tmp_path / "whole").metrics["loss"].tolist()
    epoch = rows[:3]  # of six rows of several lengths
    shown = rows_of(examples, base)
    assert epoch["tokens"].tolist() == [2 * int(shown[0].loss_mask.sum())] * 3
    assert epoch["input_tokens"].sum() == sum(map(len, shown))
    card = (resumed / "README.md").read_text()
    assert "too_long=0" in card and '"learning_rate": 0.001' in card
    assert list((tmp_path / "whole" / "tensorboard").glob("events*"))


@pytest.mark.parametrize("lora", [None, Lora(rank=2)])
def test_logits_of_trained_tokens_alone_train_the_same(
    lora: Lora | None, base: Path, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with logits of all tokens; rows of a batch differ in length, batches are accumulated."""
    measured, entropies = [], []
    cross_entropy = loss_utils.fixed_cross_entropy

    def counted(source: torch.Tensor, target: torch.Tensor, *rest: Any, **named: Any) -> Any:
        entropies.append((len(source), int((target != -100).sum())))
        return cross_entropy(source, target, *rest, **named)

    monkeypatch.setattr(loss_utils, "fixed_cross_entropy", counted)
    for name in ("ours", "all logits"):
        asked = {"model": str(base), "data": examples, "accumulate": 2, "lora": lora}
        asked |= {"max_steps": 4, "learning_rate": 1e-2}  # of other gradients come other losses
        sft(config_of(SftConfig, out=tmp_path / name, **asked))
        measured.append(load_curves(tmp_path / name).metrics["loss"].tolist())
        monkeypatch.setattr(CountingSftTrainer, "compute_loss", Trainer.compute_loss)
    ours, whole = measured
    assert ours == pytest.approx(whole, rel=1e-5)
    assert ours[-1] < ours[0] - 0.01
    half = len(entropies) // 2
    assert all(made == trained for made, trained in entropies[:half])
    assert all(made > trained for made, trained in entropies[half:])
    assert [one for _, one in entropies[:half]] == [one for _, one in entropies[half:]]


def test_sequences_split_over_devices_are_refused() -> None:
    trainer = object.__new__(CountingSftTrainer)
    labels = torch.tensor([[1, 2]])
    with pytest.raises(InputError, match="split over devices"):
        trainer.compute_loss(None, {"labels": labels, "shift_labels": labels})


def test_muon_refuses_what_it_cannot_train(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"model": "m", "data": "d.jsonl", "out": "o", "optimiser": "muon"}
    with pytest.raises(ValueError, match="leave lora out"):
        config_of(SftConfig, lora=Lora(rank=2), **asked)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="in one process"):
        config_of(SftConfig, **asked)


def rows_of(examples: Path, base: Path) -> list[Row]:
    loaded = load_base(str(base), "float32")
    renderer = Renderer(loaded.tokenizer, loaded.stop_ids)
    return [row for one in read_examples(examples) for row in renderer.rows(one)]


def first_loss(kind: str, out: Path, **asked: object) -> float:
    if kind == "sft":
        sft(config_of(SftConfig, out=out, max_steps=1, **asked))
    else:
        dpo(config_of(DpoConfig, out=out, max_steps=1, **asked))
    return float(load_curves(out).metrics["loss"][0])


def test_the_first_loss_is_the_mean_over_trained_tokens_packed_or_not(
    base: Path, examples: Path, tmp_path: Path
) -> None:
    loaded = load_base(str(base), "float32")
    renderer = Renderer(loaded.tokenizer, loaded.stop_ids)
    rows = [row for one in read_examples(examples) for row in renderer.rows(one)]
    batch = padded([row.input_ids for row in rows], [row.loss_mask for row in rows])
    with torch.no_grad():
        scored = token_scores(loaded.model, batch).logprobs
    expected = -float(scored.sum() / batch.loss_mask.sum())
    asked = {"model": str(base), "data": examples, "batch": 6}
    assert first_loss("sft", tmp_path / "a", **asked) == pytest.approx(expected, rel=1e-4)
    longest = max(map(len, rows))
    packed = {**asked, "packing": True, "max_tokens": 3 * longest}
    assert first_loss("sft", tmp_path / "b", **packed) == pytest.approx(expected, rel=1e-4)


def test_dpo_leaves_outputs_of_tools_and_shared_beginnings_out(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    loaded = load_base(str(base), "float32")
    renderer = Renderer(loaded.tokenizer, loaded.stop_ids)
    rows, left_out = pair_rows(read_pairs(pairs), renderer, 4096, pairs)
    assert (len(rows), left_out) == (4, 0)
    batch = PairCollator(0)(rows[:1])
    text = [
        str(loaded.tokenizer.decode(ids[own.bool()].tolist()))
        for ids, own in zip(batch["input_ids"], batch["completion_mask"], strict=True)
    ]
    assert text[0].startswith(' + 1"}}')  # from where they part, no output of a tool
    assert "8\n</tool_response>" not in text[0] and "submit" in text[0]
    assert text[1].startswith('"}}')
    with pytest.raises(InputError, match="no pair can be trained on"):
        pair_rows(read_pairs(pairs), renderer, 10, pairs)
    asked = {"model": str(base), "data": pairs}
    loss = first_loss("dpo", tmp_path / "full", **asked)
    assert loss == pytest.approx(torch.log(torch.tensor(2.0)).item(), rel=1e-5)  # nothing learned
    adapted = first_loss("dpo", tmp_path / "lora", lora=Lora(rank=2), **asked)
    assert adapted == pytest.approx(loss, rel=1e-5)
    assert (tmp_path / "lora" / "model" / "adapter_model.safetensors").exists()


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["ipo", "hinge"])
def test_variants_of_dpo_learn_to_prefer(
    loss: str, base: Path, pairs: Path, tmp_path: Path
) -> None:
    asked = {"model": str(base), "data": pairs, "loss": loss, "max_steps": 6}
    dpo(config_of(DpoConfig, out=tmp_path / "out", **asked))
    losses = load_curves(tmp_path / "out").metrics["loss"]
    assert losses.iloc[-1] < losses.iloc[0]


def test_a_loss_that_is_no_number_ends_the_training_and_keeps_checkpoints(
    base: Path, examples: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    loaded = load_base(str(base), "float32")
    with torch.no_grad():
        loaded.model.get_input_embeddings().weight[5] = float("nan")
    loaded.model.save_pretrained(broken)
    loaded.tokenizer.save_pretrained(broken)
    config = config_of(SftConfig, model=str(broken), data=examples, out=tmp_path / "out")
    with pytest.raises(TrainingError, match=r"no number any more[\s\S]*sft, step 0[\s\S]*nan"):
        sft(config.model_copy(update={"save_every": 1}))
    assert not (tmp_path / "out" / "model").exists()
    assert not list((tmp_path / "out").glob("checkpoints/checkpoint-*"))


def test_what_cannot_be_used_is_named_before_anything_is_written(
    base: Path, examples: Path, tmp_path: Path
) -> None:
    def refused(message: str, **asked: object) -> None:
        wrong = {"model": str(base), "data": examples, "out": tmp_path / "out", **asked}
        with pytest.raises(InputError, match=message):
            sft(config_of(SftConfig, **wrong))
        assert not (tmp_path / "out").exists()

    refused("the model cannot be loaded", model=str(tmp_path / "nowhere"))
    refused("no row is short enough", max_tokens=5)
    (tmp_path / "empty.jsonl").write_text("")
    refused("no row is short enough", data=tmp_path / "empty.jsonl")
    small = tmp_path / "small"
    tiny_llama(vocabulary=100).save_pretrained(small)
    tokenizer_of("qwen").save_pretrained(small)
    refused(r"the tokenizer has \d+ tokens, the model 100", model=str(small))
    bare = tmp_path / "bare"
    load_base(str(base), "float32").model.save_pretrained(bare)
    tokenizer = tokenizer_of("qwen")
    tokenizer.chat_template = None
    tokenizer.save_pretrained(bare)
    refused("no chat template", model=str(bare))


def test_running_out_of_memory_is_named_and_other_errors_pass() -> None:
    for error in (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
                  RuntimeError("DefaultCPUAllocator: can't allocate memory")):  # fmt: skip
        named = r"memory has run out[\s\S]*sft[\s\S]*lower batch"
        with pytest.raises(TrainingError, match=named), memory_named("sft"):
            raise error
    with pytest.raises(RuntimeError, match="shapes"), memory_named("sft"):
        raise RuntimeError("shapes do not fit")


def test_one_of_several_gpus_is_not_chosen_by_its_number() -> None:
    with pytest.raises(ValueError, match="CUDA_VISIBLE_DEVICES: cuda:1"):
        config_of(SftConfig, model="m", data="d.jsonl", out="o", device="cuda:1")


def test_one_process_trains_on_one_device(base: Path, examples: Path, tmp_path: Path) -> None:
    """Where a machine has two GPUs, too."""

    class OfTwo(TrainingArguments):
        def __post_init__(self) -> None:
            super().__post_init__()
            self._n_gpu = 2

    config = config_of(SftConfig, model=str(base), data=examples, out=tmp_path, device="cpu")
    assert config.trainer_arguments(OfTwo, TrainingFolder(tmp_path)).n_gpu == 1
    assert config.trainer_arguments(TrainingArguments, TrainingFolder(tmp_path)).n_gpu == 0
