"""`ChatTemplate`: conversations as token ids, by the model's own chat template.

The opening is rendered whole. What follows a sampled turn is its *delta*: the observations and what
opens the next turn, found by rendering a fixed conversation with and without them. So nothing that
the model sampled is ever made again from text. Where the template rewrites what stands before an
observation, there is no delta, and the conversation has to be rendered whole again.

Models whose template takes no tools are told of them in the opening, and read observations as the
user's (see `tool_calls.FENCED_RULES`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jinja2 import TemplateError
from pydantic import JsonValue
from transformers import PreTrainedTokenizerBase

from benchside.errors import InputError, PolicyError
from benchside.policy import Message
from benchside.protocol import parse_json
from benchside_training.tool_calls import FENCED_RULES

_MARK = "benchside"  # in the place of what an assistant says
_PROBE: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "probe",
        "description": "Probe.",
        "parameters": {"type": "object", "properties": {}, "required": []},
    },
}

Tool = Mapping[str, JsonValue]
"""In the shape of the OpenAI chat API, as `benchside.protocol.all_tools` gives them."""


class ChatTemplate:
    """Renders conversations for one tokenizer.

    Args:
        tokenizer: with a chat template.
        stop_ids: what ends a turn of the assistant.
        settings: further variables of the template, such as enable_thinking.

    Raises:
        InputError: the tokenizer has no chat template.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        stop_ids: Iterable[int],
        settings: Mapping[str, Any] | None = None,
    ):
        if not tokenizer.chat_template:
            raise InputError(
                "the tokenizer has no chat template", where=tokenizer.name_or_path,
                fix="take an instruction-tuned model, or save the tokenizer with a chat_template",
            )  # fmt: skip
        self.tokenizer = tokenizer
        self.settings: dict[str, Any] = dict(settings or {})
        self._stops = {id_: str(tokenizer.decode([id_])) for id_ in stop_ids}
        user = {"role": "user", "content": _MARK}
        self.takes_tools = self._text([user], [_PROBE]) != self._text([user], None)
        self.takes_system = self._takes_system()

    def whole(self, messages: Sequence[Message], tools: Sequence[Tool]) -> list[int]:
        """Return the ids of a conversation and of what opens the assistant's next turn.

        Raises:
            PolicyError: the template refuses the conversation.
        """
        try:
            text = self._text(self._wired(messages, tools), self._offered(tools), opened=True)
        except TemplateError as error:
            raise PolicyError(
                f"the chat template refuses the conversation: {error}",
                where=self.tokenizer.name_or_path, fix="take a model with another chat template",
            ) from None  # fmt: skip
        return self._ids(text)

    def delta(
        self, said: Message, observations: Sequence[Message], tools: Sequence[Tool], *, ended: bool
    ) -> list[int] | None:
        """Return the ids between a sampled turn and the next one.

        Args:
            said: the assistant's message of the sampled turn.
            observations: what it is shown of it.
            ended: its last token was a stop id; otherwise the turn's end comes first.

        Returns:
            None where the template has no place for them, or rewrites what stands before.
        """
        fixed = [
            Message(role="user", content=_MARK),
            said.model_copy(
                update={
                    "content": None if said.tool_calls and self.takes_tools else _MARK,
                    "tool_calls": tuple(
                        call.model_copy(update={"arguments": json.dumps({_MARK: _MARK})})
                        for call in said.tool_calls
                    ),
                }
            ),
        ]
        offered = self._offered(tools)
        try:
            without = self._text(self._wired(fixed), offered)
            shown = self._text(self._wired([*fixed, *observations]), offered, opened=True)
        except TemplateError:
            return None
        if not shown.startswith(without):
            return None
        stop, tail = self._end(without)
        after = tail + shown[len(without) :]
        ids = self._ids(stop + after)
        if not ended or not stop:
            return ids
        # encoded with the stop before it: some tokenizers treat the beginning of a text apart
        return ids[1:] if ids[0] in self._stops else self._ids(after)

    def said(self, messages: Sequence[Message], tools: Sequence[Tool]) -> list[int]:
        """Return the ids that a model samples where it says the last message, its stop included.

        Raises:
            InputError: the template refuses the conversation, renders the message otherwise than
                its own opening of a turn begins, or ends it with no stop.
        """
        offered = self._offered(tools)
        try:
            opened = self._text(self._wired(messages[:-1], tools), offered, opened=True)
            closed = self._text(self._wired(messages, tools), offered)
        except TemplateError as error:
            raise self._unfit(f"refuses the conversation: {error}") from None
        if not closed.startswith(opened):
            raise self._unfit("opens a turn otherwise than it renders one", opened[-60:])
        text = closed[len(opened) :]
        ends = [
            place + len(stop) for stop in self._stops.values() if (place := text.rfind(stop)) >= 0
        ]
        if not ends:
            raise self._unfit("ends a turn with no stop", text[-60:])
        stop = next(iter(self._stops.values()))
        ids = self._ids(stop + text[: max(ends)])
        return ids[1:] if ids[0] in self._stops else self._ids(text[: max(ends)])

    def _unfit(self, what: str, value: str | None = None) -> InputError:
        return InputError(
            f"the chat template {what}", where=self.tokenizer.name_or_path, value=value,
            fix="give the tokenizer a chat_template that renders each turn as it is sampled; its "
            f"stops are {', '.join(self._stops.values())}",
        )  # fmt: skip

    def _end(self, text: str) -> tuple[str, str]:
        """The token that ends a text's last turn, if any, and what the template puts after it."""
        said = text.rindex(_MARK)
        found = [(text.rfind(stop), stop) for stop in self._stops.values() if stop]
        place, stop = max(found, default=(-1, ""))
        return (stop, text[place + len(stop) :]) if place > said else ("", "")

    def _wired(
        self, messages: Sequence[Message], tools: Sequence[Tool] | None = None
    ) -> list[dict[str, Any]]:
        """Messages as templates expect them; `tools` are described where they take none."""
        names = {call.id: call.name for message in messages for call in message.tool_calls}
        wired = [_wire(message, names) for message in messages]
        if self.takes_tools:
            return wired
        plain: list[dict[str, Any]] = []
        for one in wired:
            message = one
            if message["role"] == "tool":
                message = {
                    "role": "user",
                    "content": f"```tool_output\n{message['content']}\n```",
                }
            message.pop("tool_calls", None)  # its content says it
            if plain and plain[-1]["role"] == message["role"] == "user":
                plain[-1]["content"] += f"\n\n{message['content']}"
            else:
                plain.append(message)
        if tools:
            listed = "\n".join(json.dumps(tool["function"], ensure_ascii=False) for tool in tools)
            plain[0]["content"] += f"\n\n{FENCED_RULES}\n{listed}"
        if not self.takes_system and plain[0]["role"] == "system" and len(plain) > 1:
            plain[1]["content"] = f"{plain[0]['content']}\n\n{plain[1]['content']}"
            del plain[0]
        return plain

    def _offered(self, tools: Sequence[Tool]) -> list[dict[str, Any]] | None:
        return [dict(tool) for tool in tools] if tools and self.takes_tools else None

    def _takes_system(self) -> bool:
        messages = [{"role": role, "content": _MARK} for role in ("system", "user")]
        try:
            self._text(messages, None)
        except TemplateError:
            return False
        return True

    def _text(
        self,
        messages: list[dict[str, Any]],
        tools: list[Any] | None,
        *,
        opened: bool = False,
    ) -> str:
        rendered = self.tokenizer.apply_chat_template(
            messages, tools=tools, add_generation_prompt=opened, tokenize=False, **self.settings
        )
        return str(rendered)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def _wire(message: Message, names: Mapping[str, str]) -> dict[str, Any]:
    """One message; arguments are objects, since many templates turn them into JSON themselves."""
    wired: dict[str, Any] = {"role": message.role, "content": message.content or ""}
    if message.tool_call_id is not None:
        wired["tool_call_id"] = message.tool_call_id
        wired["name"] = names.get(message.tool_call_id, "")
    if message.tool_calls:
        wired["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _arguments(call.arguments)},
            }
            for call in message.tool_calls
        ]
    return wired


def _arguments(text: str) -> dict[str, JsonValue]:
    try:
        arguments = parse_json(text)
    except ValueError:
        arguments = None
    return arguments if isinstance(arguments, dict) else {"invalid_arguments": text}
