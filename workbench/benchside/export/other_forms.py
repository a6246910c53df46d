"""Runs in the forms that other tools read: Hugging Face `messages`, and the logs of Inspect.

Neither holds gold: a run folder has none.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from benchside.episode import Episode
from benchside.errors import InputError
from benchside.export.inspect_log import inspect_log
from benchside.export.new_folder import new_folder
from benchside.policy import Conversation, Message
from benchside.protocol import all_tools
from benchside.store import RunFolder

Format = Literal["messages", "inspect"]


def export_as(run: Path, to: Path, form: Format) -> int:
    """Write a run to a new folder, whole or not at all, and return the number of episodes.

    `messages`: `episodes.jsonl`, one conversation per line with its tools and facts, as TRL and the
    chat templates of transformers take it. Arguments of tool calls are JSON text, so that
    `datasets` finds one type in the column.

    `inspect`: one JSON log per suite and policy, for `inspect view` and `inspect_ai.log`.

    Raises:
        InputError: the run holds credentialed data, or `to` exists.
        StoreError: a transcript cannot be read.
    """
    folder = RunFolder(run)
    config = folder.config()
    with new_folder(to) as target:
        if form == "messages":
            return _write_messages(_open_episodes(folder), target / "episodes.jsonl")
        return _write_logs(folder, config.samples, target)


def conversation(episode: Episode) -> dict[str, Any]:
    """Return one episode as a line of the `messages` form."""
    chat = Conversation(episode.task, episode.opening, episode.turns).messages
    grade = episode.grade
    return {
        "messages": [_message(message) for message in chat],
        "tools": list(all_tools(episode.tools)),
        "episode_id": episode.episode_id, "suite": episode.task.suite,
        "task_id": episode.task.task_id, "category": episode.task.category,
        "split": episode.task.split, "group": episode.task.group, "policy": episode.policy,
        "sample": episode.sample, "outcome": episode.outcome,
        "reward": None if grade is None else grade.reward,
    }  # fmt: skip


def _message(message: Message) -> dict[str, Any]:
    shown: dict[str, Any] = {"role": message.role, "content": message.content or ""}
    if message.tool_calls:
        shown["tool_calls"] = [
            {
                "id": call.id, "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]  # fmt: skip
    if message.tool_call_id is not None:
        shown["tool_call_id"] = message.tool_call_id
    return shown


def _write_messages(episodes: Iterable[Episode], path: Path) -> int:
    written = 0
    with path.open("w", encoding="utf-8") as file:
        for episode in episodes:
            file.write(json.dumps(conversation(episode), ensure_ascii=False) + "\n")
            written += 1
    return written


def _write_logs(folder: RunFolder, samples: int, target: Path) -> int:
    by_log: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in folder.rows().values():
        by_log[row.suite, row.policy].append(row.episode_id)
    for number, ((suite, policy), ids) in enumerate(sorted(by_log.items())):
        log = inspect_log(suite, policy, list(_open_episodes(folder, ids)), samples)
        path = target / f"{log['eval']['created'].replace(':', '-')}_{suite}_{number}.json"
        path.write_text(json.dumps(log, indent=1, ensure_ascii=False), encoding="utf-8")
    return sum(map(len, by_log.values()))


def _open_episodes(folder: RunFolder, ids: Iterable[str] | None = None) -> Iterator[Episode]:
    """Read episodes; those on credentialed data are refused."""
    for episode_id in folder.rows() if ids is None else ids:
        episode = folder.episode(episode_id)
        if episode.task.sensitivity == "credentialed":
            raise InputError(
                "the run holds credentialed data, which its terms of use forbid to share",
                where=f"{folder.path}: suites", value=episode.task.suite,
                fix="export it with --redact, which writes a run folder",
            )  # fmt: skip
        yield episode
