"""A generated study in the shape of cBioPortal's files, as arrays and as tables.

Patients have one primary sample, and some a metastasis. Subtypes differ in driver genes, copy
numbers, expression and survival, more or less so by study. Not all samples were sequenced with the
large panel, and expression was measured for some only, as in real studies.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from benchside.suites.oncology.profiles import GENE_SETS, GENES, PLACES, TUMOURS, Tumour

Array = NDArray[Any]
SYMBOLS = tuple(gene for gene, _, _ in GENES)
LARGE, SMALL = "PANEL-52", "PANEL-40"
SIZES_MB = {LARGE: 1.22, SMALL: 0.94}
NOT_ON_SMALL = ("ALK", "BAP1", "CDK4", "ESR1", "FAT1", "KEAP1", "MAP3K1", "NFE2L2", "POLE",
                "RET", "SETD2", "TET2")  # fmt: skip
STAGES = ("I", "II", "III", "IV")
# columns that have numbers; all others are texts
Columns = dict[str, Array]


@dataclass(frozen=True, slots=True)
class Study:
    """One study.

    Args:
        columns: table → column → (rows,) values.
        matrices: "data_cna" and "data_expression": (genes, samples), with their samples.
        samples: matrix → its samples, in the order of its columns.
    """

    name: str
    tumour: Tumour
    columns: dict[str, Columns]
    matrices: dict[str, Array]
    samples: dict[str, list[str]]

    def column(self, table: str, name: str) -> Array:
        """One column of a table."""
        return self.columns[table][name]

    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables as a kernel has them."""
        frames = {name: pd.DataFrame(dict(columns)) for name, columns in self.columns.items()}
        for name, matrix in self.matrices.items():
            frame = pd.DataFrame(matrix, columns=self.samples[name])
            frame.insert(0, "Hugo_Symbol", SYMBOLS)
            frames[name] = frame
        return frames


def generate(number: int, seed: int) -> Study:
    """Return study `number` of a seed."""
    rng = np.random.default_rng([seed, number, 41])
    tumour = TUMOURS[(number + seed) % len(TUMOURS)]
    place = PLACES[int(rng.integers(len(PLACES)))]
    year = int(rng.integers(2014, 2026))
    name = f"{tumour.code.lower()}_{place.lower()}_{year}_{number}"
    patients, subtype = _patients(rng, tumour)
    samples = _samples(rng, patients["PATIENT_ID"], subtype, tumour)
    by_patient = {one: place for place, one in enumerate(patients["PATIENT_ID"])}
    kind = subtype[[by_patient[one] for one in samples["PATIENT_ID"]]]
    cna = _copy_numbers(rng, tumour, kind)
    chosen = np.sort(rng.permutation(len(kind))[: int(len(kind) * rng.uniform(0.6, 0.9))])
    names = samples["SAMPLE_ID"]
    columns = {
        "data_clinical_patient": patients,
        "data_clinical_sample": samples,
        "data_mutations": _mutations(rng, tumour, samples, kind),
        "data_segments": _segments(rng, names),
        "data_sv": _fusions(rng, names),
        "data_timeline_treatment": _treatments(rng, tumour, patients),
        "gene_panels": _panels(),
        "panel_sizes": {
            "GENE_PANEL": np.array(list(SIZES_MB)), "CODING_MB": np.array(list(SIZES_MB.values())),
        },
        "gene_sets": {
            "GENE_SET": np.array([key for key, genes in GENE_SETS.items() for _ in genes]),
            "Hugo_Symbol": np.array([gene for genes in GENE_SETS.values() for gene in genes]),
        },
    }  # fmt: skip
    matrices = {
        "data_cna": cna, "data_expression": _expression(rng, kind[chosen], cna[:, chosen]),
    }  # fmt: skip
    listed = {"data_cna": list(names), "data_expression": [str(names[one]) for one in chosen]}
    return Study(name, tumour, columns, matrices, listed)


