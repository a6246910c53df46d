"""`Engine`: samples from one transformers model for many episodes at once, on CPU or GPU.

Requests join and leave the batch between any two tokens (continuous batching). A finished sequence
keeps its keys and values, so that the next turn encodes only what is new; sequences that begin
alike share blocks. Nobody says when a conversation has ended: of those that wait, the one unused
for longest is dropped where there are too many, or memory ends, and encoded again if it goes on.

Why not transformers' own `ContinuousBatchingManager` (5.23): it draws from one generator for the
whole batch, so that a request's tokens depend on its neighbours, and frees a request's blocks when
it ends. Models that keep a state instead of keys and values (Mamba and its kind) are left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import JsonValue
from transformers import PreTrainedModel

from benchside.errors import BenchsideError, InfrastructureError, PolicyError
from benchside_training.local.masks import attention_masks
from benchside_training.local.memory import block_count
from benchside_training.local.paged_cache import BLOCK, PagedCache
from benchside_training.local.prefix_index import PrefixIndex
from benchside_training.local.sampling import Sampling, draw
from benchside_training.local.sequence import Sampled, TokenSequence
from benchside_training.local.token_engine import refuse_too_long

PREFILL_TOKENS = 4096  # at most so many, padding included, are encoded between two sampled tokens
GATHERING = 4  # passes of one token for which new ones wait at most, while others are sampled
PARKED = 2  # sequences between turns, or ended, that are kept for each that is being sampled
CLOSE_DEADLINE_S = 30.0


@dataclass(slots=True)
class Counters:
    """What the engine has done so far, in tokens; `dropped` and `put_back` in sequences.

    Args:
        prefilled: encoded in passes over prompts and observations.
        sampled: drawn.
        shared: not encoded, since another sequence with the same beginning had been.
        reencoded: of `prefilled`, those whose keys and values had once been in the cache.
        dropped: waiting sequences that gave their memory away.
        put_back: sequences taken out of the batch for want of memory.
    """

    prefilled: int = 0
    sampled: int = 0
    shared: int = 0
    reencoded: int = 0
    dropped: int = 0
    put_back: int = 0


class Engine:
    """Owns the model and a thread that runs it.

    Args:
        model: a causal language model with attention "sdpa" or "eager"; put into eval mode.
        max_batch: most sequences that are sampled at a time; further ones wait.
        kv_memory_mib: for keys and values; None for a share of the device's (see `memory`).
    """

    def __init__(
        self, model: PreTrainedModel, *, max_batch: int = 64, kv_memory_mib: int | None = None
    ):
        model.eval()
        self.model = model
        self.max_batch = max_batch
        self.version = 0
        self.counters = Counters()
        self.context_limit = int(
            getattr(model.config.get_text_config(), "max_position_embeddings", None) or 2**31
        )
        self._cache = PagedCache(block_count(model, kv_memory_mib))
        self._waiting: deque[TokenSequence] = deque()
        self._running: list[TokenSequence] = []
        self._parked: dict[bytes, TokenSequence] = {}  # by cached ids; unused for longest first
        self._index = PrefixIndex()
        self._gathering = 0  # passes for which new tokens have waited
        self._commands: deque[tuple[Callable[[], None], Future[None]]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="benchside-engine", daemon=True)
        self._thread.start()

    @property
    def config(self) -> dict[str, JsonValue]:
        """Precision, device and attention of the model."""
        return {
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "device": str(self.model.device),
            "attention": self.model.config._attn_implementation,
        }

    @property
    def held_tokens(self) -> int:
        """Room for so many tokens is taken of the memory for keys and values."""
        return (self._cache.total - self._cache.free) * BLOCK

    async def sample(self, ids: Sequence[int], sampling: Sampling, *, known: int = 0) -> Sampled:
        """Sample what follows on `ids`, see `TokenEngine`; a cancelled call leaves the batch."""
        refuse_too_long(len(ids), self.context_limit)
        one = TokenSequence(
            list(ids), sampling, sampling.generator(self.model.device), Future(), max(known - 1, 0)
        )
        with self._changed:
            self._refuse_closed()
            self._waiting.append(one)
            self._changed.notify()
        return await asyncio.wrap_future(one.future)

    async def update(self, state_dict: Mapping[str, torch.Tensor] | None, version: int) -> None:
        """Take new weights, see `TokenEngine`, between two tokens."""

        def work() -> None:
            if state_dict is not None:
                self.model.load_state_dict(state_dict)
            self.model.eval()
            self.version = version
            self._forget()

        done: Future[None] = Future()
        with self._changed:
            self._refuse_closed()
            self._commands.append((work, done))
            self._changed.notify()
        await asyncio.wrap_future(done)

    async def aclose(self) -> None:
        """End the thread; what is being sampled fails."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join, CLOSE_DEADLINE_S)

    def _refuse_closed(self) -> None:
        if self._closing:
            raise InfrastructureError("the local engine is closed")

    def _run(self) -> None:
        """The thread: a step at a time until the engine is closed."""
        try:
            while self._due():
                try:
                    with torch.no_grad():
                        self._step()
                except Exception as error:  # of a model or its device: told to all that wait on it
                    self._fail_all(_model_error(error))
        finally:
            self._closing = True
            self._fail_all(InfrastructureError("the local engine was closed"))

    def _due(self) -> bool:
        """Wait until there is work; False at the end."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closing or self._commands or self._waiting or self._running
            )
            return not self._closing

    def _step(self) -> None:
        """Commands, then one pass over new tokens, then one token for each that is ready."""
        while self._commands:
            work, done = self._commands.popleft()
            try:
                work()
            except Exception as error:  # the caller's, such as weights of another model
                done.set_exception(error)
            else:
                done.set_result(None)
        for one in [one for one in self._running if one.future.cancelled()]:
            self._park(one)
        while self._waiting and len(self._running) < self.max_batch:
            one = self._waiting.popleft()
            if not one.future.cancelled():
                self._running.append(one)
        if self._gathered():
            self._forward(*self._prefill_batch())
        self._forward([one for one in self._running if one.pending == 1], 1)

    def _gathered(self) -> bool:
        """Whether new tokens are encoded now: few wait for more, since each pass has its price."""
        new = sum(one.pending > 1 for one in self._running)
        self._gathering = self._gathering + 1 if new else 0
        if GATHERING * new < len(self._running) and self._gathering < GATHERING:
            return False
        self._gathering = 0
        return True

    def _prefill_batch(self) -> tuple[list[TokenSequence], int]:
        """The sequences with more than one new token that fit into one pass, and its width."""
        batch: list[TokenSequence] = []
        width = 0
        beginnings: set[bytes] = set()
        for one in [one for one in self._running if one.pending > 1]:
            if not one.cached:
                self._adopt(one)
            beginning = one.prefix[:BLOCK].tobytes()
            if not one.cached and len(one.prefix) > BLOCK and beginning in beginnings:
                continue  # next time it shares what this pass encodes
            wider = max(width, min(one.pending, PREFILL_TOKENS))
            if batch and wider * (len(batch) + 1) > PREFILL_TOKENS:
                break
            beginnings.add(beginning)
            batch.append(one)
            width = wider
        return batch, width

    def _adopt(self, one: TokenSequence) -> None:
        """Take over, or share, what the sequence that agrees with it for longest has encoded."""
        best = self._parked.get(one.prefix[: one.known].tobytes())  # its own last turn
        if best is None:
            best = self._index.longest(one)
        common = 0 if best is None else min(one.agrees(best), len(one.ids) - 1)
        if best is None or common == 0:
            return
        if self._parked.get(best.key) is best and common == best.cached:
            one.blocks, best.blocks = best.blocks, []
            del self._parked[best.key]
            self._index.remove(best)
        else:
            whole, rest = divmod(common, BLOCK)
            one.blocks = best.blocks[:whole]
            self._cache.share(one.blocks)
            if rest and self._make_room(1, one) and best.blocks:  # it may have made the room
                one.blocks += self._cache.take(1)
                self._cache.copy(best.blocks[whole], one.blocks[whole])
            else:
                common = whole * BLOCK
        one.cached = common
        self._index.add(one)
        self.counters.shared += max(common - one.known, 0)
        one.known = max(one.known, common)

    def _forward(self, wanted: list[TokenSequence], width: int) -> None:
        """Give the model up to `width` new tokens of each, and draw for those that have no more."""
        for one in wanted:
            self._hold(one, min(one.pending, width))
        batch = [one for one in wanted if one in self._running]
        if not batch:
            return
        batch = self._cache.arranged(batch, width)
        counts = [min(one.pending, width) for one in batch]
        logits = self._logits(batch, counts)
        for one, count in zip(batch, counts, strict=True):
            encoded = one.pending > 1 or not one.logprobs  # else it is what was sampled just now
            if encoded:
                self.counters.prefilled += count
                self.counters.reencoded += max(min(count, one.known - one.cached), 0)
            one.cached += count
            if encoded:
                self._index.add(one)
            one.known = max(one.known, one.cached)
        ready = [row for row, one in enumerate(batch) if one.pending == 0]
        if ready:
            rows = logits if len(ready) == len(batch) else logits[ready]
            self._draw([batch[row] for row in ready], rows)

    def _logits(self, batch: list[TokenSequence], counts: list[int]) -> torch.Tensor:
        """Run the model on the next tokens; return (B, V) float32, of each row's last token."""
        rows, width = len(batch), max(counts)
        ids = np.zeros((rows, width), np.int64)  # filled from the right: the last column is real
        places = np.zeros((rows, width), np.int64)
        valid = np.zeros((rows, width), bool)
        table = np.zeros((rows, max(len(one.blocks) for one in batch)), np.int64)
        for row, (one, count) in enumerate(zip(batch, counts, strict=True)):
            ids[row, width - count :] = one.ids[one.cached : one.cached + count]
            places[row, width - count :] = np.arange(one.cached, one.cached + count)
            valid[row, width - count :] = True
            table[row, : len(one.blocks)] = one.blocks
        slots = np.take_along_axis(table, places // BLOCK, axis=1) * BLOCK + places % BLOCK
        full = bool(valid.all())
        positions = self._tensor(places)  # (B, Q) int64
        self._cache.begin(
            self._tensor(table),
            self._tensor(slots.ravel() if full else slots[valid]),
            None if full else self._tensor(valid),
        )
        output = self.model(
            input_ids=self._tensor(ids),
            attention_mask=attention_masks(self.model, positions, self._cache.length),
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = output.logits[:, -1].float()
        return logits

    def _draw(self, batch: list[TokenSequence], logits: torch.Tensor) -> None:
        """Draw a token for each, and finish those that are done."""
        drawn = draw(logits, [one.sampling for one in batch], [one.generator for one in batch])
        for one, token, logprob in zip(batch, *drawn, strict=True):
            if math.isnan(logprob):
                raise ArithmeticError("the model's logits are not finite")
            one.ids.append(token)
            one.logprobs.append(logprob)
            one.versions.append(self.version)
            self.counters.sampled += 1
            done = token in one.sampling.stop_ids or len(one.logprobs) >= one.sampling.max_tokens
            if done or len(one.ids) >= self.context_limit:
                self._park(one)
                with contextlib.suppress(InvalidStateError):  # cancelled in this very moment
                    one.future.set_result(one.sampled())

    def _hold(self, one: TokenSequence, count: int) -> None:
        """Take the blocks that a sequence's next tokens need; where there are none, it fails."""
        if one not in self._running:
            return  # put back for the sake of another
        missing = -(-(one.cached + count) // BLOCK) - len(one.blocks)
        if missing <= 0:
            return
        if self._make_room(missing, one):
            one.blocks += self._cache.take(missing)
            return
        self._running.remove(one)
        self._release(one)
        with contextlib.suppress(InvalidStateError):
            one.future.set_exception(_too_long(len(one.ids), self._cache.total * BLOCK))

    def _make_room(self, blocks: int, asker: TokenSequence) -> bool:
        """Free blocks: of waiting sequences first, then of the one that joined the batch last."""
        while self._cache.free < blocks:
            others = [one for one in self._running if one is not asker and one.blocks]
            if self._parked:
                self._drop_oldest()
            elif others:
                self._release(others[-1])
                self._running.remove(others[-1])
                self._waiting.appendleft(others[-1])
                self.counters.put_back += 1
            else:
                return False
        return True

    def _park(self, one: TokenSequence) -> None:
        """Take a sequence out of the batch and keep what it has encoded."""
        self._running.remove(one)
        if not one.cached:
            return
        one.note_prefix()
        if (double := self._parked.pop(one.key, None)) is not None:
            self._release(double)
        self._parked[one.key] = one
        self._index.add(one)
        alive = len(self._running) + len(self._waiting)
        while len(self._parked) > PARKED * max(self.max_batch, alive):
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        """Drop the waiting sequence that is unused for longest."""
        self._release(self._parked.pop(next(iter(self._parked))))
        self.counters.dropped += 1

    def _release(self, one: TokenSequence) -> None:
        self._index.remove(one)
        self._cache.release(one.blocks)
        one.blocks, one.cached = [], 0

    def _forget(self) -> None:
        """Drop everything that is encoded; what is being sampled is encoded anew."""
        for one in [*self._running, *self._parked.values()]:
            self._release(one)
        self._parked.clear()

    def _fail_all(self, error: BenchsideError) -> None:
        with self._changed:
            waiting, self._waiting = list(self._waiting), deque()
            commands, self._commands = list(self._commands), deque()
        outstanding = [*self._running, *waiting]
        self._forget()
        self._running = []
        self._cache.clear()
        for future in [one.future for one in outstanding]:
            with contextlib.suppress(InvalidStateError):
                future.set_exception(error)
        for _, done in commands:
            with contextlib.suppress(InvalidStateError):
                done.set_exception(error)

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.model.device, non_blocking=True)


def _too_long(length: int, held: int) -> PolicyError:
    return PolicyError(
        f"the conversation has {length:,} tokens, the memory for keys and values holds {held:,}",
        fix="raise kv_memory_mib, or lower max_turns or max_output_chars",
    )


def _model_error(error: Exception) -> BenchsideError:
    """What failed in the engine's thread, for those who wait on it."""
    said = (str(error).strip().splitlines() or [""])[0][:300]
    memory = isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "t allocate memory" in said
    if memory:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return InfrastructureError(
            f"the local model has run out of memory: {said}",
            fix="lower kv_memory_mib or max_concurrent_requests, or take a smaller dtype",
        )
    return InfrastructureError(
        f"the local model failed: {type(error).__name__}: {said}",
        fix="check that the weights belong to the configuration, and are finite",
    )
