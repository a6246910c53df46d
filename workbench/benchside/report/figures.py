"""A run's figures as SVG, each with its numbers in a table beside it (see `summary`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import get_args

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from benchside.episode import Outcome
from benchside.report.drawing import (
    COLOURS,
    LINES,
    MARKERS,
    figure_of,
    grid,
    height_of,
    legend,
    shared_legend,
    svg,
)
from benchside.statistics.rates import Rate, rates_by
from benchside.store import EpisodeRow

OUTCOME_COLOURS: dict[Outcome, str] = {
    "solved": "#009E73",
    "wrong": "#D55E00",
    "truncated": "#E69F00",
    "policy_error": "#CC79A7",
    "infrastructure_error": "#999999",
    "grader_error": "#56B4E9",
}


ACTION_COLOURS = {
    "cell": "#009E73",
    "submission": "#0072B2",
    "cell with an error": "#D55E00",
    "cell stopped or dead": "#E69F00",
    "question to the host": "#56B4E9",
    "no action": "#999999",
}


def success_figure(rates: Mapping[tuple[str, str], Rate]) -> str:
    """Draw success by (suite, policy): points with 95% intervals, one row for each suite."""
    suites = sorted({suite for suite, _ in rates}, reverse=True)
    policies = sorted({policy for _, policy in rates})
    figure = figure_of(0.9 + len(suites) * (0.25 + 0.13 * len(policies)))
    axes = figure.subplots()
    for place, (policy, colour, marker) in enumerate(zip(policies, cycle(COLOURS), cycle(MARKERS))):
        shift = 0.7 * ((place + 0.5) / len(policies) - 0.5)
        found = [(y, rates.get((suite, policy))) for y, suite in enumerate(suites)]
        drawn = [(y - shift, rate) for y, rate in found if rate is not None and rate.n]
        axes.errorbar(
            [100 * rate.successes / rate.n for _, rate in drawn],
            [y for y, _ in drawn],
            xerr=np.array(
                [
                    (100 * (rate.successes / rate.n - rate.low),
                     100 * (rate.high - rate.successes / rate.n))
                    for _, rate in drawn
                ]
            ).reshape(-1, 2).T.clip(0),
            fmt=marker, color=colour, label=policy, capsize=2, markersize=5,
        )  # fmt: skip
    axes.set_yticks(range(len(suites)), suites)
    axes.set_ylim(-0.5, len(suites) - 0.5)
    axes.set_xlim(-2, 102)
    axes.set_xlabel("solved, %, with 95% interval")
    axes.grid(axis="x", alpha=0.3)
    legend(axes, len(policies))
    return svg(figure)


def outcome_figure(rows: Sequence[EpisodeRow]) -> str:
    """Draw the share of each outcome by policy, as stacked bars."""
    policies = sorted({row.policy for row in rows}, reverse=True)
    counts = Counter((row.policy, row.outcome) for row in rows)
    totals = Counter(row.policy for row in rows)
    figure = figure_of(1.1 + 0.32 * len(policies))
    axes = figure.subplots()
    left = np.zeros(len(policies))
    for outcome in get_args(Outcome):
        share = np.array([100 * counts[policy, outcome] / totals[policy] for policy in policies])
        if share.any():
            axes.barh(policies, share, left=left, color=OUTCOME_COLOURS[outcome], label=outcome)
            left += share
    axes.set_xlim(0, 100)
    axes.set_xlabel("episodes, %")
    legend(axes, 6)
    return svg(figure)


def conduct_figure(rows: Sequence[EpisodeRow], actions: Mapping[str, Counter[str]]) -> str:
    """Draw how turns ended by policy, as stacked bars, and how many turns episodes took."""
    policies = sorted({row.policy for row in rows}, reverse=True)
    figure = figure_of(1.6 + 0.32 * len(policies))
    left, right = figure.subplots(1, 2)
    start = np.zeros(len(policies))
    for kind, colour in ACTION_COLOURS.items():
        totals = [actions.get(policy, Counter()) for policy in policies]
        share = np.array([100 * count[kind] / max(count.total(), 1) for count in totals])
        if share.any():
            left.barh(policies, share, left=start, color=colour, label=kind)
            start += share
    left.set_xlim(0, 100)
    left.set_xlabel("turns, %")
    turns = [[row.turns for row in rows if row.policy == policy] for policy in policies]
    low, middle, high = np.array([np.percentile(one, (5, 50, 95)) for one in turns]).T
    right.errorbar(middle, policies, xerr=(middle - low, high - middle), fmt="o", color=COLOURS[0],
                   capsize=3)  # fmt: skip
    right.tick_params(labelleft=False)
    right.set_ylim(left.get_ylim())
    right.set_xlim(0, max(high) + 1)
    right.set_xlabel("turns of an episode: median, 5 to 95%")
    right.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    right.grid(axis="x", alpha=0.3)
    shared_legend(figure, [left])
    return svg(figure)


def frontier_figure(rows: Sequence[EpisodeRow], rates: Mapping[str, Rate]) -> str:
    """Draw success by policy against what an episode takes: seconds, and dollars or tokens.

    A line joins the policies that no other one beats in both.
    """
    costs: dict[str, dict[str, float]] = {"mean time of an episode, s": {}}
    dollars = any(row.cost_usd for row in rows)
    paid = "mean cost of an episode, $" if dollars else "mean tokens of an episode"
    for policy in rates:
        mine = [row for row in rows if row.policy == policy]
        times = [row.duration_s for row in mine]
        costs["mean time of an episode, s"][policy] = float(np.mean(times))
        spent = [_dollars(row) if dollars else _tokens(row) for row in mine]
        known = [one for one in spent if one is not None]
        if known:
            costs.setdefault(paid, {})[policy] = float(np.mean(known))
    figure = figure_of(3.6)
    panels = list(figure.subplots(1, len(costs), squeeze=False, sharey=True).flat)
    for panel, (title, by_policy) in zip(panels, costs.items(), strict=True):
        _frontier(panel, by_policy, rates, title)
    panels[0].set_ylabel("solved, %")
    panels[0].set_ylim(-5, 105)
    shared_legend(figure, panels)
    return svg(figure)


def _dollars(row: EpisodeRow) -> float | None:
    return row.cost_usd


def _tokens(row: EpisodeRow) -> float | None:
    return None if row.input_tokens is None else row.input_tokens + (row.output_tokens or 0)


def _frontier(
    panel: Axes, costs: Mapping[str, float], rates: Mapping[str, Rate], title: str
) -> None:
    best, line = -1.0, []
    for (policy, rate), colour, marker in zip(rates.items(), cycle(COLOURS), cycle(MARKERS)):
        if rate.value is not None and policy in costs:
            panel.scatter(costs[policy], 100 * rate.value, s=50, color=colour, marker=marker,
                          label=policy, zorder=3)  # fmt: skip
    for policy in sorted(costs, key=lambda name: (costs[name], -(rates[name].value or 0.0))):
        value = rates[policy].value
        if value is not None and value > best:
            best = value
            line.append((costs[policy], 100 * value))
    panel.plot([x for x, _ in line], [y for _, y in line], color="#999999", linewidth=1)
    low, high = min(costs.values()), max(costs.values())
    if low > 0 and high > 10 * low:
        panel.set_xscale("log")
    panel.set_xlabel(title)
    panel.grid(alpha=0.3)


def attempts_figure(scored: pd.DataFrame) -> str:
    """Draw pass@k, majority@k, best@k and weighted@k over k, one panel for each suite.

    Args:
        scored: as `benchside.statistics.scores.scores` gives them, of a run with several samples.
    """
    suites = sorted(scored["suite"].unique())
    policies = sorted(scored["policy"].unique())
    figure = figure_of(height_of(len(suites), 2.4))
    panels = grid(figure, len(suites), sharey=True)
    for panel, suite in zip(panels, suites, strict=True):
        for (policy, measure), points in scored[scored["suite"] == suite].groupby(
            ["policy", "measure"]
        ):
            if measure not in LINES:
                continue
            ordered = points.sort_values("k")
            ks, low, high = (ordered[name].astype(float) for name in ("k", "low", "high"))
            colour = COLOURS[policies.index(policy) % len(COLOURS)]
            label = f"{policy}, {measure}"
            panel.plot(ks, 100 * ordered["value"], LINES[measure], color=colour, label=label)
            panel.fill_between(ks, 100 * low, 100 * high, color=colour, alpha=0.12, linewidth=0)
        panel.set_title(suite, fontsize=9)
        panel.set_xlabel("samples k")
        panel.set_ylim(-3, 103)
        panel.grid(alpha=0.3)
        panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    panels[0].set_ylabel("tasks, %")
    shared_legend(figure, panels)
    return svg(figure)


def heat_map(rows: Sequence[EpisodeRow]) -> str:
    """Draw success of tasks (columns, by suite and category) by policy; grey: not scored."""
    policies = sorted({row.policy for row in rows})
    tasks = sorted({(row.suite, row.category, row.task_id) for row in rows})
    places = {(suite, task): place for place, (suite, _, task) in enumerate(tasks)}
    by_task = rates_by(rows, lambda row: (row.policy, row.suite, row.task_id))
    values = np.full((len(policies), len(tasks)), np.nan)
    for (policy, suite, task), rate in by_task.items():
        if rate.value is not None:
            values[policies.index(policy), places[suite, task]] = rate.value
    figure = figure_of(1.2 + 0.32 * len(policies))
    axes = figure.subplots()
    axes.set_facecolor("#cccccc")
    axes.imshow(values, aspect="auto", vmin=0, vmax=1, cmap="cividis", interpolation="nearest")
    axes.set_yticks(range(len(policies)), policies)
    suites = [suite for suite, _, _ in tasks]
    starts = [suites.index(suite) for suite in dict.fromkeys(suites)]
    for start in starts[1:]:
        axes.axvline(start - 0.5, color="white", linewidth=1)
    axes.set_xticks(starts, [suites[start] for start in starts], rotation=30, ha="left", fontsize=8)
    axes.xaxis.tick_top()
    axes.set_xlabel(f"{len(tasks):,} tasks by suite and category; yellow: solved, blue: not")
    return svg(figure)
