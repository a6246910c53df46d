"""Exports a run: as it is where its data are open, else redacted or not at all.

A redacted export is written anew from a list of what may stay, not by deleting from a copy: ids
are replaced by pseudonyms that hold within one export; outputs other than plain text, tracebacks,
thoughts and messages are left out; what stays goes through `Redactor`. `manifest.json` counts what
was taken out and says what that does not cover.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from pydantic import JsonValue

from benchside import __version__
from benchside.episode import Episode
from benchside.errors import InputError, IntegrityError
from benchside.export.identifiers import Identifiers, suite_identifiers
from benchside.export.new_folder import new_folder
from benchside.export.redaction import NOT_COVERED, Redactor
from benchside.library import load_suite
from benchside.policy import Turn
from benchside.store import EpisodeRow, RunConfig, RunFolder
from benchside.task import Frozen
from benchside_kernels.output import joined

LEFT_OUT = (
    "thoughts, reasoning, messages, set-up cells, grades' evidence",
    "outputs other than plain text: images, HTML, widgets; tracebacks",
    "turns of interrupted episodes",
    "ids of episodes, tasks and groups: replaced by pseudonyms",
)
_KEPT = {"suite", "split", "outcome", "end_reason", "grader", "isolation"}
_RENAMED = {"episode_id": "episode", "task_id": "task", "task_hash": "hash", "group": "group"}


class ExportManifest(Frozen):
    """`manifest.json` of an export.

    Args:
        removed: what was taken out, counted by kind; empty for a plain export.
        identifiers: how many distinct ones the data hold; columns: where they stand there.
    """

    benchside: str
    episodes: int
    sensitivity: str
    redacted: bool
    min_cell: int | None
    removed: dict[str, int]
    identifiers: int
    columns: tuple[str, ...]
    left_out: tuple[str, ...]
    not_covered: tuple[str, ...]


def export_run(run: Path, to: Path, home: Path, *, redact: bool, min_cell: int) -> ExportManifest:
    """Write a run to a new folder for sharing.

    Args:
        min_cell: counts from 1 to below this are suppressed in a redacted export.

    Raises:
        InputError: the run used credentialed data and `redact` is not set, or `to` exists.
        DataMissingError: the suites are not prepared, so that their identifiers are not known.
        IntegrityError: an identifier was found in what was about to be exported.
    """
    folder = RunFolder(run)
    config, rows = folder.config(), folder.rows()
    episodes = {episode_id: folder.episode(episode_id) for episode_id in rows}
    credentialed = sorted(
        {use.name for use in config.suites if use.sensitivity == "credentialed"}
        | {one.task.suite for one in episodes.values() if one.task.sensitivity == "credentialed"}
    )
    if credentialed and not redact:
        raise InputError(
            "the run holds credentialed data, which its terms of use forbid to share",
            where=f"{run}: suites", value=", ".join(credentialed),
            fix="export it with --redact, and read docs/sharing.md on what that does not cover",
        )  # fmt: skip
    with new_folder(to) as target:
        (target / "episodes").mkdir()
        sensitivity = "credentialed" if credentialed else "open"
        if redact:
            known = _identifiers(config, home)
            manifest = _redacted(config, rows, episodes, target, known, min_cell, sensitivity)
        else:
            manifest = _plain(folder, rows, target)
        (target / "manifest.json").write_text(manifest.model_dump_json(indent=1))
    return manifest


def _identifiers(config: RunConfig, home: Path) -> Identifiers:
    found = [
        suite_identifiers(load_suite(use.name, home, build=use.build)) for use in config.suites
    ]
    return Identifiers(
        frozenset().union(*(one.values for one in found)),
        tuple(sorted({column for one in found for column in one.columns})),
        frozenset().union(*(one.phrases for one in found)),
        tuple(sorted({length for one in found for length in one.lengths})),
    )


def _plain(folder: RunFolder, rows: Mapping[str, EpisodeRow], target: Path) -> ExportManifest:
    shutil.copyfile(folder.path / "run.json", target / "run.json")
    lines = (row.model_dump_json() + "\n" for row in rows.values())
    (target / "episodes.jsonl").write_text("".join(lines), encoding="utf-8")
    for row in rows.values():
        shutil.copyfile(folder.path / row.transcript, target / row.transcript)
    return ExportManifest(
        benchside=__version__, episodes=len(rows), sensitivity="open", redacted=False,
        min_cell=None, removed={}, identifiers=0, columns=(),
        left_out=("turns of interrupted episodes",), not_covered=(),
    )  # fmt: skip


def _redacted(
    config: RunConfig,
    rows: Mapping[str, EpisodeRow],
    episodes: Mapping[str, Episode],
    target: Path,
    known: Identifiers,
    min_cell: int,
    sensitivity: str,
) -> ExportManifest:
    redactor, names = Redactor(known, min_cell), _Pseudonyms()
    lines = []
    for episode_id, row in rows.items():
        shown = _row(row, redactor, names)
        text = nbformat.writes(_notebook(episodes[episode_id], shown, redactor))
        _check_gone(text, known, shown.episode_id)
        (target / shown.transcript).write_text(text, encoding="utf-8")
        lines.append(shown.model_dump_json() + "\n")
    (target / "episodes.jsonl").write_text("".join(lines), encoding="utf-8")
    policies = {
        redactor.text(name): _texts(options, redactor) for name, options in config.policies.items()
    }
    shared = config.model_copy(update={"policies": policies})
    (target / "run.json").write_text(shared.model_dump_json(indent=1), encoding="utf-8")
    return ExportManifest(
        benchside=__version__, episodes=len(rows), sensitivity=sensitivity, redacted=True,
        min_cell=min_cell, removed=dict(sorted(redactor.counts.items())),
        identifiers=len(known.values), columns=known.columns, left_out=LEFT_OUT,
        not_covered=NOT_COVERED,
    )  # fmt: skip


class _Pseudonyms:
    """Names in letters only, equal for equal ids, made with a secret that no one keeps."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def name(self, kind: str, value: str) -> str:
        digest = hmac.new(self._secret, f"{kind}\n{value}".encode(), hashlib.sha256).hexdigest()
        return f"{kind}-" + "".join(chr(ord("a") + int(digit, 16)) for digit in digest[:16])


