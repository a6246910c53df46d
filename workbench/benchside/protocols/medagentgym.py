"""MedAgentGym's JSON actions, as parity mode: request_info, validate_code, debug and terminal.

Each message is one JSON object, `{"action": ..., "params": {...}}`, with exactly the parameters of
the published system, and read as leniently as there: in a ```json fence or not, after `</think>`,
with code in triple quotes. Its limits are `benchside.manner.PARITY`. What differs: code runs in a
kernel, in which variables remain; `debug` goes by rules (the scaffold `debug(...)` asks a model);
and with the feedback "execution" the model says itself, by `submit(answer)`, what its answer is.

With the feedback "oracle", as published, the variable `answer` of each validate_code that sets it
is graded at once, outside of the kernel; a right one ends the episode, and any other tells the
model that it was wrong: 15 turns are up to 15 guesses. Such scores are not comparable with others.
Then each code runs in a fresh kernel, as the published system's does.

Source: R. Xu et al., MedAgentGym, arXiv 2506.04405, and its published code (wshi83/MedAgentGym).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from pydantic import JsonValue

from benchside.policy import Action, Message, ToolName, Usage
from benchside.protocol import SUBMIT, parse_json, prompt_lines
from benchside.task import TaskSpec
from benchside.tools import host_request, terminal_cell

PARAMS: Final[dict[str, tuple[str, ...]]] = {
    "request_info": ("data_path", "info_type", "keyterm"),
    "validate_code": ("code",),
    "debug": ("code", "error_msg"),
    "terminal": ("cmd",),
}
_DOES: Final = {
    "request_info": 'look up the data: info_type is "column_names" of the table that data_path '
    'names, "column_values" of its column keyterm, or "term": where keyterm stands in all data',
    "validate_code": "run Python code, for intermediate results or for the answer",
    "debug": "explain the last error and suggest a repair",
    "terminal": "run shell commands in the kernel's work folder",
}
_RIGHT_FORMS = (
    'Answer with one JSON object and nothing else, such as {"action": "validate_code", '
    '"params": {"code": "..."}}.'
)
_ABOUT: Final = {"column_names": "columns", "column_values": "values", "term": "term"}
_TRIPLE = re.compile(r'"""(.*)"""', re.DOTALL)


@dataclass(frozen=True, slots=True)
class MedAgentGymForm:
    """One JSON object per turn.

    Args:
        oracle: each code that sets `answer` is graded at once.
    """

    oracle: bool = False

    def tools(self, offered: Sequence[ToolName]) -> tuple[dict[str, JsonValue], ...]:
        """Return nothing: the server sees plain text only."""
        return ()

    def system_prompt(self, task: TaskSpec, offered: Sequence[ToolName]) -> str:
        """Return the opening, with the form of each action."""
        ends = (
            "The task is solved as soon as a code leaves the right value in `answer`."
            if self.oracle
            else f"When you are sure of it, end the code with {SUBMIT}(answer); this ends the task "
            "and can be done once."
        )
        forms = [
            f"  {json.dumps({'action': name, 'params': dict.fromkeys(PARAMS[name], '...')})}: "
            f"{_DOES[name]}"
            for name in PARAMS
        ]
        act = [
            "- Act by one JSON object per message, without any other text. Its forms:",
            *forms,
            "- Look up the data first. Each code must stand by itself, and be no longer than it "
            "need be; you are shown what it prints, and errors.",
            f"- Store the answer in the variable `answer`. {ends}",
        ]
        return "\n".join(prompt_lines(task, act))

    def action(
        self,
        message: Message,
        usage: Usage,
        reasoning: str | None = None,
        *,
        cut_off: bool = False,
        tools: Sequence[ToolName] = (),
    ) -> Action:
        """Follow the one JSON object of a message."""
        code, asks, problem = None, None, None
        try:
            name, params = _read(message.content or "")
            if name == "validate_code":
                code = _with_answer(params["code"], oracle=self.oracle)
            elif name == "terminal":
                code = terminal_cell({"command": params["cmd"]})
            elif name == "debug":
                asks = host_request("debug", {})
            else:
                asks = host_request("request_info", _lookup(params))
        except ValueError as error:
            cause = "Your message was cut off at the token limit. " if cut_off else ""
            problem = f"Nothing was run. {cause}{error} {_RIGHT_FORMS}"
        return Action(
            message=message,
            thought="" if problem is None else message.content or "",
            code=code,
            asks=asks,
            problem=problem,
            reasoning=reasoning,
            usage=usage,
            draft=self.oracle and code is not None,
        )


def _read(text: str) -> tuple[str, dict[str, str]]:
    """The action and its parameters; `ValueError` says what is wrong with them."""
    visible = text.rpartition("</think>")[2]
    start, end = visible.find("{"), visible.rfind("}")
    if not 0 <= start < end:
        raise ValueError("Your message holds no JSON object.")
    plain = _TRIPLE.sub(lambda found: json.dumps(found[1].strip()), visible[start : end + 1])
    try:
        sent = parse_json(plain)
    except ValueError as error:
        raise ValueError(f"Your message is {error}.") from None
    if not isinstance(sent, dict) or set(sent) != {"action", "params"}:
        raise ValueError('The object must have exactly the fields "action" and "params".')
    name, params = sent["action"], sent["params"]
    if not isinstance(name, str) or name not in PARAMS:
        known = ", ".join(PARAMS)
        raise ValueError(f"There is no action {str(name)[:100]!r}. There are: {known}.")
    if not isinstance(params, dict) or set(params) != set(PARAMS[name]):
        raise ValueError(f"The params of {name} must be exactly: {', '.join(PARAMS[name])}.")
    for field, value in params.items():
        if not isinstance(value, str):
            raise ValueError(f'The field "{field}" must be a string, not {type(value).__name__}.')
    return name, {field: str(value) for field, value in params.items()}


def _with_answer(code: str, *, oracle: bool) -> str:
    """The code as it is run: an answer that is not printed is, and with an oracle handed in."""
    if not code.strip():
        raise ValueError('The field "code" is empty.')
    if re.search(r"\banswer\b", code) is None or re.search(rf"\b{SUBMIT}\s*\(", code):
        return code
    shown = "" if "print" in code else "\nprint(answer)"
    return f"{code}{shown}" + (f"\n{SUBMIT}(answer)" if oracle else "")


def _lookup(params: dict[str, str]) -> dict[str, str]:
    """The request of `benchside.tools` that asks for the same."""
    kind, term = params["info_type"], params["keyterm"]
    if kind not in _ABOUT:
        raise ValueError(f'The field "info_type" must be one of: {", ".join(_ABOUT)}.')
    table = PurePosixPath(params["data_path"].rstrip("/")).name
    for ending in (".csv", ".db", ".sqlite"):
        table = table.removesuffix(ending)
    if kind == "term":
        return {"about": "term", "term": term}
    column = {"column": term} if kind == "column_values" else {}
    return {"about": _ABOUT[kind], "table": table, **column}
