"""Functions on genomic intervals, half-open [start, end) unless a statement says otherwise."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from benchside.suites.functions.draw import Draw
from benchside.suites.functions.exercise import Exercises

genomic_intervals = Exercises("intervals")


def merged(intervals: list[list[int]]) -> list[list[int]]:
    """Return sorted intervals without overlap; those that touch are joined."""
    result: list[list[int]] = []
    for start, end in sorted(intervals):
        if result and start <= result[-1][1]:
            result[-1][1] = max(result[-1][1], end)
        else:
            result.append([start, end])
    return result


def _one(d: Draw) -> list[Any]:
    return [d.intervals(0, 8)]


def _two(d: Draw) -> list[Any]:
    return [d.intervals(0, 6), d.intervals(0, 6)]


def _covered(intervals: list[list[int]]) -> set[int]:
    return {x for start, end in intervals for x in range(start, end)}


def _merged_positions(intervals: list[list[int]], gap: int, report: str, least: int) -> Any:
    runs: list[list[int]] = []
    for place in sorted(_covered(intervals)):
        if runs and place - runs[-1][-1] - 1 <= gap:
            runs[-1].append(place)
        else:
            runs.append([place])
    spans = [range(run[0], run[-1] + 1) for run in runs if run[-1] + 1 - run[0] >= least]
    return [len(one) if report == "lengths" else [one.start, one.stop] for one in spans]


@genomic_intervals(
    _one, gap=(0, 1, 3, 5), report=("intervals", "lengths"), least=(1, 4), second=_merged_positions
)
def merge_intervals(intervals: list[list[int]], gap: int, report: str, least: int) -> Any:
    """Merge intervals that overlap or have at most {gap} positions between them; return {report}.

    Sorted by start. Merged ones shorter than {least} are left out. "lengths" is the list of the
    lengths.
    """
    result: list[list[int]] = []
    for start, end in sorted(intervals):
        if result and start - result[-1][1] <= gap:
            result[-1][1] = max(result[-1][1], end)
        else:
            result.append([start, end])
    kept = [one for one in result if one[1] - one[0] >= least]
    return kept if report == "intervals" else [end - start for start, end in kept]


def _shared_positions(
    a: list[list[int]], b: list[list[int]], least: int, report: str, shift: int
) -> Any:
    shared = {
        (i, j): set(range(*one)) & {place + shift for place in range(*other)}
        for i, one in enumerate(a)
        for j, other in enumerate(b)
    }
    kept = {pair: places for pair, places in shared.items() if len(places) >= least}
    if report == "bases":
        return sum(map(len, kept.values()))
    if report == "pairs":
        return sorted(map(list, kept))
    return sorted([min(places), max(places) + 1] for places in kept.values())


@genomic_intervals(
    _two,
    least=(1, 2, 4),
    report=("pieces", "pairs", "bases"),
    shift=(0, 2),
    second=_shared_positions,
)
def intersect_intervals(
    a: list[list[int]], b: list[list[int]], least: int, report: str, shift: int
) -> Any:
    """Intersect each interval of `a` with each of `b`, after moving `b` up by {shift} positions.

    Only overlaps of at least {least} positions count. Return {report}: "pieces" is the sorted list
    of the overlaps [start, end], repeated ones kept; "pairs" the sorted list of index pairs [i, j]
    from 0; "bases" the sum of the overlaps' lengths.
    """
    pieces, pairs = [], []
    for i, (s, e) in enumerate(a):
        for j, (t, f) in enumerate(b):
            start, end = max(s, t + shift), min(e, f + shift)
            if end - start >= least:
                pieces.append([start, end])
                pairs.append([i, j])
    if report == "bases":
        return sum(end - start for start, end in pieces)
    return sorted(pieces if report == "pieces" else pairs)


def _subtracted(a: list[list[int]], b: list[list[int]], margin: int, least: int) -> list[list[int]]:
    left = _covered(a) - _covered([[start - margin, end + margin] for start, end in b])
    starts = sorted(x for x in left if x - 1 not in left)
    ends = sorted(x + 1 for x in left if x + 1 not in left)
    return [[s, e] for s, e in zip(starts, ends, strict=True) if e - s >= least]


@genomic_intervals(_two, margin=(0, 1, 2), least=(1, 2, 3), uses=(merged,), second=_subtracted)
def subtract_intervals(
    a: list[list[int]], b: list[list[int]], margin: int, least: int
) -> list[list[int]]:
    """Return the positions of `a` outside `b` as sorted intervals, joined where they touch.

    Each interval of `b` is first widened by {margin} on both sides. Intervals shorter than {least}
    are left out.
    """
    holes = merged([[start - margin, end + margin] for start, end in b])
    found = []
    for start, end in merged(a):
        place = start
        for low, high in holes:
            if high <= place or low >= end:
                continue
            if low > place:
                found.append([place, low])
            place = max(place, high)
        if place < end:
            found.append([place, end])
    return [one for one in found if one[1] - one[0] >= least]


@genomic_intervals(_one, depth=(1, 2, 3), report=("bases", "regions", "deepest"), cap=(2, 5, 100))
def coverage(intervals: list[list[int]], depth: int, report: str, cap: int) -> Any:
    """Return the {report} of the coverage by intervals.

    "bases" is the number of positions covered by at least {depth} intervals; "regions" the list of
    [start, end, depth] of the runs of equal coverage of at least {depth}, with coverage above {cap}
    taken as {cap} before runs are made; "deepest" the largest coverage, at most {cap}.
    """
    counts = Counter(x for start, end in intervals for x in range(start, end))
    if report == "bases":
        return sum(n >= depth for n in counts.values())
    if report == "deepest":
        return min(cap, max(counts.values(), default=0))
    regions: list[list[int]] = []
    for x in sorted(counts):
        n = min(counts[x], cap)
        if n < depth:
            continue
        if regions and regions[-1][1] == x and regions[-1][2] == n:
            regions[-1][1] = x + 1
        else:
            regions.append([x, x + 1, n])
    return regions


@genomic_intervals(
    lambda d: [d.intervals(0, 5), d.integer(60, 90)],
    border=(0, 5, 10),
    least=(1, 3),
    uses=(merged,),
    report=("gaps", "longest"),
)
def complement_intervals(
    intervals: list[list[int]], length: int, border: int, least: int, report: str
) -> Any:
    """Return the {report} among the intervals that `intervals` leave on a chromosome of `length`.

    The first and last {border} positions are never part of it; gaps shorter than {least} are left
    out. "longest" is the longest gap, the first of equals, as [start, end], or None.
    """
    gaps, place, last = [], border, length - border
    for start, end in [*merged(intervals), [last, last]]:
        if min(start, last) - place >= least:
            gaps.append([place, min(start, last)])
        place = max(place, end)
    if report == "gaps":
        return gaps
    return max(gaps, key=lambda gap: gap[1] - gap[0], default=None)


def _closest_position(
    position: int, intervals: list[list[int]], side: str, report: str, most: int
) -> list[int] | int | None:
    found = []
    for i, one in enumerate(intervals):
        away = [place - position for place in range(*one)]
        if side == "any" or (max(away) < 0 if side == "left" else min(away) > 0):
            found.append((min(map(abs, away)), i))
    near = [one for one in found if one[0] <= most]
    return dict(zip(("distance", "index"), min(near), strict=True))[report] if near else None


@genomic_intervals(
    lambda d: [d.integer(0, 60), d.intervals(0, 6)],
    side=("any", "left", "right"),
    report=("distance", "index"),
    most=(5, 20, 100),
    second=_closest_position,
)
def closest_interval(
    position: int, intervals: list[list[int]], side: str, report: str, most: int
) -> int | None:
    """Return the {report} of the interval closest to a position, None if none is within {most}.

    The distance is 0 inside, otherwise to the nearest position that the interval covers. Side
    {side}: "left" and "right" allow only intervals that lie wholly below or above the position. Of
    equally close ones the first in the list counts; indices are from 0.
    """
    best = None
    for i, (start, end) in enumerate(intervals):
        if (side == "left" and end > position) or (side == "right" and start <= position):
            continue
        distance = max(start - position, position - (end - 1), 0)
        if distance <= most and (best is None or distance < best[0]):
            best = (distance, i)
    return None if best is None else best[report == "index"]


@genomic_intervals(
    _two,
    measure=("jaccard", "share of first", "share of second", "bases"),
    pad=(0, 1, 2),
    digits=(3, 6),
    uses=(merged,),
)
def overlap_measure(
    a: list[list[int]], b: list[list[int]], measure: str, pad: int, digits: int
) -> float:
    """Return the {measure} of the positions that `a` and `b` cover, rounded to {digits} decimals.

    Intervals of both are first widened by {pad} on both sides. "jaccard" is the positions covered
    by both over those covered by any, a share those covered by both over those covered by that
    one, "bases" the number covered by both. With a divisor of 0 it is 0.
    """
    sets = [
        {x for start, end in merged(one) for x in range(start - pad, end + pad)} for one in (a, b)
    ]
    both, any_ = sets[0] & sets[1], sets[0] | sets[1]
    below = {"jaccard": any_, "share of first": sets[0], "share of second": sets[1]}
    if measure == "bases":
        return float(len(both))
    return round(len(both) / len(below[measure]), digits) if below[measure] else 0.0


def _tiled(length: int, size: int, step: int, last: str) -> list[list[int]]:
    reaching = -(-max(length - size, 0) // step) * step  # the first start that reaches the end
    starts = range(0, min(reaching, length - 1) + 1, step)
    whole = [[start, start + size] for start in starts if start + size <= length]
    if len(whole) == len(starts) or last == "dropped":
        return whole
    return [*whole, [starts[-1] if last == "kept" else max(length - size, 0), length]]


@genomic_intervals(
    lambda d: [d.integer(1, 80)],
    size=(7, 10, 25),
    step=(3, 5, 10),
    last=("kept", "dropped", "shifted"),
    second=_tiled,
)
def tile(length: int, size: int, step: int, last: str) -> list[list[int]]:
    """Return windows of {size} positions over a chromosome of `length`, one every {step} from 0.

    Windows stop at the first one that reaches the end. A window that would pass the end is {last}:
    "kept" cut off there, "dropped", or "shifted" down to end there (from 0 at the least).
    """
    windows = []
    for start in range(0, length, step):
        end = start + size
        if end <= length:
            windows.append([start, end])
        elif last == "kept":
            windows.append([start, length])
        elif last == "shifted":
            windows.append([max(0, length - size), length])
        if end >= length:
            break
    return windows


@genomic_intervals(
    lambda d: [[[*one, d.pick("+-")] for one in d.intervals(0, 6)], 80],
    up=(2, 10),
    down=(0, 5),
    kind=("promoter", "flanks"),
)
def flanking(genes: list[list[Any]], length: int, up: int, down: int, kind: str) -> list[list[int]]:
    """Return for each gene [start, end, strand] its {kind}, cut to a chromosome of `length`.

    "promoter": {up} positions before the gene's first base and {down} from that base on; on strand
    "-" the first base is the one at end - 1 and "before" is above it. "flanks": [start - {up},
    end + {down}], on "-" [start - {down}, end + {up}].
    """
    found = []
    for start, end, strand in genes:
        if kind == "flanks":
            low, high = (up, down) if strand == "+" else (down, up)
            low, high = start - low, end + high
        elif strand == "+":
            low, high = start - up, start + down
        else:
            low, high = end - down, end + up
        found.append([max(0, low), min(length, high)])
    return found


@genomic_intervals(
    lambda d: [d.integers(1, 9, 1, 100)],
    share=(0.25, 0.5, 0.75, 0.9),
    report=("n", "l"),
    of=("sum", "given"),
    least=(1, 20),
)
def assembly_statistic(lengths: list[int], share: float, report: str, of: str, least: int) -> int:
    """Return N or L ("{report}") of an assembly for a share of {share}.

    Contigs shorter than {least} are left out. From the longest on, contigs are added until they
    reach {share} of the total: "sum" is the sum of the lengths kept, "given" is 300. N is the
    length of the contig that reaches it, L the number of contigs so far; 0 where it is not
    reached. Total: {of}.
    """
    kept = sorted((n for n in lengths if n >= least), reverse=True)
    goal = share * (sum(kept) if of == "sum" else 300)
    total = 0
    for number, n in enumerate(kept, 1):
        total += n
        if total >= goal - 1e-9:
            return n if report == "n" else number
    return 0


@genomic_intervals(
    lambda d: [
        [
            [s * 1 + 12 * i, 12 * i + s + d.integer(1, 9), d.integer(0, 200)]
            for i in range(d.integer(1, 5))
            for s in [d.integer(0, 3)]
        ],
        d.integer(0, 60),
    ],
    unmapped=(-1, -9),
    reverse=(True, False),
    base=(0, 1),
)
def lift_over(
    blocks: list[list[int]], position: int, unmapped: int, reverse: bool, base: int
) -> int:
    """Lift a position by blocks [start, end, target start] that do not overlap.

    A position in a block moves to the target start plus its offset in the block, or, where the
    target strand is reversed ({reverse}), to the target start plus the block's length minus 1
    minus the offset. Input and output count from {base}, block coordinates from 0. Outside all
    blocks return {unmapped}.
    """
    place = position - base
    for start, end, target in blocks:
        if start <= place < end:
            offset = place - start
            return target + (end - start - 1 - offset if reverse else offset) + base
    return unmapped


def _binned(positions: list[int], size: int, report: str, start: int) -> Any:
    bins = {low: sum(low <= p < low + size for p in positions) for low in range(start, 100, size)}
    if report == "empty":
        return sum(n == 0 for n in bins.values())
    if report == "counts":
        return {str(low): n for low, n in bins.items() if n}
    most = max(bins.values())
    return next(low for low, n in bins.items() if n == most) if most else None


@genomic_intervals(
    lambda d: [d.integers(0, 15, 0, 99)],
    size=(5, 10, 20),
    report=("counts", "fullest", "empty"),
    start=(0, 10),
    second=_binned,
)
def bin_positions(positions: list[int], size: int, report: str, start: int) -> Any:
    """Count positions in bins of {size} from {start} up to 100; those below {start} are ignored.

    Return {report}: "counts" is bin start → count for bins that are not empty, "fullest" the start
    of the fullest bin (the first of equals; None where all are empty), "empty" the number of empty
    bins, of which the last may be shorter.
    """
    counts = Counter((p - start) // size * size + start for p in positions if p >= start)
    if report == "counts":
        return {str(key): n for key, n in counts.items()}
    if report == "empty":
        return math.ceil((100 - start) / size) - len(counts)
    return min(counts, key=lambda key: (-counts[key], key)) if counts else None


@genomic_intervals(
    _one, report=("most", "least rooms", "chosen"), gap=(0, 1, 3), weight=("one", "length")
)
def disjoint_intervals(intervals: list[list[int]], report: str, gap: int, weight: str) -> Any:
    """Choose intervals with at least {gap} positions between any two (0: they may touch).

    Return {report}: "most" is the largest total weight of such a choice, where an interval weighs
    {weight} (1, or its length); "chosen" the intervals taken greedily by the earliest end, then the
    earliest start; "least rooms" the least number of groups such that within each no two are closer
    than that.
    """
    ordered = sorted(intervals, key=lambda one: (one[1], one[0]))
    if report == "chosen":
        chosen: list[list[int]] = []
        for start, end in ordered:
            if not chosen or start - chosen[-1][1] >= gap:
                chosen.append([start, end])
        return chosen
    if report == "least rooms":
        ends: list[int] = []
        for start, end in sorted(intervals):
            free = [i for i, last in enumerate(ends) if start - last >= gap]
            if free:
                ends[free[0]] = end
            else:
                ends.append(end)
        return len(ends)
    best = [0]
    for i, (start, end) in enumerate(ordered):
        value = 1 if weight == "one" else end - start
        before = sum(start - other[1] >= gap for other in ordered[:i])
        best.append(max(best[-1], best[before] + value))
    return best[-1]
