"""Functions that read, write and check the text formats of bioinformatics."""

from __future__ import annotations

import math
import re
from typing import Any

from benchside.suites.functions.draw import Draw
from benchside.suites.functions.exercise import Exercises

formats = Exercises("formats")


def _fasta(d: Draw) -> str:
    lines: list[str] = []
    for i in range(d.integer(0, 4)):
        lines.append(f">s{d.integer(1, 9)}{d.pick(['', ' a note', ' len=9', '|x y'])}")
        lines += [d.dna(0, 10, "ACGTacgt-") for _ in range(d.integer(0, 3))]
        lines += [""] * d.integer(0, 1)
        lines += ["; a comment"] * (i == 1)
    return "\n".join(lines) + "\n" * d.integer(0, 1)


def _fastq(d: Draw) -> str:
    records = []
    for i in range(d.integer(0, 5)):
        read = d.dna(1, 12)
        quality = d.text(len(read), len(read), "!#+5:?DIJ")
        records.append(f"@r{i}\n{read}\n+\n{quality}\n")
    return "".join(records)


def _gff(d: Draw) -> str:
    kinds = ["gene", "exon", "CDS", "mRNA"]
    lines = ["##gff-version 3"]
    for i in range(d.integer(0, 6)):
        start = d.integer(1, 90)
        lines.append(
            f"chr{d.integer(1, 2)}\tsrc\t{d.pick(kinds)}\t{start}\t{start + d.integer(0, 40)}\t."
            f"\t{d.pick('+-')}\t.\tID=f{i};Name=g%20{d.integer(1, 3)}"
        )
    return "\n".join(lines) + "\n"


def _vcf(d: Draw) -> str:
    lines = [
        "##fileformat=VCFv4.2",
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tA\tB\tC",
    ]
    for _ in range(d.integer(0, 6)):
        calls = [d.pick(["0/0", "0/1", "1|1", "./.", "1/0"]) for _ in range(3)]
        ref, alt = d.pick(["A", "C", "AT"]), d.pick(["G", "T", "CA"])
        lines.append(
            f"chr1\t{d.integer(1, 99)}\t.\t{ref}\t{alt}\t{d.integer(5, 60)}\t"
            f"{d.pick(['PASS', 'q10'])}\tDP={d.integer(1, 50)}\tGT\t" + "\t".join(calls)
        )
    return "\n".join(lines) + "\n"


def _sam(d: Draw) -> str:
    lines = ["@HD\tVN:1.6"]
    for i in range(d.integer(0, 6)):
        flag = d.pick([0, 16, 4, 256, 1024, 99, 147, 2048])
        lines.append(
            f"r{i}\t{flag}\tchr{d.integer(1, 2)}\t{d.integer(1, 99)}\t{d.integer(0, 60)}\t"
            f"{d.integer(1, 9)}M{d.pick(['', '2S', '3D4M'])}\t*\t0\t0\t*\t*"
        )
    return "\n".join(lines) + "\n"


def _pdb(d: Draw) -> str:
    lines = []
    for i in range(d.integer(0, 8)):
        x, y, z = (d.number(-50, 50, 3) for _ in range(3))
        lines.append(
            f"{d.pick(['ATOM  ', 'ATOM  ', 'HETATM'])}{i + 1:5d}  {d.pick(['CA', 'CB', 'N '])}  "
            f"{d.pick(['ALA', 'GLY', 'HOH'])} {d.pick('AB')}{d.integer(1, 5):4d}    "
            f"{x:8.3f}{y:8.3f}{z:8.3f}{d.pick([0.5, 1.0]):6.2f}{d.number(5, 60):6.2f}"
        )
    return "\n".join([*lines, "END"]) + "\n"


@formats(
    lambda d: [_fasta(d)],
    name=("first word", "whole line"),
    case=("upper", "as is"),
    gaps=("kept", "removed"),
    repeated=("last", "first"),
)
def read_fasta(text: str, name: str, case: str, gaps: str, repeated: str) -> dict[str, str]:
    """Return name → sequence of the records of a FASTA text.

    The name is the {name} behind ">"; lines that begin with ";" and empty lines are skipped; a
    record without sequence has "". Letter case: {case}. Gaps "-" are {gaps}. Of records with the
    same name the {repeated} counts.
    """
    records: dict[str, str] = {}
    current: str | None = None
    for line in text.splitlines():
        if line.startswith(";") or not line.strip():
            continue
        if line.startswith(">"):
            title = line[1:].strip()
            current = title.split()[0] if name == "first word" else title
            if repeated == "first" and current in records:
                current = None
            else:
                records[current] = ""
        elif current is not None:
            piece = line.strip().upper() if case == "upper" else line.strip()
            records[current] += piece.replace("-", "") if gaps == "removed" else piece
    return records


