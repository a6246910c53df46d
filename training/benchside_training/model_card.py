"""The card of a trained model: what it is, from what it was made, and how to make it again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import JsonValue

from benchside_training.training_folder import TrainingFolder


def write_model_card(folder: Path, training: TrainingFolder, summary: dict[str, JsonValue]) -> None:
    """Write `README.md` beside a model's weights.

    Args:
        folder: of the weights.
        summary: what is to be said of data and result, by heading.
    """
    record = json.loads((training.path / "training.json").read_text(encoding="utf-8"))
    hashes: dict[str, JsonValue] = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.glob("*.safetensors"))
    }
    method = record["asked"]["config"]["stage"]
    lines = [f"# Model trained with Benchside ({method})", ""]
    for heading, content in summary.items():
        lines += [f"## {heading}", "", *_told(content), ""]
    lines += ["## Weights", "", *_told(hashes), "", "## Made with", ""]
    lines += ["```json", json.dumps(record, indent=1), "```", ""]
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8")


def _told(content: JsonValue) -> list[str]:
    if isinstance(content, dict):
        return [f"- {name}: {value}" for name, value in content.items()]
    return [str(content)]
