"""Functions on single sequences: composition, words, reading frames, physical properties."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter

from benchside.suites.functions.exercise import Exercises

sequences = Exercises("sequence")


def _neighbours(word: str, distance: int) -> set[str]:
    found = {word}
    for _ in range(distance):
        found |= {
            one[:i] + base + one[i + 1 :]
            for one in found
            for i in range(len(one))
            for base in "ACGT"
        }
    return found


@sequences(
    lambda d: [d.dna(0, 40, "ACGTNacgt")],
    digits=(0, 1, 2, 3),
    skip_n=(True, False),
    second=lambda s, digits, skip_n: round(
        100
        * len(re.findall("[GC]", s.upper()))
        / max(len(s) - (s.upper().count("N") if skip_n else 0), 1),
        digits,
    ),
)
def gc_percent(dna: str, digits: int, skip_n: bool) -> float:
    """Return the share of G and C in `dna` in percent, rounded to {digits} decimals.

    Letters may be in lower case. Whether N is left out of the length: {skip_n}. Where no base
    counts, return 0.
    """
    bases = [base for base in dna.upper() if not (skip_n and base == "N")]
    if not bases:
        return 0.0
    return round(100 * sum(base in "GC" for base in bases) / len(bases), digits)


@sequences(lambda d: [d.dna(0, 50)], numerator=("G-C", "A-T", "C-G", "T-A"), last=(True, False))
def skew_minima(dna: str, numerator: str, last: bool) -> int:
    """Return the position where the cumulative skew {numerator} of `dna` is smallest.

    The skew is 0 at position 0; after the i-th base it is 1 higher where that base is the first
    letter of {numerator} and 1 lower where it is the second. Of several such positions return the
    last one where this says True, else the first: {last}.
    """
    up, down = numerator.split("-")
    skew, values = 0, [0]
    for base in dna:
        skew += (base == up) - (base == down)
        values.append(skew)
    low = min(values)
    places = [i for i, value in enumerate(values) if value == low]
    return places[-1] if last else places[0]


@sequences(
    lambda d: [d.dna(0, 30, "ACGTRYKMN")],
    rna=(True, False),
    unknown=("N", "?", "X", "-"),
    edges=([""],),
)
def reverse_complement(sequence: str, rna: bool, unknown: str) -> str:
    """Return the reverse complement of a DNA `sequence` in IUPAC code.

    R and Y, K and M are each other's complement, N is its own; any other letter becomes
    "{unknown}". Whether the result is RNA, with U for T: {rna}.
    """
    pairs = dict(zip("ACGTRYKMN", "TGCAYRMKN", strict=True))
    made = "".join(pairs.get(base, unknown) for base in reversed(sequence))
    return made.replace("T", "U") if rna else made


@sequences(lambda d: [d.dna(0, 45)], frame=(0, 1, 2), stop=("*", "", "X"), to_stop=(True, False))
def translate(dna: str, frame: int, stop: str, to_stop: bool) -> str:
    """Return the protein that `dna` codes for by the standard genetic code, from offset {frame}.

    Stop codons give "{stop}"; codons that are not complete at the end are left out. Whether
    translation ends before the first stop codon: {to_stop}.
    """
    code = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
    protein = ""
    for start in range(frame, len(dna) - 2, 3):
        first, second, third = ("TCAG".index(base) for base in dna[start : start + 3])
        acid = code[16 * first + 4 * second + third]
        if acid == "*" and to_stop:
            return protein
        protein += stop if acid == "*" else acid
    return protein


@sequences(
    lambda d: [d.dna(0, 40)],
    k=(1, 2, 3, 4),
    least=(1, 2, 3),
    second=lambda s, k, least: {
        w: n
        for w in {s[i : i + k] for i in range(len(s) - k + 1)}
        if (n := len(re.findall(f"(?={w})", s))) >= least
    },
)
def kmer_counts(dna: str, k: int, least: int) -> dict[str, int]:
    """Return how often each word of length {k} occurs in `dna`, overlapping ones included.

    Words that occur fewer than {least} times are left out.
    """
    counts = Counter(dna[i : i + k] for i in range(len(dna) - k + 1))
    return {word: count for word, count in counts.items() if count >= least}


@sequences(lambda d: [d.dna(4, 40)], k=(2, 3, 4), window=(2, 3, 4), leftmost=(True, False))
def minimizers(dna: str, k: int, window: int, leftmost: bool) -> list[list[int | str]]:
    """Return the minimizers of `dna` as [position, word], sorted by position, none twice.

    In each run of {window} consecutive words of length {k}, the alphabetically smallest is a
    minimizer; of equal ones the leftmost where this says True, else the rightmost: {leftmost}.
    Positions count from 0. A sequence with fewer than {window} words has none.
    """
    words = [dna[i : i + k] for i in range(len(dna) - k + 1)]
    found = set()
    for start in range(len(words) - window + 1):
        places = range(start, start + window)
        sign = 1 if leftmost else -1
        found.add(min(places, key=lambda i: (words[i], sign * i)))
    return [[i, words[i]] for i in sorted(found)]


@sequences(
    lambda d: [
        "".join(
            d.pick(["ATG", "TAA", "TGA", d.dna(1, 8), d.dna(3, 3)]) for _ in range(d.integer(0, 14))
        )
    ],
    least=(1, 3, 5),
    stops=(("TAA", "TAG", "TGA"), ("TAA", "TAG")),
    nested=(True, False),
)
def open_reading_frames(
    dna: str, least: int, stops: tuple[str, ...], nested: bool
) -> list[list[int]]:
    """Return all open reading frames on the given strand of `dna` as [start, end), sorted.

    A frame runs from an ATG to the first stop codon in the same frame, which it includes; stop
    codons are {stops}. It has at least {least} codons, the stop not counted. Whether a frame that
    starts within another one and ends with it is listed as well: {nested}.
    """
    found, ends = [], set()
    for start in range(len(dna) - 2):
        if dna[start : start + 3] != "ATG":
            continue
        for end in range(start + 3, len(dna) - 2, 3):
            if dna[end : end + 3] in stops:
                if (end - start) // 3 >= least and (nested or end not in ends):
                    found.append([start, end + 3])
                ends.add(end)
                break
    return found


@sequences(
    lambda d: [d.dna(0, 40), d.dna(1, 4, "ACGTRYN")],
    overlapping=(True, False),
    base=(0, 1),
    strand=("+", "both"),
)
def motif_positions(dna: str, motif: str, overlapping: bool, base: int, strand: str) -> list[int]:
    """Return the positions where `motif` occurs in `dna`, ascending, counted from {base}.

    In the motif R is A or G, Y is C or T and N is any base. Whether occurrences may overlap, else
    they are taken from the left: {overlapping}. Strand: {strand}; with "both", an occurrence of the
    motif's reverse complement counts too, by its leftmost base, and a position is listed once.
    """
    sets = {"R": "AG", "Y": "CT", "N": "ACGT"}
    pair = dict(zip("ACGTRYN", "TGCAYRN", strict=True))
    patterns = [motif]
    if strand == "both":
        patterns.append("".join(pair[one] for one in reversed(motif)))
    found: set[int] = set()
    for pattern in patterns:
        i = 0
        while i + len(pattern) <= len(dna):
            piece = dna[i : i + len(pattern)]
            hit = all(b in sets.get(p, p) for b, p in zip(piece, pattern, strict=True))
            if hit:
                found.add(i + base)
            i += len(pattern) if hit and not overlapping else 1
    return sorted(found)


@sequences(lambda d: [d.dna(1, 30)], long_from=(10, 14, 18), sodium=(0.05, 0.1, 0.5))
def melting_temperature(primer: str, long_from: int, sodium: float) -> float:
    """Return the melting temperature of `primer` in °C.

    Shorter than {long_from} bases: 2 °C for each A or T and 4 °C for each G or C. Otherwise
    81.5 + 16.6 log10({sodium}) + 0.41 p - 675 / n, with p the percentage of G and C and n the
    length.
    """
    strong = sum(base in "GC" for base in primer)
    n = len(primer)
    if n < long_from:
        return 4.0 * strong + 2.0 * (n - strong)
    return 81.5 + 16.6 * math.log10(sodium) + 0.41 * 100 * strong / n - 675 / n


@sequences(
    lambda d: [
        "".join(d.pick(["GAATTC", "GGATCC", "AAGCTT", d.dna(1, 9)]) for _ in range(d.integer(1, 9)))
    ],
    enzyme=(("GAATTC", 1), ("GGATCC", 1), ("AAGCTT", 1), ("GAATTC", 3)),
    circular=(True, False),
)
def digest(dna: str, enzyme: tuple[str, int], circular: bool) -> list[int]:
    """Return the lengths of the fragments of `dna` after digestion, longest first.

    The enzyme is {enzyme}: its site, and how many bases into the site it cuts. Whether `dna` is
    circular, so that a site may span its end: {circular}. Without a cut there is one fragment.
    """
    site, offset = enzyme
    n = len(dna)
    text = dna + dna[: len(site) - 1] if circular and n >= len(site) else dna
    cuts = sorted(
        {(i + offset) % n for i in range(len(text) - len(site) + 1) if text.startswith(site, i)}
    )
    if circular:
        ends = [(b - a) % n for a, b in zip(cuts, cuts[1:] + cuts[:1], strict=True)]
        return sorted((end or n for end in ends), reverse=True) or [n]
    places = [0, *cuts, n]
    return sorted((b - a for a, b in itertools.pairwise(places)), reverse=True)


@sequences(lambda d: [d.dna(0, 40, "AACGT")], least=(2, 3, 4), bases=("ACGT", "AT", "GC"))
def homopolymers(dna: str, least: int, bases: str) -> list[list[int | str]]:
    """Return the runs of one base in `dna` as [base, start, length], by start from 0.

    A run is as long as it can be, of at least {least} bases, and of one of the bases {bases}.
    """
    found: list[list[int | str]] = []
    i = 0
    for base, group in itertools.groupby(dna):
        size = len(list(group))
        if size >= least and base in bases:
            found.append([base, i, size])
        i += size
    return found


@sequences(lambda d: [d.dna(0, 60)], per=(1, 100, 1000), frame=(0, 1, 2))
def codon_usage(dna: str, per: int, frame: int) -> dict[str, float]:
    """Return codon → frequency per {per} codons in `dna`, read from offset {frame}.

    Codons that do not occur, and bases left over at the end, are left out.
    """
    codons = [dna[i : i + 3] for i in range(frame, len(dna) - 2, 3)]
    return {codon: per * n / len(codons) for codon, n in Counter(codons).items()}


@sequences(
    lambda d: [d.dna(1, 30, d.pick(["ACGT", "AC", "A"]))],
    longest=(2, 3, 4, 5),
    mode=("sum", "product"),
)
def linguistic_complexity(dna: str, longest: int, mode: str) -> float:
    """Return the linguistic complexity of `dna` from words of length 1 to {longest}.

    For each length k that the sequence has words of, count distinct words and the most that are
    possible, the smaller of 4^k and the number of words. Mode {mode}: "sum" is all distinct words
    over all possible ones, "product" the product of the ratios for each length.
    """
    pairs = [
        (len({dna[i : i + k] for i in range(len(dna) - k + 1)}), min(4**k, len(dna) - k + 1))
        for k in range(1, longest + 1)
        if len(dna) >= k
    ]
    if mode == "sum":
        return float(sum(seen for seen, _ in pairs) / sum(most for _, most in pairs))
    return float(math.prod(seen / most for seen, most in pairs))


@sequences(
    lambda d: [d.dna(6, 24), d.integer(2, 4)],
    distance=(0, 1, 2),
    uses=(_neighbours,),
    most=(1, 2, 3),
)
def frequent_words(dna: str, k: int, distance: int, most: int) -> list[str]:
    """Return the words of length `k` that occur most often in `dna`, up to {distance} mismatches.

    A word need not occur exactly. Words are ranked by count, then alphabetically; return the first
    {most}.
    """
    counts: Counter[str] = Counter()
    for i in range(len(dna) - k + 1):
        counts.update(_neighbours(dna[i : i + k], distance))
    return sorted(counts, key=lambda word: (-counts[word], word))[:most]


@sequences(lambda d: [d.dna(10, 60, "ACGTCG")], window=(6, 10, 15), least=(0.4, 0.6, 0.8))
def cpg_windows(dna: str, window: int, least: float) -> list[int]:
    """Return the starts (from 0) of windows of {window} bases that are rich in CpG.

    A window is rich where its number of CG dinucleotides times its length, divided by its number
    of C times its number of G, is at least {least}; windows without C or without G are not.
    """
    found = []
    for start in range(len(dna) - window + 1):
        piece = dna[start : start + window]
        expected = piece.count("C") * piece.count("G")
        if expected and piece.count("CG") * window / expected >= least:
            found.append(start)
    return found


@sequences(
    lambda d: [d.dna(0, 30)],
    end=("$", "~"),
    parts=("last", "first"),
    second=lambda s, end, parts: "".join(
        r[-1] if parts == "last" else r[0]
        for r in sorted((s + end)[i:] + (s + end)[:i] for i in range(len(s) + 1))
    ),
)
def burrows_wheeler(text: str, end: str, parts: str) -> str:
    """Return the {parts} column of the sorted rotations of `text` with "{end}" appended.

    Rotations sort by character code.
    """
    text += end
    order = sorted(range(len(text)), key=lambda i: text[i:] + text[:i])
    shift = -1 if parts == "last" else 0
    return "".join(text[i + shift] for i in order)


@sequences(
    lambda d: [d.text(0, 25, "GASPV" * 9 + "Z")],
    kind=("average", "monoisotopic"),
    charge=(0, 1, 2, 3),
)
def peptide_mass(peptide: str, kind: str, charge: int) -> float:
    """Return the {kind} mass of a peptide of G, A, S, P and V, in Da; with charge {charge}, m/z.

    Residues (average, monoisotopic): G 57.0513, 57.02146; A 71.0779, 71.03711; S 87.0773,
    87.03203; P 97.1152, 97.05276; V 99.1311, 99.06841. Add water (18.0153, 18.01056). With a charge
    z above 0 return (mass + z 1.00728) / z. Any other letter raises ValueError.
    """
    table = {
        "G": (57.0513, 57.02146),
        "A": (71.0779, 71.03711),
        "S": (87.0773, 87.03203),
        "P": (97.1152, 97.05276),
        "V": (99.1311, 99.06841),
    }
    column = ("average", "monoisotopic").index(kind)
    if set(peptide) - set(table):
        raise ValueError("unknown residue")
    mass = sum(table[one][column] for one in peptide) + (18.0153, 18.01056)[column]
    return mass if charge == 0 else (mass + charge * 1.00728) / charge


@sequences(lambda d: [d.text(0, 25, "AILVKRDE")], window=(3, 5, 7), threshold=(0.0, 1.0, 1.6))
def hydrophobic_windows(protein: str, window: int, threshold: float) -> list[int]:
    """Return the centres (from 0) of windows of {window} residues with mean above {threshold}.

    Hydropathy by Kyte and Doolittle: A 1.8, I 4.5, L 3.8, V 4.2, K -3.9, R -4.5, D -3.5, E -3.5.
    """
    scale = {"A": 1.8, "I": 4.5, "L": 3.8, "V": 4.2, "K": -3.9, "R": -4.5, "D": -3.5, "E": -3.5}
    found = []
    for start in range(len(protein) - window + 1):
        total = sum(scale[one] for one in protein[start : start + window])
        if total / window > threshold + 1e-9:
            found.append(start + window // 2)
    return found


@sequences(
    lambda d: [d.dna(0, 24, d.pick(["ACGT", "AC"]))], alphabet=(2, 4, 10), normalised=(True, False)
)
def lempel_ziv(text: str, alphabet: int, normalised: bool) -> float:
    """Return the number of phrases of `text` in the LZ78 parse.

    Each phrase is the shortest piece that was no phrase before; a piece left over at the end counts
    as one more. Whether it is divided by n / log(n) to the base {alphabet}, for n of at least 2
    letters: {normalised}.
    """
    phrases: set[str] = set()
    piece, count = "", 0
    for letter in text:
        piece += letter
        if piece not in phrases:
            phrases.add(piece)
            piece, count = "", count + 1
    count += bool(piece)
    n = len(text)
    return count / (n / math.log(n, alphabet)) if normalised and n >= 2 else float(count)


@sequences(
    lambda d: [[d.dna(3, 8) for _ in range(d.integer(1, 4))]],
    k=(2, 3, 4),
    sort_by=("word", "count"),
)
def de_bruijn_edges(reads: list[str], k: int, sort_by: str) -> list[list[str | int]]:
    """Return the edges of the de Bruijn graph of `reads` as [prefix, suffix, count].

    Each word of length {k} in a read is an edge from its first k - 1 to its last k - 1 letters.
    Sorted by {sort_by}: "word" is by prefix, then suffix; "count" by falling count, then as "word".
    """
    counts = Counter(read[i : i + k] for read in reads for i in range(len(read) - k + 1))
    words = sorted(counts)
    if sort_by == "count":
        words.sort(key=lambda word: -counts[word])
    return [[word[:-1], word[1:], counts[word]] for word in words]
