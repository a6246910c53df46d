"""Graders `text` and `boolean`."""

from __future__ import annotations

import unicodedata
from typing import Any, ClassVar

from pydantic import field_validator

from benchside.graders.grader import UnreadableError, Verdict, register
from benchside.graders.scalar import Scalar
from benchside.graders.show import show
from benchside_kernels.submission import Value

YES = frozenset({"yes", "true"})
NO = frozenset({"no", "false"})


def read_text(value: Value) -> str:
    """Return text in canonical form: NFC, lower case, single spaces.

    Raises:
        UnreadableError: not text, or empty.
    """
    if not isinstance(value, str):
        raise UnreadableError(f"{show(value)} is not text")
    canonical = " ".join(unicodedata.normalize("NFC", value.casefold()).split())
    if not canonical:
        raise UnreadableError("the text is empty")
    return canonical


@register
class TextGrader(Scalar):
    """Passes when the texts are equal but for case and spaces; a part of the text never passes.

    Args:
        accept: secret equivalent forms, such as both names of a gene.
    """

    name: ClassVar[str] = "text"
    secret: ClassVar[frozenset[str]] = frozenset({"accept"})
    accept: tuple[str, ...] = ()

    @field_validator("accept")
    @classmethod
    def _are_texts(cls, accept: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(read_text(text) for text in accept)

    def read(self, value: Value) -> str:
        """Return the canonical text."""
        return read_text(value)

    def judge_read(self, submitted: Any, gold: Any) -> Verdict:
        """Compare with the gold and its equivalents."""
        others = f" or one of {len(self.accept)} equivalent forms" if self.accept else ""
        passed = submitted in (gold, *self.accept)
        return Verdict(passed, f"submitted {show(submitted)}, expected {show(gold)}{others}")


@register
class BooleanGrader(Scalar):
    """Passes when both are true or both false; True, "yes" and "true" are the same.

    Args:
        numeric: 1 and 0 (also "1", "0", 1.0, 0.0) count as true and false.
    """

    name: ClassVar[str] = "boolean"
    numeric: bool = False

    def read(self, value: Value) -> bool:
        """Return the truth value."""
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.strip().casefold() in YES | NO:
            return value.strip().casefold() in YES
        if self.numeric and isinstance(value, (int, float)) and value in (0, 1):
            return bool(value)
        if self.numeric and isinstance(value, str) and value.strip() in ("0", "1"):
            return value.strip() == "1"
        raise UnreadableError(f"{show(value)} is not true or false")
