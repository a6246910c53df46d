"""Prepares many suites side by side, each in a process of its own: `benchside prepare NAME`.

What is ready is left as it is, so that an interrupted call goes on where it stopped; a suite that
fails leaves nothing behind and does not keep the others from being made. Memory is bounded by
`parallel` processes; the report says what each has taken.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchside.build_record import BuildRecord
from benchside.errors import BenchsideError
from benchside.library import DATA_VARIABLE, load_record
from benchside.suite import SuiteManifest
from benchside_kernels.image import HOME_VARIABLE

COMMAND = (sys.executable, "-c", "from benchside.cli import main; main()", "prepare")
GRACE_S = 10.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A suite to be prepared; `size` is None where the suite sets it, `families` as there."""

    manifest: SuiteManifest
    seed: int
    size: int | None
    families: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The suite's name."""
        return self.manifest.name

    def ready(self, home: Path) -> BuildRecord | None:
        """The build, if it is there. A user's data may have changed, so theirs are made again."""
        if self.manifest.data:
            return None
        try:
            record = load_record(self.name, home)
        except BenchsideError:
            return None
        made = record.seed, record.size, record.families
        return record if made == (self.seed, self.size, self.families) else None


@dataclass(slots=True)
class Preparation:
    """What became of it all: builds by suite, and why others failed."""

    records: dict[str, BuildRecord] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


async def prepare_all(
    wanted: Sequence[Wanted], home: Path, *, data: Path | None, parallel: int, console: Console
) -> Preparation:
    """Prepare all suites, the largest first.

    Args:
        data: the user's data folder.
        parallel: processes at a time.
    """
    done = Preparation()
    for one in wanted:
        if record := one.ready(home):
            done.records[one.name] = record
    owed = sorted(
        (one for one in wanted if one.name not in done.records), key=lambda one: -(one.size or 0)
    )
    if done.records:
        console.print(f"ready before: {', '.join(done.records)}", soft_wrap=True)
    queue = iter(owed)
    running: dict[str, None] = {}  # in order
    with _progress(console) as progress:
        bar = progress.add_task("", total=len(owed), running="")

        async def work() -> None:
            for one in queue:
                running[one.name] = None
                progress.update(bar, running=", ".join(running))
                failure = await _prepare(one, home, data)
                del running[one.name]
                if not failure:
                    try:
                        done.records[one.name] = load_record(one.name, home)
                    except BenchsideError as error:  # such as code that was changed meanwhile
                        failure = str(error)
                if failure:
                    done.failures[one.name] = failure
                progress.update(bar, advance=1, running=", ".join(running))

        async with asyncio.TaskGroup() as group:
            for _ in range(min(parallel, len(owed))):
                group.create_task(work())
    done.records = {one.name: done.records[one.name] for one in wanted if one.name in done.records}
    return done


async def _prepare(one: Wanted, home: Path, data: Path | None) -> str:
    """Run the command for one suite; return why it failed, or nothing."""
    size = () if one.size is None else ("--size", str(one.size))
    families = [told for family in one.families for told in ("--family", family)]
    environment = {**os.environ, HOME_VARIABLE: str(home)}
    if data is not None:
        environment[DATA_VARIABLE] = str(data)
    process = await asyncio.create_subprocess_exec(
        *COMMAND, one.name, "--seed", str(one.seed), *size, *families, "--json",
        env=environment,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        _, said = await process.communicate()
    except BaseException:  # we are cancelled: nothing goes on without us
        if process.returncode is None:
            process.send_signal(signal.SIGINT)  # it removes its scratch folder
            try:
                await asyncio.wait_for(process.wait(), GRACE_S)
            except TimeoutError:
                process.kill()
        await process.wait()
        raise
    if process.returncode == 0:
        return ""
    if process.returncode and process.returncode < 0:
        return f"ended by signal {-process.returncode}; is there enough memory?"
    return said.decode(errors="replace").strip().removeprefix("benchside: ")


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("suites"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[running]}", markup=False), console=console,
    )  # fmt: skip
