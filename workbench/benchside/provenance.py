"""Where a run was made: versions, git commit, isolation. Saved beside every output."""

from __future__ import annotations

import datetime as dt
import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchside.episode import Provenance
from benchside_kernels.sandbox import Isolation

PACKAGES = (
    "benchside", "ipykernel", "ipython", "jupyter-client", "lifelines", "numpy", "pandas",
    "scikit-learn", "scipy", "statsmodels",
)  # fmt: skip


def provenance(seed: int, isolation: Isolation) -> Provenance:
    """Return what holds for all episodes of a run; suite and image are filled in for each."""
    return Provenance(
        suite_build="",
        image="",
        isolation=describe(isolation),
        seed=seed,
        versions=versions(PACKAGES),
        git_commit=git_commit(),
        started_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    )


def describe(isolation: Isolation) -> str:
    """One phrase for an isolation, such as "process, Landlock ABI 7"."""
    landlock = f"Landlock ABI {isolation.landlock_abi}" if isolation.landlock_abi else "no Landlock"
    return f"{isolation.level}, {landlock}"


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of those packages that are installed."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """Return the commit of Benchside's own checkout, "-dirty" if changed.

    None in an installed package.
    """
    here = Path(__file__).resolve().parent
    if not (here.parents[1] / "pyproject.toml").is_file():
        return None  # an installed package may lie in somebody else's repository
    try:
        described = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None
