"""Errors that reach people. Each says what, where, the value seen, and what to do next.

BenchsideError            the command line prints the message and exits with 2
├── InputError            a file, field, option or name given by the user is wrong
├── DataMissingError      a suite's data is not where it was looked for
│   └── UnpreparedError   a suite is not prepared, or not by this version
├── IntegrityError        bytes on disk do not match their recorded hash
├── StoreError            the run or home folder cannot be read or written
├── GraderError           a grader failed on an answer key or crashed: never a reward
└── InfrastructureError   kernel or model server failed: retried or left out, never a reward
    ├── ServerDownError   a model server was given up: the run ends, what it owes is not scored
    └── BudgetSpentError  the run may cost no more: so

PolicyError               the policy itself failed (not its cell): recorded on the episode
"""

from __future__ import annotations


class BenchsideError(Exception):
    """An error with a message for people: what, where, the value seen, and the next step.

    Args:
        what: one sentence on what is wrong.
        where: file, field, option or id.
        value: the value seen.
        fix: what to do next.
    """

    def __init__(
        self, what: str, *, where: object = None, value: object = None, fix: str | None = None
    ):
        self.what, self.where, self.value, self.fix = what, where, value, fix
        lines = [what]
        if where is not None:
            lines.append(f"  where: {where}")
        if value is not None:
            lines.append(f"  value: {value!r}")
        if fix is not None:
            lines.append(f"  next:  {fix}")
        super().__init__("\n".join(lines))


class InputError(BenchsideError):
    """A file, field, option or name given by the user is wrong."""


class DataMissingError(BenchsideError):
    """A suite's data is not where it was looked for."""


class UnpreparedError(DataMissingError):
    """A suite is not prepared, or by another version as it comes: `open_suite` prepares it."""


class IntegrityError(BenchsideError):
    """Bytes on disk do not match their recorded hash."""


class StoreError(BenchsideError):
    """The run or home folder cannot be read or written (locked, full, damaged, no rights)."""


class GraderError(BenchsideError):
    """A grader crashed or its answer key is malformed; never turned into a reward."""


class InfrastructureError(BenchsideError):
    """A kernel or a model server failed; the episode is retried or left out, never scored 0."""


class ServerDownError(InfrastructureError):
    """A model server fails every request and was given up: the run ends here."""


class BudgetSpentError(InfrastructureError):
    """The run's budget was used up in the middle of an episode, which is not finished."""


class PolicyError(BenchsideError):
    """The policy failed for its own reason, such as a request that its server refuses."""
