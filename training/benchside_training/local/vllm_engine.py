"""`VllmEngine`: vLLM's asynchronous engine in this process, as a `TokenEngine`.

Ids in, ids and log-probabilities out; vLLM keeps the keys and values of earlier turns (its prefix
cache), batches and schedules. Written against the API of vLLM 0.33 (engine V1); it was tested with
a stand-in for that API only, which a real model stands behind, and never run on a GPU.

New weights go through the disk: vLLM's workers are processes of their own, and what it documents
for all kinds of them is `reload_weights` from a folder. Faster ways (its weight transfer by NCCL or
CUDA IPC) are left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import vllm
from pydantic import JsonValue
from safetensors.torch import save_file
from vllm.lora.request import LoRARequest
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

from benchside.errors import InfrastructureError, InputError, PolicyError, ServerDownError
from benchside_training.local.loading import first_line
from benchside_training.local.sampling import Sampling
from benchside_training.local.sequence import Sampled
from benchside_training.local.token_engine import refuse_too_long

CLOSE_DEADLINE_S = 30.0
RELOAD_DEADLINE_S = 1800.0  # for vLLM's workers to read new weights from the disk
MEMORY_FIX = "read what vLLM wrote above; where memory ended, lower kv_memory_mib or max_model_len"


class VllmEngine:
    """Owns an engine of vLLM.

    Args:
        arguments: of the engine; prefix caching on, log-probabilities "processed".
        adapter: folder or hub name of a LoRA adapter that all requests use.
    """

    def __init__(self, arguments: vllm.AsyncEngineArgs, adapter: str | None = None):
        self.version = 0
        self._llm = AsyncLLM.from_engine_args(arguments)
        self.context_limit = int(self._llm.model_config.max_model_len)
        self._adapter = None if adapter is None else LoRARequest("adapter", 1, adapter)
        self._running: set[asyncio.Task[vllm.CompletionOutput]] = set()
        self._open = asyncio.Event()  # cleared while weights are replaced
        self._open.set()
        self._unusable: InfrastructureError | None = None

    @property
    def config(self) -> dict[str, JsonValue]:
        """Precision and device; vLLM picks the attention itself."""
        return {
            "dtype": str(self._llm.model_config.dtype).removeprefix("torch."),
            "device": str(self._llm.vllm_config.device_config.device_type),
            "attention": "vllm",
            "vllm": str(vllm.__version__),
        }

    async def sample(self, ids: Sequence[int], sampling: Sampling, *, known: int = 0) -> Sampled:
        """Sample what follows on `ids`, see `TokenEngine`; a cancelled call is aborted in vLLM.

        Args:
            known: not used: vLLM finds in its cache what it has seen.

        Raises:
            ServerDownError: vLLM has died, and cannot be started again in this process.
        """
        refuse_too_long(len(ids), self.context_limit)
        while not self._open.is_set():
            await self._open.wait()
        if self._unusable is not None:
            raise self._unusable
        version = self.version  # holds to the end: an update waits for what is being sampled
        task = asyncio.create_task(self._completion(list(ids), sampling))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            completion = await task
        except asyncio.CancelledError:
            asked = asyncio.current_task()
            if self._unusable is None or (asked and asked.cancelling()):
                raise
            raise self._unusable from None
        new = list(completion.token_ids)
        pairs = zip(new, completion.logprobs, strict=True)
        logprobs = [float(found[id_].logprob) for id_, found in pairs]
        if not all(math.isfinite(one) for one in logprobs):
            raise InfrastructureError(
                "the local model failed: its logits are not finite",
                fix="check that the weights belong to the configuration, and are finite",
            )
        if sampling.temperature == 0:
            logprobs = [0.0] * len(new)  # vLLM gives those of temperature 1
        cut_off = not new or new[-1] not in sampling.stop_ids
        return Sampled(new, logprobs, [version] * len(new), cut_off)

    async def update(self, state_dict: Mapping[str, torch.Tensor] | None, version: int) -> None:
        """Take new weights, see `TokenEngine`, between requests: others wait until it is done.

        Args:
            state_dict: of the transformers model, whole; written to the temporary folder first.

        Raises:
            InputError: there are no weights, or an adapter stands on the old ones.
            InfrastructureError: they could not be written, or vLLM did not take them; in the latter
                case it samples no more, since nobody knows which weights it has.
        """
        if not state_dict:
            raise InputError(
                "vLLM has a copy of the weights of its own, which no change in place reaches",
                where="state_dict", value=state_dict, fix="give the model's state_dict()",
            )  # fmt: skip
        if self._adapter is not None:
            raise InputError(
                "weights under an adapter cannot be replaced", where="adapter",
                value=self._adapter.lora_path,
                fix="merge the adapter into the model, and load that without it",
            )  # fmt: skip
        while not self._open.is_set():
            await self._open.wait()
        self._open.clear()
        try:
            with tempfile.TemporaryDirectory(prefix="benchside-weights-") as folder:
                await asyncio.to_thread(_write, state_dict, Path(folder))
                while self._running:
                    await asyncio.wait(self._running)
                await self._reload(folder)
            self.version = version
        finally:
            self._open.set()

    async def aclose(self) -> None:
        """End vLLM's processes; what is being sampled fails."""
        self._unusable = InfrastructureError("the local engine is closed")
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=CLOSE_DEADLINE_S)
        await asyncio.to_thread(self._llm.shutdown)

    async def _completion(self, ids: list[int], sampling: Sampling) -> vllm.CompletionOutput:
        """Ask vLLM; it aborts the request itself where the generator is cancelled."""
        wanted = vllm.SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            seed=None if sampling.seed is None else sampling.seed % 2**63,
            max_tokens=min(sampling.max_tokens, self.context_limit - len(ids)),
            stop_token_ids=sorted(sampling.stop_ids),
            ignore_eos=True,  # the stop ids say it all
            logprobs=0,  # of the sampled token alone
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        prompt = vllm.TokensPrompt(prompt_token_ids=ids)
        generated = self._llm.generate(prompt, wanted, uuid.uuid4().hex, lora_request=self._adapter)
        found: vllm.CompletionOutput = None
        try:
            async with contextlib.aclosing(generated) as outputs:
                async for output in outputs:
                    found = output.outputs[0]
        except EngineDeadError as error:
            raise ServerDownError(f"vLLM has died: {first_line(error)}", fix=MEMORY_FIX) from error
        except EngineGenerateError as error:
            cause = error.__cause__ or error
            raise InfrastructureError(
                f"the local model failed: {type(cause).__name__}: {first_line(cause)}",
                fix=MEMORY_FIX,
            ) from error
        except Exception as error:  # generate() gives all but refusals as one of the two above
            raise PolicyError(f"vLLM refuses the request: {first_line(error)}") from error
        if found is None or found.finish_reason not in {"stop", "length"}:
            raise InfrastructureError(
                "vLLM ended a request that nobody cancelled",
                value=found and found.finish_reason, fix=MEMORY_FIX,
            )  # fmt: skip
        return found

    async def _reload(self, folder: str) -> None:
        """Make vLLM read the weights in a folder, and drop what it encoded with others."""
        self._unusable = InfrastructureError(
            "vLLM did not take the new weights, and may have a part of them", fix="start it again"
        )
        try:
            await self._llm.collective_rpc(
                "reload_weights", timeout=RELOAD_DEADLINE_S, kwargs={"weights_path": folder}
            )
            dropped = await self._llm.reset_prefix_cache()
        except Exception as error:  # of its workers, as whatever type they sent
            raise InfrastructureError(
                f"vLLM did not take the new weights: {first_line(error)}",
                fix="give the state_dict of the model that vLLM runs, and start it again",
            ) from error
        if not dropped:
            raise InfrastructureError(
                "vLLM did not drop what it encoded with the old weights", fix="start it again"
            )
        self._unusable = None


def _write(state_dict: Mapping[str, torch.Tensor], folder: Path) -> None:
    """Write weights as vLLM reads them; tied ones are written as often as they are named."""
    copies = {
        name: value.detach().to("cpu", copy=True).contiguous() for name, value in state_dict.items()
    }
    try:
        save_file(copies, folder / "model.safetensors", metadata={"format": "pt"})
    except Exception as error:  # safetensors has no type of its own for a full disk
        raise InfrastructureError(
            f"the new weights cannot be written: {first_line(error)}", where=folder.parent,
            fix="make room there, or set TMPDIR to a folder that has it",
        ) from error  # fmt: skip
