"""`Debug`: after a cell that failed, a second model explains the error before the first goes on.

The reference system's `debug` action asks another model for an explanation of the error and a
repair, given the task, what was looked up, the code and the message. Here that happens after every
cell that raised, so that it does not depend on the policy's asking.

Source: X. Chen et al., Teaching Large Language Models to Self-Debug, arXiv 2304.05128 (explanation
of the code with feedback from its execution); R. Xu et al., MedAgentGym, arXiv 2506.04405.
"""

from __future__ import annotations

from benchside.policy import Action, Conversation, InfoRequest
from benchside.protocol import cut_middle
from benchside.scaffolds.scaffold import (
    CELL_CHARS,
    Backend,
    Calls,
    Scaffold,
    calls_of,
    noted,
    question,
)


class Debug(Scaffold):
    """One call after each cell that raised."""

    def __init__(self, inner: Backend, second: Backend | None = None) -> None:
        super().__init__("debug", inner, second)

    async def act(self, conversation: Conversation) -> Action:
        """Let the inner policy act on outputs with explanations."""
        calls = Calls(self.completer)
        shown = conversation
        for place, turn in enumerate(conversation.turns[1:]):
            for call in calls_of(turn, "debug"):  # it was asked after the turn before
                shown = noted(shown, place, _note(call.reply))
        failed = conversation.turns[-1].result if conversation.turns else None
        if failed is not None and failed.status == "error":
            reply = await calls.ask("debug", _prompt(conversation))
            shown = noted(shown, len(conversation.turns) - 1, _note(reply))
        return calls.onto(await self.inner.act(shown))


def _note(reply: str) -> str:
    return f"[A debugger says: {reply.strip()}]"


def _prompt(conversation: Conversation) -> str:
    last = conversation.turns[-1]
    looked_up = [
        turn.observations[0].content or ""
        for turn in conversation.turns
        if isinstance(turn.action.asks, InfoRequest)
    ]
    known = cut_middle("\n\n".join(looked_up), 2 * CELL_CHARS)
    parts = [
        question(conversation),
        f"Known about the data:\n{known}" if known else "",
        f"This cell was run:\n{cut_middle(last.action.code or '', 2 * CELL_CHARS)}",
        f"It failed:\n{cut_middle(last.observations[0].content or '', 2 * CELL_CHARS)}",
        "Explain in a few sentences what the code does and why it failed, and show the repaired "
        "lines. Variables of earlier cells are kept.",
    ]
    return "\n\n".join(filter(None, parts))
