"""Turns and cells of many transcripts as tables, read as far as the notebooks are sound.

Notebooks are read as plain JSON: to validate each against nbformat's schema would take most of the
time, and a notebook that somebody has edited is to be read as well.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from benchside.defect import Defect, DefectKind
from benchside.transcript import SCHEMA, TurnRecord
from benchside_kernels.output import joined

TURN_TYPES = {
    "run": "object", "episode_id": "object", "turn": "int64", "cell_id": "object",
    "thought": "object", "reasoning": "object", "problem": "object", "input_tokens": "Int64",
    "output_tokens": "Int64", "requests": "Int64", "latency_s": "float64", "cost_usd": "float64",
    "compacted": "int64",
}  # fmt: skip
CALL_TYPES = {
    "run": "object", "episode_id": "object", "turn": "int64", "step": "object", "reply": "object",
    "input_tokens": "Int64", "output_tokens": "Int64", "requests": "Int64",
    "latency_s": "float64", "cost_usd": "float64",
}  # fmt: skip
CELL_TYPES = {
    "run": "object", "episode_id": "object", "turn": "int64", "cell_id": "object",
    "source": "object", "status": "object", "error": "object", "error_text": "object",
    "text": "object", "images": "int64", "duration_s": "float64", "cpu_s": "float64",
    "peak_mib": "float64", "output_chars": "Int64", "dropped_chars": "int64",
    "state_survived": "bool", "note": "object", "submitted": "object",
}  # fmt: skip


@dataclass(slots=True)
class TranscriptTables:
    """Rows of turns, cells and calls, and what was wrong with the notebooks."""

    turns: list[dict[str, object]] = field(default_factory=list)
    cells: list[dict[str, object]] = field(default_factory=list)
    calls: list[dict[str, object]] = field(default_factory=list)
    defects: list[Defect] = field(default_factory=list)

    def frame(self, rows: list[dict[str, object]], types: dict[str, str]) -> pd.DataFrame:
        """Return rows as a DataFrame of these columns and types."""
        return pd.DataFrame(rows, columns=list(types)).astype(types)

    def add_run(self, folder: Path, episodes: pd.DataFrame) -> None:
        """Read the transcripts of a run's episodes."""
        listed = episodes[["episode_id", "transcript", "transcript_sha256", "outcome"]]
        for episode_id, name, sha256, outcome in listed.itertuples(index=False, name=None):
            path = Path(name)
            notebook = self._read(path, sha256, episode_id, outcome)
            if notebook is not None:
                self._add(str(folder), episode_id, path, notebook)
        known = set(episodes["episode_id"])
        for path in sorted((folder / "episodes").glob("[!.]*.ipynb")):
            running = (folder / "turns" / f"{path.stem}.jsonl").exists()
            if path.stem not in known and not running:
                what = "its episode counts as not finished; --resume runs it again"
                self._defect("transcript without row", path, what)

    def _read(
        self, path: Path, sha256: str | None, episode_id: str, outcome: str
    ) -> dict[str, Any] | None:
        """Return a notebook that has cells; None where it has not."""
        try:
            content = path.read_bytes()
            notebook = json.loads(content)
            described = notebook["metadata"]["benchside"]
            cells = notebook["cells"]
        except FileNotFoundError:
            self._defect("missing transcript", path, "only the episode's row was read")
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            what = f"{type(error).__name__}: {str(error)[:200]}; only the episode's row was read"
            self._defect("unreadable transcript", path, what)
            return None
        if "redacted" in described:  # an export, which has neither turns nor what cells took
            return None
        if described.get("schema") != SCHEMA:
            what = f"schema version {described.get('schema')!r}, known is {SCHEMA}; "
            self._defect("unknown schema", path, f"{what}turns and cells were left out")
            return None
        header = described.get("episode", {})
        same = (header.get("episode_id"), header.get("outcome")) == (episode_id, outcome)
        if not same:
            self._defect("edited transcript", path, "id or outcome differ from the episode's row")
        elif sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
            what = "changed after the episode; its cells were read as they stand now"
            self._defect("edited transcript", path, what)
        return notebook if isinstance(cells, list) else None

    def _add(self, run: str, episode_id: str, path: Path, notebook: dict[str, Any]) -> None:
        turn = 0
        for place, cell in enumerate(notebook["cells"]):
            try:
                described = cell["metadata"].get("benchside", {}).get("turn")
                if described is None:
                    continue  # task, set-up, thought or grade; or a cell that somebody added
                record = TurnRecord.model_validate(described)
                named = {"run": run, "episode_id": episode_id, "turn": turn + 1}
                row = None if record.result is None else {**named, **_cell_row(record, cell)}
            except (ValidationError, KeyError, TypeError, AttributeError) as error:
                first = str(error).splitlines()[0][:200]
                what = f"{type(error).__name__}: {first}; the turn was left out"
                self._defect("unreadable transcript", f"{path}, cell {place}", what)
                continue
            turn += 1
            self.turns.append({**named, **_turn_row(record)})
            self.calls += [
                {**named, "step": call.step, "reply": call.reply, **call.usage.model_dump()}
                for call in record.action.calls
            ]
            if row is not None:
                self.cells.append(row)

    def _defect(self, kind: DefectKind, where: object, what: str) -> None:
        self.defects.append(Defect(kind, str(where), what))


def _turn_row(record: TurnRecord) -> dict[str, object]:
    action = record.action
    return {
        "cell_id": None if record.result is None else record.result.cell_id,
        "thought": action.thought, "reasoning": action.reasoning, "problem": action.problem,
        "compacted": action.compacted, **action.usage.model_dump(),
    }  # fmt: skip


def _cell_row(record: TurnRecord, cell: dict[str, Any]) -> dict[str, object]:
    result, outputs = record.result, cell["outputs"]
    assert result is not None
    errors = [output for output in outputs if output["output_type"] == "error"]
    shown = [output.get("data", {}) for output in outputs]
    final = result.submission is not None and not record.action.draft
    submitted = json.dumps(result.submission[0]) if final and result.submission else None
    return {
        **result.model_dump(exclude={"submission"}),
        "source": joined(cell["source"]),
        "error": errors[-1]["ename"] if errors else None,
        "error_text": errors[-1]["evalue"] if errors else None,
        "text": "\n".join(filter(None, map(_text, outputs))),
        "images": sum(any(kind.startswith("image/") for kind in data) for data in shown),
        "submitted": submitted,
    }


def _text(output: dict[str, Any]) -> str:
    """What an output says as plain text; an error's stands in columns of its own."""
    return joined(output.get("text") or output.get("data", {}).get("text/plain", ""))