@formats(
    lambda d: [[[f"s{i}", d.dna(0, 25)] for i in range(d.integer(0, 4))], "$folder/out.fa"],
    width=(5, 10, 60),
    empty=("written", "skipped"),
    end=("\n", ""),
)
def write_fasta(records: list[list[str]], path: str, width: int, empty: str, end: str) -> int:
    """Write [name, sequence] records to the file `path` as FASTA; return how many were written.

    Sequences are broken into lines of {width} letters. Records without a sequence are {empty}, a
    written one being its ">" line alone. Lines are separated by a line feed; behind the last one
    stands {end!r}, and an empty file is empty.
    """
    lines, count = [], 0
    for name, sequence in records:
        if not sequence and empty == "skipped":
            continue
        count += 1
        lines.append(f">{name}")
        lines += [sequence[i : i + width] for i in range(0, len(sequence), width)]
    with open(path, "w", newline="") as file:  # noqa: PTH123
        file.write("\n".join(lines) + (end if lines else ""))
    return count


@formats(lambda d: [_fastq(d)], offset=(33, 40), least=(5, 15, 25), mean=("of scores", "of errors"))
def good_reads(text: str, offset: int, least: int, mean: str) -> list[str]:
    """Return the names of the reads of a FASTQ text whose mean quality is at least {least}.

    A score is the letter's code minus {offset}. The mean is {mean}: "of scores" averages scores,
    "of errors" averages the probabilities 10^(-score/10) and turns the mean back into a score.
    """
    lines = text.splitlines()
    kept = []
    for i in range(0, len(lines) - 3, 4):
        scores = [ord(letter) - offset for letter in lines[i + 3]]
        if mean == "of scores":
            value = sum(scores) / len(scores)
        else:
            errors = [10 ** (-score / 10) for score in scores]
            value = -10 * math.log10(sum(errors) / len(errors))
        if value >= least - 1e-9:
            kept.append(lines[i][1:])
    return kept


@formats(lambda d: [_fastq(d)], least=(10, 20, 30), side=("end", "both"), short=(0, 3, 5))
def trim_reads(text: str, least: int, side: str, short: int) -> str:
    """Return a FASTQ text with bases of low quality cut off its reads (offset 33).

    From the {side} (of "both", first the end, then the start), cut bases until one has a score of
    at least {least}. Reads left with fewer than {short} bases, or none, are dropped.
    """
    lines = text.splitlines()
    kept = []
    for i in range(0, len(lines) - 3, 4):
        name, read, plus, quality = lines[i : i + 4]
        end = len(read)
        while end and ord(quality[end - 1]) - 33 < least:
            end -= 1
        start = 0
        while side == "both" and start < end and ord(quality[start]) - 33 < least:
            start += 1
        if end - start >= max(short, 1):
            kept += [name, read[start:end], plus, quality[start:end]]
    return "".join(line + "\n" for line in kept)


@formats(
    lambda d: [_gff(d)],
    kind=("exon", "gene", "CDS"),
    strand=("+", "-", "any"),
    to=("bed", "length"),
)
def gff_features(text: str, kind: str, strand: str, to: str) -> Any:
    """Read the features of type {kind} on strand {strand} from a GFF3 text.

    Output "{to}": "bed" is a list of [chromosome, start, end, name] in the order of the text, with
    positions as in BED (from 0, the end excluded) and the attribute Name with %20 turned into a
    space; "length" is the sum of the features' lengths.
    """
    found = []
    for line in text.splitlines():
        if line.startswith("#") or not line:
            continue
        parts = line.split("\t")
        if parts[2] == kind and strand in ("any", parts[6]):
            name = re.findall(r"Name=([^;]*)", parts[8])[0].replace("%20", " ")
            found.append([parts[0], int(parts[3]) - 1, int(parts[4]), name])
    return found if to == "bed" else sum(end - start for _, start, end, _ in found)


