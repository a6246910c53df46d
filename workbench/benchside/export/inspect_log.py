"""An evaluation log of Inspect (inspect_ai), schema version 2, from the episodes of one policy.

A task is a sample, an attempt at it an epoch; the reward is the score, of a scorer that is named
after the grader. Targets are empty: gold is not in a run.

Source: inspect_ai.log, `EvalLog` (https://inspect.aisi.org.uk/reference/inspect_ai.log.html).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchside import __version__
from benchside.episode import UNSCORED, Episode
from benchside.policy import Conversation, Message
from benchside.statistics import clustered_mean

SCORER = "benchside"
MODELS = ("openai:", "blind:")


def inspect_log(
    suite: str, policy: str, episodes: Sequence[Episode], samples: int
) -> dict[str, Any]:
    """Return the log of one suite and policy.

    Args:
        episodes: all of that suite and policy, at least one.
        samples: attempts per task that the run asked for.
    """
    first = episodes[0]
    created = min(episode.provenance.started_at for episode in episodes)
    kind, _, model = policy.partition(":")
    name = f"{kind}/{model}" if policy.startswith(MODELS) else f"benchside/{policy}"
    ids = list(dict.fromkeys(episode.task.task_id for episode in episodes))
    scored = [episode for episode in episodes if episode.outcome not in UNSCORED]
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "run_id": first.provenance.suite_build, "eval_id": first.episode_id,
            "created": created, "task": f"benchside/{suite}", "task_id": f"{suite}@{policy}",
            "task_version": first.task.version,
            "dataset": {
                "name": suite, "samples": len(ids), "sample_ids": ids, "shuffled": False,
            },
            "model": name, "model_generate_config": {}, "model_args": {}, "task_attribs": {},
            "task_args": {}, "config": {"epochs": samples},
            "packages": {**first.provenance.versions, "benchside": __version__},
            "metadata": {"isolation": first.provenance.isolation},
        },
        "plan": {"name": "plan", "steps": [], "config": {}},
        "results": _results(scored, len(episodes)),
        "stats": {
            "started_at": created, "completed_at": created, "model_usage": _usage(name, episodes),
        },
        "samples": [_sample(episode, name) for episode in episodes],
    }  # fmt: skip


def _results(scored: Sequence[Episode], total: int) -> dict[str, Any]:
    solved = [float(episode.outcome == "solved") for episode in scored]
    found = clustered_mean(
        solved, [one.task.group for one in scored], [one.task.hash for one in scored]
    )
    values = {"accuracy": found.value, "low95": found.low, "high95": found.high}
    metrics = {
        name: {"name": name, "value": value} for name, value in values.items() if value is not None
    }
    scores = [{"name": SCORER, "scorer": SCORER, "params": {}, "metrics": metrics}]
    return {"total_samples": total, "completed_samples": len(scored), "scores": scores}


def _sample(episode: Episode, model: str) -> dict[str, Any]:
    task, grade = episode.task, episode.grade
    chat = Conversation(task, episode.opening, episode.turns).messages
    functions = {call.id: call.name for message in chat for call in message.tool_calls}
    answer = None if episode.submission is None else json.dumps(episode.submission.value)
    sample: dict[str, Any] = {
        "id": task.task_id, "epoch": episode.sample + 1, "input": task.prompt, "target": "",
        "messages": [_message(message, functions, model) for message in chat],
        "output": {"model": model, "choices": []},
        "scores": {},
        "metadata": {
            "episode_id": episode.episode_id, "category": task.category, "split": task.split,
            "group": task.group, "outcome": episode.outcome, "end_reason": episode.end_reason,
        },
        "store": {}, "events": [], "attachments": {},
        "model_usage": _usage(model, [episode]),
        "total_time": (episode.usage.start_s or 0.0) + episode.usage.duration_s,
        "uuid": episode.episode_id,
    }  # fmt: skip
    if grade is not None:
        sample["scores"][SCORER] = {
            "value": grade.reward, "answer": answer, "explanation": grade.evidence,
            "metadata": {"grader": grade.grader, "passed": grade.passed, "parts": grade.parts},
        }  # fmt: skip
    if episode.outcome in UNSCORED and episode.failure is not None:
        failure = episode.failure
        sample["error"] = {
            "message": f"{failure.kind}: {failure.message}",
            "traceback": failure.traceback, "traceback_ansi": failure.traceback,
        }  # fmt: skip
    return sample


def _message(message: Message, functions: dict[str, str], model: str) -> dict[str, Any]:
    shown: dict[str, Any] = {"role": message.role, "content": message.content or ""}
    if message.role == "assistant":
        shown |= {"source": "generate", "model": model}
    if message.tool_calls:
        shown["tool_calls"] = [
            {"id": call.id, "type": "function", "function": call.name, **_arguments(call.arguments)}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        shown |= {
            "tool_call_id": message.tool_call_id,
            "function": functions.get(message.tool_call_id, ""),
        }
    return shown


def _arguments(text: str) -> dict[str, Any]:
    """Arguments as an object; what is none is kept as text beside the reason."""
    try:
        arguments = json.loads(text)
    except ValueError as error:
        return {"arguments": {"invalid_arguments": text}, "parse_error": str(error)}
    if not isinstance(arguments, dict):
        return {"arguments": {"invalid_arguments": text}, "parse_error": "not a JSON object"}
    return {"arguments": arguments}


def _usage(model: str, episodes: Sequence[Episode]) -> dict[str, Any]:
    inputs = sum(episode.usage.input_tokens or 0 for episode in episodes)
    outputs = sum(episode.usage.output_tokens or 0 for episode in episodes)
    if not inputs + outputs:
        return {}
    return {
        model: {
            "input_tokens": inputs, "output_tokens": outputs, "total_tokens": inputs + outputs,
        }
    }  # fmt: skip
