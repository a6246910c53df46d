"""The transcript: an episode as one ordinary notebook, and back without loss.

nbformat 4.5. A markdown cell with the task, the set-up cell, then for each turn a markdown cell
(thought) and a code cell (action) with its outputs, and a last markdown cell with the grade. What a
notebook has no place for stands in the metadata under `benchside`. Cells that raised are tagged
`raises-exception` and cells that were stopped `skip-execution`, as nbclient knows them, so that the
notebook runs from top to bottom in any kernel with Benchside installed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import indent
from typing import Any

import nbformat
from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_notebook
from pydantic import JsonValue, ValidationError

from benchside.episode import Episode
from benchside.errors import StoreError
from benchside.manifests import invalid
from benchside.policy import Action, Message, Turn
from benchside.task import Frozen
from benchside.token_file import read_tokens, tokens_path, write_tokens
from benchside_kernels.cell import CellResult, CellStatus, Submission

SCHEMA = 1
NOT_COMPARABLE = (
    "Feedback: oracle. Each answer was graded at once and a wrong one could be tried again; this "
    "is not comparable with answers that are graded once."
)


class CellRecord(Frozen):
    """A `CellResult` without its source and outputs, which stand in the cell itself."""

    cell_id: str
    status: CellStatus
    duration_s: float
    cpu_s: float | None
    peak_mib: float | None
    output_chars: int | None = None  # transcripts of before have none
    dropped_chars: int
    state_survived: bool
    note: str
    submission: tuple[JsonValue] | None


class TurnRecord(Frozen):
    """One turn's metadata."""

    action: Action
    result: CellRecord | None
    observations: tuple[Message, ...]


def to_notebook(episode: Episode) -> NotebookNode:
    """Return the notebook of an episode."""
    cells = [
        _markdown("task", _task_text(episode), _tagged("task")),
        _code("setup", episode.setup_source, 1, _tagged("setup")),
    ]
    executed = 1
    for number, turn in enumerate(episode.turns, start=1):
        executed += turn.result is not None
        cells += _turn_cells(number, turn, executed)
    cells.append(_markdown("grade", _grade_text(episode), _tagged("grade")))
    header = episode.model_dump(mode="json", exclude={"turns", "setup_source"})
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python", "file_extension": ".py"},
        "benchside": {"schema": SCHEMA, "episode": header},
    }
    notebook: NotebookNode = new_notebook(cells=cells, metadata=metadata)
    return notebook


def from_notebook(notebook: NotebookNode, where: object = "notebook") -> Episode:
    """Return the episode of a notebook that `to_notebook` made.

    Raises:
        StoreError: not a transcript, of another schema version, or edited beyond reading.
    """
    plain = json.loads(json.dumps(notebook))  # NotebookNode → dict, all the way down
    try:
        described = plain["metadata"]["benchside"]
        schema = described["schema"]
        if schema != SCHEMA:
            raise StoreError(
                "the transcript has a schema version that this Benchside does not know",
                where=f"{where}: metadata.benchside.schema", value=schema,
                fix=f"this version reads schema {SCHEMA}; install the version that wrote it",
            )  # fmt: skip
        turns = tuple(_turns(plain["cells"]))
        setup = next(cell["source"] for cell in plain["cells"] if _kind(cell) == "setup")
        return Episode.model_validate(
            {**described["episode"], "turns": turns, "setup_source": setup}
        )
    except ValidationError as error:
        raise StoreError(*invalid(where, error).args) from None
    except (KeyError, TypeError, StopIteration) as error:
        raise StoreError(
            f"not a transcript of Benchside: {type(error).__name__} {error}", where=where,
            fix="give a notebook that Benchside wrote",
        ) from None  # fmt: skip


def write_transcript(episode: Episode, path: Path) -> str:
    """Write an episode's notebook atomically, whole or not at all; return its sha256.

    Its tokens are written before it, so that a notebook which is there has them.
    """
    text = nbformat.writes(to_notebook(episode), version=nbformat.NO_CONVERT)
    write_tokens([turn.action.tokens for turn in episode.turns], tokens_path(path))
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=".writing-", suffix=".ipynb", delete=False
    ) as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    return hashlib.sha256(text.encode()).hexdigest()


