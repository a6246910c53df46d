"""Merging: sums by hand, what does not fit together, and a search that finds the right weights."""

import tomllib
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchside.errors import InputError
from benchside.plugged_command import plugged_command
from benchside_training import merging
from benchside_training.merge import LOG, Candidate, MergeConfig, Played, command, main
from benchside_training.merging import checked, merge
from tests.training.families import tokenizer_of
from tests.training.local.small import save, save_acting
from tests.training.test_rounds import prepared
from tests.training.tiny import tiny_llama


@pytest.fixture(autouse=True)
def own_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is installed; mergekit's are compared with them below."""
    monkeypatch.setattr(merging, "find_spec", lambda _: None)


@pytest.fixture(scope="module")
def parents(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A base and two models, the second in two files."""
    made = []
    for seed in range(3):
        folder = tmp_path_factory.mktemp("parents") / f"model-{seed}"
        tokenizer = tokenizer_of("qwen")
        model = tiny_llama(seed, vocabulary=len(tokenizer))
        model.save_pretrained(folder, max_shard_size="20KB" if seed == 1 else "1GB")
        tokenizer.save_pretrained(folder)
        made.append(folder)
    return made


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for file in folder.glob("*.safetensors"):
        found |= load_file(file)
    return found


def total(folders: Sequence[Path], shares: Sequence[float]) -> dict[str, torch.Tensor]:
    first, *others = map(tensors, folders)
    return {
        name: shares[0] * first[name]
        + sum(share * one[name] for share, one in zip(shares[1:], others, strict=True))
        for name in first
    }


def close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        torch.allclose(one[name], other[name], atol=1e-6) for name in one
    )


def test_merged_tensors_are_the_weighted_sums(parents: list[Path], tmp_path: Path) -> None:
    base, one, two = parents
    assert len(list(one.glob("*.safetensors"))) > 1
    (tmp_path / "linear").mkdir()
    merge(checked("linear", [one, two], None), [1.0, 3.0], tmp_path / "linear")
    assert close(tensors(tmp_path / "linear"), total([one, two], [0.25, 0.75]))
    (tmp_path / "arithmetic").mkdir()
    merge(checked("task_arithmetic", [one, two], base), [0.5, 1.0], tmp_path / "arithmetic")
    assert close(tensors(tmp_path / "arithmetic"), total(parents, [-0.5, 0.5, 1.0]))
    for name in ("linear", "arithmetic"):
        model = AutoModelForCausalLM.from_pretrained(tmp_path / name)
        assert model(torch.arange(5)[None]).logits.isfinite().all()
        assert AutoTokenizer.from_pretrained(tmp_path / name).chat_template


@pytest.mark.skipif(find_spec("mergekit") is None, reason="mergekit is not installed")
@pytest.mark.filterwarnings("default")  # what mergekit warns of is its own matter
def test_mergekit_gives_the_same(
    parents: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for method, base, weights in (
        ("linear", None, [1.0, 3.0]), ("task_arithmetic", parents[0], [0.5, 1.0]),
    ):  # fmt: skip
        found = checked(method, parents[1:], base)
        for name, spec in (("own", None), ("mergekit", find_spec("mergekit"))):
            monkeypatch.setattr(merging, "find_spec", lambda _, spec=spec: spec)
            out = tmp_path / f"{method}-{name}"
            out.mkdir()
            assert merge(found, weights, out) == {"own": "benchside"}.get(name, name)
        own, other = (tensors(tmp_path / f"{method}-{name}") for name in ("own", "mergekit"))
        assert close(own, {name: other[name] for name in own})
        assert AutoTokenizer.from_pretrained(out).chat_template


def test_models_that_do_not_fit_together_are_named(parents: list[Path], tmp_path: Path) -> None:
    def refused(message: str, other: Path) -> None:
        with pytest.raises(InputError, match=message):
            checked("linear", [parents[0], other], None)

    refused(r"no safetensors[\s\S]*nowhere", tmp_path / "nowhere")
    refused(
        "differ in architecture: lm_head.weight is missing in model-0", save(tmp_path / "other")
    )
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "adapter_model.safetensors").write_bytes(b"")
    refused("holds an adapter", adapter)
    for name, change in (("tokenizer", "add"), ("chat template", "template")):
        folder = tmp_path / change
        AutoModelForCausalLM.from_pretrained(parents[1]).save_pretrained(folder)
        tokenizer = tokenizer_of("qwen")
        if change == "add":
            tokenizer.add_tokens(["one more"])
        else:
            tokenizer.chat_template = "{{ messages }}"
        tokenizer.save_pretrained(folder)
        refused(f"the models differ in {name}", folder)
    with pytest.raises(InputError, match="task_arithmetic takes a base"):
        checked("task_arithmetic", parents[1:], None)
    with pytest.raises(InputError, match="a weight for each model"):
        merge(checked("linear", parents, None), [1.0], tmp_path)
    with pytest.raises(InputError, match="sum, which is 0"):
        merge(checked("linear", parents[1:], None), [1.0, -1.0], tmp_path)


def searching(parents: Sequence[Path], out: Path, **search: object) -> MergeConfig:
    suites = [{"name": "power", "split": "valid", "limit": 2}]
    return MergeConfig.model_validate(
        {"models": parents, "out": out, "search": {"suites": suites, **search}}
    )


def test_the_search_finds_the_weights_and_goes_on(parents: list[Path], tmp_path: Path) -> None:
    wanted = total(parents[1:], [0.3, 0.7])
    played: list[int] = []

    def fitness(model: Path, run: Path) -> Played:
        if len(played) == 20:
            raise KeyboardInterrupt
        played.append(0)
        found = tensors(model)
        return Played(-sum(float(((found[name] - wanted[name]) ** 2).sum()) for name in wanted), 4)

    config = searching(parents[1:], tmp_path / "out", candidates=50)
    with pytest.raises(KeyboardInterrupt):
        main(config, fitness=fitness)
    assert len((tmp_path / "out" / LOG).read_text().splitlines()) == 20
    played.append(0)
    model = main(config.model_copy(update={"resume": True}), fitness=fitness)
    assert len(played) == 21 + 30, "none was played twice"
    rows = [
        Candidate.model_validate_json(line)
        for line in (tmp_path / "out" / LOG).read_text().splitlines()
    ]
    assert [row.weights for row in rows[:3]] == [(1, 0), (0, 1), (0.5, 0.5)]
    best = max(rows, key=lambda row: row.reward).weights
    assert best[0] / sum(best) == pytest.approx(0.3, abs=0.03)
    assert close(tensors(model), total(parents[1:], [one / sum(best) for one in best]))
    card = (model / "README.md").read_text()
    assert f"{parents[1]}: weight {best[0]:.6g}" in card and "candidates: 50" in card
    assert not list((tmp_path / "out").glob("candidates/*/model"))


def test_what_cannot_be_merged_is_named_before_anything_is_written(
    parents: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(ValidationError, match="on the split train or valid, not test"):
        searching(parents, tmp_path / "out", suites=[{"name": "power", "split": "test"}])
    for wrong in ({}, {"weights": [1, 1], "search": {"suites": []}}, {"weights": [1, 1]}):
        with pytest.raises(
            ValidationError, match=r"either weights|at least 1|give 3, one for each"
        ):
            MergeConfig.model_validate({"models": parents, "out": tmp_path / "out", **wrong})
    assert not (tmp_path / "out").exists()


def test_the_command_merges_by_a_file(parents: list[Path], tmp_path: Path) -> None:
    config = tmp_path / "merge.yaml"
    config.write_text(
        f"models: [{parents[1]}, {parents[2]}]\nout: {tmp_path / 'out'}\nweights: [1, 1]\n"
    )
    named = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text())
    module, _, function = named["project"]["entry-points"]["benchside.commands"]["merge"].partition(
        ":"
    )
    assert getattr(import_module(module), function) is command
    with pytest.raises(InputError, match=r"benchside lost needs[\s\S]*benchside\[train\]"):
        plugged_command("lost")
    command(config)
    assert close(tensors(tmp_path / "out" / "model"), total(parents[1:], [0.5, 0.5]))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_reward_of_episodes_chooses(tmp_path: Path) -> None:
    """Of a model that solves all tasks of a suite and one that cannot act."""
    home = tmp_path / "home"
    prepared(home, 42)
    good, bad = save_acting(tmp_path / "good", values=(42,)), tmp_path / "bad"
    model = AutoModelForCausalLM.from_pretrained(good)
    with torch.no_grad():
        for value in model.parameters():
            value.normal_()
    model.save_pretrained(bad)
    AutoTokenizer.from_pretrained(good).save_pretrained(bad)
    config = searching(
        [bad, good], tmp_path / "out", candidates=3, limits={"max_turns": 1}, parallel=2,
        policy={"temperature": 0, "max_tokens": 100, "kv_memory_mib": 64, "device": "cpu"},
    )  # fmt: skip
    model = main(config, home=home)
    assert close(tensors(model), tensors(good))
    first, second, _ = (tmp_path / "out" / LOG).read_text().splitlines()
    found = [Candidate.model_validate_json(line) for line in (first, second)]
    assert [(one.reward, one.n) for one in found] == [(0.0, 2), (1.0, 2)]
    assert (tmp_path / "out" / "candidates" / "0001" / "run" / "run.json").is_file()
