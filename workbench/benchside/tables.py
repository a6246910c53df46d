"""Terminal tables of suites, tasks and results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from benchside.statistics import Comparison, Rate, rates_by
from benchside.store import EpisodeRow


def result_table(rows: Sequence[EpisodeRow]) -> Table:
    """Success by suite and category (rows) and policy (columns), with n and 95% interval."""
    policies = list(dict.fromkeys(row.policy for row in rows))
    table = Table(
        title="Solved / n, with 95% interval in percent", title_justify="left",
        box=box.SIMPLE_HEAD, pad_edge=False,
    )  # fmt: skip
    table.add_column("category", overflow="fold", min_width=16)
    for policy in policies:
        table.add_column(Text(policy), justify="right", overflow="fold")
    cells = rates_by(rows, lambda row: (row.suite, row.category, row.policy))
    totals = rates_by(rows, lambda row: (row.suite, row.policy))
    for suite in sorted({row.suite for row in rows}):
        total = (totals.get((suite, policy)) for policy in policies)
        table.add_row(Text(f"{suite}, all"), *(show_rate(rate) for rate in total), style="bold")
        for category in sorted({row.category for row in rows if row.suite == suite}):
            found = (cells.get((suite, category, policy)) for policy in policies)
            table.add_row(Text(f"  {category}"), *(show_rate(rate) for rate in found))
        table.add_section()
    return table


def show_rate(rate: Rate | None) -> str:
    """One rate as text, such as "12/16 51–90"; non-breaking, so that a table cell stays whole."""
    if rate is None:
        return "–"
    unscored = f" +{rate.unscored} unscored" if rate.unscored else ""
    interval = f"\N{NO-BREAK SPACE}{100 * rate.low:.0f}–{100 * rate.high:.0f}" if rate.n else ""
    return f"{rate.successes}/{rate.n}{interval}{unscored}"


def outcome_line(rows: Sequence[EpisodeRow]) -> str:
    """Counts per outcome over all policies."""
    counts = Counter(row.outcome for row in rows)
    listed = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    return f"{len(rows)} episodes: {listed}"


def score_table(scores: pd.DataFrame) -> Table:
    """Scores as of `benchside.statistics.scores`: measures (rows) and policies (columns)."""
    policies = list(dict.fromkeys(scores["policy"]))
    table = Table(
        title="Mean with 95% interval, and n", title_justify="left", box=box.SIMPLE_HEAD,
        pad_edge=False,
    )  # fmt: skip
    table.add_column("measure", overflow="fold", min_width=16)
    for policy in policies:
        table.add_column(Text(policy), justify="right", overflow="fold")
    keys = ["suite"] if scores["category"].isna().all() else ["suite", "category"]
    for names, part in scores[scores["n"] > 0].groupby(keys):
        table.add_row(Text(", ".join(map(str, names))), style="bold")
        rows: dict[str, dict[str, str]] = {}
        for row in part.itertuples(index=False):
            rows.setdefault(_measure(row), {})[str(row.policy)] = _estimate(row)
        for name, cells in rows.items():
            table.add_row(f"  {name}", *(cells.get(policy, "–") for policy in policies))
        table.add_section()
    return table


def _measure(row: Any) -> str:
    name = f"{row.measure[:-1]}{row.k}" if row.measure.endswith("k") else str(row.measure)
    return name if pd.isna(row.source) else f"{name}, from {row.source}"


def _estimate(row: Any) -> str:
    """Such as "0.50 0.15–0.85 n=4"; non-breaking, so that a table cell stays whole."""
    interval = "" if pd.isna(row.low) else f" {row.low:.3g}–{row.high:.3g}"
    return f"{row.value:.3g}{interval} n={row.n}".replace(" ", "\N{NO-BREAK SPACE}")


def step_table(costs: pd.DataFrame) -> Table:
    """Costs as of `benchside.statistics.step_costs`: a row for each policy and step."""
    table = Table(title="Means per episode", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("policy", overflow="fold")
    table.add_column("step")
    measures = list(costs.columns[2:])
    for name in measures:
        table.add_column(name, justify="right")
    for policy, part in costs.groupby("policy", sort=False):
        for row in part.itertuples(index=False):
            shown = [
                "–" if pd.isna(getattr(row, name)) else f"{getattr(row, name):.4g}"
                for name in measures
            ]
            table.add_row(Text(str(policy)), Text(str(row.step)), *shown)
        table.add_section()
    return table


def comparison_line(found: Comparison) -> str:
    """One paired comparison as a sentence."""
    gap = found.difference
    mcnemar = "" if found.mcnemar_p is None else f", McNemar p={found.mcnemar_p:.2g}"
    return (
        f"{found.first} against {found.second}: {gap.value:+.3f} "
        f"({gap.low:+.3f} to {gap.high:+.3f}) on {gap.n} tasks in {gap.clusters} clusters; "
        f"better on {found.only_first}, worse on {found.only_second}; "
        f"permutation p={found.permutation_p:.2g}{mcnemar}"
    )


def cost_lines(costs: pd.DataFrame) -> Table:
    """Costs as of `benchside.statistics.costs`: policies (rows); what is not known is a dash."""
    table = Table(
        title="Cost of finished episodes", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("policy", overflow="fold", min_width=16)
    for column in costs.columns[1:]:
        table.add_column(column.replace("_", " ").replace("usd", "$"), justify="right")
    for row in costs.itertuples(index=False):
        table.add_row(Text(str(row[0])), *map(show_cost, row[1:]))
    return table


def show_cost(value: Any) -> str:
    """One count or amount of dollars as text."""
    if pd.isna(value):
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}"
