"""The closing table of the nano pipeline: each method on each part, and what it gained."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from benchside.statistics.estimate import Estimate, clustered_mean
from benchside_training.nano.episodes import success
from benchside_training.nano.pipeline import MEASURED, METHODS

BEFORE = {"sft": "base", "dpo": "sft", "ppo": "sft", "grpo": "sft"}


def gain(played: pd.DataFrame, method: str, part: str) -> Estimate:
    """Return how much a method gained on the one before it, task by task, over all seeds."""
    rates = [
        played[(played["method"] == name) & (played["part"] == part)]
        .assign(solved=lambda rows: (rows["outcome"] == "solved").astype(float))
        .groupby(["group", "task_id"])["solved"]
        .mean()
        for name in (method, BEFORE[method])
    ]
    both = (rates[0] - rates[1]).dropna()
    groups = [str(key[0]) for key in both.index]
    tasks = [str(key[1]) for key in both.index]
    return clustered_mean(both.tolist(), groups, tasks, bounds=(-1.0, 1.0))


def write_results(played: pd.DataFrame, out: Path, console: Console) -> None:
    """Print the table, and write `results.json` and `results.md`."""
    titles = ["method", *(part.replace("-", " ") for part in MEASURED), "gain, held out"]
    rows = []
    found: dict[str, dict[str, object]] = {}
    for method in METHODS:
        own = played[played["method"] == method]
        cells = {part: success(own[own["part"] == part]) for part in MEASURED}
        gained = gain(played, method, "held-out") if method in BEFORE else None
        rows.append(
            [
                method,
                *(f"{percent(one)} n={one.n}" for one in cells.values()),
                "" if gained is None else f"{percent(gained, sign='+')} on {BEFORE[method]}",
            ]
        )
        found[method] = {part: asdict(one) for part, one in cells.items()}
        found[method]["gain"] = None if gained is None else asdict(gained)
    table = Table(*titles)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    (out / "results.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    lines = [" | ".join(titles), " | ".join("---" for _ in titles), *map(" | ".join, rows)]
    (out / "results.md").write_text(
        "\n".join(f"| {line} |" for line in lines) + "\n", encoding="utf-8"
    )


def percent(one: Estimate, sign: str = "") -> str:
    """Return a share with its interval, as text."""
    if one.value is None:
        return "-"
    ends = (
        "?"
        if one.low is None or one.high is None
        else f"{one.low:{sign}.1%} to {one.high:{sign}.1%}"
    )
    return f"{one.value:{sign}.1%} ({ends})"
