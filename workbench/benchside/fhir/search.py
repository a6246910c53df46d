"""Search: a query string becomes one SELECT over a store's index, its answer a searchset Bundle.

Modifiers `:exact`, `:contains`, `:not`, `:text`, `:missing` and `:Type` of references; prefixes of
dates and numbers; several values by commas (any) and by repetition (all); chains of any length
(`patient.name`, `subject:Patient.identifier`); `_id`, `_lastUpdated`, `_sort`, `_count`, `_offset`,
`_total`, `_summary=count`, `_include`, `_revinclude`. Anything else is refused rather than ignored,
so that a slip of the pen does not return the whole hospital.
Source: https://hl7.org/fhir/R4/search.html.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlencode

from benchside.fhir.moments import interval
from benchside.fhir.outcome import FhirError, Resource
from benchside.fhir.parameters import PARAMETERS, Parameter, fold, local_reference
from benchside.fhir.store import FhirStore

DEFAULT_COUNT, MAX_COUNT = 50, 500
MAX_VALUES, MAX_DEPTH = 100, 5
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")

_CONTROLS = (
    "_sort", "_count", "_offset", "_total", "_summary", "_include", "_revinclude", "_format",
    "_pretty",
)  # fmt: skip


class Condition(NamedTuple):
    """A piece of SQL with its values."""

    sql: str
    values: list[object]


def search(store: FhirStore, kind: str, query: Sequence[tuple[str, str]], base: str) -> Resource:
    """Return the searchset.

    Args:
        query: names and values, decoded, in order.
        base: the server's URL, for links.

    Raises:
        FhirError: unknown type or parameter, or a malformed value.
    """
    known(kind)
    source, values = _matches(kind, query)
    total = int(store.query(f"SELECT COUNT(*) FROM {source}", values)[0][0])
    controls = [(name, value) for name, value in query if name.split(":")[0] in _CONTROLS]
    count, offset = _number(controls, "_count", DEFAULT_COUNT), _number(controls, "_offset", 0)
    count = 0 if ("_summary", "count") in controls else min(count, MAX_COUNT)
    order, order_values = _order(kind, controls)
    rows = store.query(
        f"SELECT body FROM {source} ORDER BY {order} LIMIT ? OFFSET ?",
        [*values, *order_values, count, offset],
    )
    matches = [json.loads(body) for (body,) in rows]
    entries = [_entry(base, one, "match") for one in matches]
    entries += [_entry(base, one, "include") for one in _included(store, kind, controls, matches)]
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": total}
    links = [{"relation": "self", "url": _url(base, kind, query)}]
    if count and offset + count < total:
        links.append({"relation": "next", "url": _page(base, kind, query, offset + count)})
    if count and offset:
        links.append(
            {"relation": "previous", "url": _page(base, kind, query, max(offset - count, 0))}
        )
    return {**bundle, "link": links, **({"entry": entries} if entries else {})}


def _matches(kind: str, query: Sequence[tuple[str, str]]) -> Condition:
    """What stands behind FROM: the resources, `r`, that meet all criteria.

    The criterion that the fewest meet is looked up in both databases; the others check its rows.
    """
    criteria = [
        (name, value) for name, value in query if name.split(":")[0] not in _CONTROLS and value
    ]
    criteria.sort(key=lambda one: not _selective(kind, one[0]))
    first = Condition("1", [])
    if criteria:
        first = _criterion(kind, *criteria[0], 1)
    sql = (
        "(SELECT type, id, seq, body FROM main.resource "
        f"WHERE type = ? AND body IS NOT NULL AND {first.sql} UNION ALL "
        f"SELECT type, id, seq, body FROM base.resource AS b WHERE type = ? AND {first.sql} "
        "AND NOT EXISTS (SELECT 1 FROM main.resource AS w WHERE w.type = b.type AND w.id = b.id)"
        ") AS r"
    )
    values = [kind, *first.values, kind, *first.values]
    rest = [_criterion(kind, name, value, 1, lookup=False) for name, value in criteria[1:]]
    if rest:
        sql += f" WHERE {' AND '.join(one.sql for one in rest)}"
    return Condition(sql, values + [value for one in rest for value in one.values])


def _selective(kind: str, name: str) -> bool:
    plain, _, modifier = name.partition(".")[0].partition(":")
    parameter = PARAMETERS[kind].get(plain)
    return (
        parameter is not None
        and modifier not in ("not", "missing")
        and (parameter.kind == "reference" or plain in ("_id", "identifier", "family"))
    )


def known(kind: str) -> None:
    """Raise `FhirError` for a type that the server does not serve."""
    if kind not in PARAMETERS:
        raise FhirError(
            404,
            "not-supported",
            f"this server has no type {kind!r}; it has {', '.join(PARAMETERS)}",
        )


def _criterion(kind: str, name: str, value: str, depth: int, *, lookup: bool = True) -> Condition:
    """The condition that a parameter and its value put on the rows of `live_resource AS r`.

    Args:
        lookup: find the rows by the index; False: check each row that other criteria have found.
    """
    head, dot, rest = name.partition(".")
    plain, _, modifier = head.partition(":")
    parameter = PARAMETERS[kind].get(plain)
    if parameter is None:
        raise FhirError(
            400, "not-supported",
            f"{kind} has no search parameter {plain!r}; it has {', '.join(PARAMETERS[kind])}",
        )  # fmt: skip
    chosen = "SELECT id FROM live_entry WHERE type = ? AND param = ?"
    chosen += "" if lookup else " AND id = r.id"
    test = "id {}IN" if lookup else "{}EXISTS"
    scope: list[object] = [kind, plain]
    if dot:
        below = _chain(kind, parameter, modifier, rest, value, depth)
        return Condition(f"{test.format('')} ({chosen} AND {below.sql})", [*scope, *below.values])
    if modifier == "missing":
        if value not in ("true", "false"):
            raise FhirError(400, "invalid", f"{name} is true or false, not {value!r}")
        return Condition(f"{test.format('NOT ' if value == 'true' else '')} ({chosen})", scope)
    options = [one for one in re.split(r"(?<!\\),", value) if one]
    if not options or len(options) > MAX_VALUES:
        raise FhirError(400, "invalid", f"{name} takes 1 to {MAX_VALUES} values by commas")
    match = _MATCHES[parameter.kind]
    negated = modifier == "not" and parameter.kind == "token"
    each = [match(parameter, "" if negated else modifier, _unescaped(one)) for one in options]
    either = " OR ".join(condition.sql for condition in each)
    inner = [value for condition in each for value in condition.values]
    met = test.format("NOT " if negated else "")
    return Condition(f"{met} ({chosen} AND ({either}))", scope + inner)


def _chain(
    kind: str, parameter: Parameter, target: str, rest: str, value: str, depth: int
) -> Condition:
    """The condition on a reference whose target must match `rest`."""
    if parameter.kind != "reference" or depth >= MAX_DEPTH:
        raise FhirError(400, "invalid", f"{kind}'s {parameter.name} cannot be chained so")
    to = target or parameter.targets[0]
    if to not in parameter.targets:
        raise FhirError(400, "invalid", f"{kind}'s {parameter.name} does not lead to {to!r}")
    below = _criterion(to, rest, value, depth + 1)
    return Condition(
        f"system = ? AND code IN (SELECT id FROM live_resource WHERE type = ? AND {below.sql})",
        [to, to, *below.values],
    )


def _unescaped(value: str) -> str:
    return re.sub(r"\\([,$|\\])", r"\1", value)


def _refuse_modifier(parameter: Parameter, modifier: str) -> FhirError:
    return FhirError(400, "not-supported", f"{parameter.name} takes no modifier :{modifier}")


def _string(parameter: Parameter, modifier: str, value: str) -> Condition:
    folded = fold(value)
    if modifier == "exact":
        return Condition("code = ?", [value])
    if modifier == "contains":
        return Condition("INSTR(text, ?) > 0", [folded])
    if modifier:
        raise _refuse_modifier(parameter, modifier)
    return Condition("text >= ? AND text < ?", [folded, f"{folded}\U0010ffff"])


def _token(parameter: Parameter, modifier: str, value: str) -> Condition:
    if modifier == "text":
        return Condition("INSTR(text, ?) > 0", [fold(value)])
    if modifier:
        raise _refuse_modifier(parameter, modifier)
    system, bar, code = value.rpartition("|")
    conditions, values = [], []
    if bar:
        conditions.append("system = ?" if system else "system IS NULL")
        values += [system] if system else []
    if code:
        conditions.append("code = ?")
        values.append(code)
    return Condition(" AND ".join(conditions) or "1", list(values))


def _reference(parameter: Parameter, modifier: str, value: str) -> Condition:
    if modifier and modifier not in parameter.targets:
        raise _refuse_modifier(parameter, modifier)
    to, name = local_reference(value) or (modifier or parameter.targets[0], value)
    return Condition("system = ? AND code = ?", [to, name])


def _date(parameter: Parameter, modifier: str, value: str) -> Condition:
    if modifier:
        raise _refuse_modifier(parameter, modifier)
    prefix, rest = _prefixed(value)
    try:
        # a plus sign that was not escaped in the URL has become a space
        low, high = interval(re.sub(r" (\d{2}:\d{2})$", r"+\1", rest))
    except ValueError as error:
        raise FhirError(400, "invalid", f"{parameter.name}: {error}") from None
    within = Condition("low >= ? AND high <= ?", [low, high])
    match prefix:
        case "eq":
            return within
        case "ne":
            return Condition("NOT (low >= ? AND high <= ?)", [low, high])
        case "gt":
            return Condition("high > ?", [high])
        case "lt":
            return Condition("low < ?", [low])
        case "ge":
            return Condition("(high > ? OR (low >= ? AND high <= ?))", [high, low, high])
        case "le":
            return Condition("(low < ? OR (low >= ? AND high <= ?))", [low, low, high])
        case "sa":
            return Condition("low >= ?", [high])
        case "eb":
            return Condition("high <= ?", [low])
    slack = abs(datetime.now(UTC).timestamp() * 1000 - low) / 10
    return Condition("high > ? AND low < ?", [low - slack, high + slack])


def _quantity(parameter: Parameter, modifier: str, value: str) -> Condition:
    if modifier:
        raise _refuse_modifier(parameter, modifier)
    number, *unit = value.split("|")
    prefix, rest = _prefixed(number)
    try:
        wanted = float(rest)
    except ValueError:
        raise FhirError(400, "invalid", f"{parameter.name}: {rest!r} is no number") from None
    digits = len(rest.partition("e")[0].partition(".")[2])
    half = 0.5 * 10.0**-digits  # 5.40 means 5.395 to 5.405
    if prefix in ("eq", "ne", "ap"):
        half = max(half, abs(wanted) / 10) if prefix == "ap" else half
        inverse = "NOT " if prefix == "ne" else ""
        condition = Condition(f"{inverse}(low >= ? AND low < ?)", [wanted - half, wanted + half])
    else:
        sign = {"gt": ">", "sa": ">", "lt": "<", "eb": "<", "ge": ">=", "le": "<="}[prefix]
        condition = Condition(f"low {sign} ?", [wanted])
    if unit:
        system, code = (unit[0], unit[1]) if len(unit) > 1 else ("", unit[0])
        if system:
            condition = Condition(f"{condition.sql} AND system = ?", [*condition.values, system])
        if code:
            condition = Condition(
                f"{condition.sql} AND (code = ? OR text = ?)", [*condition.values, code, code]
            )
    return condition


_MATCHES = {
    "string": _string,
    "token": _token,
    "reference": _reference,
    "date": _date,
    "quantity": _quantity,
}


def _prefixed(value: str) -> tuple[str, str]:
    return (value[:2], value[2:]) if value[:2] in PREFIXES else ("eq", value)


def _number(controls: Sequence[tuple[str, str]], name: str, default: int) -> int:
    given = [value for key, value in controls if key == name]
    if not given:
        return default
    if not re.fullmatch(r"\d{1,9}", given[-1]):
        raise FhirError(400, "invalid", f"{name} is a whole number, not {given[-1]!r}")
    return int(given[-1])


def _order(kind: str, controls: Sequence[tuple[str, str]]) -> tuple[str, list[object]]:
    terms, values = [], list[object]()
    asked = [one for name, value in controls if name == "_sort" for one in value.split(",")]
    for one in asked:
        plain = one.removeprefix("-")
        parameter = PARAMETERS[kind].get(plain)
        if parameter is None:
            raise FhirError(400, "not-supported", f"{kind} cannot be sorted by {plain!r}")
        column = "low" if parameter.kind in ("date", "quantity") else "COALESCE(text, code)"
        column = "code" if parameter.kind in ("reference", "token") else column
        direction = "DESC" if one.startswith("-") else "ASC"
        terms.append(
            f"(SELECT {column} FROM live_entry WHERE type = ? AND id = r.id AND param = ? "
            f"ORDER BY {column} {direction} LIMIT 1) {direction} NULLS LAST"
        )
        values += [kind, plain]
    return ", ".join([*terms, "seq"]), values


def _included(
    store: FhirStore, kind: str, controls: Sequence[tuple[str, str]], matches: list[Resource]
) -> list[Resource]:
    """What `_include` and `_revinclude` add, each resource once."""
    shown = {(one["resourceType"], one["id"]) for one in matches}
    found: list[Resource] = []
    for name, value in controls:
        if name not in ("_include", "_revinclude"):
            continue
        source, _, plain = value.partition(":")
        parameter = PARAMETERS.get(source, {}).get(plain.partition(":")[0])
        reverse = name == "_revinclude"
        fits = parameter is not None and parameter.kind == "reference"
        if parameter is None or not fits or (not reverse and source != kind):
            raise FhirError(400, "not-supported", f"{name}={value} is not known for {kind}")
        for one in matches:
            wanted = (
                "SELECT type, id FROM live_entry WHERE type = ? AND param = ? AND system = ? "
                "AND code = ?"
                if reverse
                else "SELECT system, code FROM live_entry WHERE type = ? AND param = ? AND id = ?"
            )
            values = [source, parameter.name, *([kind, one["id"]] if reverse else [one["id"]])]
            for target in store.query(wanted, values):
                there = store.find(*target)
                if target not in shown and there is not None and there.resource is not None:
                    shown.add((target[0], target[1]))
                    found.append(there.resource)
    return found


def _entry(base: str, resource: Resource, mode: str) -> Resource:
    url = f"{base}/{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": url, "resource": resource, "search": {"mode": mode}}


def _page(base: str, kind: str, query: Sequence[tuple[str, str]], offset: int) -> str:
    others = [(name, value) for name, value in query if name != "_offset"]
    return _url(base, kind, [*others, ("_offset", str(offset))])


def _url(base: str, kind: str, query: Sequence[tuple[str, str]]) -> str:
    return f"{base}/{kind}" + (f"?{urlencode(list(query))}" if query else "")
