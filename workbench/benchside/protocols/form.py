"""`ActionForm`: what a protocol does: offer tools, say how to act, read a message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pydantic import JsonValue

from benchside.manner import Feedback, ProtocolName
from benchside.policy import Action, Message, ToolName, Usage
from benchside.protocols.fenced import FencedForm
from benchside.protocols.medagentgym import MedAgentGymForm
from benchside.protocols.native import NativeForm
from benchside.task import TaskSpec


class ActionForm(Protocol):
    """Stateless; called by the rollout (prompt) and by policies that ask models (the others)."""

    def tools(self, offered: Sequence[ToolName]) -> tuple[dict[str, JsonValue], ...]:
        """Return what goes with each request as a native tool; none where texts are read."""
        ...

    def system_prompt(self, task: TaskSpec, offered: Sequence[ToolName]) -> str:
        """Return the first message of an episode."""
        ...

    def action(
        self,
        message: Message,
        usage: Usage,
        reasoning: str | None = None,
        *,
        cut_off: bool = False,
        tools: Sequence[ToolName] = (),
    ) -> Action:
        """Return the action that a message asks for; never raises, whatever the message."""
        ...


def action_form(protocol: ProtocolName, feedback: Feedback = "execution") -> ActionForm:
    """Return the form of a protocol."""
    match protocol:
        case "native":
            return NativeForm()
        case "fenced":
            return FencedForm()
        case "medagentgym":
            return MedAgentGymForm(oracle=feedback == "oracle")
