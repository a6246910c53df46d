"""`gate.json`: what the gate found in one build of a suite, and which tasks it holds back.

It lies beside the tasks, and a policy may know it: it never states gold. What does (submitted
values, transcripts of failures) lies with the answer keys.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from benchside.errors import StoreError
from benchside.library import Suite
from benchside.task import Frozen

FILE = "gate.json"


class Tally(Frozen):
    """How many of `n` scored episodes (or tasks) did."""

    count: int
    n: int

    @property
    def percent(self) -> float | None:
        """In percent; None where nothing was scored."""
        return 100 * self.count / self.n if self.n else None


class Held(Frozen):
    """A task in quarantine, and why; the reasons state no gold."""

    task_id: str
    reasons: tuple[str, ...]


class GateReport(Frozen):
    """What the gate found.

    Args:
        date: UTC, ISO 8601; benchside: the version that gated.
        tasks, gated: of the suite, and those of them that were played; fewer with `--limit`.
        oracle: episodes of the reference, of two for each task; vacuous: tasks of which it can
            merely state the gold.
        floor: what each probe solved, by its name.
        chance: tasks of those gated that guessing among choices, or yes and no, should solve.
        same: tasks whose two reference episodes, of different seeds, submitted the same.
        unscored: episodes that failed for a reason of ours; the gate is not passed with any.
        findings: what concerns the suite rather than a task.
        quarantined: tasks that `benchside run` leaves out.
    """

    suite: str
    version: str
    build: str
    benchside: str
    date: str
    isolation: str
    seed: int
    tasks: int
    gated: int
    vacuous: int
    oracle: Tally
    floor: dict[str, Tally]
    chance: float = 0.0
    same: Tally
    unscored: int
    findings: tuple[str, ...]
    quarantined: tuple[Held, ...]

    @property
    def passed(self) -> bool:
        """True where no task is held back and every episode could be scored."""
        return not self.quarantined and not self.unscored

    @property
    def highest_floor(self) -> Tally:
        """What the best probe solved."""
        return max(self.floor.values(), key=lambda tally: tally.percent or 0.0)

    def line(self) -> str:
        """One line for people: date, how much was gated, oracle, floor, tasks held back."""
        held = f", {len(self.quarantined):,} held back" if self.quarantined else ""
        unscored = f", {self.unscored:,} unscored" if self.unscored else ""
        verdict = "passed" if self.passed else "failed"
        return (
            f"{verdict} {self.date[:10]}: gated {self.gated:,} of {self.tasks:,}, oracle "
            f"{_percent(self.oracle)}, floor {_percent(self.highest_floor)}{held}{unscored}"
        )


def print_report(report: GateReport, console: Console) -> None:
    """Print a report for people."""
    console.print(f"{report.suite} {report.version}, build {report.build}: {report.line()}")
    console.print(
        f"  reference: {report.oracle.count:,} of {report.oracle.n:,} episodes solved; "
        f"{report.same.count:,} of {report.same.n:,} tasks answered alike under two seeds; "
        f"{report.vacuous:,} tasks merely state the gold"
    )
    for name, tally in report.floor.items():
        by_chance = f"; by chance {report.chance:,.0f}" if name == "constant" else ""
        console.print(f"  {name}: solved {tally.count:,} of {tally.n:,}{by_chance}")
    for finding in report.findings:
        console.print(f"  finding: {finding}")
    for held in report.quarantined:
        console.print(f"  quarantined {held.task_id}: {'; '.join(held.reasons)}", soft_wrap=True)


def _percent(tally: Tally) -> str:
    return "–" if tally.percent is None else f"{tally.percent:.1f}%"


def read_report(suite: Suite) -> GateReport | None:
    """Return what the gate found in this build, None if it was never gated.

    Raises:
        StoreError: the file is damaged.
    """
    return read_gate(suite.folder, suite.name)


def read_gate(folder: Path, name: str) -> GateReport | None:
    """Return the same by the build's folder and the suite's name."""
    path = folder / FILE
    try:
        return GateReport.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise StoreError(
            f"the gate's result cannot be read: {str(error).splitlines()[0]}", where=path,
            fix=f"delete it, then: benchside gate {name}",
        ) from None  # fmt: skip


def write_report(suite: Suite, report: GateReport) -> None:
    """Write `gate.json` atomically."""
    path = report_path(suite)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".gate-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(report.model_dump_json(indent=1))
        Path(name).replace(path)
    except OSError as error:
        raise StoreError(
            f"cannot write the gate's result: {error.strerror}", where=path,
            fix="check space and rights, then gate again: finished episodes are kept",
        ) from None  # fmt: skip


def report_path(suite: Suite) -> Path:
    """Where the result of a build lies."""
    return suite.folder / FILE


def held_back(suite: Suite) -> dict[str, tuple[str, ...]]:
    """Return the tasks in quarantine with the reasons; none where the suite was never gated."""
    report = read_report(suite)
    return {} if report is None else {held.task_id: held.reasons for held in report.quarantined}
