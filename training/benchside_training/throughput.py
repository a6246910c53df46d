"""How fast trainings were, and how much of their accelerator they used.

    python -m benchside_training.throughput 'runs/nano/**'

A table with one row for each training. Tokens and utilisation are those of the steps' training,
without the episodes that reinforcement learning plays; steps that trained on nothing are left out.
Episodes are counted over whole steps, but for those in which held-out tasks were played, too. The
model's utilisation (MFU) counts 6 operations a parameter of its layers and input token, 4 where
adapters alone are trained; as many for the head, but for tokens that are trained on; none for
attention, nor for layers that are passed twice to save memory.

Source: A. Chowdhery et al., PaLM (2022), appendix B.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from transformers import AutoConfig

from benchside.curves import load_curves
from benchside.errors import BenchsideError
from benchside_training.accelerator import peak_tflops
from benchside_training.memory_plan import parameter_count

OPERATIONS, OPERATIONS_OF_ADAPTERS = 6, 4  # a parameter and token


def throughput(pattern: str) -> pd.DataFrame:
    """Return how fast the trainings were that lie in a folder, or in all that a pattern matches.

    Returns:
        a row for each, with `training`, `device`, `parameters`, `steps`; medians over its steps,
        the first one left out if there are others: `step_s`, `tokens_s` (trained on),
        `input_tokens_s` (context included), `mfu` from 0 to 1, `episodes_s`; and `peak_gib`, the
        most of all steps. NaN is not measured.

    Raises:
        StoreError: there is no training.
    """
    metrics = load_curves(pattern).metrics
    return pd.DataFrame(
        [_of(Path(str(run)), steps) for run, steps in metrics.groupby("run", sort=False)]
    )


def _of(run: Path, steps: pd.DataFrame) -> dict[str, object]:
    record = _record(run)
    config = record.get("asked", {}).get("config", {})
    device = str(record.get("device", ""))
    layers, head, parameters = _parameters(run, config.get("model"))
    later = steps.iloc[1:] if len(steps) > 1 else steps  # the first one warms up
    played = later[later["success"].isna()]
    trained = later[later["tokens"] > 0]
    seconds = trained["training_seconds"].fillna(trained["seconds"])
    each = OPERATIONS_OF_ADAPTERS if config.get("lora") else OPERATIONS
    done = each * (layers * trained["input_tokens"] + head * trained["tokens"])
    peak = peak_tflops(device) or float("nan")
    return {
        "training": str(run), "device": device, "parameters": parameters, "steps": len(steps),
        "step_s": _median(later["seconds"]),
        "tokens_s": _median(trained["tokens"] / seconds),
        "input_tokens_s": _median(trained["input_tokens"] / seconds),
        "mfu": _median(done / seconds) / (peak * 1e12),
        "episodes_s": _median(played["episodes"] / played["seconds"]),
        "peak_gib": steps["peak_gib"].max(),
    }  # fmt: skip


def _median(values: pd.Series) -> float:
    return float(values.dropna().median())


def _record(run: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((run / "training.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return found


def _parameters(run: Path, started_from: str | None) -> tuple[float, float, float]:
    """Parameters of the layers, of the head, and in all, embeddings included.

    Of the result, or of what it was started from; NaN where neither is there.
    """
    for model in filter(None, (str(run / "model"), started_from)):
        try:
            config = AutoConfig.from_pretrained(model, local_files_only=True)
        except (OSError, ValueError):
            continue
        text = config.get_text_config()
        head, parameters = text.vocab_size * text.hidden_size, parameter_count(config)
        return parameters - (1 if text.tie_word_embeddings else 2) * head, head, parameters
    return float("nan"), float("nan"), float("nan")


def show(found: pd.DataFrame, console: Console) -> None:
    """Print the table."""
    table = Table(
        "training", "device", "parameters", "steps", "s a step", "tokens/s", "input tokens/s",
        "MFU", "episodes/s", "peak GiB",
    )  # fmt: skip
    forms = ["", "", ",.0f", "d", ".2f", ",.0f", ",.0f", ".1%", ".2f", ".1f"]
    for row in found.itertuples(index=False):
        told = zip(row, forms, strict=True)
        table.add_row(*("-" if pd.isna(one) else f"{one:{form}}" for one, form in told))
    console.print(table)


def main() -> None:
    """Print the table for the folder or pattern that the command line names."""
    if len(sys.argv) != 2:
        print("usage: python -m benchside_training.throughput FOLDER", file=sys.stderr)
        raise SystemExit(2)
    try:
        show(throughput(sys.argv[1]), Console(width=None if sys.stdout.isatty() else 160))
    except BenchsideError as error:
        print(f"benchside_training.throughput: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
