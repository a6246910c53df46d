"""A person as a policy: the task in the terminal, for human baselines.

Reads a cell, shows what a model would be shown, and measures how long each took. Complete code is
run by Enter, as in IPython; `submit(value)` in a cell submits, Ctrl-D gives up. The episode's time
goes on while the person thinks, as it does for a model.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from pydantic import JsonValue
from rich.console import Console
from rich.rule import Rule

from benchside.errors import InputError, PolicyError
from benchside.policy import Action, Conversation, Usage
from benchside.protocol import run_cell_action

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

HELP = (
    "Type a cell and press Enter; a block ends with an empty line. submit(value) ends the task, "
    "Ctrl-D gives it up, Ctrl-C stops the run."
)


class HumanPolicy:
    """Whoever sits at the terminal; one episode at a time."""

    name = "human"

    def __init__(self) -> None:
        self.config: dict[str, JsonValue] = {"policy": "human", "front_end": "terminal"}
        self._console = Console(markup=False, highlight=False)
        self._session: PromptSession[str] | None = None
        self._until = 0.0

    async def act(self, conversation: Conversation) -> Action:
        """Show what is new and read the next cell.

        Raises:
            PolicyError: the person gave up.
        """
        turns, limits = conversation.turns, conversation.task.limits
        asked = time.monotonic()
        if not turns:
            self._until = asked + limits.episode_timeout_s
            self._console.print(Rule(f"{conversation.task.suite} · {conversation.task.task_id}"))
            self._show(conversation.opening[-1].content)
            self._show(f"\n{HELP}")
        else:
            for message in turns[-1].observations:
                self._show(message.content)
        left = f"{limits.max_turns - len(turns)} turns, {self._until - asked:.0f} s left"
        try:
            code = await self._prompt().prompt_async(f"[{len(turns) + 1}] ({left}) > ")
        except EOFError:
            raise PolicyError("the person gave up") from None
        action = run_cell_action(code, turn=len(turns))
        return action.model_copy(update={"usage": Usage(latency_s=time.monotonic() - asked)})

    async def check(self) -> None:
        """Raise `InputError` where nobody can type."""
        if not sys.stdin.isatty():
            raise InputError(
                "policy human needs a terminal", where="--policy", value="human",
                fix="run it in one, or take human:lab",
            )  # fmt: skip

    async def aclose(self) -> None:
        """Nothing to close."""

    def _show(self, text: str | None) -> None:
        self._console.print(text or "", soft_wrap=True)

    def _prompt(self) -> PromptSession[str]:
        if self._session is None:
            self._session = _new_session()
        return self._session


def _new_session() -> PromptSession[str]:
    """A prompt that takes complete code at once and goes on with a new line in a block."""
    # imported here: only this policy needs them
    from IPython.core.inputtransformer2 import TransformerManager  # noqa: PLC0415
    from prompt_toolkit import PromptSession  # noqa: PLC0415
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent  # noqa: PLC0415

    keys = KeyBindings()
    transformer = TransformerManager()

    @keys.add("enter")
    def _enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        status, indent = transformer.check_complete(buffer.text)
        if status == "incomplete":
            buffer.insert_text("\n" + " " * (indent or 0))
        elif buffer.text.strip():
            buffer.validate_and_handle()

    return PromptSession(multiline=True, key_bindings=keys)
