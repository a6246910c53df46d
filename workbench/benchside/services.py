"""Services of an episode: servers that run on this side and that its kernel reaches by HTTP.

A task names them (`TaskSpec.services`); the rollout opens them before the kernel starts and closes
them after it has ended. What each has come to is read in between, from the service itself and
never from the kernel, kept on the episode, and handed to the grader beside the submission. Each
episode gets services of its own.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from benchside.errors import InputError
from benchside.library import Suite
from benchside.state import ServiceState, StateChange
from benchside.task import ServiceRef, TaskSpec
from benchside_kernels.hosts import Host
from benchside_kernels.image import KernelImage

_MODULES = {"fhir": "benchside.fhir.service"}
"""Name → module with `open_service`; imported when first used, since each is an optional extra."""


class Service(Protocol):
    """One running server."""

    @property
    def upstream(self) -> str:
        """Where it listens, as in `Host.upstream`."""
        ...

    def changes(self) -> tuple[StateChange, ...]:
        """Called once by the rollout, after the kernel has ended."""
        ...


class _Module(Protocol):
    """What a service's module has."""

    def open_service(
        self, ref: ServiceRef, data: KernelImage
    ) -> contextlib.AbstractAsyncContextManager[Service]:
        """Start a server over the files of an image; it ends with the context."""
        ...


class Services:
    """The open services of one episode."""

    def __init__(self, opened: Sequence[tuple[ServiceRef, Service]]) -> None:
        self._opened = opened

    def hosts(self, task: TaskSpec) -> list[Host]:
        """Return all that the task's kernel may reach, services at the place where they are."""
        places = {ref.host: service.upstream for ref, service in self._opened}
        return [Host(name, places.get(name, "")) for name in task.hosts]

    def states(self) -> tuple[ServiceState, ...]:
        """Return what has become of each."""
        return tuple(
            ServiceState(service=ref.name, host=ref.host, changes=service.changes())
            for ref, service in self._opened
        )


@contextlib.asynccontextmanager
async def open_services(suite: Suite, task: TaskSpec) -> AsyncIterator[Services]:
    """Start the services of a task's episode.

    Raises:
        InputError: a service is unknown, or its packages are not installed.
    """
    async with contextlib.AsyncExitStack() as stack:
        opened = []
        for ref in task.services:
            module = _module(ref, task)
            service = module.open_service(ref, suite.service_image(ref))
            opened.append((ref, await stack.enter_async_context(service)))
        yield Services(opened)


def check_services(tasks: Sequence[TaskSpec]) -> None:
    """Raise `InputError` if a task's services cannot run here; called before a run starts."""
    used = {ref.name: (ref, task) for task in tasks for ref in task.services}
    for ref, task in used.values():
        _module(ref, task)


def _module(ref: ServiceRef, task: TaskSpec) -> _Module:
    where = f"{task.suite}/{task.task_id}: services"
    if ref.name not in _MODULES:
        raise InputError(
            "there is no such service", where=where, value=ref.name,
            fix=f"known: {', '.join(_MODULES)}",
        )  # fmt: skip
    try:
        module: _Module = importlib.import_module(_MODULES[ref.name])
    except ModuleNotFoundError as error:
        raise InputError(
            f"service {ref.name} needs a package that is not installed: {error.name}", where=where,
            fix=f"pip install 'benchside[{ref.name}]'",
        ) from None  # fmt: skip
    return module
