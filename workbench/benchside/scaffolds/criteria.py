"""`Criteria`: first what the answer has to rest on, then evidence for each, then a check, then it.

MedAgent-Pro plans at two levels. For the task: indicators, each qualitative or quantitative, with
the tool that establishes it. For the case: each indicator by its tool, the evidence checked before
the decision. Here the tools are the kernel and what the run offers, `request_info` always.
The first submission is held back once where a model that reads the record finds a criterion without
evidence, and the policy is told which. Guidelines are not retrieved: there is no library of them.

Source: Z. Wang et al., MedAgent-Pro, arXiv 2503.18968.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from benchside.manner import tools_of
from benchside.policy import Action, Conversation, ModelCall, Remark
from benchside.scaffolds.briefing import Briefing
from benchside.scaffolds.scaffold import Backend, Calls, account, calls_of, question

_SUBMITS = re.compile(r"\bsubmit\s*\(")


class Criteria(Briefing):
    """Two calls: the criteria, and the check of the evidence where something is submitted."""

    steps = ("criteria",)

    def __init__(self, inner: Backend, second: Backend | None = None) -> None:
        super().__init__("criteria", inner, second)
        self.manner = replace(self.manner, tools=tools_of(self.manner, ("request_info", "debug")))

    async def consult(self, calls: Calls, conversation: Conversation) -> None:
        """Name the criteria."""
        await calls.ask(
            "criteria",
            f"{question(conversation)}\n\nDo not solve the task yet. List what its answer has to "
            "rest on: at most six criteria, one per line. Begin each with its number and "
            "QUANTITATIVE (to be computed from named tables and columns) or QUALITATIVE (to be "
            "read and judged), then say how it is established and what would show that it is "
            "wrong.",
        )

    def brief(self, made: Sequence[ModelCall]) -> str:
        """Return the criteria."""
        return (
            f"Criteria for the answer:\n{made[-1].reply.strip()}\n\nEstablish each by a cell or a "
            "look at the data of its own, and print the evidence. Submit when all are established."
        )

    async def act_on(self, conversation: Conversation, calls: Calls) -> Action:
        """Hold the first submission back where evidence is missing, as long as there is a turn."""
        action = await self.inner.act(conversation)
        checked = any(calls_of(turn, "evidence") for turn in conversation.turns)
        last = len(conversation.turns) + 1 >= conversation.task.limits.max_turns
        if checked or last or action.code is None or not _SUBMITS.search(action.code):
            return action
        found = await calls.ask(
            "evidence",
            f"{question(conversation)}\n\nRecord of what was done:\n\n{account(conversation)}\n\n"
            f"Now this is to be run, which submits the answer:\n{action.code}\n\nIs there evidence "
            "in the record, or in this code, for each criterion? Answer with COMPLETE if so. "
            "Otherwise begin with MISSING and name the criteria without evidence, each with the "
            "next step.",
        )
        if not found.strip().upper().startswith("MISSING"):
            return action
        text = f"Nothing was run or submitted yet. A check of the evidence:\n{found.strip()}"
        return action.model_copy(
            update={"code": None, "draft": False, "asks": Remark(tool="remark", text=text)}
        )
