"""What a model said, read in the style of its family: text, hidden reasoning and tool calls.

Styles are response templates of transformers (`parse_response`), written from the families'
published chat templates; a tokenizer that brings one of its own is read by that. Models whose
template takes no tools answer with fenced blocks. Nothing is an error here: a call of which nothing
can be made stays a call, and what is wrong with it is told by `benchside.protocol`.

Sources: model cards and chat templates of Qwen2.5 and Qwen3, Llama 3.1 to 3.3, Mistral (v3, v7, v11
tokenizers) and Gemma 3; the Harmony format of gpt-oss (github.com/openai/harmony, docs/format.md).
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from transformers import PreTrainedTokenizerBase

from benchside.errors import InputError
from benchside.policy import Message, ToolCall
from benchside.protocol import RUN_CELL, SUBMIT
from benchside.tools import TOOL_NAMES

FENCED_RULES = (
    "You call one tool per turn, with one fenced block. To run Python code, write:\n"
    "```python\n...\n```\n"
    "For any other tool, write its name and arguments as JSON:\n"
    '```tool_code\n{"name": "...", "arguments": {...}}\n```\n'
    "Its result comes back in a block tool_output. The tools:"
)

_LENIENT = {"allow_non_json": True}
_TEXT = {"content": "text", "repeats": True, "join": "\n"}
_CALL = {"content": "json", "content_args": _LENIENT, "repeats": True}
_NAMED = {"name": "{name}", "arguments": "{content}"}

STYLES: dict[str, dict[str, Any]] = {
    "qwen": {
        "start_anchor": "<|im_start|>assistant\n",
        "fields": {
            "reasoning_content": {"open": "<think>", "close": "</think>", **_TEXT},
            "tool_calls": {"open_pattern": r"\s*<tool_call>", "close": "</tool_call>", **_CALL},
            "content": _TEXT,
        },
    },
    "llama": {
        "start_anchor": "<|start_header_id|>assistant<|end_header_id|>\n\n",
        "fields": {
            "tool_calls": {
                "open_pattern": r'<\|python_tag\|>\s*(?=\{)|\A\s*(?=\{\s*"(?:name|type)")',
                **_CALL,
            },
            "tool_calls_code": {
                "open_pattern": r"<\|python_tag\|>(?P<name>)(?!\s*\{)",
                "transform": _NAMED,
                **_CALL,
            },
            "content": _TEXT,
        },
    },
    "mistral": {
        "start_anchor_pattern": r"\[/INST\]|\[/TOOL_RESULTS\]",
        "fields": {
            "reasoning_content": {"open": "[THINK]", "close": "[/THINK]", **_TEXT},
            "tool_calls": {"open_pattern": r"\[TOOL_CALLS\]\s*(?=[\[{])", **_CALL},
            "tool_calls_named": {
                "open_pattern": (
                    r"\[TOOL_CALLS\]\s*(?P<name>[\w.-]+)(?:\[CALL_ID\]\w+)?\s*(?:\[ARGS\])?"
                ),
                "close_pattern": r"(?=\[TOOL_CALLS\])",
                "transform": _NAMED,
                **_CALL,
            },
            "content": _TEXT,
        },
    },
    "harmony": {
        "start_anchor": "<|start|>assistant",
        "fields": {
            "reasoning_content": {
                "open_pattern": r"<\|channel\|>analysis<\|message\|>",
                "close_pattern": r"<\|end\|>(?:<\|start\|>assistant)?",
                **_TEXT,
            },
            "tool_calls": {
                # the recipient stands before or after the channel
                "open_pattern": (
                    r"(?:<\|channel\|>(?:commentary|analysis))?\s*to=(?:functions\.)?"
                    r"(?P<name>[\w.-]+)(?:<\|channel\|>(?:commentary|analysis))?\s*"
                    r"(?:<\|constrain\|>)?\s*(?:json|code)?\s*<\|message\|>"
                ),
                "close_pattern": r"<\|(?:call|end)\|>(?:<\|start\|>assistant)?",
                "transform": _NAMED,
                **_CALL,
            },
            "content": {
                "open_pattern": r"<\|channel\|>(?:final|commentary)<\|message\|>",
                "close_pattern": r"<\|(?:end|return)\|>(?:<\|start\|>assistant)?",
                **_TEXT,
            },
        },
    },
}
"""Response templates by family. The stop token is not part of what they read."""

_SIGNS = {
    "[TOOL_CALLS]": "mistral", "<|channel|>": "harmony", "<tool_call>": "qwen",
    "<|python_tag|>": "llama", "ipython": "llama",
}  # fmt: skip
_FENCE = re.compile(r"```(python|py|tool_code|tool_call|json)[ \t]*\n(.*?)(?:\n?```|\Z)", re.DOTALL)
_NAME = re.compile(r'"name"\s*:\s*"([^"]*)"')
_PYTHON = frozenset({"", "python", "ipython", "code_interpreter"})  # tools of models that know one


class Reply(NamedTuple):
    """One message of a model, and its hidden reasoning."""

    message: Message
    reasoning: str | None


class ReplyReader:
    """Reads what one model says.

    Args:
        tokenizer: of the model.
        takes_tools: its chat template does.

    Raises:
        InputError: its template takes tools in a style that is not known.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, takes_tools: bool):
        self.tokenizer = tokenizer
        template = str(tokenizer.chat_template)
        own = getattr(tokenizer, "response_template", None)
        known = [style for sign, style in _SIGNS.items() if sign in template]
        self.style = "own" if own else known[0] if known and takes_tools else "fenced"
        self._template = own or STYLES.get(self.style)
        if takes_tools and self._template is None:
            raise InputError(
                "the style in which this model calls tools is not known",
                where=tokenizer.name_or_path, value=f"known: {', '.join(STYLES)}",
                fix="set response_template in its tokenizer_config.json",
            )  # fmt: skip

    def read(self, text: str, before: str, turn: int) -> Reply:
        """Read a reply; never raises.

        Args:
            text: without the token that ended it.
            before: the end of what the model was given: templates may begin its reply for it.
            turn: counted from 0; part of the ids of its calls.
        """
        if self._template is None:
            return Reply(_fenced(text, turn), None)
        try:
            parsed = self.tokenizer.parse_response(
                text, self._template, prefix=_begun(before, self._template)
            )
        except (ValueError, KeyError, RecursionError):  # a template of its own that refuses it
            return Reply(Message(role="assistant", content=text), None)
        found = [
            one for name, part in parsed.items() if "tool_calls" in name for one in _each(part)
        ]
        calls = tuple(_call(one, turn, index) for index, one in enumerate(found))
        content = parsed.get("content")
        message = Message(role="assistant", content=content or None, tool_calls=calls)
        return Reply(message, parsed.get("reasoning_content") or parsed.get("thinking"))


