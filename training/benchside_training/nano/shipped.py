"""`nano`: the policy that ships with Benchside, a language model that this project trained itself.

Its weights lie in `weights/`, with a model card that says from what they were made, and by which
command, and with a list of tasks that it has not learned from (`benchside run --tasks`). It answers
questions of a few kinds over the suites `registry`, `units` and `wards`.
"""

from __future__ import annotations

from pathlib import Path

from benchside.errors import InputError
from benchside.policies.options import PolicyOptions
from benchside_training.local.engine import Engine
from benchside_training.local.loading import load
from benchside_training.local.policy import OwnEnginePolicy
from benchside_training.nano.config import MAX_TOKENS

WEIGHTS = Path(__file__).with_name("weights")
HELD_OUT = "held_out.txt"


def make(argument: str, options: PolicyOptions, weights: Path = WEIGHTS) -> OwnEnginePolicy:
    """Return the policy; the entry point of the workbench.

    It takes the most probable token, unless the options have a temperature.

    Raises:
        InputError: it was given an argument, or there are no weights.
    """
    if argument:
        raise InputError(
            "policy nano takes no argument", value=f"nano:{argument}",
            fix="write nano; hf:FOLDER takes any model",
        )  # fmt: skip
    if not (weights / "model.safetensors").is_file():
        raise InputError(
            "the weights of policy nano are not there", where=weights,
            fix="make train-demo, then python -m benchside_training.nano.ship training/nano.yaml; "
            "or take another model by hf:FOLDER",
        )  # fmt: skip
    asked = options.model_dump(include={"temperature", "max_tokens"}, exclude_none=True)
    own = options.model_copy(update={"temperature": 0.0, "max_tokens": MAX_TOKENS, **asked})
    loaded = load(str(weights), own)
    engine = Engine(loaded.model, max_batch=own.max_concurrent_requests)
    return OwnEnginePolicy("nano", loaded, engine, own)
