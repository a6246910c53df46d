"""A submission's JSON as the cell that submits the same value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pydantic import JsonValue

from benchside.policy import Action
from benchside.protocol import run_cell_action, submit_action

_IMPORTS: Final = {"dt.": "import datetime as dt", "pd.": "import pandas as pd"}
_TAGGED: Final[dict[str, Callable[[Any], str]]] = {
    "$float": lambda body: f"float({body!r})",
    "$date": lambda body: f"dt.date.fromisoformat({body!r})",
    "$datetime": lambda body: f"dt.datetime.fromisoformat({body!r})",
    "$time": lambda body: f"dt.time.fromisoformat({body!r})",
    "$duration_s": lambda body: f"dt.timedelta(seconds={body!r})",
    "$set": lambda body: f"set([{_items(body, hashable=True)}])",
    "$series": lambda body: (
        f"pd.Series([{_items(body['values'])}], index=[{_items(body['index'])}], dtype=object)"
    ),
    "$table": lambda body: (
        f"pd.DataFrame([{_items(body['rows'])}], columns={body['columns']!r}, dtype=object)"
    ),
}


def submit_json_action(value: JsonValue, thought: str = "", *, turn: int = 0) -> Action:
    """Return the action that submits a value given in the JSON of submissions.

    Args:
        value: may hold tags such as {"$date": "2024-02-29"}, which `submit` itself refuses.
    """
    source = answer_source(value)
    if source == repr(value):
        return submit_action(value, thought, turn=turn)
    lines = [line for name, line in _IMPORTS.items() if name in source]
    return run_cell_action("\n".join([*lines, f"submit({source})"]), thought, turn=turn)


def answer_source(value: JsonValue, *, hashable: bool = False) -> str:
    """Return Python source of a value; `dt` and `pd` in it are datetime and pandas.

    Args:
        hashable: as a member of a set: lists become tuples.
    """
    if isinstance(value, list):
        items = _items(value, hashable=hashable)
        return f"({items},)" if hashable and value else "()" if hashable else f"[{items}]"
    if not isinstance(value, dict):
        return repr(value)
    if len(value) == 1:
        (tag, body), = value.items()  # fmt: skip
        if tag in _TAGGED:
            return _TAGGED[tag](body)
    pairs = (f"{key!r}: {answer_source(item)}" for key, item in value.items())
    return f"{{{', '.join(pairs)}}}"


def _items(values: list[JsonValue], *, hashable: bool = False) -> str:
    return ", ".join(answer_source(value, hashable=hashable) for value in values)
