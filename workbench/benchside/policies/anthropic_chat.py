"""`AnthropicPolicy`: a model behind Anthropic's Messages API, through the official client.

The official client rather than litellm: it shares httpx2, pydantic and anyio with the OpenAI client
that is there already and hands out the answer as it came. Alone in a fresh environment it takes 18
packages and 77 MB, that of Gemini 28 and 87 MB, litellm 53 and 227 MB. Blocks of thinking are
signed, and have to come back with the tool calls that they led to: they are in `Message.native`.

Source: docs.anthropic.com/en/api/messages; extended thinking with tool use; prompt caching.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, ClassVar

from anthropic import APIConnectionError, APIStatusError, AsyncAnthropic
from pydantic import BaseModel, JsonValue

from benchside.errors import InputError
from benchside.policies.chat_reply import ChatReply, object_of, tool_calls, validated
from benchside.policies.fault import Fault, status_fault
from benchside.policies.model_policy import NO_KEY, Answer, Body, ModelPolicy, Tool
from benchside.policies.pictures import Said
from benchside.policy import Message, NativeMessage

MAX_TOKENS = 8192  # the API has no default of its own
_SIGNED = ("thinking", "redacted_thinking")


class AnthropicPolicy(ModelPolicy):
    """Asks a model for each action."""

    form: ClassVar[str] = "anthropic"
    owner: ClassVar[str] = "Anthropic"
    own_url: ClassVar[str] = "https://api.anthropic.com"
    url_variable: ClassVar[str] = "ANTHROPIC_BASE_URL"
    key_variables: ClassVar[tuple[str, ...]] = ("ANTHROPIC_API_KEY",)

    def _connect(self, secret: str) -> None:
        if self.options.seed is not None:
            raise InputError(
                "Anthropic's API takes no seed", where="seed", value=self.options.seed,
                fix="leave it out; samples differ at a temperature above 0",
            )  # fmt: skip
        self._client = AsyncAnthropic(
            api_key=secret or NO_KEY, base_url=self.url, timeout=None, max_retries=0
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _body(self, chat: Sequence[Said], tools: Sequence[Tool], draw: int) -> Body:
        system = [said.message.content or "" for said in chat if said.message.role == "system"]
        wanted = {
            "model": self.model,
            "max_tokens": self.options.max_tokens or MAX_TOKENS,
            "system": "\n\n".join(system) or None,
            "messages": _wired([said for said in chat if said.message.role != "system"]),
            "tools": [_tool(tool) for tool in tools] or None,
            "temperature": self.options.temperature,
            **self.options.extra,
        }
        return {name: value for name, value in wanted.items() if value is not None}

    async def _send(self, body: Body) -> Answer | Fault:
        named = {name: body[name] for name in ("model", "max_tokens", "messages")}
        others = {name: value for name, value in body.items() if name not in named}
        try:
            response = await self._client.messages.with_raw_response.create(
                **named, extra_body=others
            )
            text = await response.text()
        except APIStatusError as error:
            said = error.body if isinstance(error.body, str) else json.dumps(error.body)
            return status_fault(error.status_code, error.response.headers, self._scrubbed(said))
        except APIConnectionError as error:
            return self._unreachable(error.__cause__ or error)
        return Answer(text, response.headers.get("content-type", "no content type"))

    def _read(self, text: str) -> ChatReply:
        sent = validated(text, _Sent)
        if sent.type != "message":
            raise ValueError(f"its type is {sent.type!r}, not 'message'")
        blocks = [_Block.model_validate(block) for block in sent.content]
        calls = [
            (block.id, block.name, block.input) for block in blocks if block.type == "tool_use"
        ]
        thinking = [block.thinking for block in blocks if block.thinking]
        signed = any(block.type in _SIGNED for block in blocks)
        usage = sent.usage
        counts = (
            usage.input_tokens,
            usage.cache_read_input_tokens,
            usage.cache_creation_input_tokens,
        )
        return ChatReply(
            message=Message(
                role="assistant",
                content="".join(block.text or "" for block in blocks) or None,
                tool_calls=tool_calls(calls),
                native=NativeMessage(form=self.form, parts=tuple(sent.content)) if signed else None,
            ),
            reasoning="\n\n".join(thinking) or None,
            input_tokens=None if counts[0] is None else sum(count or 0 for count in counts),
            output_tokens=usage.output_tokens,
            cut_off=sent.stop_reason in ("max_tokens", "model_context_window_exceeded"),
            cached_tokens=usage.cache_read_input_tokens,
            written_tokens=usage.cache_creation_input_tokens,
        )


class _Block(BaseModel):
    type: str
    text: str | None = None
    thinking: str | None = None
    id: str | None = None
    name: str | None = None
    input: JsonValue = None


class _Usage(BaseModel):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _Sent(BaseModel):
    type: str
    content: list[dict[str, JsonValue]]
    stop_reason: str | None = None
    usage: _Usage = _Usage()


def _wired(chat: Sequence[Said]) -> list[dict[str, Any]]:
    """The messages as JSON: users and assistants alternate, all results of a message in one.

    The last block is marked, so that the next turn finds all before it in the server's cache.
    """
    wired: list[dict[str, Any]] = []
    for said in chat:
        assistant = said.message.role == "assistant"
        blocks = _assistant_blocks(said.message) if assistant else _user_blocks(said)
        role = "assistant" if assistant else "user"
        if wired and wired[-1]["role"] == role:
            wired[-1]["content"] += blocks
        else:
            wired.append({"role": role, "content": blocks})
    if wired:
        wired[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
    return wired


def _user_blocks(said: Said) -> list[dict[str, Any]]:
    message = said.message
    content: list[dict[str, Any]] = [_text(message.content)]
    for picture in said.pictures:
        source = {"type": "base64", "media_type": picture.mime, "data": picture.data}
        content += [_text(picture.note), {"type": "image", "source": source}]
    if message.tool_call_id is None:
        return content
    id_ = _usable_id(message.tool_call_id)
    return [{"type": "tool_result", "tool_use_id": id_, "content": content}]


def _assistant_blocks(message: Message) -> list[dict[str, Any]]:
    if message.native is not None and message.native.form == AnthropicPolicy.form:
        return [dict(part) for part in message.native.parts]
    blocks = [_text(message.content)] if message.content or not message.tool_calls else []
    for call in message.tool_calls:
        named = {"id": _usable_id(call.id), "name": _usable_id(call.name)[:128]}
        blocks.append({"type": "tool_use", **named, "input": object_of(call.arguments)})
    return blocks


def _text(text: str | None) -> dict[str, Any]:
    """A block of text; the API refuses blank ones."""
    return {"type": "text", "text": text if text and text.strip() else "(nothing)"}


def _usable_id(name: str) -> str:
    """An id or name of the characters that the API allows; other backends have more."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name) or "_"


def _tool(tool: Tool) -> dict[str, Any]:
    """A tool of the OpenAI chat API as one of this."""
    function: Any = tool["function"]
    return {
        "name": function["name"],
        "description": function["description"],
        "input_schema": function["parameters"],
    }
