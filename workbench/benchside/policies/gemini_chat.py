"""`GeminiPolicy`: a model behind Gemini's generateContent API, through the official client.

The official client rather than litellm, as for Anthropic. It is given the body as it goes over the
wire and returns the answer as it came: its own types refuse fields that they do not know, and an
HTTP client of its own choice would retry where nobody counts. Signatures of thoughts have to come
back with the function calls that they led to: such parts are kept in `Message.native`.

Source: ai.google.dev/api/generate-content; ai.google.dev/gemini-api/docs/thought-signatures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import httpx2
from google import genai
from google.genai import types
from pydantic import BaseModel, Field, JsonValue

from benchside.asker import seed_of
from benchside.policies.chat_reply import ChatReply, object_of, tool_calls, validated
from benchside.policies.fault import Fault, status_fault
from benchside.policies.model_policy import NO_KEY, Answer, Body, ModelPolicy, Tool
from benchside.policies.pictures import Said
from benchside.policy import Message, NativeMessage


class _StatusError(Exception):
    """An HTTP error, before the client makes one of its own of it."""

    def __init__(self, response: httpx2.Response):
        super().__init__(f"HTTP {response.status_code}")
        self.response = response


class GeminiPolicy(ModelPolicy):
    """Asks a model for each action."""

    form: ClassVar[str] = "gemini"
    owner: ClassVar[str] = "Gemini"
    own_url: ClassVar[str] = "https://generativelanguage.googleapis.com"
    url_variable: ClassVar[str] = "GOOGLE_GEMINI_BASE_URL"
    key_variables: ClassVar[tuple[str, ...]] = ("GEMINI_API_KEY", "GOOGLE_API_KEY")

    def _connect(self, secret: str) -> None:
        self._http = httpx2.AsyncClient(timeout=None, event_hooks={"response": [_raise_status]})
        self._client = genai.Client(
            vertexai=False,
            api_key=secret or NO_KEY,
            http_options=types.HttpOptions(base_url=self.url, httpx_async_client=self._http),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()
        self._client.close()

    def _body(self, chat: Sequence[Said], tools: Sequence[Tool], draw: int) -> Body:
        options = self.options
        system = [said.message.content or "" for said in chat if said.message.role == "system"]
        sampling = {
            "temperature": options.temperature,
            "maxOutputTokens": options.max_tokens,
            "seed": seed_of(options.seed, draw),
        }
        extra = dict(options.extra)
        more: Any = extra.pop("generationConfig", {})
        set_ = {name: value for name, value in sampling.items() if value is not None}
        body: Body = {"contents": _wired([said for said in chat if said.message.role != "system"])}
        if system:
            body["systemInstruction"] = {"parts": [{"text": "\n\n".join(system)}]}
        if tools:
            body["tools"] = [{"functionDeclarations": [_declaration(tool) for tool in tools]}]
        if set_ or more:
            body["generationConfig"] = {**set_, **more}
        return {**body, **extra}

    async def _send(self, body: Body) -> Answer | Fault:
        config = types.GenerateContentConfig(
            http_options=types.HttpOptions(extra_body=body), should_return_http_response=True
        )
        try:
            response = await self._client.aio.models.generate_content(
                model=self.model, contents="replaced by the body", config=config
            )
        except _StatusError as error:
            refused = error.response
            return status_fault(refused.status_code, refused.headers, self._scrubbed(refused.text))
        except httpx2.HTTPError as error:
            return self._unreachable(error)
        raw = response.sdk_http_response
        headers = {name.lower(): value for name, value in ((raw and raw.headers) or {}).items()}
        text = (raw and raw.body) or ""
        return Answer(text, headers.get("content-type", "no content type"))

    def _read(self, text: str) -> ChatReply:
        sent = validated(text, _Sent)
        if not sent.candidates and sent.prompt_feedback is None:
            raise ValueError("candidates: there is none")
        first = sent.candidates[0] if sent.candidates else _Candidate(finishReason="BLOCKED")
        parts = [_Part.model_validate(part) for part in first.content.parts]
        calls = [part.call for part in parts if part.call is not None]
        spoken = "".join(part.text or "" for part in parts if not part.thought)
        if not parts:
            spoken = f"(no answer: {first.finish_reason})"
        kept = first.content.parts if any(part.signature for part in parts) else []
        usage = sent.usage
        output = (usage.candidates, usage.thoughts)
        return ChatReply(
            message=Message(
                role="assistant",
                content=spoken or None,
                tool_calls=tool_calls([(call.id, call.name, call.args) for call in calls]),
                native=NativeMessage(form=self.form, parts=tuple(kept)) if kept else None,
            ),
            reasoning="".join(part.text or "" for part in parts if part.thought) or None,
            input_tokens=usage.prompt,
            output_tokens=None if output == (None, None) else sum(count or 0 for count in output),
            cut_off=first.finish_reason == "MAX_TOKENS",
            cached_tokens=usage.cached,
        )


class _Call(BaseModel):
    id: str | None = None
    name: str | None = None
    args: JsonValue = Field(default_factory=dict)


class _Part(BaseModel):
    text: str | None = None
    thought: bool = False
    signature: str | None = Field(None, alias="thoughtSignature")
    call: _Call | None = Field(None, alias="functionCall")


class _Content(BaseModel):
    parts: list[dict[str, JsonValue]] = Field(default_factory=list)


class _Candidate(BaseModel):
    content: _Content = _Content()
    finish_reason: str | None = Field(None, alias="finishReason")


class _Usage(BaseModel):
    prompt: int | None = Field(None, alias="promptTokenCount")
    cached: int | None = Field(None, alias="cachedContentTokenCount")
    candidates: int | None = Field(None, alias="candidatesTokenCount")
    thoughts: int | None = Field(None, alias="thoughtsTokenCount")


class _Sent(BaseModel):
    candidates: list[_Candidate] = Field(default_factory=list)
    prompt_feedback: dict[str, JsonValue] | None = Field(None, alias="promptFeedback")
    usage: _Usage = Field(default_factory=_Usage, alias="usageMetadata")


async def _raise_status(response: httpx2.Response) -> None:
    if response.status_code >= 400:
        await response.aread()
        raise _StatusError(response)


def _wired(chat: Sequence[Said]) -> list[dict[str, Any]]:
    """The messages as JSON: users and the model alternate; results name their functions."""
    wired: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    own_ids: set[str] = set()
    for said in chat:
        message = said.message
        names |= {call.id: call.name for call in message.tool_calls}
        role = "model" if message.role == "assistant" else "user"
        parts = _model_parts(message) if role == "model" else _user_parts(said, names, own_ids)
        own_ids |= {part["functionCall"]["id"] for part in parts if _has_id(part)}
        if wired and wired[-1]["role"] == role:
            wired[-1]["parts"] += parts
        else:
            wired.append({"role": role, "parts": parts})
    return wired


def _user_parts(said: Said, names: dict[str, str], own_ids: set[str]) -> list[dict[str, Any]]:
    """Parts of a user's message.

    Args:
        names: of the functions by the ids of their calls.
        own_ids: those of the ids that the server has given.
    """
    message = said.message
    parts: list[dict[str, Any]] = [{"text": message.content or ""}]
    if message.tool_call_id is not None:
        name = names.get(message.tool_call_id, "")
        answered: dict[str, Any] = {"name": name, "response": {"output": message.content or ""}}
        if message.tool_call_id in own_ids:
            answered["id"] = message.tool_call_id
        parts = [{"functionResponse": answered}]
    for picture in said.pictures:
        data = {"mimeType": picture.mime, "data": picture.data}
        parts += [{"text": picture.note}, {"inlineData": data}]
    return parts


def _has_id(part: dict[str, Any]) -> bool:
    return "id" in part.get("functionCall", {})


def _model_parts(message: Message) -> list[dict[str, Any]]:
    if message.native is not None and message.native.form == GeminiPolicy.form:
        return [dict(part) for part in message.native.parts]
    parts: list[dict[str, Any]] = []
    if message.content or not message.tool_calls:
        parts.append({"text": message.content or ""})
    for call in message.tool_calls:
        called = {"name": call.name, "args": object_of(call.arguments)}
        parts.append({"functionCall": called})
    return parts


def _declaration(tool: Tool) -> dict[str, Any]:
    """A tool of the OpenAI chat API as one of this; the schema as JSON Schema, not as OpenAPI's."""
    function: Any = tool["function"]
    return {
        "name": function["name"],
        "description": function["description"],
        "parametersJsonSchema": function["parameters"],
    }
