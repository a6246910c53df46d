"""The index of a run: what stands above the list of episodes, and the list itself."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from benchside.failures.finding import KINDS
from benchside.report import figures
from benchside.report.output import code_style
from benchside.report.page import template
from benchside.report.related import Related
from benchside.statistics.costs import SUMS, costs
from benchside.statistics.rates import Rate, rates_by
from benchside.store import EpisodeRow, RunConfig
from benchside.tables import show_cost, show_rate

MAX_PROMPT_CHARS = 300
ASSETS = ("style.css", "index.js", "compare.html")
COLUMNS = (
    "episode_id", "suite", "category", "task_id", "policy", "sample", "outcome", "reward",
    "turns", "duration_s", "tokens", "end_reason", "error", "prompt", "finding",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ShownFigure:
    """A figure with the sentence that stands for it where it is not seen."""

    title: str
    text: str
    svg: Markup


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a run that is done is shown with.

    Args:
        scored: as `benchside.statistics.scores` gives them.
        actions: how turns ended by policy, counted; see `figures.ACTION_COLOURS`.
    """

    scored: pd.DataFrame
    actions: Mapping[str, Counter[str]]


def index_page(
    name: str,
    config: RunConfig,
    rows: Sequence[EpisodeRow],
    known: Related,
    analysis: Analysis | None = None,
) -> str:
    """Return the page that opens first; the list of episodes is in `episodes.js`.

    Args:
        known: what the run folder holds beside the episodes.
        analysis: None for a run that is going on, which has no figures.
    """
    by_suite = rates_by(rows, lambda row: (row.suite, row.policy))
    return template("index.html").render(
        name=name,
        config=config,
        live=analysis is None,
        beside={} if analysis is None else _beside(analysis.scored),
        findings=_findings(rows, known),
        n=len(rows),
        policies=sorted({row.policy for row in rows}),
        suites=sorted({row.suite for row in rows}),
        rates={key: show_rate(rate) for key, rate in by_suite.items()},
        figures=[] if analysis is None else _figures(rows, by_suite, analysis),
        costs=_costs(rows),
        credentialed=any(use.sensitivity == "credentialed" for use in config.suites),
    )


def _costs(rows: Sequence[EpisodeRow]) -> list[list[str]]:
    """The table of costs as text, its header first; empty where no model was asked."""
    columns = ["policy", "outcome", *SUMS, "cost_usd"]
    table = costs(pd.DataFrame([{name: getattr(row, name) for name in columns} for row in rows],
                               columns=columns))  # fmt: skip
    if table.empty:
        return []
    head = [column.replace("_", " ").replace("usd", "$") for column in table.columns]
    return [head, *([str(row[0]), *map(show_cost, row[1:])] for row in table.to_numpy().tolist())]


def episode_list(rows: Sequence[EpisodeRow], prompts: Mapping[str, str], known: Related) -> str:
    """Return the list of episodes as compact JSON.

    Args:
        prompts: the tasks' prompts by task hash; each stands in the list once.

    Returns:
        `columns`, `rows` (arrays in the order of `columns`; `prompt` is a place in `prompts`) and
        `prompts`, cut to 300 characters.
    """
    places = {task: place for place, task in enumerate(prompts)}
    listed = [
        [
            row.episode_id, row.suite, row.category, row.task_id, row.policy, row.sample,
            row.outcome, row.reward, row.turns, round(row.duration_s, 2),
            None if row.input_tokens is None else row.input_tokens + (row.output_tokens or 0),
            row.end_reason, row.error, places.get(row.task_hash),
            sorted({one.kind for one in known.findings.get(row.episode_id, ())}),
        ]
        for row in rows
    ]  # fmt: skip
    cut = [" ".join(text.split())[:MAX_PROMPT_CHARS] for text in prompts.values()]
    content = {"columns": COLUMNS, "rows": listed, "prompts": cut}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def asset(name: str) -> str:
    """Return one of `ASSETS`: files of this room that are the same in all sites."""
    text = (Path(__file__).parent / name).read_text(encoding="utf-8")
    return text + code_style() if name == "style.css" else text


def _beside(scored: pd.DataFrame) -> dict[tuple[str, str], list[str]]:
    """Floor and contamination of each score, in words."""
    shown: dict[tuple[str, str], list[str]] = {}
    beside = scored[scored["measure"].isin(("floor", "contamination"))]
    for row in beside.to_dict("records"):
        origin = "" if pd.isna(row["source"]) else f", from {row['source']}"
        value, low, high = (100 * row[name] for name in ("value", "low", "high"))
        text = f"{row['measure']} {value:.0f}% ({low:.0f}–{high:.0f}), n = {row['n']}{origin}"
        shown.setdefault((row["suite"], row["policy"]), []).append(text)
    return shown


def _findings(rows: Sequence[EpisodeRow], known: Related) -> dict[str, Counter[str]]:
    """How many episodes of each policy show each kind, in the order of the taxonomy."""
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    for row in rows:
        for kind in {one.kind for one in known.findings.get(row.episode_id, ())}:
            counts[kind][row.policy] += 1
    return {kind: by_policy for kind, by_policy in counts.items() if by_policy}


def _figures(
    rows: Sequence[EpisodeRow], by_suite: dict[tuple[str, ...], Rate], analysis: Analysis
) -> list[ShownFigure]:
    scored = analysis.scored
    pairs = {(suite, policy): rate for (suite, policy), rate in by_suite.items()}
    by_policy = rates_by(rows, lambda row: (row.policy,))
    policies = {policy: rate for (policy,), rate in by_policy.items()}
    drawn = [
        ("Success by suite", "the table above has its numbers", figures.success_figure(pairs)),
        ("How episodes ended", "share of each outcome by policy", figures.outcome_figure(rows)),
        (
            "Actions and turns", "how turns ended, and how many turns episodes took, by policy",
            figures.conduct_figure(rows, analysis.actions),
        ),
        (
            "Success, time and cost",
            "success of each policy against mean time and cost of its episodes",
            figures.frontier_figure(rows, policies),
        ),
        (
            "Tasks and policies", "which tasks each policy solves; the list below has them all",
            figures.heat_map(rows),
        ),
    ]  # fmt: skip
    if (scored["k"] > 1).any():
        text = "share of tasks that the best, or most, of k samples solve, by suite and policy"
        drawn.insert(1, ("Several samples", text, figures.attempts_figure(scored)))
    return [ShownFigure(title, text, Markup(svg)) for title, text, svg in drawn]
