"""Functions on two or more sequences: pairwise alignment, distances, multiple alignments."""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections import Counter

from benchside.suites.functions.exercise import Exercises

alignments = Exercises("alignment")


def _recursive_global(a: str, b: str, match: int, mismatch: int, gap: int) -> int:
    @functools.cache
    def best(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return gap * (i + j)
        step = match if a[i - 1] == b[j - 1] else mismatch
        return max(best(i - 1, j - 1) + step, best(i - 1, j) + gap, best(i, j - 1) + gap)

    return best(len(a), len(b))


def _recursive_local(a: str, b: str, match: int, mismatch: int, gap: int) -> int:
    @functools.cache
    def onward(i: int, j: int) -> int:
        """The best score of an alignment that begins at i and j."""
        if i == len(a) or j == len(b):
            return 0
        step = match if a[i] == b[j] else mismatch
        return max(0, onward(i + 1, j + 1) + step, onward(i + 1, j) + gap, onward(i, j + 1) + gap)

    return max(onward(i, j) for i in range(len(a) + 1) for j in range(len(b) + 1))


@alignments(
    lambda d: d.related(0, 14),
    match=(1, 2, 5),
    mismatch=(-1, -2, -4),
    gap=(-1, -2, -3),
    second=_recursive_global,
)
def global_score(a: str, b: str, match: int, mismatch: int, gap: int) -> int:
    """Return the best score of a global alignment of `a` and `b`.

    Match {match}, mismatch {mismatch}, each gap letter {gap}.
    """
    row = [gap * j for j in range(len(b) + 1)]
    for i, x in enumerate(a, 1):
        before, row = row, [gap * i]
        for j, y in enumerate(b, 1):
            step = match if x == y else mismatch
            row.append(max(before[j - 1] + step, before[j] + gap, row[-1] + gap))
    return row[-1]


@alignments(
    lambda d: d.related(0, 14),
    match=(1, 2, 3),
    mismatch=(-1, -2, -3),
    gap=(-1, -2, -4),
    second=_recursive_local,
)
def local_score(a: str, b: str, match: int, mismatch: int, gap: int) -> int:
    """Return the best score of a local alignment of `a` and `b`; an empty one scores 0.

    Match {match}, mismatch {mismatch}, each gap letter {gap}.
    """
    best, row = 0, [0] * (len(b) + 1)
    for x in a:
        before, row = row, [0]
        for j, y in enumerate(b, 1):
            step = match if x == y else mismatch
            row.append(max(0, before[j - 1] + step, before[j] + gap, row[-1] + gap))
        best = max(best, *row)
    return best


def _whole_gaps(a: str, b: str, match: int, mismatch: int, opening: int, extension: int) -> int:
    """Gaps are taken whole, of every length, instead of letter by letter in three matrices."""

    @functools.cache
    def rest(i: int, j: int) -> int:
        steps = [0] if (i, j) == (len(a), len(b)) else []
        if i < len(a) and j < len(b):
            steps.append((match if a[i] == b[j] else mismatch) + rest(i + 1, j + 1))
        for n in range(1, len(a) - i + 1):
            steps.append(opening + (n - 1) * extension + rest(i + n, j))
        for n in range(1, len(b) - j + 1):
            steps.append(opening + (n - 1) * extension + rest(i, j + n))
        return max(steps)

    return rest(0, 0)


@alignments(
    lambda d: d.related(1, 14),
    match=(1, 2),
    mismatch=(-1, -3),
    opening=(-2, -4),
    extension=(-1, -2),
    second=_whole_gaps,
)
def affine_score(a: str, b: str, match: int, mismatch: int, opening: int, extension: int) -> int:
    """Return the best score of a global alignment of `a` and `b` with affine gaps.

    Match {match}, mismatch {mismatch}. A gap of n letters costs {opening} for its first letter and
    {extension} for each further one; a gap in one sequence may stand beside one in the other.
    """
    low = -(10**9)
    rows, columns = len(a) + 1, len(b) + 1
    m = [[low] * columns for _ in range(rows)]
    x = [[low] * columns for _ in range(rows)]
    y = [[low] * columns for _ in range(rows)]
    m[0][0] = 0
    for i, j in itertools.product(range(rows), range(columns)):
        if i and j:
            step = match if a[i - 1] == b[j - 1] else mismatch
            m[i][j] = max(m[i - 1][j - 1], x[i - 1][j - 1], y[i - 1][j - 1]) + step
        if i:
            x[i][j] = max(m[i - 1][j] + opening, x[i - 1][j] + extension, y[i - 1][j] + opening)
        if j:
            y[i][j] = max(m[i][j - 1] + opening, y[i][j - 1] + extension, x[i][j - 1] + opening)
    return max(m[-1][-1], x[-1][-1], y[-1][-1])


@alignments(
    lambda d: [d.dna(1, 6), d.dna(3, 16)],
    match=(1, 2),
    mismatch=(-1, -2),
    gap=(-1, -2),
    second=lambda a, b, match, mismatch, gap: max(
        _recursive_global(a, b[i:j], match, mismatch, gap)
        for i in range(len(b) + 1)
        for j in range(i, len(b) + 1)
    ),
)
def fitting_score(short: str, long: str, match: int, mismatch: int, gap: int) -> int:
    """Return the best score of all of `short` aligned to some piece of `long`.

    Letters of `long` before and after that piece cost nothing. Match {match}, mismatch {mismatch},
    each gap letter {gap}.
    """
    row = [0] * (len(long) + 1)
    for i, x in enumerate(short, 1):
        before, row = row, [gap * i]
        for j, y in enumerate(long, 1):
            step = match if x == y else mismatch
            row.append(max(before[j - 1] + step, before[j] + gap, row[-1] + gap))
    return max(row)


@alignments(
    lambda d: d.related(0, 10),
    match=(1, 2),
    mismatch=(-1, -2),
    gap=(-1, -2),
    order=("diagonal, up, left", "left, up, diagonal"),
)
def global_alignment(a: str, b: str, match: int, mismatch: int, gap: int, order: str) -> list[str]:
    """Return the two rows of a best global alignment of `a` and `b`, with "-" for gaps.

    Match {match}, mismatch {mismatch}, each gap letter {gap}. Trace back from the end; of equally
    good steps take the first in this order: {order} (up: a letter of `a` beside a gap, left: a
    letter of `b` beside a gap).
    """
    score = [[gap * (i + j) for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i, x in enumerate(a, 1):
        for j, y in enumerate(b, 1):
            step = match if x == y else mismatch
            score[i][j] = max(
                score[i - 1][j - 1] + step, score[i - 1][j] + gap, score[i][j - 1] + gap
            )
    i, j, top, bottom = len(a), len(b), "", ""
    while i or j:
        for move in order.split(", "):
            di, dj = {"diagonal": (1, 1), "up": (1, 0), "left": (0, 1)}[move]
            if i < di or j < dj:
                continue
            same = move == "diagonal" and a[i - 1] == b[j - 1]
            step = gap if move != "diagonal" else match if same else mismatch
            if score[i][j] == score[i - di][j - dj] + step:
                top = (a[i - 1] if di else "-") + top
                bottom = (b[j - 1] if dj else "-") + bottom
                i, j = i - di, j - dj
                break
    return [top, bottom]


def _recursive_edit(a: str, b: str, insertion: int, deletion: int, change: int) -> int:
    @functools.cache
    def rest(i: int, j: int) -> int:
        if i == len(a) or j == len(b):
            return deletion * (len(a) - i) + insertion * (len(b) - j)
        kept = rest(i + 1, j + 1) + (change if a[i] != b[j] else 0)
        return min(kept, deletion + rest(i + 1, j), insertion + rest(i, j + 1))

    return rest(0, 0)


@alignments(
    lambda d: d.related(0, 14),
    insertion=(1, 2, 3),
    deletion=(1, 2, 3),
    change=(1, 2),
    second=_recursive_edit,
)
def edit_cost(a: str, b: str, insertion: int, deletion: int, change: int) -> int:
    """Return the least cost of turning `a` into `b`.

    Inserting a letter costs {insertion}, deleting one {deletion}, changing one {change}.
    """
    row = [insertion * j for j in range(len(b) + 1)]
    for i, x in enumerate(a, 1):
        before, row = row, [deletion * i]
        for j, y in enumerate(b, 1):
            step = before[j - 1] + (0 if x == y else change)
            row.append(min(step, before[j] + deletion, row[-1] + insertion))
    return row[-1]


@alignments(
    lambda d: d.related(0, 20),
    kind=("subsequence", "substring"),
    measure=("length", "share"),
    of=("shorter", "longer"),
)
def longest_common(a: str, b: str, kind: str, measure: str, of: str) -> float:
    """Return the {measure} of the longest common {kind} of `a` and `b`.

    A substring is contiguous, a subsequence need not be. A share is the length divided by that of
    the {of} sequence, and 0 where that one is empty.
    """
    best, row = 0, [0] * (len(b) + 1)
    for x in a:
        before, row = row, [0]
        for j, y in enumerate(b, 1):
            if x == y:
                row.append(before[j - 1] + 1)
            else:
                row.append(max(before[j], row[-1]) if kind == "subsequence" else 0)
        best = max(best, *row)
    if measure == "length":
        return float(best)
    size = min(len(a), len(b)) if of == "shorter" else max(len(a), len(b))
    return best / size if size else 0.0


@alignments(
    lambda d: [*d.alignment(2, d.integer(1, 25))],
    gaps=("counted", "skipped"),
    over=("columns", "shorter"),
    percent=(True, False),
)
def identity(a: str, b: str, gaps: str, over: str, percent: bool) -> float:
    """Return the identity of two aligned rows of equal length ("-" is a gap).

    A column is identical where both rows have the same letter. Divide the identical columns by the
    "{over}": "columns" is the number of columns, in which columns with a gap in just one row are
    {gaps} and columns of two gaps never count; "shorter" is the number of letters of the row with
    fewer. In percent: {percent}. Where the divisor is 0 return 0.
    """
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if (x, y) != ("-", "-")]
    same = sum(x == y for x, y in pairs)
    if over == "shorter":
        size = min(len(a.replace("-", "")), len(b.replace("-", "")))
    else:
        size = sum(gaps == "counted" or "-" not in pair for pair in pairs)
    return (100 if percent else 1) * same / size if size else 0.0


@alignments(
    lambda d: ["".join(f"{d.integer(1, 30)}{d.pick('MIDNSH=X')}" for _ in range(d.integer(0, 6)))],
    of=("reference", "read", "aligned"),
    clipped=(True, False),
    skips=(True, False),
)
def cigar_length(cigar: str, of: str, clipped: bool, skips: bool) -> int:
    """Return the length of the "{of}" that a CIGAR string covers.

    "reference" counts M, D, = and X; "read" counts M, I, = and X; "aligned" counts M, = and X.
    Whether S counts for the read as well: {clipped}. Whether N counts for the reference as well:
    {skips}. H never counts.
    """
    letters = {"reference": "MD=X", "read": "MI=X", "aligned": "M=X"}[of]
    letters += "S" if clipped and of == "read" else ""
    letters += "N" if skips and of == "reference" else ""
    return sum(int(n) for n, op in re.findall(r"(\d+)([MIDNSH=X])", cigar) if op in letters)


@alignments(
    lambda d: [d.alignment(d.integer(2, 5), d.integer(1, 8))],
    match=(1, 2),
    mismatch=(-1, -2),
    gap=(-1, -3),
)
def sum_of_pairs(rows: list[str], match: int, mismatch: int, gap: int) -> int:
    """Return the sum-of-pairs score of a multiple alignment.

    For each column and pair of rows: {match} for equal letters, {mismatch} for different ones,
    {gap} for a letter and a gap "-", 0 for two gaps.
    """
    total = 0
    for a, b in itertools.combinations(rows, 2):
        for x, y in zip(a, b, strict=True):
            if x == y:
                total += 0 if x == "-" else match
            else:
                total += gap if "-" in (x, y) else mismatch
    return total


@alignments(
    lambda d: [d.alignment(d.integer(2, 6), d.integer(1, 8))],
    base=(2, 4, 10),
    gaps=("a letter", "left out"),
    what=("entropy", "information"),
)
def column_entropy(rows: list[str], base: int, gaps: str, what: str) -> list[float]:
    """Return the {what} of each column of a multiple alignment, logarithms to the base {base}.

    Gaps "-" are {gaps}. A column without letters has entropy 0. "information" is log(4), or log(5)
    where gaps are a letter, minus the entropy.
    """
    result = []
    for column in zip(*rows, strict=True):
        letters = [x for x in column if gaps == "a letter" or x != "-"]
        shares = [n / len(letters) for n in Counter(letters).values()]
        entropy = -sum(p * math.log(p, base) for p in shares)
        most = math.log(5 if gaps == "a letter" else 4, base)
        result.append(entropy if what == "entropy" else most - entropy)
    return result


@alignments(
    lambda d: [d.alignment(d.integer(2, 6), d.integer(1, 10))],
    least=(0.4, 0.5, 0.7),
    unsure=("N", "x"),
    gaps=(True, False),
)
def consensus(rows: list[str], least: float, unsure: str, gaps: bool) -> str:
    """Return the consensus of a multiple alignment, a letter for each column.

    It is the column's most frequent letter, of equal ones the alphabetically first ("-" comes
    before letters), where its share of the column is at least {least}; otherwise "{unsure}".
    Whether gaps count as a letter: {gaps}; where not, they count neither for letters nor for the
    share, and a column of gaps gives "-".
    """
    made = ""
    for column in zip(*rows, strict=True):
        letters = [x for x in column if gaps or x != "-"]
        if not letters:
            made += "-"
            continue
        counts = Counter(letters)
        best = min(counts, key=lambda x: (-counts[x], x))
        made += best if counts[best] / len(letters) >= least - 1e-12 else unsure
    return made


@alignments(
    lambda d: [d.dna(1, 6), d.dna(6, 20)], mismatches=(0, 1, 2), report=("first", "all", "best")
)
def approximate_matches(pattern: str, text: str, mismatches: int, report: str) -> list[list[int]]:
    """Return where `pattern` matches `text` with at most {mismatches} mismatches.

    Each match is [position from 0, number of mismatches], ascending. Report: {report}; "best" means
    all those with the fewest mismatches found, "first" a list of at most one match.
    """
    found = []
    for i in range(len(text) - len(pattern) + 1):
        wrong = sum(x != y for x, y in zip(pattern, text[i : i + len(pattern)], strict=True))
        if wrong <= mismatches:
            found.append([i, wrong])
    if report == "first":
        return found[:1]
    fewest = min((wrong for _, wrong in found), default=0)
    return [one for one in found if report == "all" or one[1] == fewest]
