"""`Panel`: experts analyse the question, a report is written and revised until all agree to it.

The five steps of MedAgents: gather experts, individual analyses, summary report, consensus (each
expert votes; those against propose revisions, the report is rewritten, and they vote again), and
the decision, which is the inner policy's: it works in the kernel with the report at hand. The
analysis of answer options, a step of its own there, is part of each analysis here.

Source: X. Tang et al., MedAgents, arXiv 2311.10537; five fields as in its published code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from benchside.policy import Conversation, ModelCall
from benchside.scaffolds.briefing import Briefing
from benchside.scaffolds.scaffold import Backend, Calls, question

MAX_FIELD_CHARS = 80


class Panel(Briefing):
    """Calls: 2, and 2 for each expert; each further vote at most 1, and 2 for each expert, more.

    Args:
        experts: how many fields are asked.
        rounds: most votes on the report.
    """

    steps = ("gather", "analyse", "report", "vote", "advise", "revise")

    def __init__(
        self, inner: Backend, second: Backend | None = None, experts: int = 5, rounds: int = 3
    ) -> None:
        super().__init__("panel", inner, second, experts=experts, rounds=rounds)
        self._experts, self._rounds = experts, rounds

    async def consult(self, calls: Calls, conversation: Conversation) -> None:
        """Hold the meeting."""
        asked = question(conversation)
        gathered = await calls.ask(
            "gather",
            f"{asked}\n\nWhich fields of medicine, statistics or data science does one need for "
            f"this task? Name the {self._experts} most useful ones, one per line, without any "
            "other text.",
        )
        fields = self._fields(gathered)
        roles = [
            f"You are an expert in {field}, in a panel that prepares a task." for field in fields
        ]
        analyses = await calls.ask_all(
            "analyse",
            [
                f"{asked}\n\nAnalyse the task from the view of {field}: what is asked, what it "
                "means in these data, which definitions and traps matter, and which answers can "
                "be ruled out. At most 200 words. Do not solve it: you cannot see the data."
                for field in fields
            ],
            roles,
        )
        told = "\n\n".join(
            f"{field}: {text.strip()}" for field, text in zip(fields, analyses, strict=True)
        )
        report = await calls.ask(
            "report",
            f"{asked}\n\nAnalyses by experts:\n\n{told}\n\nWrite one report from them, of at most "
            "300 words: first the key knowledge, then how to go about the task.",
        )
        for round_ in range(self._rounds):
            votes = await calls.ask_all(
                "vote",
                [
                    f"{asked}\n\nReport:\n{report}\n\nDo you agree with this report? Answer with "
                    "YES or NO only."
                ]
                * len(roles),
                roles,
            )
            against = [role for role, vote in zip(roles, votes, strict=True) if not _agrees(vote)]
            if not against or round_ == self._rounds - 1:
                return
            advice = await calls.ask_all(
                "advise",
                [
                    f"{asked}\n\nReport:\n{report}\n\nYou did not agree with this report. Which "
                    "revisions do you propose? At most 100 words."
                ]
                * len(against),
                against,
            )
            report = await calls.ask(
                "revise",
                f"{asked}\n\nReport:\n{report}\n\nProposed revisions:\n\n"
                + "\n\n".join(one.strip() for one in advice)
                + "\n\nRewrite the report with those revisions that are right.",
            )

    def brief(self, made: Sequence[ModelCall]) -> str:
        """Return the last report, and whether all agreed to it."""
        reports = [place for place, call in enumerate(made) if call.step in ("report", "revise")]
        report = made[reports[-1]].reply.strip()
        votes = [call for call in made[reports[-1] :] if call.step == "vote"]
        agreed = sum(_agrees(call.reply) for call in votes)
        return (
            f"Report of a panel of experts, who cannot see the data; {agreed} of {len(votes)} "
            f"agree with it:\n{report}\n\nDecide by what the data show."
        )

    def _fields(self, text: str) -> list[str]:
        lines = [re.sub(r"^[\s\d.)*#-]+|[\s*.:]+$", "", line) for line in re.split(r"[\n|]", text)]
        fields = [line[:MAX_FIELD_CHARS] for line in dict.fromkeys(lines) if line]
        return fields[: self._experts] or ["general medicine"]


def _agrees(vote: str) -> bool:
    return re.search(r"\bno\b", vote.lower()) is None
