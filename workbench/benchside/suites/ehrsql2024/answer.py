"""How questions in SQL are answered and graded, in all suites whose gold is a query's rows."""

from __future__ import annotations

from benchside.task import AnswerSchema, GraderRef

DECIMALS = 3
ROWS = AnswerSchema(
    kind="table",
    description="the rows that answer the question: a value, a list of values or of rows, or a "
    "DataFrame; None where the database cannot answer",
    may_abstain=True,
)
YES_NO = AnswerSchema(
    kind="boolean",
    description="True or 1 for yes, False or 0 for no; None where the database cannot answer",
    may_abstain=True,
)
ROWS_GRADER = GraderRef(
    name="table",
    params={"columns": "by_position", "as_text": True, "decimals": DECIMALS, "ordered": False},
)
YES_NO_GRADER = GraderRef(name="boolean", params={"numeric": True})
