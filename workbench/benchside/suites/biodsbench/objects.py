"""The objects of a task on their way out of the kernel: what to submit, and stubs of them.

Stubs are what a policy could submit that has done nothing; assertions that hold for one of them
prove nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchside_kernels.submission import Json

KINDS = {
    "curve": 'the Kaplan-Meier curve as {{"durations": {0}.durations, '
    '"event_observed": {0}.event_observed}}',
    "bars": "the bars as the list of their heights, [bar.get_height() for bar in {0}]",
    "oncoprint": 'the oncoprint as {{"values": {0}.values}}',
    "table": "a DataFrame",
    "series": "a Series",
    "scalar": "a number, text or truth value",
}
CONSTANTS: tuple[Any, ...] = (0, 1, 1e-9, True, "", {"$float": "nan"})
MAX_ROWS, MAX_CELLS = 2_000, 20_000  # of a stub


def submitted(name: str, form: Mapping[str, Any]) -> str:
    """Return the expression that a solution submits for an object."""
    match form["kind"]:
        case "curve":
            values = f'"durations": {name}.durations, "event_observed": {name}.event_observed'
            return f"{{{values}}}"
        case "bars":
            return f"[bar.get_height() for bar in {name}]"
        case "oncoprint":
            return f'{{"values": list({name}.values)}}'
        case "table" if form["index"] == ["index"]:
            return f'{name}.rename_axis(index="index").reset_index()'
        case "dict":
            parts = form["parts"].items()
            inside = (f"{key!r}: {submitted(f'{name}[{key!r}]', part)}" for key, part in parts)
            return f"{{{', '.join(inside)}}}"
    return name


def request(forms: Mapping[str, Mapping[str, Any]]) -> str:
    """Say in words what to submit."""
    lines = [f"- `{name}`: {_words(name, form)}" for name, form in forms.items()]
    keys = ", ".join(f'"{name}"' for name in forms)
    return f"Submit a dict with the keys {keys}:\n" + "\n".join(lines)


def _words(name: str, form: Mapping[str, Any]) -> str:
    kind = form["kind"]
    if kind == "dict":
        parts = (
            f"{key!r}: {_words(f'{name}[{key!r}]', one)}" for key, one in form["parts"].items()
        )
        held = form["parts"].values()
        if any(one["kind"] in ("curve", "bars", "oncoprint") for one in held):
            return f"a dict; {'; '.join(parts)}"
        return "a dict"
    if kind == "table" and form["index"]:
        names = ", ".join(f"`{one}`" for one in form["index"])
        return f"a DataFrame, with its index as the columns {names} (`reset_index()`)"
    return KINDS.get(kind, f"a {kind}").format(name)


def stubs(forms: Mapping[str, Mapping[str, Any]], lengths: Sequence[int]) -> Iterator[Json]:
    """Yield submissions without any analysis: constants, and empty or constant tables and lists.

    Args:
        lengths: numbers of rows of the task's tables.
    """
    for constant in CONSTANTS:
        for length in (0, 1, *(one for one in lengths if one <= MAX_ROWS)):
            yield {name: _stub(form, constant, length) for name, form in forms.items()}


def _stub(form: Mapping[str, Any], constant: Any, length: int) -> Json:
    some = [constant] * length
    match form["kind"]:
        case "scalar":
            return constant  # type: ignore[no-any-return]
        case "curve":
            events = [int(bool(constant))] * max(length, 1)
            return {"durations": [1.0] * max(length, 1), "event_observed": list(events)}
        case "oncoprint":
            return {"values": some}
        case "table":
            columns: list[Json] = [*form["index"], *map(str, form["labels"])]
            rows: list[Json] = [[constant] * len(columns)] * min(
                length, MAX_CELLS // max(len(columns), 1)
            )
            return {"$table": {"columns": columns, "rows": rows}}
        case "series":
            return {"$series": {"index": list(range(length)), "values": some}}
        case "dict":
            return {key: _stub(one, constant, length) for key, one in form["parts"].items()}
    return some
