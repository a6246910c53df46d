"""Terminal tables of suites, tasks and results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table

from benchside.statistics import Rate, rates_by, success_rate
from benchside.store import EpisodeRow


def result_table(rows: Sequence[EpisodeRow]) -> Table:
    """Success by suite and category (rows) and policy (columns), with n and 95% interval."""
    policies = list(dict.fromkeys(row.policy for row in rows))
    table = Table(title="Solved, with 95% Wilson interval", title_justify="left")
    table.add_column("suite")
    table.add_column("category")
    for policy in policies:
        table.add_column(policy, justify="right")
    cells = rates_by(rows, lambda row: (row.suite, row.category, row.policy))
    totals = rates_by(rows, lambda row: (row.suite, row.policy))
    for suite in dict.fromkeys(sorted(row.suite for row in rows)):
        categories = sorted({row.category for row in rows if row.suite == suite})
        for category in categories:
            found = (cells.get((suite, category, policy)) for policy in policies)
            table.add_row(suite, category, *(show_rate(rate) for rate in found))
        total = (totals.get((suite, policy)) for policy in policies)
        table.add_row(suite, "all", *(show_rate(rate) for rate in total), style="bold")
        table.add_section()
    return table


def show_rate(rate: Rate | None) -> str:
    """One rate as text, such as "12/16  75% [51, 90]"."""
    if rate is None:
        return "–"
    unscored = f" +{rate.unscored} unscored" if rate.unscored else ""
    if rate.value is None:
        return f"0/0{unscored}"
    share = f"{100 * rate.value:.0f}% [{100 * rate.low:.0f}, {100 * rate.high:.0f}]"
    return f"{rate.successes}/{rate.n}  {share}{unscored}"


def outcome_line(rows: Iterable[EpisodeRow]) -> str:
    """Counts per outcome and policy-independent totals, for the line below a table."""
    rows = list(rows)
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.outcome] = counts.get(row.outcome, 0) + 1
    listed = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    return f"{len(rows)} episodes: {listed}; all policies {show_rate(success_rate(rows))}"
