"""One episode as a page: the task, each turn with what the cell showed, and the grade."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from benchside.episode import Episode
from benchside.policy import Turn
from benchside.report.output import code_html, output_html, prose_html


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """One turn, ready for the template; `status` is the cell's, or `no action`."""

    number: int
    thought: Markup
    status: str
    facts: str
    source: Markup
    outputs: tuple[Markup, ...]
    submission: str | None


@cache
def template(name: str) -> Template:
    """Return one of this room's templates; all text is escaped unless it is marked as HTML."""
    loader = PackageLoader("benchside", "report")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template(name)


def episode_page(episode: Episode) -> str:
    """Return the page of an episode, to stand in the folder `episodes` of a site."""
    return template("episode.html").render(
        episode=episode,
        prompt=Markup(prose_html(episode.task.prompt)),
        turns=[_shown(number, turn) for number, turn in enumerate(episode.turns, start=1)],
        submission=_as_json(episode.submission.value) if episode.submission else None,
    )


def _shown(number: int, turn: Turn) -> ShownTurn:
    action, result = turn.action, turn.result
    thought = Markup(prose_html(action.thought or action.problem or ""))
    if result is None:
        return ShownTurn(number, thought, "no action", "", Markup(""), (), None)
    facts = [f"{result.duration_s:.2f} s"]
    if result.dropped_chars:
        facts.append(f"{result.dropped_chars:,} characters of output not kept")
    if not result.state_survived:
        facts.append("variables lost")
    if result.note:
        facts.append(result.note)
    return ShownTurn(
        number=number,
        thought=thought,
        status=result.status,
        facts=" · ".join(facts),
        source=Markup(code_html(result.source)),
        outputs=tuple(Markup(output_html(output)) for output in result.outputs),
        submission=None if result.submission is None else _as_json(result.submission.value),
    )


def _as_json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=1)
    return text if len(text) <= 4_000 else f"{text[:4_000]} …"
