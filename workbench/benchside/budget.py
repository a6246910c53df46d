"""`Ledger`: what a run has spent so far, and whether it may go on.

Once the budget is spent, an episode that is running ends after its turn, without an outcome; it is
run again when the run goes on with more. So a run costs at most one action of each of its workers
beyond its budget, and nothing is scored as wrong for the budget's sake.

It counts from the run folder, so that a killed run goes on where it was: all rows, those of
episodes that were run again too, and the turns of attempts that gave no row.
"""

from __future__ import annotations

import json

from benchside.errors import BudgetSpentError
from benchside.evaluation import Budget
from benchside.policy import Turn, Usage
from benchside.store import EpisodeRow, RunFolder


class Ledger:
    """Adds up tokens and dollars.

    Args:
        budget: what may be spent.
        folder: the run, opened for writing: what it has cost before is counted.
    """

    def __init__(self, budget: Budget, folder: RunFolder):
        self.budget = budget
        self.tokens = 0
        self.usd = 0.0
        if budget == Budget():
            return
        counted = set()
        for row in folder.all_rows():
            attempt = (row.episode_id, row.duration_s)  # `benchside regrade` adds rows of the same
            if attempt not in counted:
                counted.add(attempt)
                self._add(row.input_tokens, row.output_tokens, row.cost_usd)
        for log in (folder.path / "interrupted").glob("*.jsonl"):
            for line in log.read_bytes().splitlines(keepends=True):
                if line.endswith(b"\n"):  # not torn
                    action = json.loads(line)["turn"]["action"]
                    self.charge_usage(Usage.model_validate(action.get("usage", {})))

    def charge(self, turn: Turn) -> None:
        """Add what a turn of a running episode has cost.

        Raises:
            BudgetSpentError: it was the last one; not of a turn that has submitted.
        """
        self.charge_usage(turn.action.usage)
        submitted = turn.result is not None and turn.result.submission is not None
        if self.spent is not None and not submitted:
            raise BudgetSpentError(
                f"the run's budget is spent: {self.spent}",
                fix="raise the budget, then go on with --resume",
            )

    def charge_rest(self, row: EpisodeRow, charged: Usage) -> None:
        """Add what an episode has cost beyond its turns: calls on the way to an action that failed.

        Args:
            charged: of its turns.
        """
        self._add(
            (row.input_tokens or 0) - (charged.input_tokens or 0),
            (row.output_tokens or 0) - (charged.output_tokens or 0),
            (row.cost_usd or 0.0) - (charged.cost_usd or 0.0),
        )

    def charge_usage(self, usage: Usage) -> None:
        """Add the cost of one action."""
        self._add(usage.input_tokens, usage.output_tokens, usage.cost_usd)

    @property
    def spent(self) -> str | None:
        """Which budget is used up, in words; None where there is some left."""
        limit = self.budget
        if limit.tokens is not None and self.tokens >= limit.tokens:
            return f"{self.tokens:,} of {limit.tokens:,} tokens"
        if limit.usd is not None and self.usd >= limit.usd:
            return f"{self.usd:.2f} of {limit.usd:.2f} US dollars"
        return None

    def _add(self, inputs: int | None, outputs: int | None, usd: float | None) -> None:
        self.tokens += (inputs or 0) + (outputs or 0)
        self.usd += usd or 0.0
