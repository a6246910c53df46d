"""The kernel of a task: one place that says with what it starts, for rollout and replay alike."""

from __future__ import annotations

from pathlib import Path

from benchside.library import Suite
from benchside.services import Services
from benchside.task import TaskSpec
from benchside_kernels.backend import KernelMaker
from benchside_kernels.session import KernelSession

LEASE_SLACK_S = 60.0
WARM_MODULES = (
    "matplotlib.pyplot", "matplotlib_inline.backend_inline", "scipy.stats", "statsmodels.api",
    "statsmodels.formula.api", "lifelines", "sklearn.linear_model", "sklearn.metrics",
    "pandas.core.reshape.reshape", "pandas.io.formats.html", "pandas.io.formats.string",
)  # fmt: skip
"""Imported before the first fork, where installed, so that cells need not; the last ones are what
pandas itself imports when the first table is shown or pivoted."""


def task_session(
    suite: Suite,
    task: TaskSpec,
    services: Services,
    maker: KernelMaker,
    *,
    hidden: tuple[Path, ...],
    seed: int,
    hash_seed: int = 0,
    patience: float = 1.0,
) -> KernelSession:
    """Return a session, not started yet, in which a task is to be worked on.

    Args:
        hidden: paths that the kernel must not read.
        patience: factor on the time after which the kernel is killed whatever happens.
    """
    return KernelSession(
        suite.image(task), files=task.files, hidden=hidden, seed=seed, hash_seed=hash_seed,
        memory_mib=task.limits.memory_mib, max_output_chars=task.limits.max_output_chars,
        hosts=services.hosts(task),
        lease_s=patience * task.limits.episode_timeout_s + LEASE_SLACK_S, maker=maker,
    )  # fmt: skip