def _patients(rng: Generator, tumour: Tumour) -> tuple[Columns, Array]:
    """The clinical table and each patient's subtype (its number)."""
    n = int(rng.integers(130, 260))
    shares = rng.dirichlet([6] * len(tumour.subtypes))
    subtype = rng.choice(len(tumour.subtypes), n, p=shares)
    age = np.clip(np.round(rng.normal(61, 11, n)), 22, 89).astype(int)
    stage = rng.choice(4, n, p=rng.dirichlet([5, 6, 6, 4]))
    women = 0.97 if tumour.code in ("BRCA", "UCEC") else 0.45
    hazard = np.exp(
        rng.uniform(0.1, 0.6) * subtype + rng.uniform(0.2, 0.6) * stage
        + rng.uniform(0, 0.03) * (age - 61) + rng.normal(0, 0.2, n)
    )  # fmt: skip
    months = tumour.months / np.log(2)
    death = months * rng.weibull(1.1, n) / hazard
    follow = rng.uniform(6, 1.6 * tumour.months + 40, n)
    progress = death * rng.uniform(0.25, 0.95, n)
    known = rng.random(n) > 0.04
    return {
        "PATIENT_ID": np.array([f"P-{one:05d}" for one in rng.permutation(90_000)[:n] + 10_000]),
        "SEX": np.where(rng.random(n) < women, "Female", "Male"),
        "AGE": age,
        "STAGE": np.array(STAGES)[stage],
        "OS_MONTHS": np.where(known, np.round(np.minimum(death, follow) + 0.01, 2), np.nan),
        "OS_STATUS": np.where(death <= follow, "1:DECEASED", "0:LIVING"),
        "PFS_MONTHS": np.where(known, np.round(np.minimum(progress, follow) + 0.01, 2), np.nan),
        "PFS_STATUS": np.where(progress <= follow, "1:PROGRESSION", "0:CENSORED"),
    }, subtype


def _samples(rng: Generator, patients: Array, subtype: Array, tumour: Tumour) -> Columns:
    second = np.flatnonzero(rng.random(len(patients)) < 0.15)
    owner = np.concatenate([np.arange(len(patients)), second])
    suffix = np.repeat(["T01", "T02"], [len(patients), len(second)])
    types = np.repeat(["Primary", "Metastasis"], [len(patients), len(second)])
    order = rng.permutation(len(owner))
    owner, suffix, types = owner[order], suffix[order], types[order]
    return {
        "SAMPLE_ID": np.array([f"{patients[p]}-{s}" for p, s in zip(owner, suffix, strict=True)]),
        "PATIENT_ID": patients[owner],
        "SAMPLE_TYPE": types,
        "ONCOTREE_CODE": np.full(len(owner), tumour.code),
        "SUBTYPE": np.array(tumour.subtypes)[subtype[owner]],
        "GENE_PANEL": np.where(rng.random(len(owner)) < 0.7, LARGE, SMALL),
        "TUMOR_PURITY": np.round(rng.beta(6, 4, len(owner)) * 100),
    }


def _panels() -> Columns:
    rows = [(LARGE, gene) for gene in SYMBOLS]
    rows += [(SMALL, gene) for gene in SYMBOLS if gene not in NOT_ON_SMALL]
    return {
        "GENE_PANEL": np.array([panel for panel, _ in rows]),
        "Hugo_Symbol": np.array([gene for _, gene in rows]),
    }


CLASSES = (
    ("Missense_Mutation", "missense_variant", 0.62), ("Silent", "synonymous_variant", 0.14),
    ("Nonsense_Mutation", "stop_gained", 0.09), ("Frame_Shift_Del", "frameshift_variant", 0.06),
    ("Frame_Shift_Ins", "frameshift_variant", 0.03), ("Splice_Site", "splice_donor_variant", 0.04),
    ("In_Frame_Del", "inframe_deletion", 0.02),
)  # fmt: skip
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
OTHER_STRAND = dict(zip("ACGT", "TGCA", strict=True))
SPECTRUM_CHANGES = ("CA", "CG", "CT", "TA", "TC", "TG")


