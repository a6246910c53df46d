"""What all figures share: their size, colours that all people can tell apart, and how they end."""

from __future__ import annotations

import io

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH_IN = 8.0
# Okabe and Ito's colours, which people with a colour vision deficiency can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"
LINES = {"pass@k": "o-", "best@k": "s--", "majority@k": "^:", "weighted@k": "D-."}
PANELS_ABREAST = 3


def figure_of(height_in: float) -> Figure:
    """Return an empty figure of the usual width."""
    return Figure(figsize=(WIDTH_IN, height_in), layout="constrained")


def grid(figure: Figure, count: int, *, sharey: bool = False) -> list[Axes]:
    """Return `count` panels, a few abreast."""
    columns = max(min(count, PANELS_ABREAST), 1)
    rows = max(-(-count // columns), 1)
    panels = list(figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=sharey).flat)
    for panel in panels[count:]:
        panel.set_visible(False)
    for panel in panels[max(count - columns, 0) : count]:  # also above a place that is empty
        panel.xaxis.set_tick_params(labelbottom=True)
    return panels[:count]


def height_of(count: int, panel_in: float) -> float:
    """Return the height of a figure of `count` panels and one legend."""
    return 0.7 + panel_in * max(-(-count // PANELS_ABREAST), 1)


def legend(axes: Axes, entries: int) -> None:
    """Put the legend above a single panel."""
    axes.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=min(entries, 4), frameon=False,
        fontsize=8,
    )  # fmt: skip


def shared_legend(figure: Figure, panels: list[Axes]) -> None:
    """Put one legend above all panels; each label stands in it once."""
    entries = {
        label: handle
        for panel in panels
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        entries.values(), entries.keys(), loc="outside upper center", ncols=3, frameon=False,
        fontsize=8,
    )  # fmt: skip


def svg(figure: Figure) -> str:
    """Return the bare `<svg>` element, the same for the same figure."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "benchside"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
