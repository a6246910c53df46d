"""Scaffolds that prepare the model before it acts: plan, passages, a panel's report, criteria.

What they ask for is asked once, on the way to the first action, and stands below the question from
then on.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from benchside.policy import Action, Conversation, ModelCall
from benchside.scaffolds.scaffold import Backend, Calls, Scaffold, briefed, calls_of, question


class Briefing(Scaffold):
    """Asks first, then lets the inner policy act on what it learned.

    Args:
        steps: of the calls that the briefing is made of.
    """

    steps: ClassVar[tuple[str, ...]]

    async def act(self, conversation: Conversation) -> Action:
        """Let the inner policy act; consult before the first action."""
        calls = Calls(self.completer)
        if conversation.turns:
            made = calls_of(conversation.turns[0], *self.steps)
        else:
            await self.consult(calls, conversation)
            made = calls.made
        action = await self.act_on(briefed(conversation, self.brief(made)), calls)
        return calls.onto(action)

    async def act_on(self, conversation: Conversation, calls: Calls) -> Action:
        """Return the inner policy's action on the briefed conversation."""
        return await self.inner.act(conversation)

    @abstractmethod
    async def consult(self, calls: Calls, conversation: Conversation) -> None:
        """Ask what the briefing needs; called once per attempt."""

    @abstractmethod
    def brief(self, made: Sequence[ModelCall]) -> str:
        """Return the text of the briefing from its calls alone."""


class Plan(Briefing):
    """Plan, then act: understand the problem and devise a plan; then carry it out.

    Source: L. Wang et al., Plan-and-Solve Prompting, arXiv 2305.04091. The plan is a call of its
    own, as the steps are carried out in a kernel.
    """

    steps = ("plan",)

    def __init__(self, inner: Backend, second: Backend | None = None) -> None:
        super().__init__("plan", inner, second)

    async def consult(self, calls: Calls, conversation: Conversation) -> None:
        """One call."""
        await calls.ask(
            "plan",
            f"{question(conversation)}\n\nDo not solve the task yet. Say in one sentence what is "
            "asked. Then devise a plan: a short numbered list of steps, each of which can be done "
            "by a few lines of Python in a kernel that holds these data. Name the tables and "
            "columns of each step, and where a mistake would be easy to make. The last step "
            "submits the answer in the form that is asked for.",
        )

    def brief(self, made: Sequence[ModelCall]) -> str:
        """Return the plan."""
        return (
            f"Plan:\n{made[-1].reply.strip()}\n\nCarry out the plan step by step. Check each "
            "result before you go on, and change the plan where the data show that it is wrong."
        )


class Read(Briefing):
    """Generate, then read: background passages that a model writes, then the task with them.

    Source: G. Frisoni et al., MedGENIE, arXiv 2403.01924: passages for the question with its answer
    options (option-focused), then for the question alone (option-free); five in all in its data.
    The second policy may be a model of the domain, as PMC-LLaMA is there.

    Args:
        passages: how many; of a task with choices, the larger half sees these.
    """

    steps = ("passage",)

    def __init__(self, inner: Backend, second: Backend | None = None, passages: int = 5) -> None:
        super().__init__("read", inner, second, passages=passages)
        self._passages = passages

    async def consult(self, calls: Calls, conversation: Conversation) -> None:
        """One call for each passage, all at once."""
        task = conversation.task
        free = f"Question: {task.prompt.strip()}"
        focused = free
        if task.answer.choices:
            focused += f"\nAnswer options: {', '.join(map(str, task.answer.choices))}"
        asks = (
            "\n\nWrite a passage of at most 200 words, as from a textbook, with the background "
            "that one needs for this question: definitions, units, formulas, criteria, pitfalls. "
            "Do not answer the question, and invent no data."
        )
        half = -(-self._passages // 2)
        views = [focused] * half + [free] * (self._passages - half)
        await calls.ask_all("passage", [view + asks for view in views])

    def brief(self, made: Sequence[ModelCall]) -> str:
        """Return all passages."""
        texts = [f"Passage {n}: {call.reply.strip()}" for n, call in enumerate(made, start=1)]
        return "\n\n".join(
            ["Background, written by a model; it may be wrong, and the data decide:", *texts]
        )
