"""Policies without a model: for checks of tasks, demonstrations and the exploit floor.

`reference` plays the solutions of the answer keys, `scripted` the cells of a file. `do-nothing`,
`constant` and `dump` solve nothing on purpose: what they score is what a grader gives away. `cheat`
looks for the answer instead: what it scores is what the kernel gives away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

import nbformat
from pydantic import JsonValue

from benchside.errors import InputError
from benchside.policy import Action, Conversation
from benchside.protocol import run_cell_action, submit_action, text_action
from benchside.task import AnswerKind, AnswerSchema, TaskSpec, content_hash

Solutions = Callable[[TaskSpec], tuple[str, ...]]
"""Gives the solution cells of a task, or none."""

_END = text_action("I have nothing more to do on this task.")

_CONSTANTS: dict[AnswerKind, JsonValue] = {
    "number": 1,
    "integer": 1,
    "text": "yes",
    "boolean": True,
    "date": "2100-01-01",
    "time": "12:00",
    "datetime": "2100-01-01 00:00",
    "duration": "1 day",
    "set": [1],
    "list": [1],
    "table": [[1]],
    "record": {},
    "code": "",
}


class ScriptedPolicy:
    """Plays a script: an action for each task and turn number, and a closing text after the last.

    Args:
        name: differs wherever the script does, since episodes are told apart by it.
        script: gives the action of a turn (counted from 0), or None when it has come to its end.
        config: what the run record keeps of this policy.
    """

    def __init__(
        self,
        name: str,
        script: Callable[[TaskSpec, int], Action | None],
        config: dict[str, JsonValue] | None = None,
    ):
        self.name = name
        self.config: dict[str, JsonValue] = {
            "policy": name.partition(":")[0],
            **(config or {}),
        }
        self._script = script

    async def act(self, conversation: Conversation) -> Action:
        """Return the script's next action."""
        return self._script(conversation.task, len(conversation.turns)) or _END

    async def check(self) -> None:
        """Nothing to check: no server is asked."""

    async def aclose(self) -> None:
        """Nothing to close."""


def reference_policy(solutions: Solutions) -> ScriptedPolicy:
    """Return the policy that plays each task's own solution.

    Its `act` raises `InputError` for a task that has none.
    """

    def script(task: TaskSpec, turn: int) -> Action | None:
        cells = solutions(task)
        if not cells:
            raise InputError(
                "the reference policy needs a solution, and this task has none",
                where=f"{task.suite}/{task.task_id}",
                fix="leave the task out, or add solution cells to its answer key",
            )
        return _cell(cells, turn)

    return ScriptedPolicy("reference", script)


def cells_policy(path: Path) -> ScriptedPolicy:
    """Return the policy that plays the cells of a `.py` (parted by `# %%`) or `.ipynb` file.

    Raises:
        InputError: the file cannot be read or holds no code cell.
    """
    cells = read_cells(path)
    digest = content_hash(list(cells))
    config: dict[str, JsonValue] = {"cells": str(path), "sha256": digest}
    name = f"scripted:{path.name}@{digest[:8]}"
    return ScriptedPolicy(name, lambda _, turn: _cell(cells, turn), config)


def do_nothing_policy() -> ScriptedPolicy:
    """Return the policy that only says that it is done."""
    return ScriptedPolicy("do-nothing", lambda _, turn: None)


def constant_policy(value: JsonValue = None, *, by_kind: bool = False) -> ScriptedPolicy:
    """Return the policy that submits the same value whatever is asked.

    Args:
        value: what it submits.
        by_kind: submit a likely constant of the asked kind instead of `value`.
    """

    def script(task: TaskSpec, turn: int) -> Action | None:
        return submit_action(_likely(task.answer) if by_kind else value) if turn == 0 else None

    if by_kind:
        return ScriptedPolicy("constant", script)
    name = f"constant:{json.dumps(value, ensure_ascii=False)}"
    return ScriptedPolicy(name, script, {"value": value})


def dump_policy() -> ScriptedPolicy:
    """Return the policy that prints all data and submits as many values as it can.

    Its first cell prints; its second submits one value that holds many possible answers.
    """
    source = resources.files(__package__).joinpath("dump_cell.py").read_text(encoding="utf-8")

    def script(task: TaskSpec, turn: int) -> Action | None:
        submission = f"submit(dump_superset(globals(), {task.answer.kind!r}))"
        return _cell((f"{source}\n\ndump_print(globals())", submission), turn)

    return ScriptedPolicy("dump", script)


def cheat_policy() -> ScriptedPolicy:
    """Return the policy that looks for the answer where none should be, and submits what it finds.

    Where nothing is found it ends without a submission.
    """
    source = resources.files(__package__).joinpath("cheat_cell.py").read_text(encoding="utf-8")

    def script(task: TaskSpec, turn: int) -> Action | None:
        look = f"cheat_found = cheat_find({task.task_id!r}, globals())"
        take = "if cheat_found:\n    submit(cheat_found[0])"
        return _cell((f"{source}\n\n{look}", take), turn)

    return ScriptedPolicy("cheat", script)


def _cell(cells: Sequence[str], turn: int) -> Action | None:
    return run_cell_action(cells[turn], turn=turn) if turn < len(cells) else None


def _likely(answer: AnswerSchema) -> JsonValue:
    if answer.entry is not None:
        return f"def {answer.entry}(*arguments):\n    return 1\n"
    likely, choices = _CONSTANTS[answer.kind], answer.choices
    return choices[0] if choices and likely not in choices else likely


def read_cells(path: Path) -> tuple[str, ...]:
    """Return the code cells of a `.py` or `.ipynb` file in order, without empty ones.

    In a transcript only the policy's own cells count, not those that set up the kernel.

    Raises:
        InputError: the file cannot be read, is no notebook or script, or holds no code cell.
    """
    readers = {".py": _script_cells, ".ipynb": _notebook_cells}
    if path.suffix not in readers:
        raise InputError(
            "cells are read from .py and .ipynb files", where=path, fix="rename or convert the file"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"the file of cells cannot be read: {error}", where=path, fix="check the path"
        ) from None
    cells = tuple(cell for cell in readers[path.suffix](text, path) if cell.strip())
    if not cells:
        raise InputError("the file holds no code cell", where=path, fix="add at least one cell")
    return cells


def _script_cells(text: str, _: Path) -> list[str]:
    """Cells of the percent format; markdown and raw cells are left out."""
    pieces = re.split(r"^# ?%%(.*)$", text, flags=re.MULTILINE)
    marked = zip(["", *pieces[1::2]], pieces[::2], strict=True)
    return [
        cell.strip("\n") for mark, cell in marked if not re.search(r"\[(markdown|md|raw)", mark)
    ]


def _notebook_cells(text: str, path: Path) -> list[str]:
    try:
        notebook = nbformat.reads(text, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, AttributeError) as error:
        raise InputError(f"the file is no notebook: {error}", where=path) from error
    return [
        cell.source
        for cell in notebook.cells
        if cell.cell_type == "code" and cell.metadata.get("benchside", {}).get("kind") != "setup"
    ]
