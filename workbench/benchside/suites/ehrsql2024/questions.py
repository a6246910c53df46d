"""Reading the published question files and refusing those that are not what they should be.

Each split has three gzipped JSON files below `ehrsql2024/`:

    <split>_data.json.gz     {"version": ..., "data": [{"id": ..., "question": ...}, ...]}
    <split>_label.json.gz    {id: gold SQL, or "null" where the database cannot answer}
    <split>_answer.json.gz   {id: rows as the text of a Python list of lists, or "null"}

The labels of the published test split are not available, so there is no test split here.
"""

from __future__ import annotations

import ast
import gzip
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchside.errors import DataMissingError, InputError
from benchside.task import Split

FOLDER = "ehrsql2024"
SPLITS: tuple[Split, ...] = ("train", "valid")
UNANSWERABLE = "null"
FETCH_AGAIN = "fetch the file again from https://github.com/glee4810/ehrsql-2024"


@dataclass(frozen=True, slots=True)
class Question:
    """One published item.

    Args:
        sql: the gold SQL as published; None where the database cannot answer.
        rows: the official answer, each cell as text; None where `sql` is.
    """

    id: str
    split: Split
    text: str
    sql: str | None
    rows: tuple[tuple[str, ...], ...] | None


def read_questions(data: Path, split: Split) -> list[Question]:
    """Return the questions of one split in published order.

    Raises:
        DataMissingError: a file is not there.
        InputError: a file is damaged, or an item lacks its question, label or answer.
    """
    texts = _read_texts(_find(data, f"{split}_data"))
    label_file, answer_file = _find(data, f"{split}_label"), _find(data, f"{split}_answer")
    labels, answers = _read_mapping(label_file), _read_mapping(answer_file)
    questions = []
    for number, (id_, text) in enumerate(texts.items()):
        sql = _look_up(labels, id_, label_file, number)
        answer = _look_up(answers, id_, answer_file, number)
        if (sql == UNANSWERABLE) != (answer == UNANSWERABLE):
            raise InputError(
                'label and answer disagree on whether the item is "null"',
                where=f"{label_file} and {answer_file.name}, id {id_}",
                value=(sql[:60], answer[:60]),
                fix=FETCH_AGAIN,
            )
        if sql == UNANSWERABLE:
            questions.append(Question(id_, split, text, None, None))
        else:
            rows = _parse_rows(answer, f"{answer_file}, id {id_}")
            questions.append(Question(id_, split, text, sql, rows))
    return questions


def _find(data: Path, stem: str) -> Path:
    path = data / FOLDER / f"{stem}.json.gz"
    if not path.is_file():
        raise DataMissingError(
            f"EHRSQL-2024 has no {stem}.json.gz",
            where=path,
            fix="gzip it from data/mimic_iv/ of https://github.com/glee4810/ehrsql-2024",
        )
    return path


def _read_json(path: Path) -> Any:
    try:
        text = gzip.decompress(path.read_bytes()).decode("utf-8")
        return json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, path))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            "the gzip file is damaged or cut off", where=path, value=str(error), fix=FETCH_AGAIN
        ) from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(
            "the file is not JSON", where=path, value=str(error), fix=FETCH_AGAIN
        ) from None


def _unique(pairs: list[tuple[str, Any]], path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise InputError("an id occurs twice", where=path, value=key, fix=FETCH_AGAIN)
        found[key] = value
    return found


def _read_texts(path: Path) -> dict[str, str]:
    """Return id → question of a `<split>_data` file."""
    content = _read_json(path)
    items = content.get("data") if isinstance(content, dict) else None
    if not isinstance(items, list):
        raise InputError(
            'the file is not an object with a list "data"',
            where=path,
            value=type(content).__name__,
            fix=FETCH_AGAIN,
        )
    texts: dict[str, str] = {}
    for number, item in enumerate(items):
        id_ = _text_field(item, "id", f"{path}, data[{number}]")
        if id_ in texts:
            raise InputError(
                "an id occurs twice", where=f"{path}, data[{number}]", value=id_, fix=FETCH_AGAIN
            )
        texts[id_] = _text_field(item, "question", f"{path}, data[{number}]")
    return texts


def _text_field(item: object, name: str, where: str) -> str:
    value = item.get(name) if isinstance(item, dict) else item
    if not isinstance(item, dict) or not isinstance(value, str) or not value.strip():
        raise InputError(
            f'"{name}" is missing, empty or no text',
            where=f"{where}.{name}",
            value=value,
            fix=FETCH_AGAIN,
        )
    return value.strip()


def _read_mapping(path: Path) -> dict[str, Any]:
    content = _read_json(path)
    if not isinstance(content, dict):
        raise InputError(
            "the file is not an object from id to text",
            where=path,
            value=type(content).__name__,
            fix=FETCH_AGAIN,
        )
    return content


def _look_up(mapping: dict[str, Any], id_: str, path: Path, number: int) -> str:
    value = mapping.get(id_)
    if not isinstance(value, str) or not value.strip():
        raise InputError(
            f"the file has no text for item {number} of the split",
            where=f"{path}, id {id_}",
            value=value,
            fix="use data, label and answer files of the same release",
        )
    return value.strip()


def _parse_rows(answer: str, where: str) -> tuple[tuple[str, ...], ...]:
    """Return the rows of an answer such as "[['iv'], ['iv drip']]"."""
    try:
        rows = ast.literal_eval(answer)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        rows = None
    if not isinstance(rows, list) or not all(
        isinstance(row, list) and row and all(isinstance(cell, str) for cell in row) for row in rows
    ):
        raise InputError(
            "the answer is not the text of a list of lists of strings",
            where=where,
            value=answer[:80],
            fix=FETCH_AGAIN,
        )
    return tuple(tuple(row) for row in rows)
