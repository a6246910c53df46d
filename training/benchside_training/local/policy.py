"""`LocalPolicy`: a model in this process, `hf:` or `vllm:PATH_OR_NAME`. Token in, token out.

Each turn's context is the ids of the turns before, as they were sampled, and what is new (see
`chat_template`); the engine encodes only the latter. `Tokens` keeps both, for training.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import JsonValue

from benchside.asker import asker, seed_of
from benchside.compaction import compacted
from benchside.completer import Completion
from benchside.errors import InputError
from benchside.policies.options import PolicyOptions
from benchside.policy import Action, Conversation, Message, Tokens, Usage, token_history
from benchside.protocols import action_form
from benchside_training.chat_template import ChatTemplate
from benchside_training.local.engine import Engine
from benchside_training.local.loading import LocalModel, Vocabulary, load
from benchside_training.local.sampling import Sampling
from benchside_training.local.token_engine import TokenEngine
from benchside_training.tool_calls import ReplyReader

MAX_TOKENS = 4096  # per turn, where the options do not say
OPENED = 64  # last ids of the context in which the template may have begun the reply


class _Context(NamedTuple):
    """What the model is given for one turn.

    Args:
        ids: all of it.
        new: how many of them the turn before did not have.
    """

    ids: list[int]
    new: int
    restarted: bool


class LocalPolicy:
    """Asks a model in an engine for each action.

    Args:
        name: tells its episodes from those of other policies.
        loaded: tokenizer, what ends a turn, and what names the weights.
        engine: runs the model; several policies may share it, and whoever made it closes it.
    """

    def __init__(
        self,
        name: str,
        loaded: LocalModel | Vocabulary,
        engine: TokenEngine,
        options: PolicyOptions | None = None,
    ):
        self.options = options or PolicyOptions()
        self.name = name + self.options.mark
        self.manner = self.options.manner
        self._form = action_form(self.options.protocol, self.options.feedback)
        self.engine = engine
        self._backend, _, self._model = name.partition(":")
        self.stop_ids = loaded.stop_ids
        self._weights = loaded.weights
        self._tokenizer = loaded.tokenizer
        self._template = ChatTemplate(loaded.tokenizer, self.stop_ids)
        self._reader = ReplyReader(loaded.tokenizer, takes_tools=self._template.takes_tools)
        self._tokenizing = threading.Lock()  # fast tokenizers are not to be used by two threads

    @property
    def config(self) -> dict[str, JsonValue]:
        """What the run record keeps: model, weights, style of tool calls and options."""
        options: dict[str, JsonValue] = self.options.model_dump(mode="json")
        return {
            **options, "policy": self._backend, "model": self._model,
            "weights": self._weights, "style": self._reader.style, **self.engine.config,
        }  # fmt: skip

    async def act(self, conversation: Conversation) -> Action:
        """Sample the next action.

        Raises:
            PolicyError: the conversation is too long, or refused by the chat template.
            InfrastructureError: the model failed.
        """
        started = time.monotonic()
        shown, notes = compacted(conversation, self.options.compact_chars)
        context = self._continued(shown, notes)
        if context is None:  # a whole conversation takes long enough to be worth a thread
            context = await asyncio.to_thread(self._opened, shown)
        sampled = await self.engine.sample(
            context.ids, self._sampling(conversation.draw), known=len(context.ids) - context.new
        )
        spent = Usage(input_tokens=len(context.ids), output_tokens=len(sampled.ids), requests=1)
        asker().spent.append(spent)
        action = self._action(conversation, context, sampled.ids, sampled.cut_off)
        return action.model_copy(
            update={
                "compacted": notes,
                "usage": spent + Usage(latency_s=time.monotonic() - started),
                "tokens": Tokens(
                    context_ids=tuple(context.ids[len(context.ids) - context.new :]),
                    sampled_ids=tuple(sampled.ids),
                    logprobs=tuple(sampled.logprobs),
                    versions=tuple(sampled.versions),
                    restarted=context.restarted,
                ),
            }
        )

    async def complete(self, messages: Sequence[Message], draw: int = 0) -> Completion:
        """Ask for plain text, without tools; see `benchside.completer.Completer`."""
        started = time.monotonic()
        ids = await asyncio.to_thread(self._whole, messages)
        sampled = await self.engine.sample(ids, self._sampling(draw), known=0)
        kept = sampled.ids if sampled.cut_off else sampled.ids[:-1]
        with self._tokenizing:
            text = str(self._tokenizer.decode(kept, skip_special_tokens=True))
        usage = Usage(
            input_tokens=len(ids), output_tokens=len(sampled.ids), requests=1,
            latency_s=time.monotonic() - started,
        )  # fmt: skip
        asker().spent.append(usage)
        return Completion(text.rpartition("</think>")[2].strip(), usage)

    def _whole(self, messages: Sequence[Message]) -> list[int]:
        with self._tokenizing:
            return self._template.whole(messages, ())

    async def check(self) -> None:
        """Nothing to check: the model has been loaded."""

    async def aclose(self) -> None:
        """Close the engine of a policy that was made from a string."""

    def _sampling(self, draw: int) -> Sampling:
        asked = self.options
        return Sampling(
            max_tokens=asked.max_tokens or MAX_TOKENS,
            stop_ids=self.stop_ids,
            temperature=1.0 if asked.temperature is None else asked.temperature,
            top_p=1.0 if asked.top_p is None else asked.top_p,
            top_k=asked.top_k or 0,
            seed=seed_of(asked.seed, draw),
        )

    def _continued(self, conversation: Conversation, notes: int) -> _Context | None:
        """The turns' own ids and the delta; None where there is none.

        Args:
            notes: observations that are shown as notes; the model has to be given all anew where
                they were fewer the turn before.
        """
        if not conversation.turns or conversation.turns[-1].action.compacted != notes:
            return None
        history = token_history([turn.action.tokens for turn in conversation.turns])
        if not history:
            return None
        last = conversation.turns[-1]
        with self._tokenizing:
            delta = self._template.delta(
                last.action.message, last.observations, self._form.tools(conversation.tools),
                ended=history[-1] in self.stop_ids,
            )  # fmt: skip
        return _Context(history + delta, len(delta), False) if delta else None

    def _opened(self, conversation: Conversation) -> _Context:
        """The whole conversation."""
        with self._tokenizing:
            tools = self._form.tools(conversation.tools)
            ids = self._template.whole(conversation.messages, tools)
        return _Context(ids, len(ids), bool(conversation.turns))

    def _action(
        self, conversation: Conversation, context: _Context, ids: list[int], cut_off: bool
    ) -> Action:
        """What the sampled ids say."""
        with self._tokenizing:
            text = str(self._tokenizer.decode(ids if cut_off else ids[:-1]))
            before = str(self._tokenizer.decode(context.ids[-OPENED:]))
        if self.options.protocol == "native":
            reply = self._reader.read(text, before, len(conversation.turns))
            message, reasoning = reply.message, reply.reasoning
        else:
            message, reasoning = Message(role="assistant", content=text), None
        return self._form.action(
            message, Usage(), reasoning, cut_off=cut_off, tools=conversation.tools
        )


class OwnEnginePolicy(LocalPolicy):
    """A policy made from a string: the engine is its own."""

    async def aclose(self) -> None:
        """End the engine's thread."""
        await self.engine.aclose()


def make(argument: str, options: PolicyOptions) -> LocalPolicy:
    """Return the policy of "hf:ARGUMENT"; the entry point of the workbench.

    Raises:
        InputError: the model cannot be loaded.
    """
    if not argument:
        raise InputError("policy hf needs an argument", value="hf:", fix="write hf:PATH_OR_NAME")
    loaded = load(argument, options)
    engine = Engine(
        loaded.model,
        max_batch=options.max_concurrent_requests,
        kv_memory_mib=options.kv_memory_mib,
    )
    name = f"hf:{argument}" + (f"+{options.adapter}" if options.adapter else "")
    return OwnEnginePolicy(name, loaded, engine, options)