def read_transcript(path: Path) -> Episode:
    """Read an episode back from its notebook; `StoreError` says what is wrong with the file."""
    try:
        notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    except FileNotFoundError:
        raise StoreError("there is no such transcript", where=path, fix="check the path") from None
    except (OSError, ValueError, AttributeError, nbformat.ValidationError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise StoreError(
            f"not a readable notebook: {first}", where=path, fix="restore the file, or run again"
        ) from None
    episode = from_notebook(notebook, path)
    tokens = read_tokens(tokens_path(path), len(episode.turns))
    if tokens is None:
        return episode
    turns = (
        replace(turn, action=turn.action.model_copy(update={"tokens": found}))
        for turn, found in zip(episode.turns, tokens, strict=True)
    )
    return episode.model_copy(update={"turns": tuple(turns)})


def turn_record(turn: Turn) -> TurnRecord:
    """Return a turn's metadata, without tokens: they have a file of their own."""
    result = None if turn.result is None else _record(turn.result)
    action = turn.action.model_copy(update={"tokens": None})
    return TurnRecord(action=action, observations=turn.observations, result=result)


def _turn_cells(number: int, turn: Turn, execution_count: int) -> list[NotebookNode]:
    action, result = turn.action, turn.result
    record = turn_record(turn)
    metadata = {**_tagged("turn"), "turn": record.model_dump(mode="json", exclude_defaults=True)}
    text = action.thought or action.problem or ""
    if action.asks is not None:
        told = "\n".join(message.content or "" for message in turn.observations[:1])
        asked = indent(f"{action.asks}\n\n{told}", " " * 4)
        text = f"{text}\n\n`{action.asks.tool}`\n\n{asked}".lstrip()
    if result is None:
        return [_markdown(f"turn-{number:03d}", text, metadata)]
    tags: dict[str, list[str]] = {
        "error": ["raises-exception"],
        "timeout": ["skip-execution"],
        "dead": ["skip-execution"],
    }
    kind = "action" if result.submission is None else "draft" if action.draft else "submission"
    if kind == "draft":  # what it left behind was gone, and `submit` works once in a kernel
        tags[result.status] = ["skip-execution"]
    described = {
        "benchside": {"kind": kind, "turn": metadata["turn"]},
        **({"tags": tags[result.status]} if result.status in tags else {}),
    }
    code = _code(result.cell_id, result.source, execution_count, described, result.outputs)
    if not text:
        return [code]
    return [_markdown(f"turn-{number:03d}", text, _tagged("thought")), code]


def _markdown(cell_id: str, text: str, metadata: dict[str, Any]) -> NotebookNode:
    flat = {"benchside": {**metadata.pop("benchside"), **metadata}}
    cell: NotebookNode = nbformat.from_dict(
        {"id": cell_id, "cell_type": "markdown", "source": text, "metadata": flat}
    )
    return cell


def _code(
    cell_id: str,
    source: str,
    execution_count: int,
    metadata: dict[str, Any],
    outputs: Sequence[dict[str, Any]] = (),
) -> NotebookNode:
    """A code cell; the notebook is checked as a whole, which costs much less than each cell."""
    cell: NotebookNode = nbformat.from_dict(
        {
            "id": cell_id, "cell_type": "code", "source": source, "metadata": metadata,
            "execution_count": execution_count, "outputs": list(outputs),
        }
    )  # fmt: skip
    return cell


def _tagged(kind: str) -> dict[str, Any]:
    return {"benchside": {"kind": kind}}


def _kind(cell: dict[str, Any]) -> str | None:
    kind: str | None = cell["metadata"].get("benchside", {}).get("kind")
    return kind


def _record(result: CellResult) -> CellRecord:
    submission = None if result.submission is None else (result.submission.value,)
    return CellRecord(
        cell_id=result.cell_id, status=result.status, duration_s=result.duration_s,
        cpu_s=result.cpu_s, peak_mib=result.peak_mib, output_chars=result.output_chars,
        dropped_chars=result.dropped_chars, state_survived=result.state_survived,
        note=result.note, submission=submission,
    )  # fmt: skip


def _turns(cells: list[dict[str, Any]]) -> list[Turn]:
    turns = []
    for cell in cells:
        described = cell["metadata"].get("benchside", {}).get("turn")
        if described is None:
            continue
        record = TurnRecord.model_validate(described)
        result = None if record.result is None else _result(record.result, cell)
        turns.append(Turn(record.action, result, record.observations))
    return turns


def _result(record: CellRecord, cell: dict[str, Any]) -> CellResult:
    fields = {name: getattr(record, name) for name in CellRecord.model_fields}
    submission = None if record.submission is None else Submission(record.submission[0])
    outputs = tuple(cell["outputs"])
    return CellResult(
        **{**fields, "source": cell["source"], "outputs": outputs, "submission": submission}
    )


def _task_text(episode: Episode) -> str:
    task = episode.task
    answer = f"\n\n*Answer:* {task.answer.description}" if task.answer.description else ""
    if episode.feedback == "oracle":
        answer += f"\n\n**{NOT_COMPARABLE}**"
    return f"# {task.suite} · {task.category}\n\n`{task.task_id}`\n\n{task.prompt}{answer}"


def _grade_text(episode: Episode) -> str:
    lines = [f"## {episode.outcome}", "", f"Ended by: {episode.end_reason}"]
    if episode.grade is not None:
        grade = episode.grade
        lines += ["", f"**Reward {grade.reward:g}** ({grade.grader})", "", grade.evidence]
    if episode.failure is not None:
        lines += ["", f"{episode.failure.kind}: {episode.failure.message}"]
    return "\n".join(lines)
