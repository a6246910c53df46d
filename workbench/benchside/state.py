"""What an episode has changed outside its kernel, as its services report it to the grader."""

from __future__ import annotations

from pydantic import JsonValue

from benchside.task import Frozen, TaskSpec


class StateChange(Frozen):
    """A record of a service that is not as it was.

    Args:
        kind, id: of the record, such as "Observation" and "new-1".
        before, after: the whole record; None before a creation and after a deletion.
    """

    kind: str
    id: str
    before: JsonValue
    after: JsonValue


class ServiceState(Frozen):
    """All changes of one service of an episode, in the order of the last writes."""

    service: str
    host: str
    changes: tuple[StateChange, ...]


def untouched(task: TaskSpec) -> tuple[ServiceState, ...]:
    """Return the states of an episode that has changed nothing."""
    return tuple(ServiceState(service=ref.name, host=ref.host, changes=()) for ref in task.services)
