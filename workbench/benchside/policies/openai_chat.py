"""`OpenAIPolicy`: a model behind any server that speaks the OpenAI chat API with tools.

The official client sends the requests. Replies are validated here: the client builds its models
unchecked, and servers differ in what they leave out. Azure OpenAI is asked by the client's own
class for it, which names the deployment in the URL and the key in the header `api-key`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from openai import APIConnectionError, APIStatusError, AsyncAzureOpenAI, AsyncOpenAI

from benchside.asker import seed_of
from benchside.errors import InputError
from benchside.policies.chat_reply import INVALID, ChatReply, object_of, read_reply
from benchside.policies.fault import Fault, status_fault
from benchside.policies.model_policy import NO_KEY, Answer, Body, ModelPolicy, Tool
from benchside.policies.options import PolicyOptions
from benchside.policies.pictures import Said
from benchside.policies.server_address import Host

AZURE_KEY_VARIABLE = "AZURE_OPENAI_API_KEY"
AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com")


class OpenAIPolicy(ModelPolicy):
    """Asks a chat model for each action."""

    form: ClassVar[str] = "openai"
    owner: ClassVar[str] = "OpenAI's server"
    own_url: ClassVar[str] = "https://api.openai.com/v1"
    url_variable: ClassVar[str] = "OPENAI_BASE_URL"
    key_variables: ClassVar[tuple[str, ...]] = ("OPENAI_API_KEY",)

    def _host(self, url: str, options: PolicyOptions) -> Host | None:
        if options.api_version is None and not (urlsplit(url).hostname or "").endswith(AZURE_HOSTS):
            return super()._host(url, options)
        return Host("Azure", (AZURE_KEY_VARIABLE, *self.key_variables))

    def _connect(self, secret: str) -> None:
        self._client: AsyncOpenAI
        azure = self._hosted is not None and self._hosted.name == "Azure"
        # Azure's /openai/v1 is as OpenAI's own
        if azure and not self.url.rstrip("/").endswith("/v1"):
            if self.options.api_version is None:
                raise InputError(
                    "Azure OpenAI needs an api_version", where="api_version", value=self.url,
                    fix='such as "2024-10-21"; or let base_url end in /openai/v1',
                )  # fmt: skip
            self._client = AsyncAzureOpenAI(
                api_key=secret, azure_endpoint=self.url, api_version=self.options.api_version,
                timeout=None, max_retries=0,
            )  # fmt: skip
        else:
            self._client = AsyncOpenAI(
                api_key=secret or NO_KEY, base_url=self.url, timeout=None, max_retries=0
            )
        # OpenAI has renamed max_tokens, other servers have not
        self._limit = "max_completion_tokens" if self._hosted is not None else "max_tokens"

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _body(self, chat: Sequence[Said], tools: Sequence[Tool], draw: int) -> Body:
        options = self.options
        wanted = {
            "model": self.model,
            "messages": _wired(chat),
            "tools": list(tools) or None,
            "temperature": options.temperature,
            self._limit: options.max_tokens,
            "seed": seed_of(options.seed, draw),
            **options.extra,
        }
        return {name: value for name, value in wanted.items() if value is not None}

    async def _send(self, body: Body) -> Answer | Fault:
        named = {name: body[name] for name in ("model", "messages", "tools") if name in body}
        others = {name: value for name, value in body.items() if name not in named}
        try:
            response = await self._client.chat.completions.with_raw_response.create(
                **named, extra_body=others
            )
        except APIStatusError as error:
            text = error.body if isinstance(error.body, str) else _json(error.body)
            return status_fault(error.status_code, error.response.headers, self._scrubbed(text))
        except APIConnectionError as error:
            return self._unreachable(error.__cause__ or error)
        return Answer(response.text, response.headers.get("content-type", "no content type"))

    def _read(self, text: str) -> ChatReply:
        return read_reply(text)

    def _url_hint(self) -> str:
        return "check that base_url names an OpenAI-compatible server; most end in /v1"


def _wired(chat: Sequence[Said]) -> list[dict[str, Any]]:
    """The messages as JSON for the server. Tools cannot answer with images: the user shows them."""
    wired: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    for said in chat:
        message = said.message
        if waiting and message.role != "tool":
            wired.append({"role": "user", "content": waiting})
            waiting = []
        parts = _image_parts(said)
        one: dict[str, Any] = {"role": message.role, "content": message.content or ""}
        if message.tool_call_id is not None:
            one["tool_call_id"] = message.tool_call_id
            waiting += parts
        elif parts:
            one["content"] = [{"type": "text", "text": message.content or ""}, *parts]
        if message.tool_calls:
            one["content"] = message.content
            one["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": _arguments(call.arguments)},
                }
                for call in message.tool_calls
            ]
        wired.append(one)
    return [*wired, {"role": "user", "content": waiting}] if waiting else wired


def _image_parts(said: Said) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for picture in said.pictures:
        url = f"data:{picture.mime};base64,{picture.data}"
        parts += [
            {"type": "text", "text": picture.note},
            {"type": "image_url", "image_url": {"url": url}},
        ]
    return parts


def _arguments(arguments: str) -> str:
    """Arguments as a JSON object: vLLM and llama.cpp refuse a history that holds others.

    Source: github.com/vllm-project/vllm issue 43995 and pull request 48922.
    """
    given = object_of(arguments)
    return arguments if INVALID not in given else _json(given)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
