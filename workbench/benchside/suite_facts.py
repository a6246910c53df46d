"""What there is to say of each suite: manifest, prepared build and gate, as JSON or in a terminal.

Nothing here reads tasks or answers, so that listing takes no longer with large builds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pydantic import JsonValue
from rich import box
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from benchside.build_record import BuildRecord
from benchside.errors import DataMissingError
from benchside.gate.report import GateReport, read_gate
from benchside.library import build_folder, load_record
from benchside.suite import SuiteManifest
from benchside.task import Split

SPLITS: tuple[Split, ...] = get_args(Split)
VERIFIED = "verified: two independent ways to the answer agree"


@dataclass(frozen=True, slots=True)
class SuiteFacts:
    """A suite; `record` is None where it is not prepared (or stale), `gate` where not gated."""

    manifest: SuiteManifest
    record: BuildRecord | None
    gate: GateReport | None

    @classmethod
    def of(cls, described: SuiteManifest, home: Path) -> SuiteFacts:
        """Look up a suite in a home folder."""
        try:
            record = load_record(described.name, home)
        except DataMissingError:
            return cls(described, None, None)  # listed as not prepared; `run` says why
        folder = build_folder(home, described.name, record.build)
        return cls(described, record, read_gate(folder, described.name))

    def as_json(self) -> dict[str, JsonValue]:
        """Everything, for programs."""
        described, record, gate = self.manifest, self.record, self.gate
        contents = record and record.contents
        return {
            "name": described.name, "version": described.version, "title": described.title,
            "licence": described.licence, "sensitivity": described.sensitivity,
            "needs_data": bool(described.data), "url": described.url,
            "tasks": contents.tasks if contents else None,
            "categories": contents.categories if contents else None,
            "splits": {str(name): n for name, n in contents.splits.items()} if contents else {},
            "verified": contents.verified if contents else None,
            "vacuous": contents.vacuous if contents else None,
            "counts": dict(record.counts) if record else {},
            "families": list(record.families) if record else [],
            "cost": record.cost.model_dump(mode="json") if record else None,
            "build": record.build if record else None,
            "gate": gate.model_dump(mode="json", exclude={"quarantined"}) if gate else None,
            "gate_line": gate.line() if gate else None,
            "quarantined": len(gate.quarantined) if gate else None,
        }  # fmt: skip


def suite_list(found: Sequence[SuiteFacts]) -> Group:
    """All suites, each with its numbers, what it is, its terms, and its gate."""
    lines: list[Text | Padding] = [
        Text(f"{'suite':<15}{'train':>8}{'valid':>8}{'test':>8}{'categories':>12}", style="bold")
    ]
    for facts in found:
        described, record = facts.manifest, facts.record
        if record:
            splits = record.contents.splits
            numbers = "".join(f"{splits.get(split, 0):>8,}" for split in SPLITS)
            lines.append(Text(f"{described.name:<15}{numbers}{record.contents.categories:>12,}"))
        else:
            state = (
                "your own data, to be prepared" if described.data else "embedded, to be prepared"
            )
            lines.append(Text(f"{described.name:<15}   {state}"))
        about = f"{described.title} · {described.sensitivity} · {described.licence}"
        lines.append(Padding(Text(about), (0, 0, 0, 4)))
        if record and record.families:
            lines.append(Padding(Text(part_line(record)), (0, 0, 0, 4)))
        if facts.gate:
            lines.append(Padding(Text(f"gate {facts.gate.line()}"), (0, 0, 0, 4)))
    lines.append(Text(total_line([facts.record for facts in found if facts.record])))
    return Group(*lines)


def part_line(record: BuildRecord) -> str:
    """One line on a build that is not the whole suite."""
    return f"only {len(record.families)} of its families are prepared: " + ", ".join(
        record.families
    )


def cost_table(records: dict[str, BuildRecord]) -> Table:
    """What prepared builds hold and took, a row each; the last row is the sum."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("suite", no_wrap=True)
    for name in (*SPLITS, "verified", "categories", "dropped", "s", "MiB"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, record in records.items():
        table.add_row(Text(name), *_cells([record]))
    table.add_section()
    table.add_row("all", *_cells(list(records.values())))
    return table


def _cells(records: Sequence[BuildRecord]) -> list[str]:
    """Sums, of memory the largest."""
    peaks = [record.cost.peak_mib for record in records if record.cost.peak_mib is not None]
    return [
        *(f"{sum(r.contents.splits.get(split, 0) for r in records):,}" for split in SPLITS),
        f"{sum(r.contents.verified for r in records):,}",
        f"{sum(r.contents.categories for r in records):,}",
        f"{sum(sum(r.dropped.values()) for r in records):,}",
        f"{sum(r.cost.wall_s for r in records):,.0f}",
        f"{max(peaks):,.0f}" if peaks else "–",
    ]


def total_line(records: Iterable[BuildRecord]) -> str:
    """One line on all of some builds."""
    held = [record.contents for record in records]
    return (
        f"{len(held)} suites prepared: {sum(one.categories for one in held):,} categories, "
        f"{sum(one.tasks for one in held):,} tasks, {sum(one.verified for one in held):,} verified "
        f"({VERIFIED.partition(': ')[2]})"
    )
