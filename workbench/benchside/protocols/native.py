"""Native tool calls: the form of `benchside.protocol`."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from benchside.policy import Action, Message, ToolName, Usage
from benchside.protocol import action_from_message, all_tools, system_prompt
from benchside.task import TaskSpec


class NativeForm:
    """One tool call per turn."""

    def tools(self, offered: Sequence[ToolName]) -> tuple[dict[str, JsonValue], ...]:
        """Return `run_cell`, `submit` and what is offered beside them."""
        return all_tools(offered)

    def system_prompt(self, task: TaskSpec, offered: Sequence[ToolName]) -> str:
        """Return the usual opening."""
        return system_prompt(task, offered)

    def action(
        self,
        message: Message,
        usage: Usage,
        reasoning: str | None = None,
        *,
        cut_off: bool = False,
        tools: Sequence[ToolName] = (),
    ) -> Action:
        """Follow the first tool call of a message."""
        return action_from_message(message, usage, reasoning, cut_off=cut_off, tools=tools)
