"""Functions of statistics: tests, corrections, diversity, agreement, ranking."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from typing import Any

import numpy as np
import scipy.stats

from benchside.suites.functions.draw import Draw
from benchside.suites.functions.exercise import Exercises

inference = Exercises("statistics")


def midranks(values: list[float]) -> list[float]:
    """Return ranks from 1; equal values share the mean of their ranks."""
    ordered = sorted(values)
    return [ordered.index(x) + (ordered.count(x) + 1) / 2 for x in values]


def _two_samples(d: Draw) -> list[Any]:
    return [d.numbers(3, 9, 0, 10, 1), d.numbers(3, 9, 1, 12, 1)]


def _paired(d: Draw) -> list[Any]:
    x = d.numbers(4, 10, 0, 10, 0)
    return [x, [value + d.integer(-4, 4) for value in x]]


def _p_values(d: Draw) -> list[Any]:
    return [[d.number(0.0005, 0.2, 4) for _ in range(d.integer(1, 9))]]


def _table(d: Draw) -> list[Any]:
    return [[[d.integer(0, 15), d.integer(1, 15)], [d.integer(1, 15), d.integer(1, 15)]]]


@inference(
    lambda d: [d.numbers(1, 12, 0, 10, 1)],
    cut=(0.0, 0.1, 0.2, 0.25),
    kind=("trimmed", "winsorised"),
    second=lambda xs, cut, kind: float(
        scipy.stats.trim_mean(xs, cut)
        if kind == "trimmed"
        else np.mean(
            np.clip(
                xs, sorted(xs)[int(cut * len(xs))], sorted(xs)[len(xs) - 1 - int(cut * len(xs))]
            )
        )
    ),
)
def robust_mean(values: list[float], cut: float, kind: str) -> float:
    """Return the {kind} mean of `values`, with a share of {cut} on each side.

    k is {cut} times the number of values, rounded down. "trimmed" leaves out the k smallest and k
    largest values; "winsorised" replaces them by the nearest value that is left.
    """
    ordered = sorted(values)
    k = int(cut * len(ordered))
    kept = ordered[k : len(ordered) - k]
    if kind == "winsorised":
        kept = [kept[0]] * k + kept + [kept[-1]] * k
    return sum(kept) / len(kept)


@inference(
    lambda d: [d.numbers(3, 12, 0, 10, 1)],
    threshold=(1.5, 2.0, 3.0),
    scale=(1.0, 1.4826),
    report=("indices", "values"),
)
def mad_outliers(values: list[float], threshold: float, scale: float, report: str) -> list[float]:
    """Return the {report} of outliers by the median absolute deviation, in the given order.

    A value is an outlier where its distance from the median is more than {threshold} times {scale}
    times the median of all such distances. Indices count from 0. Where that median is 0 there are
    no outliers.
    """
    middle = statistics.median(values)
    spread = scale * statistics.median(abs(x - middle) for x in values)
    found = [
        i for i, x in enumerate(values) if spread and abs(x - middle) > threshold * spread + 1e-9
    ]
    return [float(i) if report == "indices" else values[i] for i in found]


def _t_by_scipy(a: list[float], b: list[float], variances: str, report: str, sign: int) -> float:
    found = scipy.stats.ttest_ind(a, b, equal_var=variances == "equal")
    return sign * float(found.statistic) if report == "t" else float(found.df)


@inference(
    _two_samples,
    variances=("equal", "unequal"),
    report=("t", "df"),
    sign=(1, -1),
    second=_t_by_scipy,
)
def t_statistic(a: list[float], b: list[float], variances: str, report: str, sign: int) -> float:
    """Compare the means of two samples by a t test with {variances} variances; return its {report}.

    t is {sign} times (mean of `a` minus mean of `b`) over its standard error; df for unequal
    variances is Welch's and not rounded.
    """
    na, nb = len(a), len(b)
    va, vb = statistics.variance(a), statistics.variance(b)
    if variances == "equal":
        df = float(na + nb - 2)
        error = math.sqrt(((na - 1) * va + (nb - 1) * vb) / df * (1 / na + 1 / nb))
    else:
        one, two = va / na, vb / nb
        df = (one + two) ** 2 / (one**2 / (na - 1) + two**2 / (nb - 1))
        error = math.sqrt(one + two)
    return sign * (statistics.mean(a) - statistics.mean(b)) / error if report == "t" else df


@inference(
    _two_samples,
    report=("u", "auc", "rank-biserial"),
    of=("first", "second"),
    ties=(0.5, 0.0),
    second=lambda a, b, report, of, ties: (
        None
        if ties == 0.0
        else {
            "u": (
                u := float(
                    scipy.stats.mannwhitneyu(*((a, b) if of == "first" else (b, a))).statistic
                )
            ),
            "auc": u / (len(a) * len(b)),
            "rank-biserial": 2 * u / (len(a) * len(b)) - 1,
        }[report]
    ),
)
def rank_sum(a: list[float], b: list[float], report: str, of: str, ties: float) -> float:
    """Return the Mann-Whitney {report} of the {of} sample over the other one.

    U is the number of pairs in which its value is larger, each equal pair counting {ties}; "auc" is
    U over the number of pairs, "rank-biserial" twice that minus 1.
    """
    one, other = (a, b) if of == "first" else (b, a)
    u = sum((x > y) + ties * (x == y) for x in one for y in other)
    share = u / (len(one) * len(other))
    return {"u": float(u), "auc": share, "rank-biserial": 2 * share - 1}[report]


def _adjusted_by_scipy(ps: list[float], method: str, report: str, level: float) -> Any:
    if method != "benjamini-hochberg":
        return None
    adjusted = scipy.stats.false_discovery_control(ps).tolist()
    return adjusted if report == "adjusted" else [bool(p <= level) for p in adjusted]


@inference(
    _p_values,
    method=("bonferroni", "holm", "benjamini-hochberg"),
    report=("adjusted", "rejected"),
    level=(0.05, 0.1),
    second=_adjusted_by_scipy,
)
def adjust_p_values(ps: list[float], method: str, report: str, level: float) -> list[Any]:
    """Adjust p values for multiple tests by {method}; return them in the given order.

    Adjusted values are at most 1. Report {report}: "rejected" is for each whether its adjusted
    value is at most {level}.
    """
    n = len(ps)
    order = sorted(range(n), key=lambda i: ps[i])
    adjusted = [0.0] * n
    if method == "bonferroni":
        adjusted = [min(1.0, n * p) for p in ps]
    elif method == "holm":
        running = 0.0
        for rank, i in enumerate(order):
            running = max(running, min(1.0, (n - rank) * ps[i]))
            adjusted[i] = running
    else:
        running = 1.0
        for rank in range(n, 0, -1):
            i = order[rank - 1]
            running = min(running, ps[i] * n / rank)
            adjusted[i] = running
    return adjusted if report == "adjusted" else [p <= level + 1e-12 for p in adjusted]


def _hypergeometric_by_scipy(k: int, n: int, m: int, total: int, tail: str, log: str) -> float:
    law = scipy.stats.hypergeom(total, m, n)
    p = float({"at least": law.sf(k - 1), "at most": law.cdf(k), "exactly": law.pmf(k)}[tail])
    if log == "no":
        return p
    return -math.log(p, int(log)) if p > 0 else 0.0


@inference(
    lambda d: [d.integer(0, 6), d.integer(6, 9), d.integer(6, 12), d.integer(20, 40)],
    tail=("at least", "at most", "exactly"),
    log=("no", "2", "10"),
    second=_hypergeometric_by_scipy,
)
def hypergeometric(k: int, n: int, m: int, total: int, tail: str, log: str) -> float:
    """Return the probability of {tail} `k` marked items among `n` drawn without replacement.

    Of `total` items `m` are marked. As a negative logarithm to the base: {log} ("no": plain), with
    0 for a probability of 0.
    """

    def exactly(x: int) -> float:
        if x > m or n - x > total - m or n - x < 0:
            return 0.0
        return math.comb(m, x) * math.comb(total - m, n - x) / math.comb(total, n)

    span = {"at least": range(k, n + 1), "at most": range(k + 1), "exactly": [k]}[tail]
    p = sum(exactly(x) for x in span)
    if log == "no":
        return p
    return -math.log(p, int(log)) if p > 0 else 0.0


@inference(
    _table,
    correction=(0.0, 0.5, 1.0),
    measure=("odds ratio", "risk ratio", "risk difference"),
    log=(True, False),
)
def association(table: list[list[int]], correction: float, measure: str, log: bool) -> float | None:
    """Return the {measure} of a table [[a, b], [c, d]]; rows are groups, a and c have the event.

    Where any cell is 0, add {correction} to all four first. None where a divisor is 0. Whether a
    ratio is returned as its natural logarithm, None where it is 0: {log}.
    """
    cells = [float(x) for row in table for x in row]
    if 0 in cells:
        cells = [x + correction for x in cells]
    a, b, c, d = cells
    if not (a + b) * (c + d):
        return None
    if measure == "risk difference":
        return a / (a + b) - c / (c + d)
    top, bottom = (a * d, b * c) if measure == "odds ratio" else (a / (a + b), c / (c + d))
    if bottom == 0:
        return None
    ratio = top / bottom
    if log:
        return math.log(ratio) if ratio > 0 else None
    return ratio


def _chi2_by_scipy(table: list[list[int]], yates: bool, report: str, digits: int) -> float | None:
    if report == "phi":
        return None
    found = scipy.stats.chi2_contingency(table, correction=yates)
    value = found.statistic if report == "statistic" else np.min(found.expected_freq)
    return round(float(value), digits)


@inference(
    _table,
    yates=(True, False),
    report=("statistic", "phi", "least expected"),
    second=_chi2_by_scipy,
    digits=(3, 9),
)
def chi_squared(table: list[list[int]], yates: bool, report: str, digits: int) -> float:
    """Return the {report} of a chi-squared test of a 2 x 2 table, rounded to {digits} decimals.

    Whether with Yates' correction, which takes 1/2 (but not more than the difference) off each
    absolute difference of observed and expected: {yates}. "phi" is the square root of the statistic
    over the number of observations, "least expected" the smallest expected count.
    """
    rows = [sum(row) for row in table]
    columns = [sum(column) for column in zip(*table, strict=True)]
    n = sum(rows)
    statistic, least = 0.0, math.inf
    for i, j in itertools.product(range(2), range(2)):
        expected = rows[i] * columns[j] / n
        difference = abs(table[i][j] - expected)
        difference -= min(0.5, difference) if yates else 0
        statistic += difference**2 / expected
        least = min(least, expected)
    found = {"statistic": statistic, "phi": math.sqrt(statistic / n), "least expected": least}
    return round(found[report], digits)


def _correlation_by_scipy(
    x: list[float], y: list[float], method: str, missing: float, squared: bool
) -> float | None:
    if len(set(x)) == 1 or len(set(y)) == 1:
        return None
    value = (
        scipy.stats.pearsonr(x, y).statistic if method == "pearson"
        else scipy.stats.spearmanr(x, y).statistic if method == "spearman"
        else scipy.stats.kendalltau(x, y).statistic
    )  # fmt: skip
    return float(value) ** (2 if squared else 1)


@inference(
    _paired,
    method=("pearson", "spearman", "kendall"),
    missing=(0.0, -9.0),
    squared=(True, False),
    uses=(midranks,),
    second=_correlation_by_scipy,
)
def correlation(
    x: list[float], y: list[float], method: str, missing: float, squared: bool
) -> float:
    """Return the {method} correlation of two lists of equal length.

    Ties have mean ranks (spearman) and are corrected for as in tau-b (kendall). Where a list has
    one value only, return {missing}. Whether it is squared (except {missing}): {squared}.
    """
    if len(set(x)) == 1 or len(set(y)) == 1:
        return missing
    if method == "kendall":
        pairs = list(itertools.combinations(zip(x, y, strict=True), 2))
        signs = [((a > c) - (a < c), (b > d) - (b < d)) for (a, b), (c, d) in pairs]
        top = sum(s * t for s, t in signs)
        value = top / math.sqrt(sum(s != 0 for s, _ in signs) * sum(t != 0 for _, t in signs))
    else:
        u, v = (midranks(x), midranks(y)) if method == "spearman" else (x, y)
        value = statistics.correlation(u, v)
    return value**2 if squared else value


@inference(
    lambda d: [[0 if d.chance(0.2) else d.integer(1, 20) for _ in range(d.integer(2, 8))]],
    index=("shannon", "simpson", "inverse simpson", "pielou", "chao1"),
    pseudo=(0, 1),
)
def diversity(counts: list[int], index: str, pseudo: int) -> float:
    """Return the {index} diversity of species counts, after adding {pseudo} to each count.

    Species with 0 are left out; without any, return 0. shannon: -sum p ln p; simpson: 1 - sum p^2;
    inverse simpson: 1 / sum p^2; pielou: shannon over ln of the number of species, 0 for one
    species; chao1: species + f1 (f1 - 1) / (2 (f2 + 1)), f1 and f2 species counted once and twice.
    """
    kept = [n + pseudo for n in counts if n + pseudo > 0]
    if not kept:
        return 0.0
    total = sum(kept)
    shares = [n / total for n in kept]
    shannon = -sum(p * math.log(p) for p in shares)
    squares = sum(p * p for p in shares)
    once, twice = kept.count(1), kept.count(2)
    return {
        "shannon": shannon,
        "simpson": 1 - squares,
        "inverse simpson": 1 / squares,
        "pielou": shannon / math.log(len(kept)) if len(kept) > 1 else 0.0,
        "chao1": len(kept) + once * (once - 1) / (2 * (twice + 1)),
    }[index]


@inference(
    lambda d: d.counts(2, d.integer(2, 7)),
    measure=("bray-curtis", "jaccard", "canberra"),
    relative=(True, False),
    similarity=(True, False),
)
def dissimilarity(
    a: list[int], b: list[int], measure: str, relative: bool, similarity: bool
) -> float:
    """Return the {measure} dissimilarity of two lists of counts.

    bray-curtis: sum |x - y| / sum (x + y); jaccard: 1 minus the share of places above 0 in both
    among those above 0 in any; canberra: the mean of |x - y| / (x + y) over places where not both
    are 0. With a divisor of 0 it is 0. Whether counts are divided by their list's sum first (a sum
    of 0 leaves them): {relative}. Whether 1 minus the dissimilarity is returned: {similarity}.
    """
    x, y = ([n / (sum(one) or 1) if relative else float(n) for n in one] for one in (a, b))
    pairs = [(p, q) for p, q in zip(x, y, strict=True) if p or q]
    if not pairs:
        value = 0.0
    elif measure == "bray-curtis":
        value = sum(abs(p - q) for p, q in pairs) / sum(p + q for p, q in pairs)
    elif measure == "jaccard":
        value = 1 - sum(bool(p and q) for p, q in pairs) / len(pairs)
    else:
        value = sum(abs(p - q) / (p + q) for p, q in pairs) / len(pairs)
    return 1 - value if similarity else value


@inference(
    lambda d: [
        ys := d.picks([0, 1], 4, 14),
        [d.number(0, 1, 1) for _ in ys],
    ],
    report=("auroc", "average precision", "youden"),
    missing=(0.5, -1.0),
    higher=("positive", "negative"),
)
def classifier_score(
    labels: list[int], scores: list[float], report: str, missing: float, higher: str
) -> float:
    """Return the {report} of `scores` for 0/1 `labels`; higher scores speak for the {higher}
    class.

    auroc: the share of pairs of a 1 and a 0 that are ordered rightly, ties counting half; average
    precision: the sum over thresholds (falling, tied scores together) of precision times the step
    in recall; youden: the largest sensitivity + specificity - 1 over thresholds. Without both
    labels return {missing}.
    """
    values = [s if higher == "positive" else -s for s in scores]
    ones = [v for v, y in zip(values, labels, strict=True) if y]
    zeros = [v for v, y in zip(values, labels, strict=True) if not y]
    if not ones or not zeros:
        return missing
    if report == "auroc":
        wins = sum((p > q) + 0.5 * (p == q) for p in ones for q in zeros)
        return float(wins / (len(ones) * len(zeros)))
    total, recall, best = 0.0, 0.0, 0.0
    for threshold in sorted(set(values), reverse=True):
        hits = sum(v >= threshold for v in ones)
        false = sum(v >= threshold for v in zeros)
        total += hits / (hits + false) * (hits / len(ones) - recall)
        recall = hits / len(ones)
        best = max(best, recall - false / len(zeros))
    return total if report == "average precision" else best


def _followed_in_order(
    times: list[int], events: list[int], report: str, at: int, ties: str
) -> float:
    """Those at risk are counted down, one subject after the other."""
    first = 1 if ties == "events first" else 0
    order = sorted(zip(times, events, strict=True), key=lambda one: (one[0], one[1] != first))
    survival, hazard, left = 1.0, 0.0, len(order)
    for time, group in itertools.groupby(order, key=lambda one: one[0] if one[1] else None):
        subjects = len(list(group))
        if time is not None and time <= at:
            survival *= (left - subjects) / left
            hazard += subjects / left
        left -= subjects
    return survival if report == "survival" else hazard


@inference(
    lambda d: [
        ts := d.integers(3, 9, 1, 12),
        [d.pick([0, 1, 1]) for _ in ts],
    ],
    report=("survival", "cumulative hazard"),
    at=(3, 6, 9, 12),
    ties=("events first", "censored first"),
    second=_followed_in_order,
)
def kaplan_meier(times: list[int], events: list[int], report: str, at: int, ties: str) -> float:
    """Return the {report} at time {at} (included) from times and event indicators (1: event).

    "survival" is by Kaplan and Meier, "cumulative hazard" by Nelson and Aalen. At the same time,
    {ties}: censored subjects count as at risk for events at their time only if events come first.
    """
    survival, hazard = 1.0, 0.0
    for time in sorted({t for t, e in zip(times, events, strict=True) if e and t <= at}):
        dead = sum(t == time and e == 1 for t, e in zip(times, events, strict=True))
        risk = sum(
            t > time or (t == time and (e == 1 or ties == "events first"))
            for t, e in zip(times, events, strict=True)
        )
        survival *= 1 - dead / risk
        hazard += dead / risk
    return survival if report == "survival" else hazard


@inference(
    lambda d: [
        xs := d.picks("abc", 3, 12),
        [d.pick("abc") for _ in xs],
    ],
    measure=("kappa", "agreement", "rand"),
    missing=(1.0, 0.0),
    percent=(True, False),
)
def rater_agreement(
    first: list[str], second: list[str], measure: str, missing: float, percent: bool
) -> float:
    """Return the {measure} of two lists of labels of the same items.

    agreement: the share of equal labels; kappa: Cohen's, {missing} where chance agreement is 1;
    rand: the share of pairs of items that both lists put together or both apart. In percent:
    {percent}.
    """
    n = len(first)
    pairs = list(zip(first, second, strict=True))
    same = sum(x == y for x, y in pairs) / n
    if measure == "rand":
        couples = list(itertools.combinations(pairs, 2))
        value = sum((a == c) == (b == d) for (a, b), (c, d) in couples) / len(couples)
    elif measure == "kappa":
        one, two = Counter(first), Counter(second)
        chance = sum(one[x] * two[x] for x in one) / n**2
        value = missing if chance == 1 else (same - chance) / (1 - chance)
    else:
        value = same
    return 100 * value if percent else value
