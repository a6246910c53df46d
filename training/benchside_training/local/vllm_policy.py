"""The policy `vllm:PATH_OR_NAME`: a `LocalPolicy` on vLLM in this process."""

from __future__ import annotations

import secrets
from typing import Any

import vllm
from peft import PeftConfig

from benchside.errors import InputError
from benchside.policies.options import PolicyOptions
from benchside_training.local.loading import first_line, load_vocabulary
from benchside_training.local.policy import LocalPolicy, OwnEnginePolicy
from benchside_training.local.vllm_engine import VllmEngine

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # of adapters that vLLM can be told to expect


def make(argument: str, options: PolicyOptions) -> LocalPolicy:
    """Return the policy of "vllm:ARGUMENT"; the entry point of the workbench.

    Raises:
        InputError: the model cannot be loaded, or an option is none of vLLM's.
    """
    where = f"vllm:{argument}"
    if not argument:
        raise InputError(
            "policy vllm needs an argument", value="vllm:", fix="write vllm:PATH_OR_NAME"
        )
    if options.device is not None:
        raise InputError(
            "vLLM runs on the devices that it sees", where="device", value=options.device,
            fix="leave device out, and set CUDA_VISIBLE_DEVICES",
        )  # fmt: skip
    if options.attention != "sdpa":  # the default; whether it was written is not known here
        raise InputError(
            "vLLM picks the attention itself", where="attention", value=options.attention,
            fix="leave attention out, or name vLLM's own: extra: {attention_backend: ...}",
        )  # fmt: skip
    vocabulary = load_vocabulary(argument, options.adapter, where)
    try:
        engine = VllmEngine(_arguments(argument, options), options.adapter)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"vLLM cannot run the model: {first_line(error)}", where=where,
            value=f"dtype {options.dtype}, extra {options.extra}",
            fix="read what vLLM wrote above; extra holds further arguments of its engine, such as "
            "{max_model_len: 32768, tensor_parallel_size: 2}",
        ) from None  # fmt: skip
    name = where + (f"+{options.adapter}" if options.adapter else "")
    return OwnEnginePolicy(name, vocabulary, engine, options)


def _arguments(model: str, options: PolicyOptions) -> vllm.AsyncEngineArgs:
    """The engine's arguments; one that is given twice is refused by Python."""
    adapter: dict[str, Any] = {}
    if options.adapter is not None:
        rank = PeftConfig.from_pretrained(options.adapter).r
        adapter = {
            "enable_lora": True,
            "max_lora_rank": next((one for one in RANKS if one >= rank), rank),
        }
    memory = options.kv_memory_mib
    return vllm.AsyncEngineArgs(
        model=model,
        dtype=options.dtype or "auto",
        seed=secrets.randbits(31),  # of requests without a seed; vLLM's default repeats itself
        max_num_seqs=options.max_concurrent_requests,
        kv_cache_memory_bytes=None if memory is None else memory * 2**20,
        enable_prefix_caching=True,  # turns go on from each other's keys and values
        logprobs_mode="processed_logprobs",  # after temperature and truncation
        generation_config="vllm",  # the model's own defaults are not looked at
        disable_log_stats=True,
        **adapter,
        **options.extra,
    )
