"""Functions on structures: coordinates of atoms, and secondary structures of RNA."""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np

from benchside.suites.functions.exercise import Exercises

structures = Exercises("structures")


def bracket_pairs(structure: str) -> list[tuple[int, int]]:
    """Return the pairs of a dot-bracket text, by the opening position from 0."""
    stack, pairs = [], []
    for i, mark in enumerate(structure):
        if mark == "(":
            stack.append(i)
        elif mark == ")":
            pairs.append((stack.pop(), i))
    return sorted(pairs)


def _exact_contacts(points: list[list[float]], cutoff: float, apart: int, report: str) -> Any:
    """Squares of exact decimals, without a root."""
    exact = [[Fraction(str(x)) for x in point] for point in points]
    near = [
        [i, j]
        for i, p in enumerate(exact)
        for j, q in enumerate(exact)
        if j >= i + apart
        and sum((x - y) ** 2 for x, y in zip(p, q, strict=True)) <= Fraction(str(cutoff)) ** 2
    ]
    return near if report == "pairs" else len(near)


@structures(
    lambda d: [d.points(2, 7, 6.0)],
    cutoff=(4.0, 6.0, 8.0),
    apart=(1, 2, 3),
    report=("pairs", "count"),
    second=_exact_contacts,
)
def contacts(points: list[list[float]], cutoff: float, apart: int, report: str) -> Any:
    """Return the {report} of contacts among points in chain order.

    Two points i < j are in contact where their distance is at most {cutoff} and j - i is at least
    {apart}. "pairs" is the list of [i, j] in order, counted from 0.
    """
    found = [
        [i, j]
        for i, j in itertools.combinations(range(len(points)), 2)
        if j - i >= apart and math.dist(points[i], points[j]) <= cutoff
    ]
    return found if report == "pairs" else len(found)


def _deviation_of_differences(
    a: list[list[float]], b: list[list[float]], centred: bool, measure: str, digits: int
) -> float:
    apart = np.array(a) - np.array(b)
    lengths = np.linalg.norm(apart - (apart.mean(axis=0) if centred else 0), axis=1)
    found = {
        "rmsd": np.sqrt(np.mean(lengths**2)), "mean": np.mean(lengths), "max": np.max(lengths),
        "sum of squares": lengths @ lengths,
    }  # fmt: skip
    return round(float(found[measure]), digits)


@structures(
    lambda d: [p := d.points(1, 6), [[d.number(-9, 9) for _ in range(3)] for _ in p]],
    centred=(True, False),
    measure=("rmsd", "mean", "max", "sum of squares"),
    digits=(2, 4),
    second=_deviation_of_differences,
)
def deviation(
    a: list[list[float]], b: list[list[float]], centred: bool, measure: str, digits: int
) -> float:
    """Return the {measure} of the distances of matching points, rounded to {digits} decimals.

    "rmsd" is the root of the mean squared distance. Whether both sets are moved to have their
    centroid at the origin first (without rotation): {centred}.
    """
    n = len(a)
    if centred:
        moved = []
        for points in (a, b):
            centre = [sum(axis) / n for axis in zip(*points, strict=True)]
            moved.append([[x - c for x, c in zip(p, centre, strict=True)] for p in points])
        a, b = moved
    distances = [math.dist(p, q) for p, q in zip(a, b, strict=True)]
    squares = sum(x * x for x in distances)
    found = {
        "rmsd": math.sqrt(squares / n), "mean": sum(distances) / n, "max": max(distances),
        "sum of squares": squares,
    }  # fmt: skip
    return round(found[measure], digits)


