"""Functions on trees and evolutionary distances; trees are in Newick format."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from typing import Any

from benchside.suites.functions.draw import Draw
from benchside.suites.functions.exercise import Exercises

phylogeny = Exercises("phylogeny")


def parse_tree(newick: str) -> list[Any]:
    """Return a node as [name, length, children]; a missing length is 0."""
    stack: list[list[Any]] = [["", 0.0, []]]
    for token in re.findall(r"[(),;]|:[^(),;]+|[^(),:;]+", newick):
        if token == "(":
            stack.append(["", 0.0, []])
            stack[-2][2].append(stack[-1])
        elif token == ",":
            stack.pop()
            stack.append(["", 0.0, []])
            stack[-2][2].append(stack[-1])
        elif token == ")":
            stack.pop()
        elif token.startswith(":"):
            stack[-1][1] = float(token[1:])
        elif token != ";":
            stack[-1][0] = token
    return stack[0]


def leaf_paths(newick: str) -> dict[str, list[tuple[int, float]]]:
    """Return leaf → the branches from the root to it, as (number of the branch, length)."""
    paths: dict[str, list[tuple[int, float]]] = {}
    todo: list[tuple[list[Any], list[tuple[int, float]]]] = [(parse_tree(newick), [])]
    number = 0
    while todo:
        (name, _, children), path = todo.pop()
        if not children:
            paths[name] = path
        for child in children:
            number += 1
            todo.append((child, [*path, (number, child[1])]))
    return paths


def inner_clades(newick: str) -> list[frozenset[str]]:
    """Return the leaves below each node that has children, the root included."""
    found: list[frozenset[str]] = []

    def visit(node: list[Any]) -> frozenset[str]:
        if not node[2]:
            return frozenset([node[0]])
        below = frozenset().union(*(visit(child) for child in node[2]))
        found.append(below)
        return below

    visit(parse_tree(newick))
    return found


def _tree(d: Draw) -> list[Any]:
    return [d.newick(d.integer(2, 8))]


def _two_trees(d: Draw) -> list[Any]:
    leaves = d.integer(3, 6)
    return [d.newick(leaves), d.newick(leaves)]


def _distances(d: Draw) -> list[Any]:
    n = d.integer(3, 5)
    matrix = [[0.0] * n for _ in range(n)]
    for i, j in itertools.combinations(range(n), 2):
        matrix[i][j] = matrix[j][i] = d.number(1, 20, 2)
    return [list("ABCDE"[:n]), matrix]


@phylogeny(
    lambda d: d.alignment(2, d.integer(4, 30)),
    model=("p", "JC69", "F84-like"),
    gaps=("skipped", "a difference"),
    far=(-1.0, 9.0),
)
def sequence_distance(a: str, b: str, model: str, gaps: str, far: float) -> float:
    """Return the distance of two aligned rows by the model "{model}".

    p is the share of columns that differ. "p" returns it; "JC69" returns -3/4 ln(1 - 4p/3);
    "F84-like" returns -0.9 ln(1 - p/0.9). A column with a gap "-" in one row only is {gaps}; a
    column with gaps in both never counts. Where no column counts return 0; where the logarithm's
    argument is not positive return {far}.
    """
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if (x, y) != ("-", "-")]
    if gaps == "skipped":
        pairs = [pair for pair in pairs if "-" not in pair]
    if not pairs:
        return 0.0
    p = sum(x != y for x, y in pairs) / len(pairs)
    if model == "p":
        return p
    scale = 0.75 if model == "JC69" else 0.9
    return -scale * math.log(1 - p / scale) if p < scale else far


@phylogeny(
    lambda d: d.alignment(2, d.integer(6, 40), "ACGT"),
    weight=(0.5, 0.25),
    far=(-1.0, 5.0, 10.0),
    digits=(3, 6),
)
def kimura_distance(a: str, b: str, weight: float, far: float, digits: int) -> float:
    """Return the two-parameter distance of two aligned DNA sequences, rounded to {digits} decimals.

    With P the share of transitions (A-G, C-T) and Q that of transversions it is
    -1/2 ln(1 - 2P - Q) - {weight} ln(1 - 2Q). Where an argument of a logarithm is not positive,
    return {far}.
    """
    pairs = [x + y for x, y in zip(a, b, strict=True) if x != y]
    p = sum(pair in ("AG", "GA", "CT", "TC") for pair in pairs) / len(a)
    q = len(pairs) / len(a) - p
    one, two = 1 - 2 * p - q, 1 - 2 * q
    if one <= 1e-12 or two <= 1e-12:
        return far
    return round(-0.5 * math.log(one) - weight * math.log(two), digits)


@phylogeny(
    _tree,
    uses=(parse_tree, leaf_paths),
    order=("name", "depth", "tree"),
    upper=(True, False),
    least=(0.0, 2.0),
)
def leaf_names(newick: str, order: str, upper: bool, least: float) -> list[str]:
    """Return the names of a tree's leaves whose distance from the root is at least {least}.

    Order "{order}": "name" is alphabetical, "depth" by the distance from the root and then by name,
    "tree" as they stand in the text. Whether names are put into upper case: {upper}.
    """
    depth = {name: sum(size for _, size in path) for name, path in leaf_paths(newick).items()}
    kept = [name for name in depth if depth[name] >= least - 1e-9]
    if order == "tree":
        kept.sort(key=lambda name: re.search(rf"\b{name}:", newick).start())  # type: ignore[union-attr]
    else:
        kept.sort(key=lambda name: (round(depth[name], 6) if order == "depth" else 0, name))
    return [name.upper() if upper else name for name in kept]


@phylogeny(
    _tree,
    uses=(parse_tree, leaf_paths),
    measure=("length", "branches"),
    what=("diameter", "height", "mean", "ultrametric gap"),
    per=(1, 10),
)
def tree_extent(newick: str, measure: str, what: str, per: int) -> float:
    """Return the {what} of a tree with paths measured by {measure}, multiplied by {per}.

    "length" sums branch lengths, "branches" counts branches. "diameter" is the longest path between
    two leaves; "height" the longest from the root to a leaf; "mean" the mean from the root to the
    leaves; "ultrametric gap" the longest minus the shortest from the root to a leaf.
    """
    paths = [
        {number: size if measure == "length" else 1.0 for number, size in path}
        for path in leaf_paths(newick).values()
    ]
    heights = [sum(path.values()) for path in paths]
    if what == "height":
        return per * max(heights)
    if what == "mean":
        return per * sum(heights) / len(heights)
    if what == "ultrametric gap":
        return per * (max(heights) - min(heights))
    between = [
        sum((a | b)[number] for number in a.keys() ^ b.keys())
        for a, b in itertools.combinations(paths, 2)
    ]
    return per * max(between)


@phylogeny(
    _tree,
    uses=(parse_tree, leaf_paths),
    measure=("length", "branches"),
    missing=(-1.0, 0.0),
    halved=(True, False),
)
def distance_matrix(newick: str, measure: str, missing: float, halved: bool) -> dict[str, float]:
    """Return "x-y" → distance for all pairs of leaves, x before y in the alphabet.

    Measure {measure}: "length" sums branch lengths along the path, "branches" counts branches.
    Whether distances are halved: {halved}. A distance of more than 8 (before halving) is given as
    {missing}.
    """
    paths = {
        name: {number: size if measure == "length" else 1.0 for number, size in path}
        for name, path in leaf_paths(newick).items()
    }
    result = {}
    for x, y in itertools.combinations(sorted(paths), 2):
        a, b = paths[x], paths[y]
        distance = sum((a | b)[number] for number in a.keys() ^ b.keys())
        kept = distance / 2 if halved else distance
        result[f"{x}-{y}"] = missing if distance > 8 + 1e-9 else kept
    return result


@phylogeny(
    _two_trees,
    uses=(parse_tree, inner_clades),
    scaled=(True, False),
    least=(2, 3),
    report=("both", "first"),
)
def clade_distance(one: str, other: str, scaled: bool, least: int, report: str) -> float:
    """Return the Robinson-Foulds distance of two rooted trees with the same leaves.

    A clade is the set of leaves below an inner node; only clades of at least {least} leaves and not
    of all leaves count. Report "{report}": "both" is the number of clades that are in one tree
    only, "first" of those that are in the first tree only. Whether it is divided by the number of
    clades that could be (of both trees, or of the first), 0 where there are none: {scaled}.
    """
    a, b = (set(inner_clades(newick)) for newick in (one, other))
    most = max(len(clade) for clade in a)
    a, b = ({clade for clade in found if least <= len(clade) < most} for found in (a, b))
    number = len(a - b) + (len(b - a) if report == "both" else 0)
    possible = len(a) + (len(b) if report == "both" else 0)
    if not scaled:
        return float(number)
    return number / possible if possible else 0.0


@phylogeny(
    _tree,
    uses=(parse_tree, inner_clades),
    index=("Sackin", "Colless", "cherries"),
    mean=(True, False),
    add=(0, 1),
)
def tree_balance(newick: str, index: str, mean: bool, add: int) -> float:
    """Return the {index} index of a rooted binary tree, plus {add}.

    Sackin: the sum over inner nodes of the number of leaves below; Colless: the sum over inner
    nodes of the absolute difference of the numbers of leaves on their two sides; cherries: the
    number of inner nodes with two leaves below. Whether it is divided by the number of leaves
    (before adding): {mean}.
    """
    sizes = sorted(inner_clades(newick), key=len)
    leaves = len(sizes[-1])
    total = 0
    for clade in sizes:
        if index == "Sackin":
            total += len(clade)
        elif index == "cherries":
            total += len(clade) == 2
        else:
            inside = [one for one in sizes if one < clade]
            largest = max((len(one) for one in inside), default=1)
            total += abs(2 * largest - len(clade))
    return total / leaves + add if mean else float(total + add)


@phylogeny(
    _distances,
    linkage=("average", "single", "complete"),
    report=("newick", "heights"),
    digits=(1, 2),
)
def cluster_tree(
    names: list[str], distances: list[list[float]], linkage: str, report: str, digits: int
) -> Any:
    """Cluster the taxa `names` by their symmetric matrix of distances, {linkage} linkage.

    In each step join the two closest clusters, of equal ones those with the alphabetically first
    names; a cluster is named "(x,y)" after its two parts in alphabetical order. Report {report}:
    "newick" is the last name with ";" appended, "heights" the list of the distances at which
    clusters were joined, each rounded to {digits} decimals. "average" means over all pairs of taxa.
    """
    clusters = {name: [i] for i, name in enumerate(names)}
    heights = []

    def distance(a: str, b: str) -> float:
        found = [distances[i][j] for i in clusters[a] for j in clusters[b]]
        if linkage == "average":
            return round(sum(found) / len(found), 9)
        return min(found) if linkage == "single" else max(found)

    while len(clusters) > 1:
        pairs = itertools.combinations(sorted(clusters), 2)
        a, b = min(pairs, key=lambda pair: (distance(*pair), pair))
        heights.append(round(distance(a, b), digits))
        clusters[f"({a},{b})"] = clusters.pop(a) + clusters.pop(b)
    return next(iter(clusters)) + ";" if report == "newick" else heights


@phylogeny(
    _distances, report=("pair", "limb", "distance"), digits=(2, 3), names_as=("names", "numbers")
)
def neighbour_joining_step(
    names: list[str], distances: list[list[float]], report: str, digits: int, names_as: str
) -> list[Any]:
    """Return the first step of neighbour joining on a symmetric matrix of distances.

    Join the pair i < j with the smallest (n - 2) d(i,j) - r(i) - r(j), r being the sum of a row;
    of equal ones (within 1e-9) the first in order of i, then j. Report {report}: "pair" is the two
    joined, "limb" the branch lengths of i and j, d/2 + (r(i) - r(j)) / (2 (n - 2)) and d minus
    that, "distance" the distances of the new node to the others in order, (d(i,k) + d(j,k) -
    d(i,j)) / 2. Numbers rounded to {digits} decimals, the pair given by {names_as} (numbers count
    from 0).
    """
    n = len(names)
    r = [sum(row) for row in distances]
    pairs = list(itertools.combinations(range(n), 2))
    q = {(i, j): round((n - 2) * distances[i][j] - r[i] - r[j], 9) for i, j in pairs}
    i, j = min(pairs, key=lambda pair: (q[pair], pair))
    d = distances[i][j]
    if report == "pair":
        return [names[i], names[j]] if names_as == "names" else [i, j]
    if report == "limb":
        first = d / 2 + (r[i] - r[j]) / (2 * (n - 2))
        return [round(first, digits), round(d - first, digits)]
    others = [k for k in range(n) if k not in (i, j)]
    return [round((distances[i][k] + distances[j][k] - d) / 2, digits) for k in others]


@phylogeny(
    lambda d: [t := d.newick(d.integer(3, 7)), {n: d.pick("ACG") for n in re.findall(r"t\d", t)}],
    uses=(parse_tree,),
    report=("changes", "root"),
    cost=(1, 2, 3),
)
def fitch(newick: str, states: dict[str, str], report: str, cost: int) -> Any:
    """Run Fitch's parsimony upwards on a rooted binary tree with a state for each leaf.

    A node's set is the intersection of its children's sets, or, where that is empty, their union at
    the cost of {cost}. Report {report}: "changes" is the total cost, "root" the root's set as a
    sorted list, followed by the total cost.
    """
    total = 0

    def visit(node: list[Any]) -> set[str]:
        nonlocal total
        if not node[2]:
            return {states[node[0]]}
        left, right = (visit(child) for child in node[2])
        if left & right:
            return left & right
        total += cost
        return left | right

    top = visit(parse_tree(newick))
    return total if report == "changes" else [*sorted(top), total]


@phylogeny(
    lambda d: [t := d.newick(d.integer(4, 8)), d.random.sample(re.findall(r"t\d", t), 3)],
    uses=(parse_tree, leaf_paths),
    root=(True, False),
    digits=(1, 3),
    share=(True, False),
)
def phylogenetic_diversity(
    newick: str, present: list[str], root: bool, digits: int, share: bool
) -> float:
    """Return Faith's phylogenetic diversity of the leaves `present`, rounded to {digits} decimals.

    It is the sum of the branch lengths that connect these leaves. Whether the path up to the root
    is included even where they have a later common ancestor: {root}. Whether it is divided by the
    length of all branches: {share}.
    """
    paths = leaf_paths(newick)
    chosen = [dict(paths[name]) for name in present]
    counts = Counter(number for path in chosen for number in path)
    lengths = {number: size for path in chosen for number, size in path.items()}
    total = sum(size for number, size in lengths.items() if root or counts[number] < len(present))
    every = sum({n: size for path in paths.values() for n, size in path}.values())
    return round(total / every if share else total, digits)


@phylogeny(
    lambda d: [d.alignment(d.integer(4, 6), d.integer(4, 16))],
    kind=("informative", "variable", "constant"),
    gaps=("a state", "left out"),
    base=(0, 1),
)
def alignment_sites(rows: list[str], kind: str, gaps: str, base: int) -> list[int]:
    """Return the {kind} columns of a multiple alignment, counted from {base}.

    A column is constant with one state, variable with two or more, and informative where at least
    two states occur in at least two rows each. A gap "-" is {gaps}; a column without a state is
    none of these.
    """
    found = []
    for i, column in enumerate(zip(*rows, strict=True), base):
        counts = Counter(x for x in column if gaps == "a state" or x != "-")
        hit = {
            "informative": sum(n >= 2 for n in counts.values()) >= 2,
            "variable": len(counts) >= 2,
            "constant": len(counts) == 1,
        }
        if hit[kind]:
            found.append(i)
    return found


@phylogeny(
    lambda d: [t := d.newick(d.integer(3, 8)), *sorted(d.random.sample(re.findall(r"t\d", t), 2))],
    uses=(parse_tree, leaf_paths, inner_clades),
    report=("leaves", "depth", "count"),
    digits=(1, 2, 4),
)
def common_ancestor(newick: str, one: str, other: str, report: str, digits: int) -> Any:
    """Return the {report} of the last common ancestor of two leaves.

    "leaves" is the sorted list of all leaves below it, "count" their number, "depth" its distance
    from the root by branch lengths, rounded to {digits} decimals.
    """
    clade = min((c for c in inner_clades(newick) if {one, other} <= c), key=len)
    if report == "leaves":
        return sorted(clade)
    if report == "count":
        return len(clade)
    paths = leaf_paths(newick)
    shared = set(paths[one]) & set(paths[other])
    return round(sum(size for _, size in shared), digits)