def _mutations(rng: Generator, tumour: Tumour, samples: Columns, kind: Array) -> Columns:
    """Drivers by subtype, and passengers by the sample's burden; only what its panel covers."""
    lengths = np.array([length for _, _, length in GENES], float)
    n = len(kind)
    burden = tumour.burden * rng.lognormal(0, 0.8, n)
    weight = rng.uniform(0.25, 1, (len(tumour.drivers), len(tumour.subtypes)))
    pairs: list[tuple[int, int]] = []
    for row, (gene, share) in enumerate(tumour.drivers.items()):
        hit = rng.random(n) < share * weight[row, kind]
        pairs += [(int(one), SYMBOLS.index(gene)) for one in np.flatnonzero(hit)]
    for sample, count in enumerate(rng.poisson(burden * 1.4)):
        genes = rng.choice(len(SYMBOLS), count, p=lengths / lengths.sum())
        pairs += [(sample, int(gene)) for gene in genes]
    small = samples["GENE_PANEL"] == SMALL
    off = {SYMBOLS.index(gene) for gene in NOT_ON_SMALL}
    kept = [pair for pair in pairs if not (small[pair[0]] and pair[1] in off)]
    owner, gene = np.array([kept[one] for one in rng.permutation(len(kept))]).T
    return _called(rng, tumour, samples["SAMPLE_ID"][owner], gene, lengths)


def _called(rng: Generator, tumour: Tumour, sample: Array, gene: Array, lengths: Array) -> Columns:
    """The columns of a MAF for mutations of genes in samples."""
    n = len(gene)
    classed = rng.choice(len(CLASSES), n, p=[share for _, _, share in CLASSES])
    names = np.array([name for name, _, _ in CLASSES])[classed]
    spots = np.array([[int(rng.integers(2, length)) for _ in range(3)] for length in lengths])
    hot = rng.random(n) < 0.25
    anywhere = (2 + rng.random(n) * (lengths[gene] - 3)).astype(int)
    residue = np.where(hot, spots[gene, rng.integers(0, 3, n)], anywhere)
    start = (np.array([1_000_000 + 950_000 * one for one in range(len(GENES))])[gene]
             + 3 * residue + rng.integers(0, 3, n))  # fmt: skip
    change = np.array(SPECTRUM_CHANGES)[rng.choice(6, n, p=tumour.spectrum)]
    reverse = rng.random(n) < 0.5
    length = rng.integers(1, 5, n)
    alleles = [_alleles(*one) for one in zip(names, change, reverse, length, strict=True)]
    depth = rng.integers(80, 900, n)
    alt = np.maximum(3, rng.binomial(depth, rng.beta(3, 7, n)))
    first = rng.integers(0, 20, len(GENES) * 6000)  # the residue at each place of each protein
    old = np.array(list(RESIDUES))[first[gene * 6000 + residue]]
    new = np.array(list(RESIDUES))[(first[gene * 6000 + residue] + rng.integers(1, 4, n)) % 20]
    protein = [_protein(*one) for one in zip(names, old, residue, new, strict=True)]
    return {
        "Hugo_Symbol": np.array(SYMBOLS)[gene],
        "NCBI_Build": np.full(n, "GRCh37"),
        "Chromosome": np.array([place for _, place, _ in GENES])[gene],
        "Start_Position": start,
        "Consequence": np.array([consequence for _, consequence, _ in CLASSES])[classed],
        "Variant_Classification": names,
        "Variant_Type": np.array([_type(one) for one in names]),
        "Reference_Allele": np.array([old for old, _ in alleles]),
        "Tumor_Seq_Allele2": np.array([new for _, new in alleles]),
        "Tumor_Sample_Barcode": sample,
        "HGVSp_Short": np.array(protein),
        "Protein_position": residue,
        "t_ref_count": depth - np.minimum(alt, depth),
        "t_alt_count": np.minimum(alt, depth),
    }


def _type(name: str) -> str:
    return "DEL" if name.endswith("Del") else "INS" if name.endswith("Ins") else "SNP"


def _alleles(name: str, change: str, reverse: bool, length: int) -> tuple[str, str]:
    if _type(name) != "SNP":
        size = 3 if name.startswith("In_Frame") else (1, 2, 4, 5)[length - 1]
        bases = "ACGTTGCAGT"[length : length + size]
        return (bases, "-") if _type(name) == "DEL" else ("-", bases)
    old, new = change[0], change[1]
    return (OTHER_STRAND[old], OTHER_STRAND[new]) if reverse else (old, new)


def _protein(name: str, old: str, residue: int, new: str) -> str:
    match name:
        case "Silent":
            return f"p.{old}{residue}="
        case "Nonsense_Mutation":
            return f"p.{old}{residue}*"
        case "Splice_Site":
            return f"p.X{residue}_splice"
        case "In_Frame_Del":
            return f"p.{old}{residue}del"
        case "Missense_Mutation":
            return f"p.{old}{residue}{new}"
    return f"p.{old}{residue}fs"


