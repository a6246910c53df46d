"""What is read off the gold SQL and the wording: runnable form, kind of answer, category."""

from __future__ import annotations

import re

from benchside.suites.ehrsql2024.sql import NORMAL_RANGES, asks_yes_no

NOW = "2105-12-31 23:59:00"
UNANSWERABLE = "unanswerable"

_STRING = re.compile(r"'(?:[^']|'')*'")
_STRFTIME = re.compile(r"strftime\(\s*'([^']*)'", re.IGNORECASE)
_NO_YES_NO = re.compile(r"\b(?:man or a woman|do count)\b", re.IGNORECASE)


def runnable(sql: str) -> str:
    """Return the gold SQL with the present time, the normal ranges and strftime's letters put in.

    Source: `post_process_sql` of EHRSQL's evaluate.py; the published queries are in lower case, but
    years (%Y) and Julian days (%J) need capital letters.
    """
    sql = sql.strip().replace("current_time", f"'{NOW}'")
    sql = sql.replace("< =", "<=").replace("> =", ">=")
    sql = _STRFTIME.sub(lambda m: f"strftime('{m[1].replace('%y', '%Y').replace('%j', '%J')}'", sql)
    for vital, (lower, upper) in NORMAL_RANGES.items():
        sql = re.sub(rf"\b{vital}_lower\b", str(lower), sql)
        sql = re.sub(rf"\b{vital}_upper\b", str(upper), sql)
    return sql


def gives_yes_no(sql: str) -> bool:
    """Return whether the result is a comparison."""
    return re.search(r"[<>=]", _selected(sql)) is not None


def words_yes_no(question: str) -> bool:
    """Return whether the wording asks for yes or no."""
    return asks_yes_no(question) and not _NO_YES_NO.search(question)


def _selected(sql: str) -> str:
    """Return what the outermost SELECT gives, with the content of parentheses left out."""
    kept, depth = [], 0
    for char in _STRING.sub("''", sql.lower()):
        depth -= char == ")"
        if depth == 0:
            kept.append(char)
        depth += char == "("
    return "".join(kept).split(" from ")[0]


def category(sql: str | None) -> str:
    """Return the kind of question, by the first rule that the gold SQL meets.

    unanswerable  no SQL
    yes-no        the result is a comparison
    survival      looks at the time of death or at who was discharged alive
    ranking       DENSE_RANK or PERCENT_RANK: the most frequent, percentiles
    cost          about the cost table
    count         the result is COUNT
    time          the result is a time, or the difference of two
    aggregate     SUM, AVG, MIN, MAX, or the difference of two values
    lookup        anything else: names and values as they stand
    """
    if sql is None:
        return UNANSWERABLE
    head, whole = _selected(sql), sql.lower()
    rules = {
        "yes-no": re.search(r"[<>=]", head),
        "survival": re.search(r"\bpatients\.dod\b|\bhospitaldischargestatus\b", whole),
        "ranking": re.search(r"_rank\s*\(", whole),
        "cost": re.search(r"\bfrom cost\b", whole),
        "count": re.search(r"^select count\b", head),
        "time": re.search(r"time\b|date\b|\bdob\b|\bstrftime|\d \* \(", head),
        "aggregate": re.search(r"^select (?:sum|avg|min|max)\b|\) - \(", head),
    }
    return next((name for name, met in rules.items() if met), "lookup")
