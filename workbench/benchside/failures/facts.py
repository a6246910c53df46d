"""What a piece of analysis does, as far as it can be compared: tables, columns, conditions, rest.

SQL is read by sqlglot (SQLite's dialect), Python by `ast`. Aliases are resolved, so that two ways
of writing one query agree; two different ways of asking the same do not, which is why facts are
compared only where the answer was wrong.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from benchside.failures.lineage import Step, base, read, written

_SQL = re.compile(r"^\s*(?:select|with)\b", re.IGNORECASE)
_OPERATORS: dict[type[exp.Expr], str] = {
    exp.EQ: "=", exp.NEQ: "!=", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<=",
    exp.Is: "is", exp.Like: "like", exp.In: "in",
}  # fmt: skip
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "=", ast.NotEq: "!=", ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=",
    ast.Is: "is", ast.In: "in", ast.NotIn: "not in", ast.IsNot: "is not",
}  # fmt: skip
FLIPPED = {">": "<", "<": ">", ">=": "<=", "<=": ">="}


@dataclass(frozen=True, slots=True, order=True)
class Condition:
    """One comparison, such as `e.charttime <= '2105-10-15'`."""

    left: str
    operator: str
    right: str

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right}"


@dataclass(slots=True)
class Facts:
    """What an analysis does.

    Args:
        columns: that are shown, aggregated, ordered or grouped by; not those of conditions.
        limits: places and numbers of rows: LIMIT, OFFSET, slices.
        calculation: aggregates, functions and methods by name.
        numbers: literals outside of conditions.
        queries: the parsed SQL texts.
    """

    tables: set[str] = field(default_factory=set)
    columns: Counter[str] = field(default_factory=Counter)
    conditions: Counter[Condition] = field(default_factory=Counter)
    limits: set[str] = field(default_factory=set)
    calculation: set[str] = field(default_factory=set)
    numbers: set[float] = field(default_factory=set)
    queries: list[str] = field(default_factory=list)


def facts_of(slice_: Sequence[Step]) -> Facts:
    """Return the facts of a slice."""
    facts = Facts()
    assigned: set[str] = set()
    for step in slice_:
        assigned |= written(step.node)
    for step in slice_:
        facts.tables |= {name.lower() for name in _frames(step.node, assigned)}
        for node in ast.walk(step.node):
            _python(node, facts)
    return facts


def queries_of(nodes: Iterable[ast.AST]) -> list[str]:
    """Return the SQL texts in pieces of code; those put together at run time are not seen."""
    return [
        node.value for root in nodes for node in ast.walk(root)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _SQL.match(node.value)
    ]  # fmt: skip


def _frames(node: ast.AST, assigned: set[str]) -> set[str]:
    """Names that are read by subscript or method and set nowhere: preloaded tables."""
    used = {
        name for one in ast.walk(node)
        if isinstance(one, (ast.Subscript, ast.Attribute)) and (name := base(one)) is not None
    }  # fmt: skip
    return (used & read(node)) - assigned - _MODULES


_MODULES = {
    "np",
    "pd",
    "plt",
    "stats",
    "scipy",
    "math",
    "re",
    "os",
    "sm",
    "smf",
    "sms",
    "con",
    "json",
}


def _python(node: ast.AST, facts: Facts) -> None:
    match node:
        case ast.Constant(value=str(text)) if _SQL.match(text):
            _query(text, facts)
        case ast.Subscript(value=value, slice=ast.Constant(value=str(name))):
            facts.columns[name] += 1
            del value
        case ast.Subscript(slice=ast.List(elts=items)):
            facts.columns.update(i.value for i in items if _is_text(i))  # type: ignore[attr-defined]
        case ast.Subscript(slice=ast.Constant(value=int(place))):
            facts.limits.add(f"[{place}]")
        case ast.Slice(lower=lower, upper=upper):
            ends = [ast.unparse(end) if end else "" for end in (lower, upper)]
            facts.limits.add(f"[{':'.join(ends)}]")
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            facts.conditions[_compared(left, type(operator), right)] += 1
        case ast.Call(func=func, keywords=keywords):
            facts.calculation.add(ast.unparse(func).rpartition(".")[2])
            facts.calculation |= {f"{k.arg}={ast.unparse(k.value)}" for k in keywords
                                  if isinstance(k.value, (ast.Constant, ast.UnaryOp))}  # fmt: skip
        case ast.BinOp(op=operator):
            facts.calculation.add(type(operator).__name__)
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            facts.numbers.add(float(number))


def _compared(left: ast.expr, operator: type[ast.cmpop], right: ast.expr) -> Condition:
    """A comparison with its literal on the right."""
    name = _COMPARISONS[operator]
    texts = ast.unparse(left), ast.unparse(right)
    if isinstance(left, ast.Constant) and name in FLIPPED:
        return Condition(texts[1], FLIPPED[name], texts[0])
    return Condition(texts[0], name, texts[1])


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _query(text: str, facts: Facts) -> None:
    try:
        tree = sqlglot.parse_one(text, read="sqlite")
    except (SqlglotError, RecursionError):
        return
    facts.queries.append(text)
    aliases = {
        table.alias.lower(): table.name.lower() for table in tree.find_all(exp.Table) if table.alias
    }
    facts.tables |= {table.name.lower() for table in tree.find_all(exp.Table)}
    for column in tree.find_all(exp.Column):
        column.set(
            "table", exp.to_identifier(aliases.get(column.table.lower(), column.table) or None)
        )
    inside: set[int] = set()
    for node in tree.walk():
        if type(node) in _OPERATORS and not _joins(node):
            facts.conditions[_condition(node)] += 1
            inside |= {id(one) for one in node.find_all(exp.Column)}
        elif isinstance(node, exp.Between):
            left = _text(node.this)
            facts.conditions[Condition(left, ">=", _text(node.args["low"]))] += 1
            facts.conditions[Condition(left, "<=", _text(node.args["high"]))] += 1
            inside |= {id(one) for one in node.find_all(exp.Column)}
        elif isinstance(node, (exp.Limit, exp.Offset)):
            facts.limits.add(f"{node.key} {_text(node.expression)}")
        elif isinstance(node, (exp.Ordered, exp.Distinct)):
            facts.calculation.add(f"{node.key} {'desc' if node.args.get('desc') else ''}".strip())
        elif isinstance(node, exp.AggFunc):
            facts.calculation.add(node.key)
    facts.columns.update(
        one.name.lower() for one in tree.find_all(exp.Column) if id(one) not in inside
    )


def _joins(node: exp.Expr) -> bool:
    """A comparison of two columns only ties tables together."""
    sides = node.this, node.args.get("expression")
    return all(isinstance(side, exp.Column) for side in sides)


def _condition(node: exp.Expr) -> Condition:
    operator = _OPERATORS[type(node)]
    if isinstance(node, exp.In):
        inner = node.args.get("query") or ", ".join(map(_text, node.expressions))
        return Condition(_text(node.this), operator, _text(inner) if inner else "")
    if isinstance(node.parent, exp.Not):
        operator = f"not {operator}"
    left, right = node.this, node.expression
    if isinstance(left, exp.Literal) and operator in FLIPPED:
        left, right, operator = right, left, FLIPPED[operator]
    return Condition(_text(left), operator, _text(right))


def _text(node: exp.Expr | str) -> str:
    """A side of a condition; a query in it is only named, since its own conditions are read too."""
    if isinstance(node, str):
        return node
    return "(query)" if node.find(exp.Select) else node.sql(dialect="sqlite").lower()
