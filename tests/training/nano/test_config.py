"""What the pipeline refuses to be told, and the configurations that ship."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from transformers import LlamaConfig

from benchside.manifests import manifests, read_yaml
from benchside_training.memory_plan import GIB, memory_plan, parameter_count
from benchside_training.nano.config import SIZES, NanoConfig
from benchside_training.nano.curriculum import UNSEEN_SUITE
from benchside_training.nano.fresh import llama_config

TRAINING = Path(__file__).parents[3] / "training"


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"sizes": {"wards": 0}}, "wards needs a size of at least 1, or null"),
        ({"sizes": {"wards": 9, "rounds": 9}}, "rounds is there to be never learned"),
        ({"sizes": {"wards": 9, "power": None}}, "power: a question alone .* reads: prompt"),
        ({"sizes": {}}, "at least 1 item"),
        ({"device": "cuda:1"}, "CUDA_VISIBLE_DEVICES: cuda:1"),
    ],
)
def test_suites_that_do_not_fit_are_refused(told: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        NanoConfig(out=Path("out"), **told)


def test_the_demonstration_is_what_the_defaults_say() -> None:
    config = read_yaml(TRAINING / "nano.yaml", NanoConfig)
    assert config == NanoConfig(out=config.out)
    assert (config.sizes, config.device) == (SIZES, "cpu")


def test_the_larger_one_learns_all_that_is_generated_and_fits_a_gpu() -> None:
    config = read_yaml(TRAINING / "configs" / "nano-100m.yaml", NanoConfig)
    generated = {name for name, one in manifests().items() if not one.data}
    assert config.sizes.keys() == generated - {UNSEEN_SUITE}
    model = LlamaConfig(**llama_config(config.shape, config.shape.vocabulary))
    assert parameter_count(model) > 100e6
    plan = memory_plan(
        model, precision=config.precision, tokens=config.batch * config.shape.context,
        trained_tokens=config.batch * config.shape.context,
    )  # fmt: skip
    assert plan.total < 60 * GIB