@formats(
    lambda d: [_vcf(d)], only=("PASS", "all"), quality=(0, 20, 40), kind=("snv", "indel", "all")
)
def vcf_filter(text: str, only: str, quality: int, kind: str) -> list[str]:
    """Return the variants of a VCF text as "chrom:pos:ref>alt", in order.

    Kept are those with filter {only}, quality of at least {quality}, and of the kind {kind}: an
    "snv" has one letter in REF and in ALT, everything else is an "indel".
    """
    found = []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        chrom, pos, _, ref, alt, qual, state = line.split("\t")[:7]
        what = "snv" if len(ref) == len(alt) == 1 else "indel"
        if only in ("all", state) and int(qual) >= quality and kind in ("all", what):
            found.append(f"{chrom}:{pos}:{ref}>{alt}")
    return found


@formats(
    lambda d: [_vcf(d)],
    what=("frequency", "heterozygotes", "missing"),
    digits=(2, 4),
    phased=(True, False),
)
def vcf_genotypes(text: str, what: str, digits: int, phased: bool) -> list[float | None]:
    """Return for each variant of a VCF text its {what}, rounded to {digits} decimals.

    GT is the only field of a sample. "frequency" is the share of ALT among called alleles,
    "heterozygotes" the share of called samples with two different alleles, None for both where none
    is called; "missing" the share of samples "./.". Whether phased genotypes ("|") count as
    called: {phased}; where not, they are missing.
    """
    result: list[float | None] = []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        calls = line.split("\t")[9:]
        called = [c for c in calls if c != "./." and (phased or "|" not in c)]
        if what == "missing":
            result.append(round(1 - len(called) / len(calls), digits))
        elif not called:
            result.append(None)
        elif what == "frequency":
            result.append(round(sum(c.count("1") for c in called) / (2 * len(called)), digits))
        else:
            result.append(round(sum(c[0] != c[2] for c in called) / len(called), digits))
    return result


@formats(
    lambda d: [_sam(d)], quality=(0, 20, 30), skipped=(0x4, 0x904, 0x400), strand=("all", "reverse")
)
def sam_counts(text: str, quality: int, skipped: int, strand: str) -> dict[str, int]:
    """Return chromosome → number of alignments in a SAM text.

    Counted are lines with mapping quality of at least {quality} and none of the bits of {skipped}
    set in the flag, on strand {strand} ("reverse": bit 16 is set). Header lines begin with "@".
    """
    counts: dict[str, int] = {}
    for line in text.splitlines():
        if line.startswith("@"):
            continue
        _, flag, chrom, _, mapq = line.split("\t")[:5]
        bits = int(flag)
        if int(mapq) < quality or bits & skipped or (strand == "reverse" and not bits & 16):
            continue
        counts[chrom] = counts.get(chrom, 0) + 1
    return counts


@formats(
    lambda d: [d.integer(0, 4095)],
    names=("short", "long"),
    unset=(True, False),
    order=("bit", "name"),
)
def sam_flag(flag: int, names: str, unset: bool, order: str) -> list[str]:
    """Return the names of the lowest six bits of a SAM flag that are set.

    In {names} form, bits 1, 2, 4, 8, 16, 32 are: short p, P, u, U, r, R; long paired, proper,
    unmapped, mate_unmapped, reverse, mate_reverse. Whether the bits that are not set are returned
    instead: {unset}. Ordered by {order} ("name": by character code).
    """
    labels = {
        "short": list("pPuUrR"),
        "long": ["paired", "proper", "unmapped", "mate_unmapped", "reverse", "mate_reverse"],
    }[names]
    found = [label for i, label in enumerate(labels) if bool(flag >> i & 1) != unset]
    return found if order == "bit" else sorted(found)


@formats(
    lambda d: [
        d.pick(["{}", "complement({})", "join({},{})", "complement(join({},{}))"]).format(
            f"{(a := d.integer(1, 20))}..{a + d.integer(0, 9)}",
            f"{(b := d.integer(31, 50))}..{b + d.integer(0, 9)}",
        ),
        d.dna(60, 60),
    ],
    what=("length", "sequence", "parts"),
    base=(0, 1),
    rna=(True, False),
)
def genbank_location(location: str, sequence: str, what: str, base: int, rna: bool) -> Any:
    """Return the {what} of a GenBank location such as "complement(join(3..9,31..40))".

    Positions in the location count from 1, both ends included. "length" is the number of bases;
    "parts" a list of [start, end] as written, with {base} as the first position; "sequence" the
    bases of `sequence` there, the parts joined and then, for a complement, reverse-complemented,
    as RNA (U for T): {rna}.
    """
    parts = [[int(a), int(b)] for a, b in re.findall(r"(\d+)\.\.(\d+)", location)]
    if what == "length":
        return sum(b - a + 1 for a, b in parts)
    if what == "parts":
        return [[a - 1 + base, b - 1 + base] for a, b in parts]
    bases = "".join(sequence[a - 1 : b] for a, b in parts)
    if location.startswith("complement"):
        bases = bases[::-1].translate(str.maketrans("ACGT", "TGCA"))
    return bases.replace("T", "U") if rna else bases


