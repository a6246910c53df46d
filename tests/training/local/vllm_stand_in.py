"""A stand-in for vLLM: the few names that we use, with the signatures of 0.33, over our own engine.

Only what happens inside vLLM is replaced. The models are real, and it is as strict as vLLM is:
requests outside its limits are refused, cancelled ones aborted, and what was encoded with old
weights is used until its cache is reset.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import torch
from peft import PeftConfig
from safetensors.torch import load_file

from benchside.policies import PolicyOptions
from benchside_training.local.engine import Engine
from benchside_training.local.loading import load
from benchside_training.local.sampling import Sampling


class EngineDeadError(Exception): ...


class EngineGenerateError(Exception): ...


class VLLMValidationError(Exception): ...


class RequestOutputKind(Enum):
    CUMULATIVE = 0
    DELTA = 1
    FINAL_ONLY = 2


@dataclass(kw_only=True)
class SamplingParams:
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop_token_ids: list[int] | None = None
    ignore_eos: bool = False
    max_tokens: int | None = 16
    logprobs: int | None = None
    detokenize: bool = True
    output_kind: RequestOutputKind = RequestOutputKind.CUMULATIVE


@dataclass
class AsyncEngineArgs:
    model: str = "Qwen/Qwen3-0.6B"
    dtype: str = "auto"
    seed: int = 0
    max_model_len: int | None = None
    max_num_seqs: int | None = None
    kv_cache_memory_bytes: int | None = None
    enable_prefix_caching: bool | None = None
    logprobs_mode: str = "raw_logprobs"
    generation_config: str = "auto"
    disable_log_stats: bool = False
    enable_lora: bool = False
    max_lora_rank: int = 16


@dataclass
class LoRARequest:
    lora_name: str
    lora_int_id: int
    lora_path: str = ""


class AsyncLLM:
    made: ClassVar[list["AsyncLLM"]] = []

    def __init__(self, args: AsyncEngineArgs):
        self.args = args
        self.engines = {None: self._engine(None)}
        engine = self.engines[None]
        self.model_config = SimpleNamespace(
            max_model_len=args.max_model_len or engine.context_limit, dtype=engine.model.dtype
        )
        self.vllm_config = SimpleNamespace(device_config=SimpleNamespace(device_type="cpu"))
        self.prompts: list[list[int]] = []
        self.sampling = 0
        self.aborted: list[str] = []
        self.dead = False
        self.made.append(self)

    @classmethod
    def from_engine_args(cls, engine_args: AsyncEngineArgs) -> "AsyncLLM":
        return cls(engine_args)

    async def generate(
        self, prompt: dict[str, Any], sampling_params: SamplingParams, request_id: str,
        *, lora_request: LoRARequest | None = None,
    ) -> AsyncGenerator[SimpleNamespace, None]:  # fmt: skip
        if self.dead:
            raise EngineDeadError("EngineCore encountered an issue.")
        ids, asked = list(prompt["prompt_token_ids"]), sampling_params
        engine = self._engine_of(lora_request)
        if max(ids) >= engine.model.config.vocab_size:
            raise VLLMValidationError(f"Token id {max(ids)} is out of vocabulary")
        assert asked.max_tokens and len(ids) + asked.max_tokens <= self.model_config.max_model_len
        stops = frozenset(asked.stop_token_ids or ())
        if not asked.ignore_eos:
            stops |= {engine.model.config.eos_token_id}
        sampling = Sampling(
            asked.max_tokens, stops, asked.temperature, asked.top_p, asked.top_k, asked.seed
        )
        self.prompts.append(ids)
        self.sampling += 1
        try:
            found = await engine.sample(ids, sampling)
        except (asyncio.CancelledError, GeneratorExit):
            self.aborted.append(request_id)
            raise
        except Exception as error:
            raise EngineGenerateError from error
        finally:
            self.sampling -= 1
        logprobs = found.logprobs
        if self.args.logprobs_mode == "raw_logprobs" or asked.temperature == 0:
            logprobs = raw_logprobs(engine, ids, found.ids)
        assert asked.logprobs == 0 and asked.output_kind is RequestOutputKind.FINAL_ONLY
        pairs = zip(found.ids, logprobs, strict=True)
        completion = SimpleNamespace(
            token_ids=found.ids,
            logprobs=[{id_: SimpleNamespace(logprob=one)} for id_, one in pairs],
            finish_reason="length" if found.cut_off else "stop",
        )
        yield SimpleNamespace(outputs=[completion], finished=True)

    async def collective_rpc(
        self, method: str, timeout: float | None = None, args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> list[None]:  # fmt: skip
        assert method == "reload_weights" and kwargs is not None
        assert not self.sampling, "the weights change under a request"
        tensors = load_file(Path(kwargs["weights_path"]) / "model.safetensors")
        self.engines[None].model.load_state_dict(tensors)
        return [None]

    async def reset_prefix_cache(
        self, reset_running_requests: bool = False, reset_connector: bool = False
    ) -> bool:
        if not self.sampling:
            await self.engines[None].update(None, 0)
        return not self.sampling

    def shutdown(self, timeout: float | None = None) -> None:
        for engine in self.engines.values():
            asyncio.run(engine.aclose())

    def _engine_of(self, asked: LoRARequest | None) -> Engine:
        path = asked and asked.lora_path
        if path not in self.engines:
            if not self.args.enable_lora or PeftConfig.from_pretrained(path).r > (
                self.args.max_lora_rank
            ):
                raise VLLMValidationError("LoRA is not enabled, or its rank is above max_lora_rank")
            self.engines[path] = self._engine(path)
        return self.engines[path]

    def _engine(self, adapter: str | None) -> Engine:
        dtype = None if self.args.dtype == "auto" else self.args.dtype
        loaded = load(self.args.model, PolicyOptions(dtype=dtype, device="cpu", adapter=adapter))
        return Engine(loaded.model, max_batch=self.args.max_num_seqs or 64, kv_memory_mib=64)


def raw_logprobs(engine: Engine, ids: Sequence[int], new: Sequence[int]) -> list[float]:
    """Those of the model's own distribution, without temperature and truncation."""
    with torch.no_grad():
        logits = engine.model(torch.tensor([[*ids, *new]])).logits[0, len(ids) - 1 : -1]
    chosen = torch.tensor(new)[:, None]
    return logits.float().log_softmax(-1).gather(-1, chosen)[:, 0].tolist()


