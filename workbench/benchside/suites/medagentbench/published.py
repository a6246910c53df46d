"""The published files: tasks as structured requests.

What a task asks stands in its text alone, so that the parts that vary are read from it by the forms
that all published tasks of a type have; one that has another form is left out and counted.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from benchside.errors import InputError
from benchside.task import Frozen, Split

FORMS = {
    1: r"name (?P<name>.+?) and DOB of (?P<born>\d{4}-\d\d-\d\d)\?",
    2: r"age of the patient with MRN of (?P<mrn>\w+)\?",
    3: r'blood pressure for patient with MRN of (?P<mrn>\w+), and it is "?(?P<text>\d+/\d+ mmHg)',
    4: r"most recent magnesium level of the patient (?P<mrn>\w+) within last 24 hours",
    5: r"Check patient (?P<mrn>\w+)'s last serum magnesium level within last 24 hours",
    6: r"average CBG of the patient (?P<mrn>\w+) over the last 24 hours",
    7: r"most recent CBG of the patient (?P<mrn>\w+)\?",
    8: r'orthopedic surgery referral for patient (?P<mrn>\w+)\. .*?"(?P<text>[^"]+)"',
    9: r"Check patient (?P<mrn>\w+)'s most recent potassium level",
    10: r"HbA1C \(hemoglobin A1C\) value in the chart for patient (?P<mrn>\w+) ",
}
AS_PUBLISHED = "give the file as published: a JSON list of tasks"
_NOW = re.compile(r"It's (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00) now")


class Published(BaseModel):
    """A task as the files have it."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    id: str
    instruction: str
    context: str = ""
    sol: tuple[str, ...] | None = None
    eval_MRN: str | None = None


class Request(Frozen):
    """A task with what varies in it.

    Args:
        type: 1 to 10, as published.
        mrn: None for type 1, which asks for it.
        text: what is to be recorded or written; `born` and `name` of type 1.
        now: as the context says; None where it does not.
    """

    task_id: str
    split: Split
    type: int
    instruction: str
    context: str
    mrn: str | None = None
    name: str = ""
    born: str = ""
    text: str = ""
    now: str | None = None
    published: str | None = None


def read_requests(files: dict[Split, Path], counts: Counter[str]) -> list[Request]:
    """Return the tasks of all files; a task of the validation file is not one of training too."""
    requests: list[Request] = []
    taken = set()
    for split in ("test", "valid", "train"):
        if split not in files:
            continue
        for task in _read(files[split]):
            if task.id in taken:
                counts["left out: in another file, too"] += 1
                continue
            taken.add(task.id)
            request = _request(task, split)
            if request is None:
                counts["left out: of another form than its type"] += 1
            else:
                requests.append(request)
    return requests


def _read(path: Path) -> Iterator[Published]:
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            items = json.load(file)
        if not isinstance(items, list):
            raise ValueError("it is not a list")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(
            f"this is no task file of MedAgentBench: {error}", where=path, fix=AS_PUBLISHED
        ) from None
    for number, item in enumerate(items, 1):
        try:
            yield Published.model_validate(item)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise InputError(
                f"a MedAgentBench task cannot be read: {first['msg']}",
                where=f"{path}, item {number}" + (f", field {field}" if field else ""),
                value=str(first["input"])[:80], fix=AS_PUBLISHED,
            ) from None  # fmt: skip


def _request(task: Published, split: Split) -> Request | None:
    number = re.search(r"task(\d+)_\d+$", task.id)
    kind = int(number[1]) if number else 0
    text = task.instruction.replace("’", "'")
    found = re.search(FORMS[kind], text, re.DOTALL) if kind in FORMS else None
    if found is None or (kind != 1 and found["mrn"] != task.eval_MRN):
        return None
    now = _NOW.search(task.context)
    if now is None and kind != 1:
        return None
    return Request(
        task_id=task.id, split=split, type=kind, instruction=task.instruction.strip(),
        context=task.context.strip(), **found.groupdict(), now=now and now[1],
        published=task.sol[0] if task.sol else None,
    )  # fmt: skip
