"""What the chat server says in each wire format, and where each backend asks it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.workbench import chat_server
from tests.workbench.chat_server import ChatServer, Request, Step


@dataclass(frozen=True)
class Dialect:
    """One wire format.

    Args:
        url: where a policy finds the server.
        path: how that of a request of the model "m" ends.
        key: what of a request's headers carries the key.
        call: an answer with tool calls, of 11 tokens of input, 4 of them cached, and 7 of output.
        history: roles of a request's messages.
    """

    form: str
    variable: str
    url: Callable[[ChatServer], str]
    path: str
    key: Callable[[Request], str]
    say: Callable[[str], Step]
    call: Callable[..., Step]
    history: Callable[[dict[str, Any]], list[str]]


def _sent(body: Mapping[str, Any]) -> Step:
    return Step(json.dumps(body).encode())


def _openai_call(*calls: tuple[str, Any], content: str | None = None) -> Step:
    step = chat_server.call(*calls, content=content)
    body = json.loads(step.body)
    body["usage"]["prompt_tokens_details"] = {"cached_tokens": 4}
    return _sent(body)


def anthropic_message(*blocks: Mapping[str, Any], stop_reason: str = "tool_use") -> Step:
    usage = {
        "input_tokens": 5, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 2,
        "output_tokens": 7,
    }  # fmt: skip
    return _sent(
        {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
            "content": list(blocks), "stop_reason": stop_reason, "usage": usage,
        }
    )  # fmt: skip


def _anthropic_call(*calls: tuple[str, Any], content: str | None = None) -> Step:
    texts = [{"type": "text", "text": content}] if content else []
    uses = [
        {"type": "tool_use", "id": f"toolu_{place}", "name": name, "input": given}
        for place, (name, given) in enumerate(calls)
    ]
    return anthropic_message(*texts, *uses)


def gemini_content(*parts: Mapping[str, Any], **candidate: Any) -> Step:
    content = {"role": "model", "parts": list(parts)}
    return _sent(
        {
            "candidates": [{"content": content, "finishReason": "STOP", "index": 0, **candidate}],
            "usageMetadata": {
                "promptTokenCount": 11, "cachedContentTokenCount": 4, "candidatesTokenCount": 5,
                "thoughtsTokenCount": 2, "totalTokenCount": 18,
            },
        }
    )  # fmt: skip


def _gemini_call(*calls: tuple[str, Any], content: str | None = None) -> Step:
    texts = [{"text": content}] if content else []
    return gemini_content(
        *texts, *({"functionCall": {"name": name, "args": given}} for name, given in calls)
    )


OPENAI = Dialect(
    "openai", "OPENAI_API_KEY", lambda server: server.url, "/v1/chat/completions",
    lambda request: request.headers["authorization"].removeprefix("Bearer "),
    chat_server.say, _openai_call, lambda body: [one["role"] for one in body["messages"]],
)  # fmt: skip
ANTHROPIC = Dialect(
    "anthropic", "ANTHROPIC_API_KEY", lambda server: server.root, "/v1/messages",
    lambda request: request.headers["authorization"].removeprefix("Bearer "),
    lambda text: anthropic_message({"type": "text", "text": text}, stop_reason="end_turn"),
    _anthropic_call, lambda body: [one["role"] for one in body["messages"]],
)  # fmt: skip
GEMINI = Dialect(
    "gemini", "GEMINI_API_KEY", lambda server: server.root, "/models/m:generateContent",
    lambda request: request.headers["x-goog-api-key"],
    lambda text: gemini_content({"text": text}), _gemini_call,
    lambda body: [one["role"] for one in body["contents"]],
)  # fmt: skip
DIALECTS = (OPENAI, ANTHROPIC, GEMINI)