OURS = ("benchside_training.local.vllm_engine", "benchside_training.local.vllm_policy")


@contextmanager
def installed(vllm: bool = True) -> Iterator[type[AsyncLLM]]:
    """As if this vLLM, or none, were installed."""
    names = {
        "vllm": {
            "AsyncEngineArgs": AsyncEngineArgs, "SamplingParams": SamplingParams,
            "TokensPrompt": dict, "__version__": "0.33.0",
        },
        "vllm.lora": {}, "vllm.lora.request": {"LoRARequest": LoRARequest},
        "vllm.sampling_params": {"RequestOutputKind": RequestOutputKind},
        "vllm.v1": {}, "vllm.v1.engine": {}, "vllm.v1.engine.async_llm": {"AsyncLLM": AsyncLLM},
        "vllm.v1.engine.exceptions": {
            "EngineDeadError": EngineDeadError, "EngineGenerateError": EngineGenerateError,
        },
    }  # fmt: skip
    before = {name: sys.modules.pop(name) for name in [*names, *OURS] if name in sys.modules}
    for name, held in names.items():
        module = ModuleType(name)
        vars(module).update(held)
        sys.modules[name] = module if vllm else None  # type: ignore[assignment]  # as if missing
    AsyncLLM.made.clear()
    try:
        yield AsyncLLM
    finally:
        for name in [*names, *OURS]:
            sys.modules.pop(name, None)
        sys.modules.update(before)