def _extent_by_pairs(
    points: list[list[float]], masses: list[int], weighted: bool, report: str, digits: int
) -> Any:
    """The radius of gyration comes from the distances of all pairs, without a centre."""
    places, weights = np.array(points), np.array(masses if weighted else [1] * len(points))
    centre = weights @ places / weights.sum()
    if report == "centre":
        return [round(float(x), digits) for x in centre]
    if report == "largest distance":
        return round(float(np.linalg.norm(places - centre, axis=1).max()), digits)
    squares = ((places[:, None] - places[None]) ** 2).sum(axis=2)
    mean = weights @ squares @ weights / (2 * weights.sum() ** 2)
    return round(float(np.sqrt(mean)), digits)


@structures(
    lambda d: [p := d.points(1, 6), [d.integer(1, 16) for _ in p]],
    weighted=(True, False),
    report=("radius of gyration", "centre", "largest distance"),
    digits=(1, 3),
    second=_extent_by_pairs,
)
def extent(
    points: list[list[float]], masses: list[int], weighted: bool, report: str, digits: int
) -> Any:
    """Return the {report} of points, rounded to {digits} decimals.

    "centre" is the mean position as [x, y, z]; "radius of gyration" the root mean squared distance
    from it; "largest distance" the largest one from it. Means are weighted by the masses:
    {weighted}.
    """
    weights = masses if weighted else [1] * len(points)
    total = sum(weights)
    centre = [sum(w * p[k] for w, p in zip(weights, points, strict=True)) / total for k in range(3)]
    distances = [math.dist(p, centre) for p in points]
    if report == "centre":
        return [round(x, digits) for x in centre]
    if report == "largest distance":
        return round(max(distances), digits)
    squares = sum(w * x * x for w, x in zip(weights, distances, strict=True))
    return round(math.sqrt(squares / total), digits)


def _angle_by_product(
    a: list[float], b: list[float], c: list[float], unit: str, vertex: int, digits: int
) -> float:
    points = np.array([a, b, c])
    u, v = np.delete(points, vertex, axis=0) - points[vertex]
    if not u.any() or not v.any():
        return 0.0
    angle = math.atan2(float(np.linalg.norm(np.cross(u, v))), float(u @ v))
    found = {"cosine": math.cos(angle), "radians": angle, "degrees": angle * 180 / math.pi}
    return round(found[unit], digits)


@structures(
    lambda d: d.points(3, 3),
    unit=("degrees", "radians", "cosine"),
    vertex=(0, 1, 2),
    digits=(3, 5),
    second=_angle_by_product,
)
def bond_angle(
    a: list[float], b: list[float], c: list[float], unit: str, vertex: int, digits: int
) -> float:
    """Return the angle of three points at the one numbered {vertex} (0 is `a`), as {unit}.

    Rounded to {digits} decimals; 0 where a neighbour is at the vertex itself.
    """
    points = [a, b, c]
    centre = points.pop(vertex)
    u, v = ([x - y for x, y in zip(p, centre, strict=True)] for p in points)
    size = math.hypot(*u) * math.hypot(*v)
    if size == 0:
        return 0.0
    cosine = max(-1.0, min(1.0, sum(x * y for x, y in zip(u, v, strict=True)) / size))
    angle = math.acos(cosine)
    found = {"cosine": cosine, "radians": angle, "degrees": math.degrees(angle)}
    return round(found[unit], digits)


@structures(
    lambda d: d.points(4, 4),
    unit=("degrees", "radians"),
    wrap=("-180 to 180", "0 to 360"),
    digits=(2, 4),
)
def dihedral(
    a: list[float],
    b: list[float],
    c: list[float],
    d: list[float],
    unit: str,
    wrap: str,
    digits: int,
) -> float:
    """Return the dihedral angle of four points about the axis from `b` to `c`, in {unit}.

    IUPAC sign: looking from `b` to `c`, positive where the far bond is turned clockwise. The range
    is {wrap} degrees (or the same in radians). Rounded to {digits} decimals.
    """

    def minus(p: list[float], q: list[float]) -> list[float]:
        return [x - y for x, y in zip(p, q, strict=True)]

    def cross(p: list[float], q: list[float]) -> list[float]:
        return [p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]]

    def dot(p: list[float], q: list[float]) -> float:
        return sum(x * y for x, y in zip(p, q, strict=True))

    first, axis, last = minus(b, a), minus(c, b), minus(d, c)
    n1, n2 = cross(first, axis), cross(axis, last)
    angle = math.atan2(math.hypot(*axis) * dot(first, n2), dot(n1, n2))
    if wrap == "0 to 360" and angle < 0:
        angle += 2 * math.pi
    return round(math.degrees(angle) if unit == "degrees" else angle, digits)


