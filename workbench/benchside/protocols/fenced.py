"""Fenced blocks in plain text, for models without tool calls.

A message holds one block, and its label says what it is: `python` is run as a cell, `submit` holds
the answer as JSON, and each tool that a run offers has a block of its name (`terminal` holds
commands, the others JSON). Only the first block counts, and the model is told so. What stands in
`<think>` is not looked at. Source of acting by code: X. Wang et al., CodeAct, arXiv 2402.01030.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

from benchside.policy import Action, Message, ToolName, Usage
from benchside.protocol import SUBMIT, parse_json, prompt_lines
from benchside.task import TaskSpec
from benchside.tools import host_request, properties, terminal_cell

PYTHON: Final = ("python", "py", "python3", "ipython")
_LABELS: Final = (*PYTHON, SUBMIT)
_BLOCK = re.compile(
    r"^[ \t]*(?P<fence>`{3,}|~{3,})[ \t]*(?P<label>[\w+-]*)[^\n]*\n"
    r"(?P<body>.*?)(?:^[ \t]*(?P=fence)[`~]*[ \t]*$|(?P<open>\Z))",
    re.MULTILINE | re.DOTALL,
)
_RIGHT_FORMS = (
    "Write one block: ```python with code to run, or ```submit with the final answer as JSON."
)
_THOUGHT_END = "</think>"


class FencedForm:
    """One fenced block per turn."""

    def tools(self, offered: Sequence[ToolName]) -> tuple[dict[str, JsonValue], ...]:
        """Return nothing: the server sees plain text only."""
        return ()

    def system_prompt(self, task: TaskSpec, offered: Sequence[ToolName]) -> str:
        """Return the opening, with an example of each block."""
        act = [
            "- To run code, write one block that begins with ```python and ends with ```. You are "
            "shown what it prints, the value of its last line, and errors. The kernel keeps its "
            "state: variables and imports of earlier blocks remain.",
            "- Write one block per message, and nothing after it. Further blocks are not executed.",
            "- When you have the answer, write it once as JSON in a block that begins with "
            f"```{SUBMIT} and ends with ```; this ends the task. A value that lies in the kernel "
            f"can be submitted from a python block instead: {SUBMIT}(value).",
        ]
        return "\n".join(prompt_lines(task, act, map(_tool_line, offered)))

    def action(
        self,
        message: Message,
        usage: Usage,
        reasoning: str | None = None,
        *,
        cut_off: bool = False,
        tools: Sequence[ToolName] = (),
    ) -> Action:
        """Follow the first block of a message."""
        said, _, visible = (message.content or "").rpartition(_THOUGHT_END)
        blocks = [one for one in _BLOCK.finditer(visible) if one["label"].lower() in _known(tools)]
        if not blocks:  # some models label nothing
            blocks = [one for one in _BLOCK.finditer(visible) if not one["label"]]
        code, asks, problem = None, None, None
        try:
            if not blocks:
                raise ValueError("Your message has no block of code.")
            first = blocks[0]
            label, body = first["label"].lower(), first["body"].strip("\n")
            if first["open"] is not None and cut_off:
                raise ValueError("Your block has no end.")
            if label in ("request_info", "debug"):
                asks = host_request(label, _fields(label, body))
            else:
                code = _code(label, body)
        except ValueError as error:
            cause = "Your message was cut off at the token limit. " if cut_off else ""
            problem = f"Nothing was run. {cause}{error} {_RIGHT_FORMS}"
        thought = visible[: blocks[0].start()] if blocks else visible
        return Action(
            message=message,
            thought=thought.strip(),
            code=code,
            asks=asks,
            problem=problem,
            reasoning=(reasoning or said.replace("<think>", "")).strip() or None,
            usage=usage,
            ignored=max(len(blocks) - 1, 0),
        )


def _known(tools: Sequence[ToolName]) -> tuple[str, ...]:
    return (*_LABELS, *tools)


def _tool_line(name: ToolName) -> str:
    fields = ", ".join(properties(name))
    held = "with shell commands" if name == "terminal" else f"with a JSON object of: {fields}"
    return f"  Its block begins with ```{name}{', ' + held if fields else ''}."


def _code(label: str, body: str) -> str:
    """The cell of a block; `ValueError` says why there is none."""
    if label == "terminal":
        return terminal_cell({"command": body})
    if label == SUBMIT:
        try:
            return f"{SUBMIT}({parse_json(body)!r})"
        except ValueError as error:
            raise ValueError(
                f'The {SUBMIT} block must hold one JSON value, such as 4.2, "text" or [1, 2]: '
                f"{error}."
            ) from None
    if not body.strip():
        raise ValueError("The block of code is empty.")
    return body


def _fields(label: str, body: str) -> dict[str, JsonValue]:
    try:
        fields = parse_json(body.strip() or "{}")
    except ValueError as error:
        raise ValueError(f"The {label} block must hold a JSON object: {error}.") from None
    if not isinstance(fields, dict):
        raise ValueError(f"The {label} block must hold a JSON object, not {type(fields).__name__}.")
    return fields
