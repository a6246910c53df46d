"""A run's figures as SVG, each with its numbers in a table beside it (see `summary`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import get_args

import numpy as np
import pandas as pd
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


def frontier_figure(rows: Sequence[EpisodeRow], rates: Mapping[str, Rate]) -> str:
    """Draw success by policy against what an episode costs: mean seconds, area by mean tokens."""
    figure = figure_of(3.6)
    axes = figure.subplots()
    times: list[float] = []
    for (policy, rate), colour, marker in zip(rates.items(), cycle(COLOURS), cycle(MARKERS)):
        if not rate.n:
            continue
        mine = [row for row in rows if row.policy == policy]
        tokens = [row.input_tokens + (row.output_tokens or 0) for row in mine if row.input_tokens]
        area = 40 + (0 if not tokens else 4 * float(np.mean(tokens)) ** 0.5)
        times.append(float(np.mean([row.duration_s for row in mine])))
        axes.scatter(
            times[-1], 100 * rate.successes / rate.n,
            s=area, color=colour, marker=marker, label=policy,
        )  # fmt: skip
    if min(times, default=1.0) > 0 and max(times, default=1.0) > 10 * min(times, default=1.0):
        axes.set_xscale("log")
    axes.set_xlabel("mean time of an episode, s (area: mean tokens)")
    axes.set_ylabel("solved, %")
    axes.set_ylim(-5, 105)
    axes.grid(alpha=0.3)
    legend(axes, len(rates))
    return svg(figure)


def attempts_figure(scored: pd.DataFrame) -> str:
    """Draw pass@k, majority@k and best@k over k, one panel for each suite.

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