def _most_pairs(rna: str, loop: int, wobble: bool, score: int) -> int:
    allowed = {"AU", "UA", "CG", "GC"} | ({"GU", "UG"} if wobble else set())

    @functools.cache
    def best(text: str) -> int:
        if len(text) < loop + 2:
            return 0
        found = best(text[:-1])
        for k in range(len(text) - loop - 1):
            if text[k] + text[-1] in allowed:
                found = max(found, best(text[:k]) + 1 + best(text[k + 1 : -1]))
        return found

    return score * best(rna)


@structures(
    lambda d: [d.dna(0, 16, "ACGU")],
    loop=(0, 2, 3, 4),
    wobble=(True, False),
    score=(1, 2),
    second=_most_pairs,
)
def most_base_pairs(rna: str, loop: int, wobble: bool, score: int) -> int:
    """Return {score} times the largest number of base pairs of `rna` without pseudoknots.

    Pairs are A-U and C-G, and G-U as well: {wobble}. At least {loop} bases lie between the two of a
    pair.
    """
    pairs = {("A", "U"), ("U", "A"), ("C", "G"), ("G", "C")}
    if wobble:
        pairs |= {("G", "U"), ("U", "G")}
    n = len(rna)
    table = [[0] * (n + 1) for _ in range(n + 1)]
    for size in range(loop + 2, n + 1):
        for i in range(n - size + 1):
            j = i + size
            best = table[i + 1][j]
            for k in range(i + loop + 1, j):
                if (rna[i], rna[k]) in pairs:
                    best = max(best, 1 + table[i + 1][k] + table[k + 1][j])
            table[i][j] = best
    return score * table[0][n]


@structures(
    lambda d: [d.brackets(d.integer(0, 5)) + d.pick(["", "", "(", ")", ")("])],
    base=(0, 1),
    invalid=("ValueError", "empty list"),
    order=("opening", "closing"),
)
def base_pairs(structure: str, base: int, invalid: str, order: str) -> list[list[int]]:
    """Return the base pairs [i, j] of a dot-bracket structure, counted from {base}.

    Sorted by the {order} position. Where brackets do not match: {invalid} (ValueError is raised).
    """
    stack: list[int] = []
    pairs: list[list[int]] = []
    wrong = False
    for i, mark in enumerate(structure):
        if mark == "(":
            stack.append(i)
        elif mark == ")":
            if not stack:
                wrong = True
                break
            pairs.append([stack.pop() + base, i + base])
    if wrong or stack:
        if invalid == "ValueError":
            raise ValueError(structure)
        return []
    return sorted(pairs, key=lambda pair: pair[0 if order == "opening" else 1])


@structures(
    lambda d: [d.brackets(d.integer(1, 6))],
    what=("hairpins", "stems", "deepest", "unpaired"),
    least=(1, 2, 3),
    uses=(bracket_pairs,),
)
def structure_elements(structure: str, what: str, least: int) -> int:
    """Return the number of {what} in a dot-bracket structure.

    hairpins: pairs that enclose no other pair and at least {least} bases; stems: runs of nested
    pairs (i, j), (i + 1, j - 1), ... of at least {least} pairs, as long as they can be; deepest:
    the largest number of pairs that enclose a position; unpaired: dots in runs of at least {least}
    dots.
    """
    pairs = bracket_pairs(structure)
    if what == "hairpins":
        return sum(j - i - 1 >= least and set(structure[i + 1 : j]) <= {"."} for i, j in pairs)
    if what == "stems":
        known, count = set(pairs), 0
        for i, j in pairs:
            if (i - 1, j + 1) in known:
                continue
            size = 1
            while (i + size, j - size) in known:
                size += 1
            count += size >= least
        return count
    if what == "deepest":
        return max(sum(i < p < j for i, j in pairs) for p in range(len(structure)))
    return sum(len(run) for run in re.findall(r"\.+", structure) if len(run) >= least)


