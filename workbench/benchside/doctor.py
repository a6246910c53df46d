"""`benchside doctor`: what isolation holds on this machine, and whether the attacks confirm it."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass

from pydantic import JsonValue
from rich.console import Console
from rich.table import Table

from benchside.isolation import hidden_paths
from benchside_kernels import landlock
from benchside_kernels.errors import KernelStartError
from benchside_kernels.makers import open_kernels
from benchside_kernels.sandbox import Isolation, Level, group_problem, sandbox_problem
from benchside_kernels.self_test import AttackOutcome, self_test
from benchside_kernels.session import KernelSession
from benchside_kernels.startup import home_folder

COVERED = {
    "sandbox": (
        "files outside of Python and the task's data", "other processes and their memory",
        "signals", "network", "dangerous system calls", "number of processes", "disk",
        "memory of each process", "shared memory of other kernels", "control of the host",
    ),
    "process": ("environment", "capabilities", "memory of each process", "size of a file"),
}  # fmt: skip

NO_GROUPS = "only sandboxed kernels are put into one"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What holds here.

    Args:
        problem: why the level is not `sandbox`; None where it is.
        group_problem: why kernels have no limit of memory together; None where they have.
        first_start_s: first kernel, with its zygote where there are zygotes.
        next_start_s: a further kernel.
    """

    machine: str
    isolation: Isolation
    problem: str | None
    group_problem: str | None
    first_start_s: float
    next_start_s: float
    attacks: tuple[AttackOutcome, ...]

    @property
    def contained(self) -> bool:
        """True if every attack was."""
        return all(outcome.contained for outcome in self.attacks)

    def as_json(self) -> dict[str, JsonValue]:
        """For other programs."""
        return {
            "machine": self.machine,
            "level": self.isolation.level,
            "kernels": self.isolation.kernels,
            "problem": self.problem,
            "group_problem": self.group_problem,
            "landlock_abi": landlock.abi(),
            "covered": list(COVERED[self.isolation.level]),
            "not_covered": list(self.isolation.gaps),
            "first_start_s": round(self.first_start_s, 4),
            "next_start_s": round(self.next_start_s, 4),
            "contained": self.contained,
            "attacks": [
                {
                    "area": outcome.area, "name": outcome.name, "contained": outcome.contained,
                    "said": outcome.said, "duration_s": round(outcome.duration_s, 3),
                }
                for outcome in self.attacks
            ],
        }  # fmt: skip


async def diagnose(level: Level | None = None) -> Diagnosis:
    """Start kernels, measure, and attack them.

    Raises:
        KernelStartError: no kernel starts here, or the level cannot be had.
    """
    async with open_kernels(level) as maker:
        starts = []
        for _ in range(2):
            begun = time.monotonic()
            async with KernelSession(maker=maker) as session:
                result = await session.run("6 * 7")
                starts.append(time.monotonic() - begun)
            if result.status != "ok":
                raise KernelStartError(f"a fresh kernel answered {result.status}: {result.note}")
        outcomes = await self_test(maker, hidden=hidden_paths(home_folder()))
        isolation = maker.isolation
    return Diagnosis(
        machine=f"{platform.system()} {platform.release()} on {platform.machine()}, "
        f"Python {platform.python_version()}",
        isolation=isolation,
        problem=None if isolation.level == "sandbox" else sandbox_problem(),
        group_problem=group_problem() if isolation.level == "sandbox" else NO_GROUPS,
        first_start_s=starts[0],
        next_start_s=starts[1],
        attacks=tuple(outcomes),
    )


def print_diagnosis(found: Diagnosis, console: Console) -> None:
    """Say it in plain words."""
    level = found.isolation.level
    abi = landlock.abi()
    console.print(f"machine      {found.machine}")
    console.print(f"isolation    {level}")
    if found.problem is not None:
        console.print(f"no sandbox   {found.problem}", soft_wrap=True)
    if found.group_problem is not None:
        console.print(f"no cgroup    {found.group_problem}", soft_wrap=True)
    console.print(f"covered      {', '.join(COVERED[level])}", soft_wrap=True)
    console.print(f"not covered  {', '.join(found.isolation.gaps)}", soft_wrap=True)
    console.print(f"Landlock     {f'ABI {abi}' if abi else 'none'}")
    console.print(
        f"kernels      {found.isolation.kernels}; the first after {found.first_start_s:.2f} s, "
        f"the next after {found.next_start_s * 1000:.0f} ms"
    )
    table = Table(box=None, pad_edge=False)
    for column in ("", "area", "attack"):
        table.add_column(column, overflow="fold")
    for outcome in found.attacks:
        mark = "contained" if outcome.contained else "ESCAPED"
        table.add_row(mark, outcome.area, outcome.name)
    console.print(table)
    failed = [outcome for outcome in found.attacks if not outcome.contained]
    for outcome in failed:
        said = "".join(char if char.isprintable() else "·" for char in outcome.said)
        console.print(f"ESCAPED: {outcome.name}: {said}", soft_wrap=True)
    console.print(f"{len(found.attacks) - len(failed)} of {len(found.attacks)} contained")
