"""The closing table of the nano pipeline: each method on each part, and what it gained."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from benchside.statistics.estimate import Estimate, clustered_mean
from benchside.store import write_atomically
from benchside_training.nano.episodes import scored, success
from benchside_training.nano.pipeline import MEASURED, METHODS, Measured

CHOOSES = {
    "best": "the attempt that the verifier scores highest",
    "majority": "the most frequent answer",
    "weighted": "the answer with the highest scores in sum",
}
GAINED = ("held-out", "held-out-greedy")
BEFORE = {"sft": "base", "dpo": "sft", "ppo": "sft", "grpo": "sft"}


def gain(played: pd.DataFrame, method: str, measured: str) -> Estimate:
    """Return how much a method gained on the one before it, task by task, over all seeds.

    The interval is that of tasks, given these trainings: it does not tell how others would differ.
    """
    rates = [
        scored(played[(played["method"] == name) & (played["measured"] == measured)])
        .groupby(["family", "task_hash"])["solved"]
        .mean()
        for name in (method, BEFORE[method])
    ]
    both = (rates[0] - rates[1]).dropna()
    families, tasks = zip(*both.index, strict=True) if len(both) else ((), ())
    return clustered_mean(both.tolist(), families, tasks, bounds=(-1.0, 1.0))


def write_results(measured: Measured, out: Path, console: Console) -> None:
    """Print the tables, and write `results.json` and `results.md`."""
    played = measured.played
    names = [one.name for one in MEASURED]
    rows = [["method", *map(_title, names)]]
    gains = [["gain on the one before", *map(_title, GAINED)]]
    found: dict[str, Any] = {}
    for method in METHODS:
        own = played[played["method"] == method]
        cells = {name: success(own[own["measured"] == name]) for name in names}
        rows.append([method, *(f"{percent(one)} n={one.n}" for one in cells.values())])
        found[method] = {name: asdict(one) for name, one in cells.items()}
        if method in BEFORE:
            gained = {name: gain(played, method, name) for name in GAINED}
            told = [f"{percent(one, sign='+')} n={one.n}" for one in gained.values()]
            gains.append([f"{method} on {BEFORE[method]}", *told])
            found[method]["gain"] = {name: asdict(one) for name, one in gained.items()}
    found["sft on parts of its examples"] = {
        f"{share:g}": asdict(success(own)) for share, own in _by_share(measured.by_data)
    }
    found["verifier"] = asdict(measured.recovery)
    tables = [rows, gains, [["", "held out"], *_further(measured)]]
    for head, *body in tables:
        table = Table(*head)
        for line in body:
            table.add_row(*line)
        console.print(table)
    (out / "results.md").write_text("\n".join(map(_markdown, tables)), encoding="utf-8")
    write_atomically(out / "results.json", json.dumps(found, indent=1).encode())


def _further(measured: Measured) -> list[list[str]]:
    """Success against data and against attempts, with one row for each number."""
    found = measured.recovery
    rows = {
        f"sft on {share:.0%} of its examples": success(own)
        for share, own in _by_share(measured.by_data)
    } | {
        "sft, pass@1": found.pass_1,
        f"sft, pass@{found.k}": found.pass_k,
    }
    for name, choice in found.choices.items():
        rows[f"sft, {name}@{found.k}: {CHOOSES[name]}"] = choice.solved
        rows[f"recovered of pass@{found.k} - pass@1 by {name}@{found.k}"] = choice.recovered
    return [[name, f"{percent(one)} n={one.n}"] for name, one in rows.items()]


def _by_share(by_data: pd.DataFrame) -> list[tuple[float, pd.DataFrame]]:
    shares = sorted(set(by_data["fraction"])) if len(by_data) else []
    return [(share, by_data[by_data["fraction"] == share]) for share in shares]


def _title(name: str) -> str:
    return name.replace("-", " ")


def _markdown(rows: list[list[str]]) -> str:
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


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