@formats(
    lambda d: [_pdb(d)],
    chain=("A", "B"),
    atom=("CA", "CB", "N"),
    hetero=(True, False),
    what=("coordinates", "mean b"),
)
def pdb_atoms(text: str, chain: str, atom: str, hetero: bool, what: str) -> Any:
    """Read the {atom} atoms of chain {chain} from a PDB text.

    Columns, from 1: record 1-6, atom name 13-16, chain 22, x 31-38, y 39-46, z 47-54, temperature
    factor 61-66. Whether HETATM records are included beside ATOM: {hetero}. Return their {what}:
    "coordinates" is a list of [x, y, z], "mean b" the mean temperature factor, None without atoms.
    """
    kinds = ("ATOM", "HETATM") if hetero else ("ATOM",)
    rows = [
        line for line in text.splitlines()
        if line[:6].strip() in kinds and line[12:16].strip() == atom and line[21] == chain
    ]  # fmt: skip
    if what == "coordinates":
        return [[float(row[30:38]), float(row[38:46]), float(row[46:54])] for row in rows]
    factors = [float(row[60:66]) for row in rows]
    return sum(factors) / len(factors) if factors else None


def _wiggle(d: Draw) -> str:
    lines = ["fixedStep chrom=c1 start=5 step=2"]
    for _ in range(d.integer(0, 9)):
        block = (
            f"fixedStep chrom=c{d.integer(1, 2)} start={d.integer(1, 50)} step={d.integer(1, 5)}"
        )
        lines.append(block if d.chance(0.3) else str(d.integer(0, 3)))
    return "\n".join(lines) + "\n"


@formats(lambda d: [_wiggle(d)], base=(0, 1), drop_zero=(True, False), scale=(1, 10))
def expand_wiggle(text: str, base: int, drop_zero: bool, scale: int) -> list[list[Any]]:
    """Return the values of a fixedStep wiggle text as [chromosome, position, value], in order.

    A line "fixedStep chrom=c start=s step=t" opens a block; the values below it stand at s, s + t
    and so on, counted from 1. Positions are returned counted from {base}, values multiplied by
    {scale}. Whether values of 0 are left out: {drop_zero}.
    """
    found: list[list[Any]] = []
    chrom, position, step = "", 0, 0
    for line in text.splitlines():
        if line.startswith("fixedStep"):
            fields = dict(part.split("=") for part in line.split()[1:])
            chrom, position, step = fields["chrom"], int(fields["start"]), int(fields["step"])
            continue
        value = int(line) * scale
        if value or not drop_zero:
            found.append([chrom, position - 1 + base, value])
        position += step
    return found


@formats(
    lambda d: [
        f"{d.pick(['c.', 'g.', 'p.', ''])}{d.integer(1, 99)}"
        f"{d.pick(['A>G', 'del', 'dup', 'insACG', 'delinsTT', '_120del', '?'])}"
    ],
    invalid=("ValueError", "None"),
    keys=(("type", "start"), ("kind", "position")),
    levels=("cg", "cgp"),
)
def parse_hgvs(
    text: str, invalid: str, keys: tuple[str, str], levels: str
) -> dict[str, Any] | None:
    """Read a simple HGVS description such as "c.76A>G", "g.5_120del", "c.7dup", "g.9insACG".

    Return a dict with the keys {keys}: the kind of change, one of "substitution", "deletion",
    "duplication", "insertion", "deletion-insertion", and the first position. The description begins
    with one of the letters of "{levels}" and a dot. For any other text: {invalid} (ValueError is
    raised, None is returned).
    """
    form = (
        rf"[{levels}]\.(\d+)(?:_\d+)?(?:([ACGT]>[ACGT])|(delins[ACGT]+)|(del)|(dup)|(ins[ACGT]+))"
    )
    found = re.fullmatch(form, text)
    if found is None:
        if invalid == "ValueError":
            raise ValueError(text)
        return None
    kinds = ["substitution", "deletion-insertion", "deletion", "duplication", "insertion"]
    kind = next(k for k, part in zip(kinds, found.groups()[1:], strict=True) if part)
    return {keys[0]: kind, keys[1]: int(found[1])}
