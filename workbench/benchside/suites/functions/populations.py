"""Functions on genetic variants and populations."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any

from benchside.suites.functions.draw import Draw
from benchside.suites.functions.exercise import Exercises

populations = Exercises("variants and populations")


def _haplotypes(d: Draw) -> list[Any]:
    first = d.dna(8, 14)
    return [[first, *(d.mutated(first, 0.15) for _ in range(d.integer(3, 5)))]]


def _variant(d: Draw) -> list[Any]:
    sequence = d.dna(10, 16, "AC")
    start = d.integer(2, len(sequence) - 4)
    ref = sequence[start : start + d.integer(1, 3)]
    return [sequence, start + 1, ref, ref[0] + d.pick([ref, "T" + ref[1:], ref[-1], ref + "A"])]


def _phasings(d: Draw) -> list[Any]:
    first = d.picks(["0|1", "1|0", "0|1", "0|0", "1|1"], 2, 8)
    return [[first, [d.pick([one, one[::-1], "0|1"]) for one in first]]]


def _genotypes(d: Draw) -> list[Any]:
    return [d.integers(4, 12, 0, 2)]


@populations(
    _haplotypes,
    per_site=(True, False),
    bias=("n - 1", "n"),
    digits=(3, 6),
    second=lambda rows, per_site, bias, digits: round(
        sum(
            1 - sum((n / len(rows)) ** 2 for n in Counter(c).values())
            for c in zip(*rows, strict=True)
        )
        * (len(rows) / (len(rows) - 1) if bias == "n - 1" else 1)
        / (len(rows[0]) if per_site else 1),
        digits,
    ),
)
def nucleotide_diversity(rows: list[str], per_site: bool, bias: str, digits: int) -> float:
    """Return the mean number of differences between pairs of aligned sequences.

    Rounded to {digits} decimals; divided by the number of columns: {per_site}. With "{bias}": "n -
    1" averages over pairs of different rows, "n" over all n times n ordered pairs, a row with
    itself included.
    """
    n = len(rows)
    total = sum(
        sum(x != y for x, y in zip(a, b, strict=True)) for a, b in itertools.combinations(rows, 2)
    )
    mean = total / (n * (n - 1) / 2) if bias == "n - 1" else 2 * total / n**2
    return round(mean / len(rows[0]) if per_site else mean, digits)


@populations(
    _haplotypes,
    report=("theta", "d", "segregating"),
    multi=("counted", "skipped"),
    none=(0.0, -9.0),
)
def watterson(rows: list[str], report: str, multi: str, none: float) -> float:
    """Return the {report} of aligned sequences.

    "segregating" is the number S of columns with two letters, those with more being {multi}.
    "theta" is S over the sum of 1/i for i from 1 to n - 1. "d" is Tajima's D from S and the mean
    number of differences between pairs in these columns, {none} where S is 0.
    """
    n = len(rows)
    columns = [
        c for c in zip(*rows, strict=True)
        if len(set(c)) == 2 or (len(set(c)) > 2 and multi == "counted")
    ]  # fmt: skip
    s = len(columns)
    if report == "segregating":
        return float(s)
    a1 = sum(1 / i for i in range(1, n))
    if report == "theta":
        return s / a1
    if s == 0:
        return none
    pairs = n * (n - 1) / 2
    pi = sum(sum(x != y for x, y in itertools.combinations(c, 2)) for c in columns) / pairs
    a2 = sum(1 / i**2 for i in range(1, n))
    b1, b2 = (n + 1) / (3 * (n - 1)), 2 * (n * n + n + 3) / (9 * n * (n - 1))
    c1, c2 = b1 - 1 / a1, b2 - (n + 2) / (a1 * n) + a2 / a1**2
    e1, e2 = c1 / a1, c2 / (a1**2 + a2)
    return (pi - s / a1) / math.sqrt(e1 * s + e2 * s * (s - 1))


@populations(_haplotypes, folded=(True, False), ends=(True, False), against=("first", "last"))
def site_frequency_spectrum(rows: list[str], folded: bool, ends: bool, against: str) -> list[int]:
    """Return the site frequency spectrum of aligned sequences.

    The {against} row gives the ancestral letters and is not counted; in each column, count the
    other rows that differ from it. Element i of the list is the number of columns with count i.
    Whether counts are folded to the smaller of i and m - i, m being the number of other rows, the
    list then ending at m // 2: {folded}. Whether columns with count 0 and, if not folded, m are
    included (else their elements are 0): {ends}.
    """
    k = 0 if against == "first" else len(rows) - 1
    others = rows[:k] + rows[k + 1 :]
    m = len(others)
    spectrum = [0] * ((m // 2 if folded else m) + 1)
    for i, letter in enumerate(rows[k]):
        count = sum(row[i] != letter for row in others)
        spectrum[min(count, m - count) if folded else count] += 1
    if not ends:
        spectrum[0] = 0
        if not folded:
            spectrum[-1] = 0
    return spectrum


@populations(
    _genotypes,
    report=("frequency", "expected", "inbreeding", "chi-squared"),
    of=("alternative", "reference"),
    missing=(0.0, -1.0),
)
def hardy_weinberg(genotypes: list[int], report: str, of: str, missing: float) -> float:
    """Return the {report} from genotypes given as numbers (0 to 2) of the alternative allele.

    "frequency" is of the {of} allele; "expected" the expected share 2pq of heterozygotes;
    "inbreeding" is 1 minus the observed over the expected share; "chi-squared" compares the three
    genotype counts with those expected. Where an expected count or share that is divided by is 0,
    return {missing}.
    """
    n = len(genotypes)
    p = sum(genotypes) / (2 * n)
    q = 1 - p
    if report == "frequency":
        return p if of == "alternative" else q
    if report == "expected":
        return 2 * p * q
    if p * q == 0:
        return missing
    if report == "inbreeding":
        return 1 - genotypes.count(1) / n / (2 * p * q)
    expected = [n * q * q, 2 * n * p * q, n * p * p]
    return sum((genotypes.count(k) - e) ** 2 / e for k, e in enumerate(expected))


@populations(
    lambda d: [[d.pick(["00", "01", "10", "11", "00", "11"]) for _ in range(d.integer(3, 12))]],
    report=("D", "D'", "r2"),
    missing=(0.0, -9.0),
    absolute=(True, False),
)
def linkage_disequilibrium(
    haplotypes: list[str], report: str, missing: float, absolute: bool
) -> float:
    """Return {report} of two sites from haplotypes such as "01" (1: derived allele at that site).

    D is the frequency of "11" minus the product of the two derived frequencies p and q. D' is D
    over min(p (1 - q), (1 - p) q) for D above 0 and over min(p q, (1 - p)(1 - q)) otherwise. r2 is
    D squared over p (1 - p) q (1 - q). Where a site does not vary return {missing}. Whether the
    absolute value is returned: {absolute}.
    """
    n = len(haplotypes)
    p = sum(h[0] == "1" for h in haplotypes) / n
    q = sum(h[1] == "1" for h in haplotypes) / n
    if p in (0, 1) or q in (0, 1):
        return missing
    d = haplotypes.count("11") / n - p * q
    if report == "D'":
        most = min(p * (1 - q), (1 - p) * q) if d > 0 else min(p * q, (1 - p) * (1 - q))
        value = d / most
    else:
        value = d if report == "D" else d * d / (p * (1 - p) * q * (1 - q))
    return abs(value) if absolute else value


@populations(
    lambda d: [d.integers(3, 8, 0, 2), d.integers(3, 8, 0, 2)],
    method=("means", "hudson"),
    weighted=(True, False),
    floor=(True, False),
)
def fixation_index(a: list[int], b: list[int], method: str, weighted: bool, floor: bool) -> float:
    """Return F_ST of two populations from genotypes given as numbers (0 to 2) of an allele.

    With p the allele frequency of a population and 2n its number of alleles: "means" is 1 - Hs /
    Ht, Hs being the mean of the two 2p(1 - p) and Ht that of the mean frequency, where means are
    weighted by the numbers of genotypes: {weighted}. "hudson" is N / D with N = (p1 - p2)^2 - p1(1
    - p1)/(2n1 - 1) - p2(1 - p2)/(2n2 - 1) and D = p1(1 - p2) + p2(1 - p1). Method: {method}. With
    a divisor of 0 it is 0. Whether values below 0 are returned as 0: {floor}.
    """
    sizes = [len(a), len(b)]
    p, q = (sum(one) / (2 * len(one)) for one in (a, b))
    if method == "means":
        w = sizes[0] / sum(sizes) if weighted else 0.5
        mean = w * p + (1 - w) * q
        total = 2 * mean * (1 - mean)
        within = w * 2 * p * (1 - p) + (1 - w) * 2 * q * (1 - q)
        value = 1 - within / total if total else 0.0
    else:
        noise = [x * (1 - x) / (2 * n - 1) for x, n in zip((p, q), sizes, strict=True)]
        below = p * (1 - q) + q * (1 - p)
        value = ((p - q) ** 2 - sum(noise)) / below if below else 0.0
    return max(value, 0.0) if floor else value


@populations(
    lambda d: [
        s := d.dna(8, 20),
        d.integer(1, len(s) - 3),
        d.pick(["A", "C", "AC", "GG", ""]),
        d.pick(["T", "", "TG", "ACT"]),
    ],
    base=(0, 1),
    check=("ValueError", "unchanged"),
    mark=(True, False),
)
def apply_variant(
    sequence: str, position: int, ref: str, alt: str, base: int, check: str, mark: bool
) -> str:
    """Return `sequence` with `ref` at `position` (counted from {base}) replaced by `alt`.

    Where the sequence does not have `ref` there: {check} (ValueError is raised, or the sequence is
    returned unchanged). Whether what was put in is written in lower case: {mark}.
    """
    start = position - base
    if sequence[start : start + len(ref)] != ref:
        if check == "ValueError":
            raise ValueError("reference differs")
        return sequence
    return sequence[:start] + (alt.lower() if mark else alt) + sequence[start + len(ref) :]


@populations(_variant, side=("left", "right"), anchor=(True, False), base=(0, 1))
def trim_variant(
    sequence: str, position: int, ref: str, alt: str, side: str, anchor: bool, base: int
) -> list[Any]:
    """Return [position, ref, alt] of a variant after trimming what both alleles share.

    The position of the first letter of `ref` in `sequence` counts from 1 on input and from {base}
    on output. From the {side} side first, cut letters that both alleles share, then from the
    other; where an allele would become empty, one letter is left: {anchor}. Cutting on the left
    raises the position.
    """
    least = 1 if anchor else 0

    def cut_right() -> None:
        nonlocal ref, alt
        while min(len(ref), len(alt)) > least and ref[-1] == alt[-1]:
            ref, alt = ref[:-1], alt[:-1]

    def cut_left() -> None:
        nonlocal ref, alt, position
        while min(len(ref), len(alt)) > least and ref[0] == alt[0]:
            ref, alt, position = ref[1:], alt[1:], position + 1

    for cut in (cut_left, cut_right) if side == "left" else (cut_right, cut_left):
        cut()
    return [position - 1 + base, ref, alt]


@populations(
    lambda d: [[d.pick("ACGT") + ">" + d.pick("ACGT") for _ in range(d.integer(0, 12))]],
    report=("ratio", "counts", "spectrum"),
    same=("ignored", "ValueError"),
    none=(0.0, -1.0),
)
def substitution_types(changes: list[str], report: str, same: str, none: float) -> Any:
    """Return the {report} of substitutions such as "A>G".

    "ratio" is transitions (A-G, C-T) over transversions, {none} without transversions; "counts" is
    [transitions, transversions]; "spectrum" is type → count with the pyrimidine as the first
    letter, so that G>A is counted as C>T, without types that do not occur. A change to the same
    letter is: {same} (ValueError is raised).
    """
    spectrum: Counter[str] = Counter()
    for change in changes:
        if change[0] == change[2]:
            if same == "ValueError":
                raise ValueError(change)
            continue
        flip = str.maketrans("ACGT", "TGCA") if change[0] in "AG" else {}
        spectrum[change.translate(flip)] += 1
    transitions = spectrum["C>T"] + spectrum["T>C"]
    transversions = sum(spectrum.values()) - transitions
    if report == "ratio":
        return transitions / transversions if transversions else none
    if report == "counts":
        return [transitions, transversions]
    return {kind: n for kind, n in spectrum.items() if n}


@populations(
    _phasings,
    report=("shared", "switches", "identical"),
    het_only=(True, False),
    scaled=(True, False),
)
def compare_phasing(samples: list[list[str]], report: str, het_only: bool, scaled: bool) -> float:
    """Compare two phasings of the same sites, lists of genotypes such as "0|1"; return {report}.

    "identical" is the number of sites with equal text; "shared" the sum over sites of the number
    of alleles in common whatever the order; "switches" the number of times that, going along the
    sites heterozygous in both, the second phasing changes between equal and swapped. For the first
    two, only sites heterozygous in both count: {het_only}. Whether divided by the number of sites
    that count (for "switches" that number minus 1), 0 for a divisor below 1: {scaled}.
    """
    pairs = list(zip(*samples, strict=True))
    both = [(x, y) for x, y in pairs if x[0] != x[2] and y[0] != y[2]]
    sites = both if het_only or report == "switches" else pairs
    if report == "identical":
        value = sum(x == y for x, y in sites)
    elif report == "shared":
        value = sum(((Counter(x) & Counter(y)) - Counter("|")).total() for x, y in sites)
    else:
        phase = [x == y for x, y in sites]
        value = sum(p != q for p, q in itertools.pairwise(phase))
    size = len(sites) - (report == "switches")
    if not scaled:
        return float(value)
    return value / size if size >= 1 else 0.0


@populations(
    lambda d: [d.dna(9, 24), d.integer(0, 8), d.pick("ACGT")],
    report=("effect", "change"),
    start=(True, False),
    offset=(0, 1),
)
def coding_effect(
    coding: str, position: int, base: str, report: str, start: bool, offset: int
) -> str:
    """Return the {report} of changing the base at `position` (counted from {offset}) of `coding`
    to `base`.

    By the standard code from the first base. "effect" is one of "none" (the base is the same),
    "outside" (before the first base or not in a complete codon), "synonymous", "nonsense" (a stop
    is made), "stop lost", "missense", and "start lost" for any change of amino acid in the first
    codon: {start} (else that codon is like others). "change" is such as "K2N" with the codon's
    number from 1 and "*" for a stop, "=" where nothing changes.
    """
    code = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
    place = position - offset
    first = place // 3 * 3
    if place < 0 or first + 3 > len(coding):
        return "outside" if report == "effect" else "="
    acids = []
    for text in (coding, coding[:place] + base + coding[place + 1 :]):
        a, b, c = ("TCAG".index(letter) for letter in text[first : first + 3])
        acids.append(code[16 * a + 4 * b + c])
    old, new = acids
    if report == "change":
        return f"{old}{first // 3 + 1}{new}" if old != new else "="
    if coding[place] == base:
        return "none"
    if old == new:
        return "synonymous"
    if start and first == 0:
        return "start lost"
    return "nonsense" if new == "*" else "stop lost" if old == "*" else "missense"


@populations(
    lambda d: [d.counts(d.integer(2, 5), d.integer(2, 4)), d.integers(5, 5, 200, 3000)],
    unit=("cpm", "tpm", "rpkm"),
    log=(True, False),
    pseudo=(0, 1),
)
def expression_units(
    counts: list[list[int]], lengths: list[int], unit: str, log: bool, pseudo: int
) -> list[list[float]]:
    """Return counts (a row for each gene, a column for each sample) in {unit}, after adding
    {pseudo}.

    `lengths` has a length in bases for each gene in order, further ones are ignored. cpm: per
    million counts of the sample; rpkm: cpm per 1000 bases; tpm: counts per 1000 bases, scaled to a
    million in each sample. A sample without counts gives 0. Whether log2(x + 1) of it is returned:
    {log}.
    """
    rates = [
        [(x + pseudo) / (n / 1000 if unit == "tpm" else 1) for x in row]
        for row, n in zip(counts, lengths, strict=False)
    ]
    totals = [sum(column) for column in zip(*rates, strict=True)]
    result = []
    for row, n in zip(rates, lengths, strict=False):
        values = [1e6 * x / t if t else 0.0 for x, t in zip(row, totals, strict=True)]
        if unit == "rpkm":
            values = [x / (n / 1000) for x in values]
        result.append([math.log2(x + 1) if log else x for x in values])
    return result
