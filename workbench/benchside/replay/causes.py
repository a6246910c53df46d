"""Why a cell gives something else each time: found by experiment, named by the code.

The episode is played with everything pinned, then again with one thing changed at a time: clock,
operating system's entropy, seed, hash seed. A cell that changes with a thing depends on it; so does
one that only takes over a value from such a cell. What changes with nothing changed is left over:
addresses and threads. The calls that are named are those in the cell, else in cells before it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from benchside.episode import Episode
from benchside.library import Suite
from benchside.replay.compare import CellVerdict, compare_all
from benchside.replay.play import Conditions, Played, cells_of, play
from benchside.task import Frozen
from benchside_kernels.backend import KernelMaker
from benchside_kernels.cell import CellResult

Source = Literal[
    "time", "random, unseeded", "random, by the seed", "set order", "hash seed", "not pinned"
]

EPOCH_S = 1_700_000_000.0
LATER_S = 40_000_000.0
"""About 15 months: another year, month, day and hour."""

_CALLS: dict[Source, re.Pattern[str]] = {
    "time": re.compile(
        r"(?:^|\.)(?:time|time_ns|now|utcnow|today|perf_counter\w*|monotonic|ctime|localtime|gmtime"
        r"|strftime)$"
    ),
    "random, unseeded": re.compile(
        r"(?:^|\.)(?:default_rng|urandom|uuid1|uuid4|SystemRandom|RandomState|Random|seed|token_\w+"
        r"|randbits|randbelow|SeedSequence)$"
    ),
    "random, by the seed": re.compile(
        r"(?:^|\.)(?:random|rand|randn|randint|uniform|normal|choice|choices|sample|shuffle"
        r"|permutation|gauss|standard_normal|binomial|poisson|resample|train_test_split|bootstrap"
        r"|\w*Forest\w*|KFold|KMeans)$"
    ),
    "set order": re.compile(r"^(?:set|frozenset)$"),
    "hash seed": re.compile(r"^hash$"),
    "not pinned": re.compile(r"(?:^|\.)(?:id|Thread|submit|Pool|map_async|as_completed|object)$"),
}
_SEEDABLE = re.compile(r"(?:^|\.)(?:default_rng|RandomState|Random|seed|SeedSequence)$")
_SQL_CLOCK = re.compile(r"CURRENT_(?:TIMESTAMP|DATE|TIME)|'now'", re.IGNORECASE)


class Cause(Frozen):
    """What a cell's result depends on.

    Args:
        calls: in the code that may be why, each with the cell it stands in; none were recognised
            where it is empty.
        before, after: parts of the result under two conditions.
    """

    cell_id: str
    source: Source
    calls: tuple[str, ...]
    before: str
    after: str


async def find_causes(
    episode: Episode, suite: Suite, maker: KernelMaker, hidden: tuple[Path, ...]
) -> tuple[Cause, ...]:
    """Return the first cell that depends on each source, in the order of the cells.

    Raises:
        KernelStartError: no kernel came up.
    """
    cells = cells_of(episode)
    base = Conditions(episode.provenance.seed, clock=EPOCH_S, entropy=1)
    changed: list[tuple[Source, Conditions]] = [
        ("not pinned", base),
        ("time", replace(base, clock=EPOCH_S + LATER_S)),
        ("random, unseeded", replace(base, entropy=2)),
        ("random, by the seed", replace(base, seed=base.seed + 1)),
        ("hash seed", replace(base, hash_seed=1)),
        ("hash seed", replace(base, hash_seed=2)),  # two texts keep their order every other time
    ]

    async def under(conditions: Conditions) -> Played:
        return await play(episode, cells, conditions, suite, maker, hidden)

    first = await under(base)
    found: dict[Source, Cause] = {}
    noise: set[str] = set()
    for source, conditions in changed:
        verdicts = compare_all(first.results, (await under(conditions)).results)
        differing = [one for one in verdicts if one.verdict == "different"]
        if source == "not pinned":
            noise = {one.cell_id for one in differing}
        else:
            differing = [one for one in differing if one.cell_id not in noise]
        if differing:
            found.setdefault(source, _cause(source, differing[0], cells))
    order = {cell.cell_id: place for place, cell in enumerate(cells)}
    return tuple(sorted(found.values(), key=lambda cause: order[cause.cell_id]))


def _cause(source: Source, verdict: CellVerdict, cells: Sequence[CellResult]) -> Cause:
    """Name a cause by the code of the cell, or of those before it; a clock that C reads is time."""
    until = [cell.cell_id for cell in cells].index(verdict.cell_id)
    looked = list(reversed(cells[: until + 1]))
    names: tuple[Source, ...] = {
        "hash seed": ("hash seed", "set order"),
        "not pinned": ("time", "random, unseeded", "not pinned"),
    }.get(source, (source,))  # type: ignore[assignment]
    for cell in looked:
        for name in names:
            calls = _calls(cell.source, name)
            if calls:
                told = tuple(f"{call} in {cell.cell_id}" for call in calls)
                return Cause(cell_id=verdict.cell_id, source=name, calls=told,
                             before=verdict.before, after=verdict.after)  # fmt: skip
    return Cause(
        cell_id=verdict.cell_id, source=source, calls=(), before=verdict.before, after=verdict.after
    )


def _calls(code: str, source: Source) -> tuple[str, ...]:
    """The calls of a source in a cell, by their dotted names."""
    try:
        tree = ast.parse(re.sub(r"^\s*[%!].*$", "", code, flags=re.MULTILINE))
    except SyntaxError:
        return ()
    found: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            seeded = _SEEDABLE.search(name) is not None and bool(node.args or node.keywords)
            if _CALLS[source].search(name) and not (seeded and source == "random, unseeded"):
                found[f"{name}()"] = None
        elif source == "set order" and isinstance(node, (ast.Set, ast.SetComp)):
            found[f"{{…}} ({ast.unparse(node)[:40]})"] = None
        elif (
            source == "time"
            and isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and (clock := _SQL_CLOCK.search(node.value))
        ):
            found[clock[0]] = None
    return tuple(found)
