"""Loading a model with its tokenizer: precision, device, attention and adapter as asked for."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from peft import PeftModel
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from benchside.errors import InputError
from benchside.policies.options import PolicyOptions

_RECURRENT = frozenset({"linear_attention", "mamba", "recurrent"})  # layers without keys and values


class Vocabulary(NamedTuple):
    """What policies need of a model that an engine has loaded for itself.

    Args:
        stop_ids: what ends a turn.
        weights: names the weights: commit at the hub, or sha256 of the files.
    """

    tokenizer: PreTrainedTokenizerBase
    stop_ids: frozenset[int]
    weights: str


class LocalModel(NamedTuple):
    """What an engine and its policies need.

    Args:
        weights: names the weights: commit at the hub, or sha256 of the files.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    weights: str

    @property
    def stop_ids(self) -> frozenset[int]:
        """What ends a turn: the end tokens of generation config, configuration and tokenizer."""
        return frozenset(end_ids(self.model.generation_config, self.model.config, self.tokenizer))


def load(name: str, options: PolicyOptions) -> LocalModel:
    """Load a model from a folder, or by its name at the hub.

    Raises:
        InputError: it cannot be found or loaded, or its kind cannot be run by the engine.
    """
    where = f"hf:{name}"
    config, tokenizer = _described(name, where)
    text = config.get_text_config()
    if _RECURRENT & set(getattr(text, "layer_types", None) or []) or hasattr(text, "state_size"):
        raise InputError(
            "models that keep a state instead of keys and values cannot be run here", where=where,
            value=config.model_type, fix="serve it, with vLLM for instance, and use openai:",
        )  # fmt: skip
    device = device_of(options.device)
    try:
        found = AutoModelForCausalLM.from_pretrained(
            name, config=config, dtype=dtype_of(options.dtype, device), device_map=device,
            attn_implementation=options.attention,
        )  # fmt: skip
        model = _adapted(found, options.adapter)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"the model cannot be loaded: {first_line(error)}", where=where,
            value=f"dtype {options.dtype}, device {device}, attention {options.attention}",
            fix="check the weights and the adapter, and that they fit into memory; "
            "attention: eager works for every model",
        ) from None  # fmt: skip
    return LocalModel(model, tokenizer, weights_of(name, options.adapter, config))


def load_vocabulary(name: str, adapter: str | None, where: str) -> Vocabulary:
    """Read all but the weights of a model, from a folder, or by its name at the hub.

    Raises:
        InputError: it cannot be found or read.
    """
    config, tokenizer = _described(name, where)
    try:
        generation = GenerationConfig.from_pretrained(name)
    except OSError:  # many models have none
        generation = None
    return Vocabulary(
        tokenizer,
        frozenset(end_ids(generation, config, tokenizer)),
        weights_of(name, adapter, config),
    )


def _described(name: str, where: str) -> tuple[PreTrainedConfig, PreTrainedTokenizerBase]:
    try:
        return AutoConfig.from_pretrained(name), AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"the model cannot be loaded: {first_line(error)}", where=where,
            fix="give a folder with config.json, tokenizer and weights, or a name at the hub",
        ) from None  # fmt: skip


def end_ids(
    generation: object, config: object, tokenizer: PreTrainedTokenizerBase
) -> tuple[int, ...]:
    """Return the end tokens of generation config, configuration and tokenizer, each once."""
    ends = [getattr(one, "eos_token_id", None) for one in (generation, config, tokenizer)]
    flat = [id_ for end in ends for id_ in (end if isinstance(end, list) else [end])]
    return tuple(dict.fromkeys(id_ for id_ in flat if id_ is not None))


def device_of(asked: str | None) -> torch.device:
    """Return the device that is asked for; otherwise an accelerator, where there is one."""
    if asked is None:
        found = torch.accelerator.current_accelerator(check_available=True)
        return found or torch.device("cpu")
    try:
        device = torch.device(asked)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"there is no such device: {first_line(error)}", where="device", value=asked,
            fix="cpu, cuda, cuda:1 or mps",
        ) from None  # fmt: skip
    return device


def dtype_of(asked: str | None, device: torch.device) -> torch.dtype | Literal["auto"]:
    """Return the precision asked for; otherwise that of the weights, and float32 on a CPU."""
    if asked is not None:
        dtype: torch.dtype = getattr(torch, asked)
        return dtype
    return torch.float32 if device.type == "cpu" else "auto"


def _adapted(model: PreTrainedModel, adapter: str | None) -> PreTrainedModel:
    """The model with a LoRA adapter worked into its weights, which costs nothing per token."""
    if adapter is None:
        return model
    merged: PreTrainedModel = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    return merged


def weights_of(name: str, adapter: str | None, config: object) -> str:
    """Return what names the weights: commits of hub models, hashes over folders' safetensors."""
    parts = []
    for source in filter(None, (name, adapter)):
        files = sorted(Path(source).glob("*.safetensors")) if Path(source).is_dir() else []
        if files:
            digest = hashlib.sha256()
            for file in files:
                with file.open("rb") as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
            parts.append(f"sha256:{digest.hexdigest()}")
        else:
            parts.append(str(getattr(config, "_commit_hash", None) or "unknown"))
    return " + ".join(parts)


def first_line(error: BaseException) -> str:
    """Return the beginning of what an error says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
