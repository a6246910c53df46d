"""What is read off the gold SQL and the question: runnable form, template, category, answer type.

The kind of answer is decided by the question's wording alone, never by its gold, so that it says
nothing about whether the database can answer.
"""

from __future__ import annotations

import hashlib
import re

NOW = "2100-12-31 23:59:00"
# Normal ranges of the shared task's scoring program (scoring_program/postprocessing.py).
NORMAL_RANGES = {
    "temperature": (35.5, 38.1),
    "sao2": (95.0, 100.0),
    "heart_rate": (60.0, 100.0),
    "respiration": (12.0, 18.0),
    "systolic_bp": (90.0, 120.0),
    "diastolic_bp": (60.0, 90.0),
    "mean_bp": (60.0, 110.0),
}
UNANSWERABLE = "unanswerable"

_STRING = re.compile(r"'(?:[^']|'')*'")
_NUMBER = re.compile(r"\b\d+(?:\.\d+)?\b")
_AUXILIARY = "has|have|had|is|are|was|were|did|does|do|will"
_YES_NO = re.compile(
    rf"(?:^|, )(?:{_AUXILIARY}) (?!you\b)"  # "Did ...", "Since 2100, has ..."
    r"|\btell me (?:if|whether)\b"
    r"|(?<!\bthat )\b(?:is|was) (?:last measured .*)?(?:less|greater) than\b"
    r"|, or [^,]* (?:was|has been|been) prescribed for patient"
    r"|^(?:in|during|since|on) [^,]*? (?:has|did|was) ",
    re.IGNORECASE,
)
_OPEN = re.compile(  # wordings that begin like yes/no questions and ask for a value
    r"^(?:when|how|what|which|who|where|list|show|give|count)\b"
    r"|\b(?:male or female|what|which|when|how)\b|\byesterday\b",
    re.IGNORECASE,
)


def runnable(sql: str) -> str:
    """Return the gold SQL with the present time and the normal ranges put in.

    Source: `post_process_sql` of the shared task's scoring program.
    """
    sql = sql.strip().replace("current_time", f"'{NOW}'")  # spaces in literals stay as they are
    for vital, (lower, upper) in NORMAL_RANGES.items():
        sql = re.sub(rf"\b{vital}_lower\b", str(lower), sql)
        sql = re.sub(rf"\b{vital}_upper\b", str(upper), sql)
    return sql


def template(text: str) -> str:
    """Return the hash of a query (or question) without its literals: the group of a task."""
    bare = _NUMBER.sub("?", _STRING.sub("?", " ".join(text.split())))
    return "template-" + hashlib.sha256(bare.lower().encode()).hexdigest()[:12]


def asks_yes_no(question: str) -> bool:
    """Return True where the wording asks for yes or no."""
    return bool(_YES_NO.search(question)) and not _OPEN.search(question)


def selected(sql: str) -> str:
    """Return what the outermost SELECT gives, with the content of parentheses left out."""
    kept, depth = [], 0
    for char in _STRING.sub("''", sql):
        depth -= char == ")"
        if depth == 0:
            kept.append(char)
        depth += char == "("
    return "".join(kept).split(" FROM ")[0]


def category(sql: str | None) -> str:
    """Return the kind of question, by the first rule that the gold SQL meets.

    unanswerable  no SQL
    yes-no        the result is a comparison
    survival      looks at the time of death (rates and rankings by it)
    ranking       DENSE_RANK or PERCENT_RANK: the most frequent, percentiles
    cost          about the cost table
    count         the result is COUNT
    time          the result is a time, or the difference of two
    aggregate     SUM, AVG, MIN, MAX, or the difference of two values
    lookup        anything else: names and values as they stand
    """
    if sql is None:
        return UNANSWERABLE
    head = selected(sql)
    rules = {
        "yes-no": re.search(r"[<>=]", head),
        "survival": re.search(r"\bpatients\.dod\b", sql),
        "ranking": re.search(r"_RANK\(", sql),
        "cost": re.search(r"\bFROM cost\b", sql),
        "count": re.search(r"^SELECT COUNT", head),
        "time": re.search(r"time\b|\bdob\b|\bstrftime|\d \* \(", head),
        "aggregate": re.search(r"^SELECT (?:SUM|AVG|MIN|MAX)|\) - \(", head),
    }
    return next((name for name, met in rules.items() if met), "lookup")
