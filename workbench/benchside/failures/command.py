"""What `benchside failures` does: all episodes of a run, a table by policy, and the findings."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from benchside.errors import BenchsideError
from benchside.failures.case import Case
from benchside.failures.find import find
from benchside.failures.finding import KINDS, FailureRow, Finding
from benchside.library import Suite, load_suite
from benchside.store import EpisodeRow, RunFolder
from benchside.task import TaskSpec
from benchside_kernels.errors import KernelError

FILE = "failures.jsonl"
MAX_LISTED = 40

Tables = Mapping[str, object]
LoadSuite = Callable[[str, str], Suite]


def analyse_run(run: Path, home: Path, console: Console) -> list[FailureRow]:
    """Look for failures in all episodes of a run and write them to its `failures.jsonl`.

    Where a suite's build is not prepared any more, the rules over gold and tables are left out, and
    the row says so.

    Raises:
        StoreError: not a run folder, or it cannot be written.
    """
    folder = RunFolder(run)
    folder.config()

    @functools.cache
    def suite_of(name: str, build: str) -> Suite:
        return load_suite(name, home, build=build)

    with folder.lock():
        rows = [
            _analyse(folder, row, suite_of)
            for row in track(
                list(folder.rows().values()), "episodes", console=console, transient=True
            )
        ]
        text = "".join(f"{row.model_dump_json()}\n" for row in rows)
        folder.write(FILE, text)
    return rows


def _analyse(folder: RunFolder, row: EpisodeRow, suite_of: LoadSuite) -> FailureRow:
    unread = None
    findings: tuple[Finding, ...] = ()
    try:
        episode = folder.episode(row.episode_id)
    except BenchsideError as error:
        unread = str(error)
    else:
        case = Case(episode)
        try:
            suite = suite_of(row.suite, episode.provenance.suite_build)
            key = suite.answer_key(row.task_id)
            case = Case(episode, key, functools.partial(_tables, suite, episode.task))
        except (BenchsideError, KeyError) as error:
            unread = f"without gold: {type(error).__name__}: {str(error).splitlines()[0]}"
        findings = find(case)
    return FailureRow(
        episode_id=row.episode_id, task_id=row.task_id, suite=row.suite, policy=row.policy,
        outcome=row.outcome, findings=findings, unread=unread,
    )  # fmt: skip


@functools.lru_cache(maxsize=16)
def _variables(suite_home: Path, name: str, build: str, task_id: str) -> Tables:
    suite = load_suite(name, suite_home, build=build)
    return suite.image(suite.task(task_id)).load_variables()


def _tables(suite: Suite, task: TaskSpec) -> Tables:
    try:
        return _variables(suite.home, suite.name, suite.record.build, task.task_id)
    except (BenchsideError, KernelError):
        return {}  # an image that was deleted: scanners that need tables find nothing


def print_failures(rows: Sequence[FailureRow], console: Console) -> None:
    """Print how many episodes of each policy show each kind, then the findings."""
    policies = list(dict.fromkeys(row.policy for row in rows))
    table = Table(
        title="Episodes with a finding", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("kind", overflow="fold", min_width=22)
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        counts.update({(row.policy, finding.kind) for finding in row.findings})
    for policy in policies:
        n = sum(row.policy == policy for row in rows)
        failed = sum(row.policy == policy and row.outcome != "solved" for row in rows)
        heading = Text(f"{policy}\n{failed:,} of {n:,} failed")
        table.add_column(heading, justify="right", overflow="fold")
    for kind in KINDS:
        if any(counts[policy, kind] for policy in policies):
            table.add_row(kind, *(f"{counts[policy, kind]:,}" for policy in policies))
    without = [
        sum(r.policy == p and r.outcome != "solved" and not r.findings for r in rows)
        for p in policies
    ]
    table.add_row("failed without a finding", *(f"{count:,}" for count in without))
    console.print(table)
    listed = [row for row in rows if row.findings or row.unread]
    for row in listed[:MAX_LISTED]:
        console.print(f"{row.episode_id} {row.policy}, {row.outcome} ({row.task_id})", style="bold")
        if row.unread:
            console.print(f"  {row.unread}", soft_wrap=True)
        for finding in row.findings:
            place = finding.cell_id or "episode"
            console.print(f"  {finding.kind}, {place}: {finding.evidence}", soft_wrap=True)
    if len(listed) > MAX_LISTED:
        console.print(f"… and {len(listed) - MAX_LISTED:,} more episodes in {FILE}")
