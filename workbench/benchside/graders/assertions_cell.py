"""Cell source that rebuilds named objects from data and runs assertions over them.

This file is sent as text to kernels: `form_of` runs beside a reference and says what its objects
are; `check_all` runs in a fresh kernel over what was submitted. Only these kinds are rebuilt, each
from plain JSON: numbers, texts, sequences, dicts, Series, DataFrames, Kaplan-Meier curves (fitted
anew), the bars of a bar plot (by their heights) and the classes of an oncoprint.
"""

import ast
from typing import Any

import numpy as np
import pandas as pd

from benchside_kernels.submission import Series, SetValue, Table, decode

SCALARS = (bool, int, float, str)


class WrongFormError(Exception):
    """A submitted object is not of its form."""


def form_of(value: Any) -> dict[str, Any] | None:
    """Say what an object is, so that it can be rebuilt; None where it cannot be."""
    kind = type(value).__name__
    if kind == "KaplanMeierFitter":
        return {"kind": "curve"}
    if kind == "BarContainer":
        return {"kind": "bars"}
    if kind == "oncoPrintPlotter":
        return {"kind": "oncoprint"}
    if isinstance(value, pd.DataFrame):
        names = [name for name in value.index.names if name is not None]
        texts = value.index.dtype == object
        labels = [one if isinstance(one, (int, float)) else str(one) for one in value.columns]
        return {
            "kind": "table",
            "index": names or (["index"] if texts else []),
            "labels": labels,
        }
    if isinstance(value, pd.Series):
        return {"kind": "series"}
    if isinstance(value, dict):
        parts = {str(key): form_of(one) for key, one in value.items()}
        return None if None in parts.values() else {"kind": "dict", "parts": parts}
    if hasattr(value, "item") and not getattr(value, "ndim", 0):
        value = value.item()
    if isinstance(value, SCALARS):
        return {"kind": "scalar"}
    kinds = {"tuple": "tuple", "ndarray": "array", "set": "set", "list": "list"}
    return {"kind": kinds[kind]} if kind in kinds else None


def rebuilt(json: Any, form: dict[str, Any]) -> Any:
    """Return an object of a form; `WrongFormError` says why it cannot be had."""
    value = decode(json)
    kind = form["kind"]
    if kind == "curve":
        return _curve(value)
    if kind == "bars":
        return _bars(value)
    if kind == "oncoprint":
        return _oncoprint(value)
    if kind == "table":
        return _table(value, form)
    if kind == "series":
        if not isinstance(value, Series):
            raise WrongFormError("is not a Series")
        return pd.Series(list(value.values), index=list(value.index)).infer_objects()
    if kind == "dict":
        if not isinstance(json, dict) or not isinstance(value, dict):
            raise WrongFormError("is not a dict")
        forms = form["parts"]
        return {key: rebuilt(one, forms.get(key, {"kind": "any"})) for key, one in json.items()}
    if kind == "scalar":
        if not isinstance(value, SCALARS):
            raise WrongFormError("is not a single value")
        return value
    if kind in ("list", "tuple", "set", "array"):
        if isinstance(value, (SetValue, Series)):
            value = list(value.members if isinstance(value, SetValue) else value.values)
        if not isinstance(value, list):
            raise WrongFormError(f"is not a {kind}")
        makers: dict[str, Any] = {"list": list, "tuple": tuple, "set": set, "array": np.array}
        return makers[kind](value)
    return value


def _curve(value: Any) -> Any:
    from lifelines import KaplanMeierFitter  # noqa: PLC0415 — only where there are curves

    if not isinstance(value, dict) or value.keys() != {"durations", "event_observed"}:
        raise WrongFormError('is not a dict of "durations" and "event_observed"')
    times, events = value["durations"], value["event_observed"]
    if not isinstance(times, list) or not isinstance(events, list) or len(times) != len(events):
        raise WrongFormError("has not as many durations as events")
    if not times or any(one not in (0, 1) for one in events):
        raise WrongFormError("has an event that is neither 0 nor 1, or nobody at all")
    return KaplanMeierFitter().fit(times, events)


def _bars(value: Any) -> Any:
    from matplotlib import pyplot  # noqa: PLC0415 — only where there are plots

    if not isinstance(value, list) or not all(isinstance(one, (int, float)) for one in value):
        raise WrongFormError("is not a list of heights")
    return pyplot.bar(range(len(value)), value)


def _oncoprint(value: Any) -> Any:
    import PyComplexHeatmap  # noqa: PLC0415 — optional, and only where a task asks for it

    if not isinstance(value, dict) or not isinstance(value.get("values"), list):
        raise WrongFormError('is not a dict of "values"')
    plotter = PyComplexHeatmap.oncoPrint.oncoPrintPlotter
    made = plotter.__new__(plotter)  # what is drawn is not looked at; only its classes are
    made.values = value["values"]
    return made


def _table(value: Any, form: dict[str, Any]) -> pd.DataFrame:
    if not isinstance(value, Table):
        raise WrongFormError("is not a DataFrame")
    frame = pd.DataFrame(list(value.rows), columns=list(value.columns)).infer_objects()
    if form["index"] and set(form["index"]) <= set(frame.columns):
        frame = frame.set_index(form["index"])
    numbers = {one for one in form["labels"] if isinstance(one, (int, float))}
    renamed = {one: _number_of(one, numbers) for one in frame.columns}
    return frame.rename(columns=renamed)


def _number_of(label: str, numbers: set[Any]) -> Any:
    """The number that a column was named by, before it left the kernel as text."""
    try:
        found = float(label)
    except ValueError:
        return label
    return next((one for one in numbers if one == found), label)


def check_all(
    submissions: list[Any], forms: dict[str, Any], before: str, assertions: str,
    given: dict[str, Any],
) -> list[Any]:  # fmt: skip
    """Return the outcomes of each submission: "" for an assertion that holds, or why it does not.

    Args:
        before: code that runs first.
        assertions: source; only its assert statements have outcomes.
        given: what the assertions see besides the objects: the kernel's tables.
    """
    statements = ast.parse(assertions).body
    count = sum(isinstance(one, ast.Assert) for one in statements)
    found = []
    for submission in submissions:
        space = {name: _copied(value) for name, value in given.items() if name != "submit"}
        exec(compile(before, "before", "exec"), space)
        try:
            for name, form in forms.items():
                if name not in submission:
                    raise WrongFormError("is missing")
                space[name] = rebuilt(submission[name], form)
        except (WrongFormError, ValueError, TypeError, KeyError) as problem:
            found.append([f"`{name}` {problem}"] * count)
            continue
        found.append(_outcomes(statements, space))
    return found


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, pd.DataFrame) else value


def _outcomes(statements: list[ast.stmt], space: dict[str, Any]) -> list[str]:
    """Run statement by statement; after an error, the assertions that need it fail too."""
    outcomes = []
    for statement in statements:
        problem = ""
        try:
            exec(compile(ast.Module([statement], []), "assertions", "exec"), space)
        except AssertionError:
            problem = "does not hold"
        except Exception as error:  # of any kind: an object that is not as expected
            problem = f"{type(error).__name__}: {error}"[:200]
        if isinstance(statement, ast.Assert):
            outcomes.append(problem)
    return outcomes
