"""One episode in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markdown import Markdown
from rich.panel import Panel
from rich.syntax import Syntax
from rich.text import Text

from benchside.episode import Episode
from benchside.policy import Turn
from benchside.protocol import observation_text

MAX_SHOWN_CHARS = 4_000


def print_episode(episode: Episode, console: Console) -> None:
    """Print task, turns and grade."""
    task = episode.task
    title = f"{task.suite} · {task.category} · {episode.policy}"
    console.print(Panel(Markdown(task.prompt), title=Text(title), subtitle=Text(task.task_id)))
    for number, turn in enumerate(episode.turns, start=1):
        _print_turn(number, turn, console)
    colour = {"solved": "green", "wrong": "red"}.get(episode.outcome, "yellow")
    lines = [f"{episode.outcome}, ended by {episode.end_reason}"]
    if episode.grade is not None:
        lines.append(f"reward {episode.grade.reward:g} ({episode.grade.grader})")
        lines.append(episode.grade.evidence)
    if episode.failure is not None:
        lines.append(f"{episode.failure.kind}: {episode.failure.message}")
    console.print(Panel(Text("\n".join(lines)), title="grade", border_style=colour))


def _print_turn(number: int, turn: Turn, console: Console) -> None:
    if turn.action.thought:
        console.print(Markdown(turn.action.thought))
    result = turn.result
    if result is None:
        asked = turn.action.asks
        console.print(Text(f"[{number}] {asked or turn.action.problem or ''}", style="yellow"))
        if asked is not None:
            told = turn.observations[0].content or ""
            console.print(Text(told[:MAX_SHOWN_CHARS]))
        return
    code = Syntax(result.source, "python", background_color="default", word_wrap=True)
    console.print(Panel(code, title=Text(f"[{number}]"), title_align="left", border_style="blue"))
    shown = observation_text(result, MAX_SHOWN_CHARS)
    console.print(Text(shown, style="red" if result.status != "ok" else ""))
