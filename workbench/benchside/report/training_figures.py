"""Figures of trainings as SVG: success against steps, data and samples, by method."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from benchside.report.drawing import (
    COLOURS,
    LINES,
    MARKERS,
    figure_of,
    grid,
    height_of,
    shared_legend,
    svg,
)

METRICS_SHOWN = {
    "success": "solved, %", "reward_mean": "mean reward", "loss": "loss",
    "entropy": "entropy, nats per token", "kl": "KL to the stage's start",
}  # fmt: skip


def step_figure(metrics: pd.DataFrame) -> str:
    """Draw what was measured against steps: a line per run and seed, a colour per method.

    Args:
        metrics: as of `benchside.curves.load_curves`.
    """
    shown = [name for name in METRICS_SHOWN if metrics[name].notna().any()]
    stages = list(dict.fromkeys(metrics["stage"]))
    figure = figure_of(height_of(len(shown), 2.3))
    panels = grid(figure, len(shown))
    for panel, name in zip(panels, shown, strict=True):
        scale = 100 if name == "success" else 1
        for place, stage in enumerate(stages):
            colour = COLOURS[place % len(COLOURS)]
            label: str | None = stage
            for _, line in metrics[metrics["stage"] == stage].groupby(["run", "seed"]):
                drawn = line.dropna(subset=name).sort_values("step")
                panel.plot(drawn["step"], scale * drawn[name], color=colour, label=label,
                           linewidth=1, marker="." if len(drawn) < 30 else "")  # fmt: skip
                label = None  # one entry for all seeds
                if name == "success" and drawn["success_low"].notna().any():
                    panel.fill_between(
                        drawn["step"], 100 * drawn["success_low"], 100 * drawn["success_high"],
                        color=colour, alpha=0.12, linewidth=0,
                    )  # fmt: skip
        panel.set_title(METRICS_SHOWN[name], fontsize=9)
        panel.set_xlabel("step")
        panel.grid(alpha=0.3)
        if name == "success":
            panel.set_ylim(-3, 103)
    shared_legend(figure, panels)
    return svg(figure)


def data_figure(evaluations: pd.DataFrame) -> str:
    """Draw success of one sample against the share of the training data, by method."""
    single = evaluations[evaluations["k"] == 1]
    return _against(single, "train_fraction", "training data, %", 100.0, ["stage"])


def samples_figure(evaluations: pd.DataFrame) -> str:
    """Draw measures of k samples against k, by method, of policies trained on all their data."""
    whole = evaluations[evaluations["train_fraction"] == 1]
    return _against(whole, "k", "samples k", 1.0, ["stage", "measure"])


def _against(rows: pd.DataFrame, x: str, title: str, scale: float, lines: Sequence[str]) -> str:
    """Draw success against a column: a panel per suite and split, the mean of seeds as a line.

    What was measured at one value of the column only has no panel.
    The bars are the 95% intervals of the single measurements, so that several seeds give several.
    """
    parts = [
        (named, part) for named, part in rows.groupby(["suite", "split"]) if part[x].nunique() > 1
    ]
    figure = figure_of(height_of(len(parts), 2.6))
    panels = grid(figure, len(parts), sharey=True)
    stages = list(dict.fromkeys(rows["stage"]))
    for panel, ((suite, split), part) in zip(panels, parts, strict=True):
        for key, points in part.groupby(list(lines), sort=False):
            names = [str(name) for name in key]
            place = stages.index(names[0])
            mark = LINES[names[1]] if len(names) > 1 else f"{MARKERS[place % len(MARKERS)]}-"
            _line(panel, points, x, scale, COLOURS[place % len(COLOURS)], mark, ", ".join(names))
        panel.set_title(f"{suite}, {split}", fontsize=9)
        panel.set_xlabel(title)
        panel.set_ylim(-3, 103)
        panel.grid(alpha=0.3)
        panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    for panel in panels[:1]:
        panel.set_ylabel("solved, %")
    shared_legend(figure, panels)
    return svg(figure)


def _line(
    panel: Axes, points: pd.DataFrame, x: str, scale: float, colour: str, mark: str, label: str
) -> None:
    mean = points.groupby(x)["success"].mean()
    panel.plot(scale * mean.index, 100 * mean, mark, color=colour, label=label, markersize=5)
    known = points.dropna(subset=["low", "high"])
    bars = [100 * (known["success"] - known["low"]), 100 * (known["high"] - known["success"])]
    panel.errorbar(
        scale * known[x], 100 * known["success"],
        yerr=[bar.clip(lower=0).to_numpy() for bar in bars],
        fmt=".", color=colour, alpha=0.5, capsize=2,
    )  # fmt: skip
