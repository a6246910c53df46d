"""`Entity`: what a note mentions, and whether the tables contradict it; read from the user's files.

Two formats are read:

- EHRCon as published: for each note a pickled (or JSON) dict from ROW_ID to a list of
  {entity: {"data": [{table: {column: value}, "label": text, "errors": number}], "position": line}};
- `train_tasks.jsonl` and `test_tasks.jsonl` of MedAgentGym: "Hospital admission", "Medical entity"
  and "Has error".

Pickles are read by an unpickler that makes nothing but dicts, lists, texts and numbers: a file with
anything else in it is refused, not run.
"""

from __future__ import annotations

import io
import json
import pickle
import re
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchside.errors import InputError
from benchside.suites.ehrsql.question import FETCH_AGAIN, read_items

_PLAIN = {("collections", "OrderedDict"): OrderedDict, ("collections", "defaultdict"): defaultdict}

_NUMBER = re.compile("[0-9]{1,9}")
# what `json` and `pickle` raise on damaged input
_UNREADABLE = (
    EOFError, ValueError, LookupError, AttributeError, TypeError, OverflowError, RecursionError,
    MemoryError, pickle.UnpicklingError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity of a note.

    Args:
        note: ROW_ID of the note, or in MedAgentGym's format HADM_ID of the admission.
        line: where it stands in the note, None where that is not known.
        wrong: True where something said of it is not consistent with the tables.
    """

    note: str
    name: str
    line: int | None
    wrong: bool


def read_labels(path: Path) -> list[Entity]:
    """Return the entities of one published label file.

    Raises:
        InputError: the file is damaged, holds other than plain values, or lacks a field.
    """
    content = _load(path)
    if not isinstance(content, dict):
        raise _refusal("the labels are no dict from ROW_ID to entities", str(path), content)
    return [
        entity
        for note, listed in content.items()
        for entity in _entities(f"{path}, note {note}", str(note), listed)
    ]


def _entities(where: str, note: str, listed: object) -> Iterator[Entity]:
    if not isinstance(listed, list):
        raise _refusal("the entities of a note are no list", where, listed)
    for entry in listed:
        if not isinstance(entry, dict):
            raise _refusal("an entity is no dict", where, entry)
        for name, told in entry.items():
            place = f"{where}, entity {name!r}"
            if not isinstance(told, dict) or not isinstance(told.get("data"), list):
                raise _refusal("an entity has no list 'data'", place, told)
            errors = [_errors(item, place) for item in told["data"]]
            if not errors:
                raise _refusal("an entity has an empty list 'data'", place, told)
            yield Entity(note, str(name).strip(), _line(told, place), any(errors))


def _errors(item: object, where: str) -> int:
    errors = item.get("errors") if isinstance(item, dict) else None
    if isinstance(errors, str) and _NUMBER.fullmatch(errors.strip()):
        errors = int(errors)
    if not isinstance(errors, int) or errors < 0:
        raise _refusal("'errors' of an entity is no number of columns", where, errors)
    return errors


def _line(told: dict[object, object], where: str) -> int:
    line = told.get("position")
    if not _NUMBER.fullmatch(str(line).strip()):
        raise _refusal("'position' of an entity is no line number", where, line)
    return int(str(line))


def _load(path: Path) -> object:
    content = path.read_bytes()
    try:
        if path.suffix == ".json":
            loaded: object = json.loads(content)
            return loaded
        return _Plain(io.BytesIO(content)).load()
    except _UNREADABLE as error:
        raise _refusal("the label file cannot be read", str(path), str(error)) from None


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        """Allow dicts of the standard library only; nothing of a file is ever called otherwise."""
        if (module, name) not in _PLAIN:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, which is no plain value")
        return _PLAIN[module, name]


def _refusal(what: str, where: str, value: object) -> InputError:
    return InputError(what, where=where, value=value, fix=FETCH_AGAIN)


def read_tasks(path: Path) -> list[Entity]:
    """Return the entities of a task file of MedAgentGym, one a line.

    Raises:
        InputError: the file is damaged, or an item lacks a field.
    """
    found = []
    for item in read_items(path):
        admission = item.fields.get("Hospital admission")
        if not isinstance(admission, int | float | str) or not str(admission).strip():
            raise item.refuse("the field is no id of an admission", "Hospital admission")
        if "Has error" not in item.fields:
            raise item.refuse("a field is missing", "Has error")
        wrong = item.flag("Has error", default=False)
        note = str(admission).strip().removesuffix(".0")
        found.append(Entity(note, item.text("Medical entity"), None, wrong))
    return found
