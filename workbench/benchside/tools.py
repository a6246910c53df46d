"""Tools that a run may offer beside `run_cell` and `submit`: `request_info`, `terminal`, `debug`.

They are the interactive actions of MedAgentGym (R. Xu et al., arXiv 2506.04405), as native tool
calls. `terminal` becomes a cell of the same sandboxed kernel. The host answers the other two, from
an index of the image's open data and from the turns so far; no cell is run for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

from pydantic import JsonValue, ValidationError

from benchside.errors import InputError
from benchside.policy import DebugRequest, HostRequest, InfoRequest, ToolName

TOOL_NAMES: Final[tuple[ToolName, ...]] = get_args(ToolName)

_ABOUT = """What to tell:
"tables": all tables and their sizes.
"columns": the columns of `table`, with types, counts and ranges.
"values": the most frequent values of `table` and `column`; with `term`, those that resemble it.
"term": in which columns a term stands, and which values contain or resemble it."""

_PROPERTIES: Final[dict[ToolName, dict[str, JsonValue]]] = {
    "request_info": {
        "about": {
            "type": "string",
            "enum": ["tables", "columns", "values", "term"],
            "description": _ABOUT,
        },
        "table": {"type": "string", "description": "Name of a table."},
        "column": {"type": "string", "description": "Name of a column of the table."},
        "term": {"type": "string", "description": "A value or a part of one, of any case."},
    },
    "terminal": {"command": {"type": "string", "description": "Commands for bash."}},
    "debug": {},
}
_REQUIRED: Final[dict[ToolName, list[JsonValue]]] = {
    "request_info": ["about"],
    "terminal": ["command"],
    "debug": [],
}
_DESCRIPTIONS: Final[dict[ToolName, str]] = {
    "request_info": "Look up tables, columns and values of the data as they were loaded.",
    "terminal": "Run shell commands in the kernel's sandbox, in its work folder.",
    "debug": "Explain the last cell that failed.",
}


def checked_tools(names: Sequence[str]) -> tuple[ToolName, ...]:
    """Return the named tools in a set order; `InputError` for an unknown one."""
    for name in names:
        if name not in TOOL_NAMES:
            raise InputError(
                "there is no such tool", where="--tool", value=name,
                fix=f"known tools: {', '.join(TOOL_NAMES)}",
            )  # fmt: skip
    return tuple(name for name in TOOL_NAMES if name in names)


def definition(name: ToolName) -> dict[str, JsonValue]:
    """Return a tool in the shape of the OpenAI chat API."""
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": _DESCRIPTIONS[name],
            "parameters": {
                "type": "object",
                "properties": _PROPERTIES[name],
                "required": _REQUIRED[name],
            },
        },
    }


def properties(name: ToolName) -> tuple[str, ...]:
    """Return the names of a tool's arguments."""
    return tuple(_PROPERTIES[name])


def prompt_line(name: ToolName) -> str:
    """Return what the opening says of a tool."""
    return f"- {name}: {_DESCRIPTIONS[name]}"


def terminal_cell(arguments: Mapping[str, Any]) -> str:
    """Return the cell that runs a shell command; `ValueError` says why there is none."""
    command = arguments.get("command")
    if not isinstance(command, str) or not command.strip():
        raise ValueError('The field "command" must be a text that is not empty.')
    return f"%%bash\n{command}"


def host_request(name: str, arguments: Mapping[str, Any]) -> HostRequest:
    """Return what a tool call asks of the host; `ValueError` says what is wrong with it."""
    given = {field: value for field, value in arguments.items() if value not in (None, "")}
    try:
        if name == "debug":
            return DebugRequest(tool="debug")
        request = InfoRequest.model_validate({**given, "tool": name})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise ValueError(f'The field "{field}" of {name} is wrong: {first["msg"]}.') from None
    if request.about == "term" and not (request.term or "").strip():
        raise ValueError(f'The arguments of {name} have no field "term".')
    return request
