"""Graders `set` and `list`: several values that one scalar grader compares."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, JsonValue, model_validator

from benchside.graders.grader import Grader, UnreadableError, Verdict, build_grader, register
from benchside.graders.scalar import Scalar
from benchside.graders.show import show
from benchside_kernels.submission import Series, SetValue, Table, Value

Items = Literal["number", "text", "integer", "date"]


def read_items(value: Value) -> list[Value]:
    """Return the values of a list, set, Series or one-column table.

    Raises:
        UnreadableError: for anything else, such as text that lists the items.
    """
    match value:
        case list():
            return value
        case SetValue():
            return list(value.members)
        case Series():
            return list(value.values)
        case Table() if len(value.columns) == 1:
            return [row[0] for row in value.rows]
    raise UnreadableError(f"{show(value)} is not a list, set or Series")


class Collection(Grader):
    """What `set` and `list` share.

    Args:
        item: the scalar grader of each item.
        item_params: its parameters.
    """

    item: Items
    item_params: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _items_can_be_graded(self) -> Self:
        grader = build_grader(self.item, self.item_params)
        if grader.exposed():
            raise ValueError(f"item_params cannot hold {', '.join(grader.exposed())}")
        return self

    @property
    def item_grader(self) -> Scalar:
        """The scalar grader of each item."""
        grader = build_grader(self.item, self.item_params)
        assert isinstance(grader, Scalar)  # `Items` names no others
        return grader

    def with_unit(self, unit: str) -> Self:
        """Return this grader for items in `unit`, where items have units."""
        if self.item not in ("number", "integer"):
            return self
        return self.model_copy(update={"item_params": {"unit": unit, **self.item_params}})

    def read(self, value: Value) -> list[Any]:
        """Return all items as the scalar grader reads them."""
        grader = self.item_grader
        return [grader.read(item) for item in read_items(value)]

    def check_gold(self, gold: Value) -> None:
        """Each item of the gold can be read."""
        self.read(gold)


@register
class SetGrader(Collection):
    """Passes when both hold the same members; order and repetition do not matter."""

    name: ClassVar[str] = "set"

    def judge(self, submitted: Value, gold: Value) -> Verdict:
        """Name members that are missing and in excess."""
        try:
            items = self.read(submitted)
        except UnreadableError as problem:
            return Verdict(False, f"{problem}; expected {show(gold)}")
        expected = self.read(gold)
        missing, extra = self.item_grader.differences(items, expected)
        if not missing and not extra:
            return Verdict(True, f"submitted the expected set {show(gold)}")
        text = f"missing {show(missing)}, not expected {show(extra)}; expected {show(gold)}"
        found = len(expected) - len(missing)
        score = found / max(found + len(missing) + len(extra), 1)
        return Verdict(False, text, {"overlap": score})


@register
class ListGrader(Collection):
    """Passes when both hold the same items in the same order."""

    name: ClassVar[str] = "list"

    def judge(self, submitted: Value, gold: Value) -> Verdict:
        """Name the first item that differs."""
        if isinstance(submitted, SetValue):
            return Verdict(False, f"submitted a set, which has no order; expected {show(gold)}")
        expected = self.read(gold)
        try:
            values = read_items(submitted)
            if len(values) != len(expected):
                text = f"submitted {len(values)} items, expected {len(expected)}: {show(gold)}"
                return Verdict(False, text)
            items = self.read(submitted)
        except UnreadableError as problem:
            return Verdict(False, f"{problem}; expected {show(gold)}")
        grader = self.item_grader
        for place, (item, right) in enumerate(zip(items, expected, strict=True), start=1):
            verdict = grader.judge_read(item, right)
            if not verdict.passed:
                return Verdict(False, f"item {place}: {verdict.evidence}")
        return Verdict(True, f"submitted the expected list {show(gold)}")
