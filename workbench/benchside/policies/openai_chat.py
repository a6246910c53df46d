"""`OpenAIPolicy`: a model behind any server that speaks the OpenAI chat API with tools.

The official client sends the requests. Replies are validated here: the client builds its models
unchecked, and servers differ in what they leave out. Azure OpenAI is asked by the client's own
class for it, which names the deployment in the URL and the key in the header `api-key`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from openai import APIConnectionError, APIStatusError, AsyncAzureOpenAI, AsyncOpenAI

from benchside.asker import seed_of
from benchside.errors import InputError
from benchside.policies.chat_reply import INVALID, ChatReply, object_of, read_reply
from benchside.policies.fault import Fault, status_fault
from benchside.policies.model_policy import Answer, Body, ModelPolicy, Tool, server_key, usable_url
from benchside.policies.options import PolicyOptions
from benchside.policies.pictures import Said
from benchside.policies.provider import ModelServers

KEY_VARIABLE = "OPENAI_API_KEY"
AZURE_KEY_VARIABLE = "AZURE_OPENAI_API_KEY"
URL_VARIABLE = "OPENAI_BASE_URL"
OPENAI_URL = "https://api.openai.com/v1"
AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com")
NO_KEY = "not-needed"  # the client insists on a key, local servers ignore it


class OpenAIPolicy(ModelPolicy):
    """Asks a chat model for each action.

    Args:
        model: name of the model, as its server knows it; of a deployment at Azure.
        api_key: instead of the environment's.

    Raises:
        InputError: the URL or the key cannot be used.
    """

    form: ClassVar[str] = "openai"
    key_variables: ClassVar[tuple[str, ...]] = (KEY_VARIABLE,)

    def __init__(
        self,
        model: str,
        options: PolicyOptions | None = None,
        *,
        api_key: str | None = None,
        blind: bool = False,
        providers: ModelServers | None = None,
    ):
        options = options or PolicyOptions()
        url = usable_url(
            options.base_url or os.environ.get(URL_VARIABLE) or OPENAI_URL, KEY_VARIABLE
        )
        host = urlsplit(url).hostname or ""
        azure = host.endswith(AZURE_HOSTS) or options.api_version is not None
        variables = (AZURE_KEY_VARIABLE, KEY_VARIABLE) if azure else (KEY_VARIABLE,)
        needed_at = "OpenAI's server" if host == "api.openai.com" else "Azure" if azure else None
        key = server_key(variables, api_key, needed_at=needed_at)
        secret = key.get_secret_value()
        # no timeout and no retries of the client's own: `ModelPolicy` sees to both
        self._client: AsyncOpenAI
        if azure and not url.rstrip("/").endswith("/v1"):  # whose /openai/v1 is as OpenAI's own
            if options.api_version is None:
                raise InputError(
                    "Azure OpenAI needs an api_version", where="api_version", value=url,
                    fix='such as "2024-10-21"; or let base_url end in /openai/v1',
                )  # fmt: skip
            self._client = AsyncAzureOpenAI(
                api_key=secret, azure_endpoint=url, api_version=options.api_version, timeout=None,
                max_retries=0,
            )  # fmt: skip
        else:
            self._client = AsyncOpenAI(
                api_key=secret or NO_KEY, base_url=url, timeout=None, max_retries=0
            )
        # OpenAI has renamed max_tokens, other servers have not
        self._limit = "max_completion_tokens" if needed_at is not None else "max_tokens"
        super().__init__(model, url, key, options, blind=blind, providers=providers)

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
