"""What `benchside replay` does: which episodes, side by side, resumable, and what people see."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import cast, get_args

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchside.commands import episode_progress, find_transcript, say_isolation
from benchside.episode import Episode
from benchside.errors import BenchsideError, InputError, StoreError
from benchside.isolation import check_isolation
from benchside.library import Suite, load_suite
from benchside.parallel import side_by_side
from benchside.provenance import describe
from benchside.replay.replay import Replayed, replay_episode
from benchside.replay.row import FILE, ReplayRow, digest, read_rows
from benchside.store import REPLAYS, RunFolder, append_line, cut_torn_line
from benchside.task_kernel import WARM_MODULES
from benchside.transcript import read_transcript, write_transcript
from benchside_kernels.errors import KernelError
from benchside_kernels.makers import open_kernels
from benchside_kernels.sandbox import Level

MAX_LISTED = 20


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """A replay as the user asked for it.

    Args:
        target: run folder, transcript, or RUN/EPISODE-ID.
        parallel: episodes at a time.
        probe: look for causes in every episode, not only where something differs.
        isolation: level of the kernels; None for that of the episodes.
    """

    target: str
    parallel: int
    probe: bool = False
    isolation: Level | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """The notebooks to replay and the run folder that they lie in."""

    folder: RunFolder
    transcripts: tuple[Path, ...]
    single: bool


def find_target(name: str) -> Target:
    """Return what a target stands for.

    Raises:
        StoreError: there is no such run or episode, or the episode lies in no run.
    """
    path = Path(name)
    if path.is_dir():
        folder = RunFolder(path)
        folder.config()
        return Target(folder, tuple(map(folder.transcript_path, folder.rows())), single=False)
    transcript = find_transcript(name)
    folder = RunFolder(transcript.resolve().parent.parent)
    folder.config()
    return Target(folder, (transcript,), single=True)


async def replay_target(request: ReplayRequest, home: Path, console: Console) -> list[ReplayRow]:
    """Replay all that is owed of a target; rows are appended to the run's `replay.jsonl`.

    Returns:
        The rows of all its episodes, those of before included. A single episode is always
        replayed anew.

    Raises:
        DataMissingError: a suite's build that was used is not prepared any more.
        InputError: the isolation is not what a task needs.
    """
    target = find_target(request.target)
    with target.folder.lock():
        cut_torn_line(target.folder.path / FILE)
        known = {} if target.single else read_rows(target.folder)
        owed = [path for path in target.transcripts if _owed(path, known, request.probe)]
        if known and len(owed) < len(target.transcripts):
            done = len(target.transcripts) - len(owed)
            console.print(f"{done:,} of {len(target.transcripts):,} episodes are replayed")
        rows = {path.stem: known[path.stem] for path in target.transcripts if path.stem in known}
        if owed:
            for row in await _replay(owed, target, request, home, console):
                rows[row.episode_id] = row
    return [rows[path.stem] for path in target.transcripts]


def _owed(transcript: Path, known: dict[str, ReplayRow], probe: bool) -> bool:
    row = known.get(transcript.stem)
    return (
        row is None or row.error is not None or row.transcript != digest(transcript)
        or (probe and row.causes is None)
    )  # fmt: skip


async def _replay(
    owed: Sequence[Path], target: Target, request: ReplayRequest, home: Path, console: Console
) -> list[ReplayRow]:
    suites = _suites(owed, home)
    level = request.isolation or level_of(owed)
    rows: list[ReplayRow] = []
    counts: Counter[str] = Counter()
    (target.folder.path / REPLAYS).mkdir(exist_ok=True)
    async with open_kernels(level, WARM_MODULES) as maker:
        say_isolation(maker.isolation, console)
        with episode_progress(console) as progress:
            bar = progress.add_task("", total=len(owed), counts="")

            async def work(transcript: Path) -> None:
                try:
                    episode = read_transcript(transcript)
                    check_isolation([episode.task], maker.isolation)
                    suite = suites[episode.task.suite, episode.provenance.suite_build]
                    replayed = await replay_episode(
                        episode, digest(transcript), suite, maker, probe=request.probe,
                        also_hidden=(target.folder.path.resolve(),),
                    )  # fmt: skip
                    row = replayed.row
                    if row.different or target.single:
                        _keep(replayed, target.folder)
                except (BenchsideError, KernelError) as error:  # this episode's; others go on
                    row = _failed(transcript, error, describe(maker.isolation))
                append_line(target.folder.path / FILE, row.model_dump_json())
                rows.append(row)
                counts["failed" if row.error else "different" if row.different else "same"] += 1
                listed = "  ".join(f"{name} {count}" for name, count in sorted(counts.items()))
                progress.update(bar, advance=1, counts=listed)

            await side_by_side(owed, work, request.parallel)
    return rows


def _suites(transcripts: Iterable[Path], home: Path) -> dict[tuple[str, str], Suite]:
    """The builds that the episodes were run on; unreadable episodes are met again later."""
    builds: dict[tuple[str, str], Suite] = {}
    for path in transcripts:
        episode = _readable(path)
        if episode is not None:
            key = episode.task.suite, episode.provenance.suite_build
            if key not in builds:
                builds[key] = load_suite(key[0], home, build=key[1])
    return builds


def level_of(transcripts: Iterable[Path]) -> Level | None:
    """Return the level that the first episode ran at, which is that of its run."""
    episode = next(filter(None, map(_readable, transcripts)), None)
    level = None if episode is None else episode.provenance.isolation.partition(",")[0]
    return cast(Level, level) if level in get_args(Level) else None


def _readable(transcript: Path) -> Episode | None:
    try:
        return read_transcript(transcript)
    except StoreError:
        return None  # `work` reads it again and records the error


def _keep(replayed: Replayed, folder: RunFolder) -> None:
    path = folder.path / REPLAYS / f"{replayed.row.episode_id}.ipynb"
    write_transcript(replayed.episode, path)


def _failed(transcript: Path, error: Exception, isolation: str) -> ReplayRow:
    return ReplayRow(
        episode_id=transcript.stem, task_id="", suite="", policy="", transcript=digest(transcript),
        isolation=isolation, error=f"{type(error).__name__}: {error}",
    )  # fmt: skip


def print_replay(rows: Sequence[ReplayRow], console: Console) -> None:
    """Print one line per suite and policy, then what differs, with its causes."""
    table = Table(
        title="Episodes (n) and cells, replayed",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("suite, policy", overflow="fold")
    columns = ("n", "cells", "identical", "equal", "differ", "same, %", "hidden")
    for column in columns:
        table.add_column(column, justify="right")
    groups: dict[str, list[ReplayRow]] = {}
    for row in rows:
        name = f"{row.suite}, {row.policy}" if row.error is None else "not replayed"
        groups.setdefault(name, []).append(row)
    if len(groups) > 1:
        groups["all"] = list(rows)
    for name, group in groups.items():
        cells = sum(row.cells for row in group)
        same = sum(row.identical + row.equal for row in group)
        numbers = (
            len(group), cells, sum(row.identical for row in group),
            sum(row.equal for row in group), cells - same,
        )  # fmt: skip
        share = f"{100 * same / cells:.2f}" if cells else "–"
        hidden = sum(len(row.hidden_state) for row in group)
        table.add_row(Text(name), *(f"{number:,}" for number in numbers), share, f"{hidden:,}")
    console.print(table)
    found = [row for row in rows if row.error or row.different or row.causes or row.hidden_state
             or row.same_states is False]  # fmt: skip
    for row in found[:MAX_LISTED]:
        _print_row(row, console)
    if len(found) > MAX_LISTED:
        console.print(f"… and {len(found) - MAX_LISTED:,} more in {FILE}")


def _print_row(row: ReplayRow, console: Console) -> None:
    if row.error:
        console.print(f"{row.episode_id} was not replayed: {row.error}", soft_wrap=True)
        return
    console.print(f"{row.episode_id} ({row.task_id})", style="bold")
    if (first := row.first_divergence) is not None:
        console.print(
            f"  first divergence in {first.cell_id}, {first.nature}; {len(row.different)} of "
            f"{row.cells} cells differ"
        )
        console.print(f"    then: {first.before}", soft_wrap=True)
        console.print(f"    now:  {first.after}", soft_wrap=True)
    for cause in row.causes or ():
        calls = ", ".join(cause.calls) or "no call that is known for it"
        console.print(f"  {cause.cell_id} depends on {cause.source}: {calls}", soft_wrap=True)
    if row.different and row.causes == ():
        console.print("  nothing that was varied explains it: versions, machine, or an edited cell")
    if row.hidden_state:
        console.print(f"  depend on failed cells or restarts: {', '.join(row.hidden_state)}")
    if row.same_states is False:
        console.print("  the services recorded something else")


def show_diff(request: ReplayRequest) -> None:
    """Show a replayed episode beside the original by nbdime.

    Raises:
        InputError: nbdime is not installed, or the target is a whole run.
    """
    target = find_target(request.target)
    if not target.single:
        raise InputError(
            "a diff shows one episode", where="--diff", value=request.target,
            fix="give RUN/EPISODE-ID; those that differ are listed",
        )  # fmt: skip
    if find_spec("nbdime") is None:
        raise InputError("--diff needs nbdime", where="--diff", fix="pip install 'benchside[lab]'")
    (before,) = target.transcripts
    after = target.folder.path / REPLAYS / before.name
    command = [sys.executable, "-m", "nbdime", "diff", "--ignore-metadata", "--ignore-details"]
    subprocess.run([*command, str(before), str(after)], check=False)
