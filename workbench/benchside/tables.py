"""Terminal tables of suites, tasks and results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from benchside.statistics import Rate, rates_by
from benchside.store import EpisodeRow


def result_table(rows: Sequence[EpisodeRow]) -> Table:
    """Success by suite and category (rows) and policy (columns), with n and 95% interval."""
    policies = list(dict.fromkeys(row.policy for row in rows))
    table = Table(
        title="Solved / n, with 95% Wilson interval in percent", title_justify="left",
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
