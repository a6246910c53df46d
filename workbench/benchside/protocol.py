"""The action protocol: what a policy is told, how its messages become actions, what it is shown.

A policy acts through two native tool calls, `run_cell(code)` and `submit(value)`, one per turn, and
those of `benchside.tools` that a run offers. A message of which nothing can be made is no error: it
becomes an `Action` with a `problem`, and the policy reads that problem as its observation. Nothing
here talks to a model server. `benchside.protocols` has the forms for models without tool calls.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import JsonValue

from benchside.policy import Action, Message, ToolCall, ToolName, Usage
from benchside.schema_card import schema_card
from benchside.task import AnswerKind, AnswerSchema, TaskSpec
from benchside.tools import TOOL_NAMES, definition, host_request, prompt_line, terminal_cell
from benchside_kernels.cell import CellResult
from benchside_kernels.output import joined
from benchside_kernels.submission import MIME as SUBMISSION_MIME

RUN_CELL: Final = "run_cell"
SUBMIT: Final = "submit"

RUN_CELL_TOOL: Final[dict[str, JsonValue]] = {
    "type": "function",
    "function": {
        "name": RUN_CELL,
        "description": "Run Python code in the kernel and return its output.",
        "parameters": {
            "type": "object",
            "properties": {"code": {"type": "string", "description": "The Python code."}},
            "required": ["code"],
        },
    },
}
SUBMIT_TOOL: Final[dict[str, JsonValue]] = {
    "type": "function",
    "function": {
        "name": SUBMIT,
        "description": "Submit the final answer. This ends the task and can be done once.",
        "parameters": {
            "type": "object",
            # no "type": any JSON value; servers refuse a union with "array" but no "items"
            "properties": {"value": {"description": "The answer, as any JSON value."}},
            "required": ["value"],
        },
    },
}
TOOLS: Final = (RUN_CELL_TOOL, SUBMIT_TOOL)
"""The tools of every run, in the shape of the OpenAI chat API."""


def all_tools(extra: Sequence[ToolName]) -> tuple[dict[str, JsonValue], ...]:
    """Return the tools that a run offers."""
    return (*TOOLS, *map(definition, extra))


_RIGHT_FORMS = (
    f'Call {RUN_CELL} with {{"code": "..."}} to run Python code, '
    f'or {SUBMIT} with {{"value": ...}} to give the final answer.'
)

_ANSWER_FORMS: dict[AnswerKind, str] = {
    "number": "a number",
    "integer": "a whole number",
    "text": "a text",
    "boolean": "true or false",
    "date": 'a date, as the text "YYYY-MM-DD" or as a datetime.date',
    "time": 'a time of day, as the text "14:35" or as a datetime.time',
    "datetime": 'a day with its time, as the text "YYYY-MM-DD HH:MM" or as a datetime.datetime',
    "duration": 'a duration, as a text such as "3 weeks 2 days" or as a timedelta',
    "set": "a list or set; order and duplicates do not matter",
    "list": "a list; its order matters",
    "table": "a table, as a list of rows or as a DataFrame",
    "record": "an object (dict) of named parts",
    "code": "the source text of a Python program (a string); it is run in a fresh kernel",
}


def opening_messages(
    task: TaskSpec,
    image_description: str,
    tools: Sequence[ToolName] = (),
    system: str | None = None,
) -> tuple[Message, ...]:
    """Return the system and the user message that open each episode of a task.

    Args:
        image_description: markdown of the kernel image: its variables and their columns.
        tools: offered beside `run_cell` and `submit`.
        system: of another protocol than native tool calls.
    """
    return (
        Message(role="system", content=system or system_prompt(task, tools)),
        Message(role="user", content=_user_prompt(task, image_description)),
    )


def system_prompt(task: TaskSpec, tools: Sequence[ToolName] = ()) -> str:
    """Return the opening of an episode by native tool calls."""
    act = [
        f"- Call {RUN_CELL} to run code. You are shown what it prints, the value of its last line, "
        "and errors. The kernel keeps its state: variables and imports of earlier cells remain.",
        "- Make one tool call per turn. Further calls in the same message are not executed.",
        f"- When you have the answer, call {SUBMIT} exactly once; this ends the task. A value that "
        f"lies in the kernel can be submitted from a cell instead: {SUBMIT}(value).",
    ]
    return "\n".join(prompt_lines(task, act, map(prompt_line, tools)))


def prompt_lines(task: TaskSpec, act: Iterable[str], tools: Iterable[str] = ()) -> list[str]:
    """Return the lines of an opening.

    Args:
        act: how to act, in the words of a protocol.
        tools: what is said of the tools that the run offers.
    """
    limits = task.limits
    spent = [
        f"{limits.max_turns} turns", f"{limits.cell_timeout_s:g} seconds per cell",
        f"{limits.episode_timeout_s:g} seconds in all", f"{limits.memory_mib} MiB of memory",
    ]  # fmt: skip
    if limits.max_tokens is not None:
        spent.append(f"{limits.max_tokens} tokens of yours and of what you are shown")
    lines = [
        "You solve a data science task in a live Jupyter kernel that runs Python.",
        "",
        *act,
        "- The data described in the task are already loaded in the kernel.",
        f"- Limits: {', '.join(spent)}. Output beyond {limits.max_output_chars} characters is cut.",
        *tools,
    ]
    if task.hosts:
        lines.append(
            f"- The kernel can reach these hosts, by HTTP, and no others: {', '.join(task.hosts)}."
        )
    if task.answer.may_abstain:
        lines.append(
            "- The task may have no answer in these data. If so, submit null (None in a cell)."
        )
    return lines


def _user_prompt(task: TaskSpec, image_description: str) -> str:
    described = schema_card(image_description)
    data = f"Data in the kernel:\n{described}" if described else "No data are loaded."
    parts = [task.prompt.strip(), _answer_text(task.answer), data]
    if task.files:
        parts.append(f"Files in the working folder: {', '.join(task.files)}")
    return "\n\n".join(parts)


def _answer_text(answer: AnswerSchema) -> str:
    described = f"Answer: {answer.description}\n" if answer.description else ""
    lines = [f"{described}Submit {_ANSWER_FORMS[answer.kind]}."]
    if answer.unit is not None:
        lines.append(f"Unit: {answer.unit}")
    if answer.choices is not None:
        lines.append(f"One of: {', '.join(map(str, answer.choices))}")
    if answer.columns is not None:
        lines.append(f"Columns: {', '.join(answer.columns)}")
    if answer.entry is not None:
        lines.append(f"It defines the function: {answer.entry}")
    return "\n".join(lines)


def action_from_message(
    message: Message,
    usage: Usage,
    reasoning: str | None = None,
    *,
    cut_off: bool = False,
    tools: Sequence[ToolName] = (),
) -> Action:
    """Return the action that an assistant message asks for; never raises.

    Args:
        message: any assistant message, well-formed or not; only its first tool call is followed.
        reasoning: hidden reasoning, where the server sends it.
        cut_off: the model reached its token limit, which then explains a problem.
        tools: offered beside `run_cell` and `submit`.
    """
    code, asks, problem = None, None, None
    try:
        call = _call(message, tools)
        if call.name in ("request_info", "debug"):
            asks = host_request(call.name, _arguments(call))
        else:
            code = _code_of(call)
    except ValueError as error:
        cause = "Your message was cut off at the token limit. " if cut_off else ""
        problem = f"Nothing was run. {cause}{error} {_RIGHT_FORMS}"
    return Action(
        message=message,
        thought=message.content or "",
        code=code,
        asks=asks,
        problem=problem,
        reasoning=reasoning,
        usage=usage,
    )


def _call(message: Message, tools: Sequence[ToolName]) -> ToolCall:
    """The first tool call; `ValueError` where there is none, or of no tool."""
    if not message.tool_calls:
        raise ValueError("Your message has no tool call.")
    call = message.tool_calls[0]
    if call.name not in (RUN_CELL, SUBMIT, *tools):
        raise ValueError(f"There is no tool named {call.name[:100]!r}.")
    return call


def _code_of(call: ToolCall) -> str:
    """The cell that a tool call asks for; `ValueError` says why there is none."""
    arguments = _arguments(call)
    if call.name == "terminal":
        return terminal_cell(arguments)
    field = "value" if call.name == SUBMIT else "code"
    if field not in arguments:
        raise ValueError(f'The arguments of {call.name} have no field "{field}".')
    if call.name == SUBMIT:
        return f"{SUBMIT}({arguments[field]!r})"
    code = arguments[field]
    if not isinstance(code, str):
        raise ValueError(f'The field "code" must be a string, not {type(code).__name__}.')
    if not code.strip():
        raise ValueError('The field "code" is empty.')
    return code


def _arguments(call: ToolCall) -> dict[str, JsonValue]:
    try:
        arguments = parse_json(call.arguments)
    except ValueError as error:
        raise ValueError(f"The arguments of {call.name} are wrong: {error}.") from None
    if not isinstance(arguments, dict):
        found = type(arguments).__name__
        raise ValueError(f"The arguments of {call.name} must be a JSON object, not {found}.")
    return arguments


def parse_json(text: str) -> JsonValue:
    """Parse standard JSON, without the NaN, Infinity and lone surrogates that `json` lets through.

    Raises:
        ValueError: saying what is wrong with the text.
    """
    try:
        value: JsonValue = json.loads(text, parse_constant=_refuse_constant)
        # refuses 1e999, which has become inf, and lone surrogates, which no file can hold
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON ({error})") from None
    except UnicodeEncodeError:
        raise ValueError("not valid Unicode (a lone surrogate)") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"a number that JSON does not allow ({error})") from None
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


def observation_messages(action: Action, observation_text: str) -> tuple[Message, ...]:
    """Return what the policy reads after its action, paired with the calls of its message.

    Args:
        observation_text: of the cell's result, or `action.problem` where no cell was run.
    """
    calls = action.message.tool_calls
    if not calls:
        if action.ignored:
            observation_text += "\n[Not executed: only the first block of a message is.]"
        return (Message(role="user", content=observation_text),)
    ignored = "Not executed: only the first tool call of a message is. Call again if still needed."
    texts = [observation_text] + [ignored] * (len(calls) - 1)
    return tuple(
        Message(role="tool", content=text, tool_call_id=call.id)
        for call, text in zip(calls, texts, strict=True)
    )


def run_cell_action(code: str, thought: str = "", *, turn: int = 0) -> Action:
    """Return the action of a scripted policy that runs a cell; equal arguments, equal action."""
    return _tool_action(RUN_CELL, {"code": code}, thought, turn)


def submit_action(value: JsonValue, thought: str = "", *, turn: int = 0) -> Action:
    """Return the action of a scripted policy that submits a JSON value."""
    return _tool_action(SUBMIT, {"value": value}, thought, turn)


def tool_action(
    name: ToolName, arguments: dict[str, JsonValue], thought: str = "", *, turn: int = 0
) -> Action:
    """Return the action of a scripted policy that calls one of the tools a run may offer."""
    return _tool_action(name, arguments, thought, turn)


def text_action(text: str) -> Action:
    """Return the action of a scripted policy that only says something, without a tool call."""
    return action_from_message(Message(role="assistant", content=text), Usage())


def _tool_action(name: str, arguments: dict[str, JsonValue], thought: str, turn: int) -> Action:
    call = ToolCall(id=f"call_{turn}", name=name, arguments=json.dumps(arguments))
    message = Message(role="assistant", content=thought or None, tool_calls=(call,))
    return action_from_message(message, Usage(), tools=TOOL_NAMES)


# escape sequences: colours and cursor moves (CSI), window titles and links (OSC)
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")


def observation_text(result: CellResult, max_chars: int) -> str:
    """Return what a policy is shown of a cell's result: its output, then what befell the kernel.

    Args:
        max_chars: the output beyond it is cut in the middle; the closing notes always stand.
    """
    output = cut_middle(_output_text(result), max_chars)
    return "\n".join(filter(None, [output or "(no output)", *_notes(result)]))


def _output_text(result: CellResult) -> str:
    parts: list[str] = []
    last_stream = None
    for output in result.outputs:
        stream = output["name"] if output["output_type"] == "stream" else None
        text = _ANSI.sub("", _shown(output))
        if stream is not None and stream == last_stream:
            parts[-1] += text  # a stream arrives in pieces that may break within a line
        else:
            parts.append(text)
        last_stream = stream
    return "\n".join(text for part in parts if (text := part.rstrip("\n")))


def _shown(output: Mapping[str, Any]) -> str:
    """The text of one nbformat output."""
    match output["output_type"]:
        case "stream":
            return joined(output["text"])
        case "display_data" | "execute_result":
            return _shown_data(output["data"])
        case "error":
            return "\n".join(output["traceback"]) or f"{output['ename']}: {output['evalue']}"
    return ""


def _shown_data(data: Mapping[str, Any]) -> str:
    """The plain text of a MIME bundle; what has none, and images, are only named."""
    images = [mime for mime in data if mime.startswith("image/")]
    if "text/plain" in data:
        named = images
        lines = [joined(data["text/plain"])]
    else:
        named = [mime for mime in data if mime != SUBMISSION_MIME]
        lines = []
    return "\n".join([*lines, *(f"[{mime}]" for mime in named)])


def cut_middle(text: str, max_chars: int) -> str:
    """Keep the head and the tail of a text that is too long, and say how much is missing."""
    if len(text) <= max_chars:
        return text
    mark = f"\n[... {len(text):,} characters in all, the middle is cut ...]\n"
    kept = max(max_chars - len(mark), 2)
    tail = kept // 2
    return text[: kept - tail] + mark + text[-tail:]


def _notes(result: CellResult) -> list[str]:
    notes = []
    if result.dropped_chars:
        notes.append(f"[{result.dropped_chars:,} characters of output were not kept]")
    ended = result.status in ("timeout", "dead")
    if result.note:
        notes.append(f"[{result.note}]")
        if ended:
            return notes  # the session's note on such an end also tells what is left of the state
    elif result.status == "timeout":
        notes.append(f"[The cell was stopped after {result.duration_s:.1f} s: it ran too long.]")
    elif result.status == "dead":
        notes.append("[The kernel ended while the cell ran.]")
    if not result.state_survived:
        notes.append("[The kernel is gone, and with it all variables that cells had set.]")
    elif ended:
        notes.append("[The kernel is still running: variables of earlier cells are kept.]")
    return notes
