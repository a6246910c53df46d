"""Scaffolds that attempt a task several times and submit one answer: by majority, or by a verifier.

Each attempt has a fresh kernel and work folder, the turns of an episode, and a conversation of its
own; what it submits is a draft. Their turns stand one after another in one transcript.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from benchside.errors import InputError
from benchside.manner import limits_of_one
from benchside.policy import Action, Conversation, FreshKernel, Message, ModelCall, Turn
from benchside.protocol import text_action
from benchside.protocols import action_form
from benchside.scaffolds.answer_source import submit_json_action
from benchside.scaffolds.scaffold import Backend, Scaffold, together
from benchside.scaffolds.verifier import Verifier
from benchside.statistics.scores import canonical
from benchside.task import TaskSpec
from benchside_kernels.cell import Submission

MAX_IDLE = 2  # turns without an action, after which an attempt is given up


@dataclass(frozen=True, slots=True)
class Attempt:
    """The turns of one attempt, and what it submitted; None where it came to no answer."""

    turns: tuple[Turn, ...]
    answer: Submission | None


class Attempts(Scaffold):
    """Makes k attempts through the inner policy, then chooses."""

    def __init__(
        self, kind: str, inner: Backend, second: Backend | None, k: int, **options: str
    ) -> None:
        super().__init__(kind, inner, second, k=k, **options)
        if self.manner.attempts > 1 or self.manner.feedback == "oracle":
            raise InputError(
                f"{kind} needs a policy that attempts a task once, without an oracle",
                where="policy", value=self.name, fix="name the model itself, or plan(…) over it",
            )  # fmt: skip
        self.manner = replace(self.manner, attempts=k)
        self._k = k

    async def act(self, conversation: Conversation) -> Action:
        """Go on with the current attempt, begin another one, or submit what is chosen."""
        one = self._one(conversation)
        *done, current = _attempts(conversation.turns)
        turns = current.turns
        if len(done) < self._k and not _given_up(turns, one.task):
            action = await self.inner.act(replace(one, turns=turns, attempt=len(done)))
            return action.model_copy(update={"draft": action.code is not None})
        if len(done) < self._k - 1:
            message = Message(role="assistant", content="This attempt has come to no answer.")
            return Action(
                message=message, thought=message.content or "",
                asks=FreshKernel(tool="fresh_kernel"), scaffolded=True,
            )  # fmt: skip
        answered = [attempt for attempt in done if attempt.answer is not None]
        if not answered:
            return _own(text_action("No attempt has come to an answer."))
        return await self.choose(one, answered)

    def _one(self, conversation: Conversation) -> Conversation:
        """The conversation as a single attempt begins it: told of its own limits, without turns."""
        task = conversation.task
        limits = limits_of_one(task.limits, self._k)
        alone = TaskSpec.model_validate({**task.model_dump(), "limits": limits.model_dump()})
        told = action_form(self.manner.protocol).system_prompt(alone, conversation.tools)
        system, *rest = conversation.opening
        opening = (system.model_copy(update={"content": told}), *rest)
        return replace(conversation, task=alone, opening=opening, turns=())

    @abstractmethod
    async def choose(self, one: Conversation, answered: Sequence[Attempt]) -> Action:
        """Return the final action.

        Args:
            one: the conversation as an attempt begins it.
            answered: the attempts with an answer, at least one.
        """


class Consistency(Attempts):
    """Self-consistency: the answer that most attempts gave; of several such, the earliest.

    Answers are compared as typed values, numbers to six digits, as `benchside scores` does.

    Source: X. Wang et al., Self-Consistency, arXiv 2203.11171.
    """

    def __init__(self, inner: Backend, k: int = 5) -> None:
        super().__init__("consistency", inner, None, k)

    async def choose(self, one: Conversation, answered: Sequence[Attempt]) -> Action:
        """Submit the majority's answer."""
        forms = [_form(attempt) for attempt in answered]
        most, votes = Counter(forms).most_common(1)[0]
        thought = f"{votes} of {self._k} attempts gave this answer."
        return _submits(answered[forms.index(most)], thought)


class Best(Attempts):
    """Best of k: the answer of the attempt that a verifier scores highest.

    Source: K. Cobbe et al., Training Verifiers to Solve Math Word Problems, arXiv 2110.14168.
    """

    def __init__(self, inner: Backend, second: Backend | None, k: int, verifier: Verifier) -> None:
        named = {} if second is not None else {"verifier": verifier.name}
        super().__init__("best", inner, second, k, **named)
        self._verifier = verifier

    async def choose(self, one: Conversation, answered: Sequence[Attempt]) -> Action:
        """Score all attempts at once and submit the best."""
        found = await together(
            self._verifier.score(replace(one, turns=attempt.turns)) for attempt in answered
        )
        values = [scored.score for scored in found]
        best = values.index(max(values))
        shown = ", ".join(f"{value:.3g}" for value in values)
        action = _submits(answered[best], f"The verifier's scores: {shown}.")
        calls = tuple(
            ModelCall(
                step="verify",
                prompt=scored.prompt,
                usage=scored.usage,
                reply=scored.reply or f"{scored.score:g}",
            )
            for scored in found
        )
        usage = sum((call.usage for call in calls), action.usage)
        return action.model_copy(update={"calls": calls, "usage": usage})


def _attempts(turns: Sequence[Turn]) -> Iterator[Attempt]:
    """All attempts that are over, and then the current one."""
    current: list[Turn] = []
    for turn in turns:
        if isinstance(turn.action.asks, FreshKernel):
            yield Attempt(tuple(current), None)
            current = []
            continue
        current.append(turn)
        if turn.result is not None and turn.result.submission is not None:
            yield Attempt(tuple(current), turn.result.submission)
            current = []
    yield Attempt(tuple(current), None)


def _given_up(turns: Sequence[Turn], task: TaskSpec) -> bool:
    idle = [turn.result is None and turn.action.asks is None for turn in turns[-MAX_IDLE:]]
    return len(turns) >= task.limits.max_turns or (len(idle) == MAX_IDLE and all(idle))


def _form(attempt: Attempt) -> str:
    assert attempt.answer is not None
    return canonical(json.dumps(attempt.answer.value))


def _submits(attempt: Attempt, thought: str) -> Action:
    assert attempt.answer is not None
    return _own(submit_json_action(attempt.answer.value, thought))


def _own(action: Action) -> Action:
    """An action that the scaffold has made itself."""
    return action.model_copy(update={"scaffolded": True})