def call_id(turn: int, index: int) -> str:
    """Return the id of a call: nine letters or digits, as the templates of Mistral demand."""
    return f"{turn:06d}{index:03d}"


def _begun(before: str, template: Mapping[str, Any]) -> str:
    """What the chat template has written of the reply."""
    literal = template.get("start_anchor", [])
    anchors = [literal] if isinstance(literal, str) else list(literal)
    pattern = template.get("start_anchor_pattern") or "|".join(map(re.escape, anchors))
    ends = [match.end() for match in re.finditer(pattern, before)]
    return before[ends[-1] :] if ends else ""


def _each(part: Any) -> list[Any]:
    """Calls one by one: a region may hold a list of them."""
    regions = part if isinstance(part, list) else [part]
    return [one for region in regions for one in (region if isinstance(region, list) else [region])]


def _call(found: Any, turn: int, index: int) -> ToolCall:
    """One call as it came; `found` is text where it was no JSON."""
    name: Any = ""
    arguments: Any = found
    if isinstance(found, dict):
        inner = found.get("function")
        inner = inner if isinstance(inner, dict) else found
        name = inner.get("name", "")
        arguments = inner.get("arguments", inner.get("parameters", {}))
        if isinstance(arguments, str) and name in _PYTHON:
            name, arguments = RUN_CELL, {"code": arguments}
    elif isinstance(found, str) and (named := _NAME.search(found)):
        name = named[1]
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return ToolCall(id=call_id(turn, index), name=str(name), arguments=text)


def fenced(message: Message) -> Message:
    """Return a message with its first call as a fenced block in its text, where it is not yet."""
    if not message.tool_calls or _FENCE.search(message.content or ""):
        return message
    call = message.tool_calls[0]
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError):
        arguments = call.arguments
    if call.name == RUN_CELL and isinstance(arguments, dict) and list(arguments) == ["code"]:
        block = f"```python\n{arguments['code']}\n```"
    else:
        named = json.dumps({"name": call.name, "arguments": arguments}, ensure_ascii=False)
        block = f"```tool_code\n{named}\n```"
    text = f"{message.content}\n\n{block}" if message.content else block
    return message.model_copy(update={"content": text})


def _fenced(text: str, turn: int) -> Message:
    """The first fenced block as a call. The text stays whole: so it is shown to the model again."""
    block = _FENCE.search(text)
    calls: tuple[ToolCall, ...] = ()
    if block is not None:
        kind, body = block[1], block[2]
        found: Any = {"name": RUN_CELL, "arguments": {"code": body}}
        if kind not in ("python", "py"):
            found = _named_call(body) or (found if kind == "tool_code" else body)
        calls = (_call(found, turn, 0),)
    return Message(role="assistant", content=text, tool_calls=calls)


def _named_call(body: str) -> dict[str, Any] | None:
    """A call as JSON, or as Gemma 3 writes it: `run_cell(code="...")`; None for neither."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and "name" in found:
        return found
    try:
        call = ast.parse(body.strip(), mode="eval").body
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Name)
            and call.func.id in (RUN_CELL, SUBMIT, *TOOL_NAMES)
            and call.keywords
            and not call.args
        ):
            given = {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
            json.dumps(given)  # so that it can be sent on
            return {"name": call.func.id, "arguments": given}
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        pass  # then it is code
    return None
