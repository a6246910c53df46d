"""Functions on networks and pathways; edges are lists [from, to] or [from, to, weight]."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter, deque
from typing import Any

from benchside.suites.functions.draw import Draw
from benchside.suites.functions.exercise import Exercises

networks = Exercises("networks")


def adjacency(edges: list[list[Any]], directed: bool) -> dict[str, list[str]]:
    """Return node → its neighbours, both in alphabetical order."""
    found: dict[str, set[str]] = {}
    for one, other in (edge[:2] for edge in edges):
        found.setdefault(one, set()).add(other)
        found.setdefault(other, set())
        if not directed:
            found[other].add(one)
    return {node: sorted(found[node]) for node in sorted(found)}


def steps_from(neighbours: dict[str, list[str]], source: str) -> dict[str, int]:
    """Return node → number of steps from the source, for all that can be reached."""
    steps, queue = {source: 0}, deque([source])
    while queue:
        node = queue.popleft()
        for other in neighbours.get(node, []):
            if other not in steps:
                steps[other] = steps[node] + 1
                queue.append(other)
    return steps


def _graph(d: Draw) -> list[Any]:
    return [d.edges(d.integer(2, 7), 0.35)]


def _dijkstra(
    edges: list[list[Any]], a: str, b: str, directed: bool, missing: int, add: int
) -> int:
    links: dict[str, list[tuple[str, int]]] = {}
    for one, other, weight in edges:
        links.setdefault(one, []).append((other, weight + add))
        if not directed:
            links.setdefault(other, []).append((one, weight + add))
    done: dict[str, int] = {}
    heap = [(0, a)]
    while heap:
        far, node = heapq.heappop(heap)
        if node not in done:
            done[node] = far
            for other, weight in links.get(node, []):
                heapq.heappush(heap, (far + weight, other))
    return done.get(b, missing)


@networks(
    lambda d: [d.weighted(d.integer(3, 7), 0.5), "A", d.pick("BCDE")],
    directed=(True, False),
    missing=(-1, 999),
    add=(0, 1, 2),
    second=_dijkstra,
)
def shortest_path(
    edges: list[list[Any]], source: str, target: str, directed: bool, missing: int, add: int
) -> int:
    """Return the length of the shortest path from `source` to `target`; {missing} without one.

    Edges are [from, to, weight] with weights above 0; each step costs {add} more than its weight.
    Whether edges go one way only: {directed}.
    """
    far: dict[str, int] = {source: 0}
    for _ in range(2 * len(edges) + 1):
        for one, other, weight in edges:
            for a, b in [(one, other)] if directed else [(one, other), (other, one)]:
                if a in far and far[a] + weight + add < far.get(b, 10**9):
                    far[b] = far[a] + weight + add
    return far.get(target, missing)


@networks(
    _graph,
    uses=(adjacency, steps_from),
    report=("components", "sizes", "largest"),
    least=(1, 2, 3),
    order=("rising", "falling"),
)
def components(edges: list[list[str]], report: str, least: int, order: str) -> Any:
    """Return the {report} of connected components of an undirected graph, of at least {least}
    nodes.

    "components" are sorted lists of nodes, themselves in {order} alphabetical order; "sizes" is in
    {order} order; "largest" the largest component's sorted nodes, of equals the alphabetically
    first ([] without any).
    """
    neighbours = adjacency(edges, False)
    groups = {tuple(sorted(steps_from(neighbours, node))) for node in neighbours}
    found = sorted([list(group) for group in groups if len(group) >= least])
    if report == "largest":
        return min(found, key=lambda group: (-len(group), group), default=[])
    if report == "sizes":
        return sorted(map(len, found), reverse=order == "falling")
    return found if order == "rising" else found[::-1]


@networks(
    _graph,
    uses=(adjacency, steps_from),
    measure=("degree", "closeness", "farness", "eccentricity"),
    scaled=(True, False),
    digits=(3, 6),
)
def centrality(edges: list[list[str]], measure: str, scaled: bool, digits: int) -> dict[str, float]:
    """Return node → {measure} in an undirected graph, rounded to {digits} decimals.

    farness: the sum of steps to all nodes that can be reached; closeness: the number of those nodes
    (the node itself not counted) over farness; eccentricity: the largest number of steps to any.
    Whether each is divided by the number of all nodes minus 1: {scaled}.
    """
    neighbours = adjacency(edges, False)
    result = {}
    for node, near in neighbours.items():
        steps = steps_from(neighbours, node)
        total = sum(steps.values())
        value = {
            "degree": float(len(near)),
            "farness": float(total),
            "closeness": (len(steps) - 1) / total,
            "eccentricity": float(max(steps.values())),
        }[measure]
        result[node] = round(value / (len(neighbours) - 1) if scaled else value, digits)
    return result


@networks(
    lambda d: [d.edges(d.integer(3, 7), 0.6)],
    uses=(adjacency,),
    report=("local", "mean", "triangles"),
    few=(0.0, 1.0),
    digits=(2, 4),
)
def clustering(edges: list[list[str]], report: str, few: float, digits: int) -> Any:
    """Return the {report} of clustering in an undirected graph, rounded to {digits} decimals.

    A node's coefficient is the share of pairs of its neighbours that are linked, {few} where it has
    fewer than two. "local" is node → coefficient, "mean" their mean (0 without nodes), "triangles"
    the number of triangles.
    """
    neighbours = adjacency(edges, False)
    local, corners = {}, 0
    for node, near in neighbours.items():
        pairs = list(itertools.combinations(near, 2))
        linked = sum(b in neighbours[a] for a, b in pairs)
        corners += linked
        local[node] = round(linked / len(pairs), digits) if pairs else few
    if report == "local":
        return local
    if report == "triangles":
        return corners // 3
    return round(sum(local.values()) / len(local), digits) if local else 0.0


@networks(
    lambda d: [[e[::-1] if d.chance(0.15) else e for e in d.edges(d.integer(2, 7), 0.4)]],
    uses=(adjacency,),
    cycle=("ValueError", "partial"),
    order=("first", "last"),
    report=("order", "layers"),
)
def pathway_order(edges: list[list[str]], cycle: str, order: str, report: str) -> list[Any]:
    """Order the steps of a pathway so that each edge [before, after] points forwards; return
    {report}.

    "order": of the steps that are ready, the alphabetically {order} one comes next. "layers": a
    list of lists; each layer has all steps that are ready, sorted. Where a cycle leaves steps that
    are never ready: {cycle} (ValueError is raised; "partial" returns what was ordered).
    """
    after = adjacency(edges, True)
    waiting = Counter(other for near in after.values() for other in near)
    left, result = set(after), []
    while ready := sorted(node for node in left if not waiting[node]):
        taken = ready if report == "layers" else [ready[0 if order == "first" else -1]]
        result.append(taken if report == "layers" else taken[0])
        for node in taken:
            left.remove(node)
            waiting.subtract(after[node])
    if left and cycle == "ValueError":
        raise ValueError("cycle")
    return result


@networks(
    _graph, uses=(adjacency,), damping=(0.5, 0.85), rounds=(1, 5, 20), dangling=("all", "self")
)
def pagerank(
    edges: list[list[str]], damping: float, rounds: int, dangling: str
) -> dict[str, float]:
    """Return node → PageRank after {rounds} rounds of power iteration on a directed graph.

    Ranks start equal with sum 1. In a round, a node gets (1 - {damping}) / n plus {damping} times
    what others give: each node gives its rank in equal parts to its successors; one without
    successors to {dangling} ("all": all nodes in equal parts, "self": itself).
    """
    after = adjacency(edges, True)
    n = max(len(after), 1)
    rank = dict.fromkeys(after, 1 / n)
    for _ in range(rounds):
        new = dict.fromkeys(after, (1 - damping) / n)
        for node, near in after.items():
            targets = near or (list(after) if dangling == "all" else [node])
            for other in targets:
                new[other] += damping * rank[node] / len(targets)
        rank = new
    return rank


@networks(
    _graph,
    uses=(adjacency,),
    measure=("jaccard", "common", "adamic-adar"),
    closed=(True, False),
    least=(0.0, 0.3, 1.0),
)
def predicted_links(
    edges: list[list[str]], measure: str, closed: bool, least: float
) -> list[list[Any]]:
    """Return [a, b, score] for pairs a < b of an undirected graph with {measure} above {least}.

    common: the number of shared neighbours; jaccard: that over the number of nodes that are a
    neighbour of any; adamic-adar: the sum over shared neighbours of 1 / ln(degree). Sorted by
    names. Whether pairs that are linked already are included: {closed}.
    """
    near = {node: set(others) for node, others in adjacency(edges, False).items()}
    found = []
    for a, b in itertools.combinations(near, 2):
        if b in near[a] and not closed:
            continue
        shared = near[a] & near[b]
        if measure == "common":
            score = float(len(shared))
        elif measure == "jaccard":
            score = len(shared) / len(near[a] | near[b])
        else:
            score = sum(1 / math.log(len(near[node])) for node in shared)
        if score > least + 1e-12:
            found.append([a, b, score])
    return found


@networks(
    lambda d: [d.edges(d.integer(3, 8), 0.5)],
    uses=(adjacency,),
    k=(1, 2, 3),
    report=("nodes", "edges"),
    order=("rising", "falling"),
)
def k_core(edges: list[list[str]], k: int, report: str, order: str) -> list[Any]:
    """Return the {report} of the {k}-core of an undirected graph.

    It is what is left after removing nodes with fewer than {k} neighbours left, again and again.
    Nodes are sorted; edges are sorted pairs in sorted order. Order: {order}.
    """
    near = {node: set(others) for node, others in adjacency(edges, False).items()}
    while weak := [node for node, others in near.items() if len(others) < k]:
        for node in weak:
            for other in near.pop(node):
                if other in near:
                    near[other].discard(node)
    found: list[Any] = sorted(near)
    if report == "edges":
        found = sorted([a, b] for a in near for b in near[a] if a < b)
    return found if order == "rising" else found[::-1]


@networks(
    lambda d: [d.edges(d.integer(3, 7), 0.4), "A"],
    uses=(adjacency, steps_from),
    most=(1, 2, 9),
    directed=(True, False),
    report=("nodes", "layers"),
)
def downstream(edges: list[list[str]], source: str, most: int, directed: bool, report: str) -> Any:
    """Return what can be reached from `source` in 1 to {most} steps, as {report}.

    "nodes" is the sorted list; "layers" is number of steps (as text) → sorted nodes at that number.
    Whether edges go one way only: {directed}.
    """
    steps = steps_from(adjacency(edges, directed), source)
    kept = {node: n for node, n in steps.items() if 1 <= n <= most}
    if report == "nodes":
        return sorted(kept)
    return {str(n): sorted(x for x in kept if kept[x] == n) for n in set(kept.values())}


@networks(
    lambda d: [
        g := [f"g{i}" for i in d.random.sample(range(20), 12)],
        d.random.sample(g, d.integer(2, 5)),
        [d.number(0.1, 5, 1) for _ in range(12)],
    ],
    power=(0, 1, 2),
    report=("score", "edge"),
    side=("both", "positive"),
)
def enrichment_score(
    ranked: list[str], members: list[str], weights: list[float], power: int, report: str, side: str
) -> Any:
    """Return the enrichment of a gene set in a ranked list as GSEA does; {report}.

    Going down the list, a member raises the running sum by its weight to the power {power} over
    the sum of these for all members, another gene lowers it by 1 over their number. The score is
    the running sum (after a gene) farthest from 0, the first of equals (within 1e-12); with side
    "{side}": "positive" looks for the largest only. "edge" is the list of members in order up to
    and including the gene where it is reached for a score of at least 0, from that gene's
    successor on for a score below.
    """
    inside = set(members)
    total = sum(w**power for gene, w in zip(ranked, weights, strict=True) if gene in inside)
    others = len(ranked) - len(inside)
    running, best, place = 0.0, 0.0, -1
    for i, (gene, weight) in enumerate(zip(ranked, weights, strict=True)):
        running += weight**power / total if gene in inside else -1 / others
        size = abs(running) if side == "both" else running
        if size > (abs(best) if side == "both" else best) + 1e-12:
            best, place = running, i
    if report == "score":
        return best
    part = ranked[: place + 1] if best >= 0 else ranked[place + 1 :]
    return [gene for gene in part if gene in inside]


@networks(
    lambda d: [d.weighted(d.integer(3, 7), 0.6)],
    uses=(),
    goal=("least", "most"),
    report=("weight", "edges"),
    limit=(5, 9),
)
def spanning_forest(edges: list[list[Any]], goal: str, report: str, limit: int) -> Any:
    """Return the {report} of the spanning forest of {goal} total weight of an undirected graph.

    Edges [a, b, weight] of weight above {limit} are ignored. Edges are taken by weight, of equal
    ones the alphabetically first (a, b) comes first. "edges" is the list of [a, b] in the order
    taken.
    """
    sign = 1 if goal == "least" else -1
    group: dict[str, str] = {}

    def root(node: str) -> str:
        while group.setdefault(node, node) != node:
            node = group[node]
        return node

    taken, total = [], 0
    for a, b, weight in sorted(edges, key=lambda edge: (sign * edge[2], edge[0], edge[1])):
        if weight <= limit and root(a) != root(b):
            group[root(a)] = root(b)
            taken.append([a, b])
            total += weight
    return total if report == "weight" else taken


@networks(
    lambda d: [
        {a: [[b, d.pick([1, -1])] for b in "ABCD" if d.chance(0.5)] for a in "ABCD"},
        {a: d.pick([0, 1]) for a in "ABCD"},
    ],
    rounds=(1, 2, 3),
    none=("keeps", "off"),
    tie=("keeps", "on"),
)
def boolean_network(
    inputs: dict[str, list[list[Any]]], state: dict[str, int], rounds: int, none: str, tie: str
) -> dict[str, int]:
    """Return the state of a Boolean network after {rounds} synchronous rounds.

    `inputs` has node → [[source, sign], ...] with sign 1 or -1. A node turns on (1) where the sum
    of the signs of its sources that are on is above 0, off (0) where it is below. With a sum of 0
    the node: {tie} (keeps its state, or turns on). A node without inputs: {none} (keeps its state,
    or turns off).
    """
    for _ in range(rounds):
        new = {}
        for node, sources in inputs.items():
            total = sum(sign for source, sign in sources if state[source])
            if not sources:
                new[node] = state[node] if none == "keeps" else 0
            elif total:
                new[node] = int(total > 0)
            else:
                new[node] = state[node] if tie == "keeps" else 1
        state = new
    return state


@networks(
    lambda d: [
        [
            [
                {m: d.integer(1, 2) for m in d.random.sample("abcd", d.integer(1, 2))},
                {m: d.integer(1, 2) for m in d.random.sample("abcd", 1)},
            ]
            for _ in range(d.integer(1, 4))
        ],
        d.integers(4, 4, 0, 3),
    ],
    report=("net", "unbalanced"),
    scale=(1, 2),
    keep_zero=(True, False),
)
def stoichiometry(
    reactions: list[list[dict[str, int]]],
    fluxes: list[int],
    report: str,
    scale: int,
    keep_zero: bool,
) -> Any:
    """Return the net production of metabolites by reactions [consumed, produced] at given fluxes.

    Each is a dict of metabolite → coefficient; `fluxes` has a flux for each reaction in order,
    further ones are ignored. Multiply by {scale}. Report {report}: "net" is metabolite → net
    production, metabolites with 0 included: {keep_zero}; "unbalanced" is the sorted list of those
    that are not 0.
    """
    net: Counter[str] = Counter()
    for (consumed, produced), flux in zip(reactions, fluxes, strict=False):
        for metabolite, n in consumed.items():
            net[metabolite] -= n * flux * scale
        for metabolite, n in produced.items():
            net[metabolite] += n * flux * scale
    if report == "unbalanced":
        return sorted(m for m, n in net.items() if n)
    return {m: n for m, n in net.items() if n or keep_zero}