@structures(
    lambda d: [
        s := d.brackets(d.integer(0, 4)),
        "".join(d.pick("()") if d.chance(0.1) else x for x in s),
    ],
    report=("shared", "distance", "sensitivity"),
    shift=(0, 1),
    digits=(2, 4),
)
def compare_structures(one: str, other: str, report: str, shift: int, digits: int) -> float:
    """Compare the base pairs of two dot-bracket structures of the same length.

    Brackets without a partner are ignored. A pair (i, j) of `one` is shared where `other` has a
    pair (k, l) with |i - k| and |j - l| at most {shift}. Return {report}: the number of shared
    pairs; the number of pairs of `one` not shared plus those of `other` minus the shared ones, at
    least 0; or the share of the pairs of `one` that is shared (1 without pairs), rounded to
    {digits} decimals.
    """
    sets = []
    for text in (one, other):
        stack: list[int] = []
        pairs = []
        for i, mark in enumerate(text):
            if mark == "(":
                stack.append(i)
            elif mark == ")" and stack:
                pairs.append((stack.pop(), i))
        sets.append(pairs)
    shared = sum(
        any(abs(i - k) <= shift and abs(j - m) <= shift for k, m in sets[1]) for i, j in sets[0]
    )
    if report == "shared":
        return float(shared)
    if report == "distance":
        return float(len(sets[0]) - shared + max(len(sets[1]) - shared, 0))
    return round(shared / len(sets[0]), digits) if sets[0] else 1.0


@structures(
    lambda d: [d.text(0, 30, "HHHEEC")],
    least=(1, 2, 3),
    kinds=("HE", "H", "E", "HEC"),
    report=("runs", "shares"),
)
def secondary_runs(states: str, least: int, kinds: str, report: str) -> Any:
    """Return the {report} of secondary structure in a text of H (helix), E (strand) and C (coil).

    A run is as long as it can be, of one of the states {kinds} and at least {least} residues.
    "runs" is the list of [state, start, length] in order, from 0; "shares" the share of all
    residues that lies in runs, for each state of {kinds} (0 for an empty text).
    """
    runs: list[list[Any]] = []
    place = 0
    for state, group in itertools.groupby(states):
        size = len(list(group))
        if state in kinds and size >= least:
            runs.append([state, place, size])
        place += size
    if report == "runs":
        return runs
    totals: Counter[str] = Counter()
    for state, _, size in runs:
        totals[state] += size
    return {kind: totals[kind] / len(states) if states else 0.0 for kind in kinds}


@structures(
    lambda d: [d.points(1, 8, 5.0)],
    size=(2.0, 3.0, 5.0),
    report=("occupied", "fullest", "box"),
    pad=(0.0, 1.0),
)
def grid_cells(points: list[list[float]], size: float, report: str, pad: float) -> Any:
    """Put points into cubic cells of edge {size} with a corner at the origin; return {report}.

    "occupied" is the number of cells with a point, "fullest" the largest number of points in a
    cell, "box" the volume of the smallest box along the axes around all points, enlarged by {pad}
    on every side. A point on a border belongs to the cell of larger coordinates.
    """
    if report == "box":
        spans = [max(axis) - min(axis) + 2 * pad for axis in zip(*points, strict=True)]
        return math.prod(spans)
    cells = Counter(tuple(math.floor(x / size) for x in p) for p in points)
    return len(cells) if report == "occupied" else max(cells.values())