def _row(row: EpisodeRow, redactor: Redactor, names: _Pseudonyms) -> EpisodeRow:
    """A row whose texts are pseudonyms, known words, or redacted."""
    shown: dict[str, Any] = {}
    for field, value in row.model_dump().items():
        if field in _RENAMED:
            shown[field] = names.name(_RENAMED[field], value)
        elif isinstance(value, str) and field not in _KEPT:
            shown[field] = redactor.text(value)
        elif isinstance(value, float):
            shown[field] = round(value, 3)  # long fractions look like identifiers to a search
    if row.error is not None:
        shown["error"] = re.split(r"\W", row.error, maxsplit=1)[0]
    shown["transcript_sha256"] = None  # of the notebook before; its digits look like identifiers
    shown["transcript"] = f"episodes/{shown['episode_id']}.ipynb"
    return row.model_copy(update=shown)


def _notebook(episode: Episode, row: EpisodeRow, redactor: Redactor) -> NotebookNode:
    task = redactor.prompt(episode.task.prompt)
    cells = [new_markdown_cell(f"# {row.suite} · {row.category}\n\n{task}", id="task")]
    for number, turn in enumerate(episode.turns, start=1):
        if turn.result is not None:
            cells.append(_cell(number, turn, redactor))
    reward = "" if row.reward is None else f"\n\n**Reward {row.reward:g}** ({row.grader})"
    cells.append(new_markdown_cell(f"## {row.outcome}\n\n{row.end_reason}{reward}", id="grade"))
    submitted = (
        {} if episode.submission is None
        else {"submitted": redactor.submission(episode.submission.value)}
    )  # fmt: skip
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "benchside": {"redacted": 1, "episode": row.model_dump(mode="json"), **submitted},
    }
    notebook: NotebookNode = new_notebook(cells=cells, metadata=metadata)
    return notebook


def _cell(number: int, turn: Turn, redactor: Redactor) -> NotebookNode:
    assert turn.result is not None
    result = turn.result
    source = redactor.source(result.source)
    if result.submission is not None:  # its numbers may be counts
        source = redactor.result(source)
    outputs = [
        shown for output in result.outputs if (shown := _output(output, redactor)) is not None
    ]
    cell: NotebookNode = new_code_cell(
        source, id=f"cell-{number:03d}", execution_count=number, outputs=outputs,
        metadata={"benchside": {"status": result.status}},
    )  # fmt: skip
    return cell


def _output(output: Mapping[str, Any], redactor: Redactor) -> NotebookNode | None:
    """An output's plain text, redacted; None where it has none."""
    shown: NotebookNode | None = None
    kind = output.get("output_type")
    if kind == "stream":
        text = redactor.result(joined(output["text"]))
        shown = new_output("stream", name="stdout", text=text)
    elif kind == "error":
        value = redactor.result(str(output.get("evalue", "")))
        name = redactor.text(str(output.get("ename", "")))
        shown = new_output("error", ename=name, evalue=value, traceback=[f"{name}: {value}"])
    elif kind in ("execute_result", "display_data") and "text/plain" in output.get("data", {}):
        text = redactor.result(joined(output["data"]["text/plain"]))
        shown = new_output("display_data", data={"text/plain": text})
    return shown


def _texts(value: object, redactor: Redactor) -> Any:
    """A configuration with all its texts redacted."""
    if isinstance(value, dict):
        return {redactor.text(str(key)): _texts(part, redactor) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_texts(part, redactor) for part in value]
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        simple: JsonValue = value
        return redactor.submission(simple)
    return value


def _check_gone(text: str, known: Identifiers, name: str) -> None:
    """A second look, by other means: no run of five digits or more may be a known identifier."""
    content = json.loads(text)
    for cell in content["cells"]:
        left = {run for run in re.findall(r"\d{5,}", json.dumps(cell)) if run in known.values}
        if left:
            raise IntegrityError(
                "an identifier was found in what was to be exported, and nothing was exported",
                where=f"{name}, cell {cell['id']}", value=f"{len(left)} identifiers",
                fix="report the form of that cell's output; leave the episode out until then",
            )  # fmt: skip
