"""One episode as a page: the task, each turn with what the cell showed, and the grade."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from benchside.episode import Episode
from benchside.failures.finding import Finding
from benchside.policy import Turn
from benchside.report.output import code_html, output_html, prose_html
from benchside.report.related import Related
from benchside.store import COUNTERFACTUALS, REPLAYS


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
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """A page that belongs to this one; `beside` shows the two side by side."""

    text: str
    beside: str
    page: str | None = None


@cache
def template(name: str) -> Template:
    """Return one of this room's templates; all text is escaped unless it is marked as HTML."""
    loader = PackageLoader("benchside", "report")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template(name)


def episode_page(episode: Episode, known: Related | None = None) -> str:
    """Return the page of an episode, to stand in a folder of a site such as `episodes`.

    Args:
        known: what its run folder holds beside it.
    """
    known = known or Related()
    findings = known.findings.get(episode.episode_id, ())
    return template("episode.html").render(
        episode=episode,
        prompt=Markup(prose_html(episode.task.prompt)),
        links=_links(episode, known),
        findings=[one for one in findings if one.cell_id is None],
        turns=[_shown(number, turn, findings) for number, turn in enumerate(episode.turns, 1)],
        submission=_as_json(episode.submission.value) if episode.submission else None,
    )


def _links(episode: Episode, known: Related) -> list[Link]:
    """What this one continues, its replay, and what was made of it."""
    name, links = episode.episode_id, []
    if episode.parent is not None:
        text = f"continues {episode.parent} with other code in {episode.edited_cell}"
        both = f"{episode.parent},{COUNTERFACTUALS}/{name}"
        links.append(Link(text, both, f"../episodes/{episode.parent}.html"))
    if name in known.replays:
        links.append(Link(known.replays[name], f"{name},{REPLAYS}/{name}"))
    for child in known.children.get(name, ()):
        place = f"{COUNTERFACTUALS}/{child.episode_id}"
        text = f"{child.outcome} with other code in {child.edited_cell}: {child.policy}"
        links.append(Link(text, f"{name},{place}", f"../{place}.html"))
    return links


def _shown(number: int, turn: Turn, findings: Sequence[Finding]) -> ShownTurn:
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
        findings=tuple(one for one in findings if one.cell_id == result.cell_id),
    )


def _as_json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=1)
    return text if len(text) <= 4_000 else f"{text[:4_000]} …"
