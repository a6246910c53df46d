"""Takes identifiers, dates, small counts and free text out of what a run has written.

Texts are taken apart into tokens, and what is not sure to be harmless goes: numbers of five digits
or more, whatever they mean; all dates and years. What it does *not* cover stands in `NOT_COVERED`,
and in every export's manifest.

Source of the default of 11 for the smallest count shown: CMS cell size suppression policy.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections import Counter

from pydantic import JsonValue

from benchside.export.identifiers import Identifiers, is_identifier

MIN_CELL = 11
PROSE_WORDS = 8  # a line of so many words is taken for free text
WRAPPED_WORDS = 8  # and so are successive lines of two words or more with so many together

NOT_COVERED = (
    "identifiers that a policy disguised on purpose: reversed, encoded, spelt out, in pieces",
    "small counts that follow from others: by subtraction, from a percentage and its total",
    "what an output or answer lists of one person without naming it: costs, laboratory values, all "
    "diagnoses of a stay",
    "words that are no identifier in the data but tell of a person, in lines of fewer than "
    f"{PROSE_WORDS} words (a rare diagnosis beside an age)",
    "what an answer tells by being right: outcomes and rewards are kept",
    "the terms of the data's use: whether results may be shared at all is for you to say",
)

_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_DATE = re.compile(
    r"\b\d{4}-\d{1,2}(?:-\d{1,2})?(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?(?!\d)"
    r"|\b\d{1,4}/\d{1,2}/\d{1,4}\b"
    r"|\b\d{1,2}:\d{2}(?::\d{2})?\b"
    rf"|\b(?:\d{{1,2}}\.?\s+)?(?:{_MONTHS})[a-z]*\.?\s+\d{{1,4}}(?:,?\s+\d{{4}})?\b"
    r"|\b(?:date|datetime|Timestamp)\(\s*\d{4}\s*,[^)]*\)"
    r"|(?<![\d.])(?:1[89]|2[0-3])\d{2}(?!\d|\.\d)",
    re.IGNORECASE,
)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_REFERENCE = re.compile(r"\b([A-Z][A-Za-z]{3,})/([A-Za-z0-9][A-Za-z0-9.-]{0,63})")
_NAMED = re.compile(
    r"""\b(\w*id|mrn|ssn|identifier|patient|subject|stay|admission|encounter|visit)\b
        (['"`\]]*\s*(?:==?|:|!=|in|is|number|no\.?|id|->|,)*\s*[\[\(\{'"`]*\s*)
        ((?:['"]?[A-Za-z_]*\d[\w.-]*['"]?(?:\s*,\s*)?)+)""",
    re.IGNORECASE | re.VERBOSE,
)
_NUMBER = re.compile(
    r"(?<![\w.])-?(?:\d{1,3}(?:[,_]\d{3})+|\d+)(?:\.\d*)?(?:e[+-]?\d+)?(?![\w])", re.IGNORECASE
)
_TOKEN = re.compile(r"\w+(?:[-.]\w+)*")
_CODE = re.compile(r"(?=[\w-]*\d{3})[A-Za-z0-9_]*\d\w*-[\w-]*\d[\w-]*")
_LONG = re.compile(r"[\w.-]*\d{5,}[\w.-]*")
_FRACTION = re.compile(r"-?\d{1,4}\.\d+(?:e[+-]?\d{1,3})?\.?", re.IGNORECASE)
_SQL = re.compile(r"^\W*(select|with|pragma)\b", re.IGNORECASE)


class Redactor:
    """Redacts texts and values, and counts what it took out by kind.

    Args:
        known: identifiers and phrases of notes that are in the data.
        min_cell: integers from 1 to below this are suppressed in results.
    """

    def __init__(self, known: Identifiers, min_cell: int = MIN_CELL):
        self.known = known
        self.min_cell = min_cell
        self.counts: Counter[str] = Counter()

    def result(self, text: str) -> str:
        """Redact what a cell gave: free text and small counts as well."""
        lines = text.split("\n")
        prose = _in_prose(lines)
        return "\n".join(
            self._gone("free text") if gone else _NUMBER.sub(self._small, self.text(line))
            for line, gone in zip(lines, prose, strict=True)
        )

    def text(self, text: str) -> str:
        """Redact a text whose numbers are no results, such as a prompt or a source's comment."""
        if "\n" in text:
            return "\n".join(map(self.text, text.split("\n")))
        if self.known.quotes(text):
            return self._gone("free text")
        # identifiers before dates: a date's pattern may cut one into two harmless halves
        text = _UUID.sub(lambda _: self._gone("identifier"), text)
        text = _REFERENCE.sub(self._reference, text)
        text = _TOKEN.sub(self._known, text)
        text = _DATE.sub(lambda _: self._gone("date"), text)
        text = _NAMED.sub(self._named, text)
        text = _NUMBER.sub(self._number, text)
        text = _CODE.sub(lambda _: self._gone("identifier"), text)
        return _LONG.sub(self._long, text)

    def prompt(self, text: str) -> str:
        """Redact a question; a paragraph of more than 60 words is taken for a note."""
        return "\n".join(
            self._gone("free text") if len(_words(line)) > 60 else self.text(line)
            for line in text.split("\n")
        )

    def source(self, source: str) -> str:
        """Redact a cell's source; long strings and comments go, queries are kept and redacted."""
        try:
            tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
        except (tokenize.TokenError, SyntaxError):
            return self.result(source)
        lines = source.splitlines(keepends=True)
        for token in reversed(tokens):
            long = len(_words(token.string)) >= PROSE_WORDS
            if token.type == tokenize.COMMENT and long:
                _replace(lines, token, "# " + self._gone("free text"))
            elif token.type == tokenize.STRING and long and not _SQL.match(_inner(token.string)):
                _replace(lines, token, repr(self._gone("free text")))
            elif type_name(token) == "FSTRING_MIDDLE" and long and not _SQL.match(token.string):
                return self._gone("free text")  # its quotes are tokens of their own
        return self.text("".join(lines))

    def submission(self, value: JsonValue, name: str = "") -> JsonValue:
        """Redact a submitted value: identifiers, dates, small counts, texts."""
        if isinstance(value, dict):
            return {
                self.text(str(key)): self.submission(part, str(key)) for key, part in value.items()
            }
        if isinstance(value, list):
            return [self.submission(part, name) for part in value]
        if isinstance(value, str):
            return self._gone("identifier") if is_identifier(name) else self.result(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if is_identifier(name):
                return self._gone("identifier")
            shown = self.result(repr(value))
            return value if shown == repr(value) else shown
        return value

    def _gone(self, kind: str) -> str:
        self.counts[kind] += 1
        return f"[{kind}]"

    def _reference(self, found: re.Match[str]) -> str:
        return f"{found[1]}/{self._gone('identifier')}"

    def _named(self, found: re.Match[str]) -> str:
        name = found[1].lower()
        if name.endswith("id") and not is_identifier(name):
            return found[0]  # a word or a code, such as itemid
        return f"{found[1]}{found[2]}{self._gone('identifier')}"

    def _known(self, found: re.Match[str]) -> str:
        token = found[0].lower()
        if _FRACTION.fullmatch(token):
            return found[0]  # a number; `_number` looks at it
        return self._gone("identifier") if self.known.holds(token) else found[0]

    def _long(self, found: re.Match[str]) -> str:
        return found[0] if _FRACTION.fullmatch(found[0]) else self._gone("identifier")

    def _number(self, found: re.Match[str]) -> str:
        value = _value(found[0])
        if value is not None and value.is_integer():
            if abs(value) >= 10_000 or str(int(abs(value))) in self.known.values:
                return self._gone("identifier")
        elif value is not None and abs(value) >= 10_000:
            return self._gone("identifier")
        return found[0]

    def _small(self, found: re.Match[str]) -> str:
        value = _value(found[0])
        if value is not None and value.is_integer() and 1 <= abs(value) < self.min_cell:
            self.counts["small count"] += 1
            return f"[<{self.min_cell}]"
        return found[0]


def type_name(token: tokenize.TokenInfo) -> str:
    """A token's type by name: those of f-strings are new in Python 3.12."""
    return tokenize.tok_name[token.type]


def _value(number: str) -> float | None:
    try:
        value = float(number.replace(",", "").replace("_", ""))
    except ValueError:
        return None
    return value if abs(value) < 1e300 else None


def _words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z]{2,}", text)


def _in_prose(lines: list[str]) -> list[bool]:
    """Which lines are free text: long ones, and shorter ones together as a wrapped text."""
    counts = [0 if _looks_tabular(line) else len(_words(line)) for line in lines]
    prose = [count >= PROSE_WORDS for count in counts]
    start = 0
    for end in range(len(lines) + 1):
        if end == len(lines) or counts[end] < 2:
            if sum(counts[start:end]) >= WRAPPED_WORDS and end - start > 1:
                prose[start:end] = [True] * (end - start)
            start = end + 1
    return prose


def _looks_tabular(line: str) -> bool:
    """Names of columns: words in snake case, or parted by two spaces or more."""
    gaps = len(re.findall(r"\S {2,}\S", line.strip()))
    return gaps + 1 >= 0.6 * len(line.split())


def _inner(literal: str) -> str:
    return literal.lstrip("rRbBuUfF").strip("\"'")


def _replace(lines: list[str], token: tokenize.TokenInfo, new: str) -> None:
    (first, start), (last, end) = token.start, token.end
    tail = lines[last - 1][end:]
    lines[first - 1 : last] = [lines[first - 1][:start] + new + tail]