def _copy_numbers(rng: Generator, tumour: Tumour, kind: Array) -> Array:
    """(genes, samples) of -2 to 2, as GISTIC calls them; some were not measured."""
    shape = (len(SYMBOLS), len(kind))
    calls = rng.choice([-2, -1, 0, 1, 2], shape, p=[0.01, 0.14, 0.66, 0.16, 0.03]).astype(float)
    for gene in tumour.amplified:
        often = rng.uniform(0.05, 0.35, len(tumour.subtypes))[kind]
        calls[SYMBOLS.index(gene), rng.random(len(kind)) < often] = 2
    for gene in ("CDKN2A", "PTEN", "RB1"):
        calls[SYMBOLS.index(gene), rng.random(len(kind)) < rng.uniform(0.03, 0.2)] = -2
    calls[:, rng.random(len(kind)) < 0.03] = np.nan
    return calls


def _expression(rng: Generator, kind: Array, cna: Array) -> Array:
    """(genes, samples) of log2 values, with effects of subtype and of copies."""
    genes = len(SYMBOLS)
    base = rng.uniform(3, 11, (genes, 1))
    differs = (rng.random((genes, 1)) < 0.4) * rng.normal(0, 0.7, (genes, kind.max() + 1))
    copies = np.nan_to_num(cna) * rng.uniform(0, 0.4, (genes, 1))
    programme = rng.normal(0, 0.4, (genes, 2)) @ rng.normal(0, 1, (2, len(kind)))
    noise = rng.normal(0, 0.7, (genes, len(kind)))
    return np.asarray(np.round(base + differs[:, kind] + copies + programme + noise, 4))


def _segments(rng: Generator, samples: Array) -> Columns:
    """Segments of the autosomes of all samples, each chromosome cut at up to three places."""
    lengths = np.linspace(249e6, 51e6, 22).astype(int)
    rows: list[tuple[str, str, int, int, int, float]] = []
    spread = rng.lognormal(-1.7, 0.6, len(samples))
    for sample, wide in zip(samples, spread, strict=True):
        for chromosome, length in enumerate(lengths.tolist(), 1):
            cuts = np.sort(rng.integers(1_000_000, length - 1, int(rng.integers(0, 3)))).tolist()
            edges = [1, *cuts, length]
            for start, end in itertools.pairwise(edges):
                mean = float(rng.normal(0, wide))
                rows.append((sample, str(chromosome), start, end, (end - start) // 50_000, mean))
    named = ("ID", "chrom", "loc.start", "loc.end", "num.mark", "seg.mean")
    columns = dict(zip(named, map(np.array, zip(*rows, strict=True)), strict=True))
    return {**columns, "seg.mean": np.round(columns["seg.mean"], 4)}


def _fusions(rng: Generator, samples: Array) -> Columns:
    n = max(12, len(samples) // 4)
    pairs = [rng.choice(len(SYMBOLS), 2, replace=False) for _ in range(n)]
    return {
        "Sample_Id": samples[rng.integers(0, len(samples), n)],
        "Site1_Hugo_Symbol": np.array([SYMBOLS[first] for first, _ in pairs]),
        "Site2_Hugo_Symbol": np.array([SYMBOLS[second] for _, second in pairs]),
        "Class": rng.choice(["TRANSLOCATION", "INVERSION", "DELETION", "DUPLICATION"], n),
    }


def _treatments(rng: Generator, tumour: Tumour, patients: Columns) -> Columns:
    """Courses of drugs one after another; days since diagnosis."""
    rows = []
    for patient in patients["PATIENT_ID"]:
        day = int(rng.integers(5, 90))
        for _ in range(int(rng.integers(0, 4))):
            stop = day + int(rng.integers(14, 260))
            rows.append((patient, day, stop, tumour.drugs[int(rng.integers(len(tumour.drugs)))]))
            day = stop + int(rng.integers(1, 120))
    rows = [rows[one] for one in rng.permutation(len(rows))]
    named = ("PATIENT_ID", "START_DATE", "STOP_DATE", "AGENT")
    return dict(zip(named, map(np.array, zip(*rows, strict=True)), strict=True))
