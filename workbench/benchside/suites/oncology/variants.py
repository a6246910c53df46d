# ruff: noqa: E501 — what prompts say stays whole
"""Single variants: burden, substitution classes, hotspots, allele fractions, annotation."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.random import Generator

from benchside.suites.oncology.cohort import draw_cohort
from benchside.suites.oncology.mutated import draw_gene
from benchside.suites.oncology.profiles import SUBSTITUTIONS
from benchside.suites.oncology.question import (
    COUNTS,
    INTEGER,
    Answer,
    Maker,
    Question,
    number,
    script,
    table,
)
from benchside.suites.oncology.study import SIZES_MB, Array, Study

BURDEN = (
    'The burden of a sample is its number of mutations other than "Silent" divided by the coding '
    "size of its panel in Mb (`panel_sizes`); a sample without any has 0."
)
BURDEN_SOURCE = """
coding = data_mutations[data_mutations["Variant_Classification"] != "Silent"]
counts = coding.groupby("Tumor_Sample_Barcode").size()
cohort = cohort.merge(panel_sizes, on="GENE_PANEL")
burden = cohort["SAMPLE_ID"].map(counts).fillna(0) / cohort["CODING_MB"]
"""
PAIRS = {"A": "T", "C": "G", "G": "C", "T": "A"}


def _rows_of(study: Study, samples: set[str]) -> Array:
    """Rows of mutations of samples."""
    found = study.column("data_mutations", "Tumor_Sample_Barcode").tolist()
    return np.flatnonzero([one in samples for one in found])


def burdens(study: Study, ids: list[str], panels: Array) -> Array:
    """(n,) coding mutations per Mb of samples."""
    rows = study.columns["data_mutations"]
    coding = rows["Tumor_Sample_Barcode"][rows["Variant_Classification"] != "Silent"]
    counts = Counter(coding.tolist())
    sizes = zip(ids, panels.tolist(), strict=True)
    return np.array([counts[sample] / SIZES_MB[panel] for sample, panel in sizes])


def burden(rng: Generator, study: Study) -> Question | None:
    """The median burden, and the share of samples above a limit."""
    cohort = draw_cohort(rng, study)
    values = burdens(study, cohort.ids, cohort.of("GENE_PANEL"))
    limit = float(np.round(np.quantile(values, rng.uniform(0.5, 0.85)), 1)) + 0.05
    above = float(100 * (values >= limit).mean())
    if not above:
        return None
    return Question(
        f"What is the median mutational burden of {cohort.words}, and what percentage of them has "
        f"{limit:g} or more per Mb? {BURDEN}",
        Answer({"median": "number", "percent": "number"}),
        {"median": float(np.sort(values)[[(len(values) - 1) // 2, len(values) // 2]].mean()),
         "percent": above},
        script(
            cohort.source, BURDEN_SOURCE,
            f'submit({{"median": burden.median(), "percent": 100 * (burden >= {limit:g}).mean()}})',
        ),
    )  # fmt: skip


def substitutions(rng: Generator, study: Study) -> Question | None:
    """Shares of the six classes of substitution."""
    cohort = draw_cohort(rng, study)
    rows = study.columns["data_mutations"]
    chosen = _rows_of(study, set(cohort.ids))
    counts: Counter[str] = Counter()
    for row in chosen:
        old, new = str(rows["Reference_Allele"][row]), str(rows["Tumor_Seq_Allele2"][row])
        if str(rows["Variant_Type"][row]) == "SNP":
            counts[f"{old}>{new}" if old in "CT" else f"{PAIRS[old]}>{PAIRS[new]}"] += 1
    total = sum(counts.values())
    if min(counts[name] for name in SUBSTITUTIONS) < 1:
        return None
    columns = ("substitution", "fraction")
    return Question(
        f"What fraction of the single-nucleotide variants in the primary samples of {cohort.words} "
        f"(all classes, silent ones too) falls into each of the six classes {', '.join(SUBSTITUTIONS)}, "
        "with changes of a purine counted as those of the other strand?",
        Answer(columns=columns),
        table(columns, [(name, counts[name] / total) for name in SUBSTITUTIONS]),
        script(
            cohort.source,
            """
            rows = data_mutations[data_mutations["Tumor_Sample_Barcode"].isin(cohort["SAMPLE_ID"])]
            rows = rows[rows["Variant_Type"] == "SNP"]
            change = rows["Reference_Allele"] + ">" + rows["Tumor_Seq_Allele2"]
            other = change.str.translate(str.maketrans("ACGT", "TGCA"))
            change = change.where(rows["Reference_Allele"].isin(["C", "T"]), other)
            """,
            """
            shares = change.value_counts(normalize=True)
            submit(shares.rename_axis("substitution").rename("fraction").reset_index())
            """,
        ),
    )  # fmt: skip


def hotspot(rng: Generator, study: Study) -> Question | None:
    """The residue of a gene at which most samples are changed."""
    gene = draw_gene(rng, study.tumour, often=0.9)
    rows = study.columns["data_mutations"]
    chosen = (rows["Hugo_Symbol"] == gene) & (rows["Variant_Classification"] == "Missense_Mutation")
    samples: dict[int, set[str]] = {}
    changes: dict[int, Counter[str]] = {}
    for residue, sample, change in zip(
        rows["Protein_position"][chosen].tolist(), rows["Tumor_Sample_Barcode"][chosen].tolist(),
        rows["HGVSp_Short"][chosen].tolist(), strict=True,
    ):  # fmt: skip
        samples.setdefault(residue, set()).add(sample)
        changes.setdefault(residue, Counter())[change] += 1
    ordered = sorted(samples, key=lambda one: -len(samples[one]))
    if len(ordered) < 2 or len(samples[ordered[0]]) == len(samples[ordered[1]]):
        return None
    top = changes[ordered[0]].most_common(2)
    if len(top) > 1 and top[0][1] == top[1][1]:
        return None
    return Question(
        f"At which residue of {gene} do most samples of the study, metastases included, have a missense "
        "mutation? Give the residue, the number of these samples, and the most frequent change there "
        "(`HGVSp_Short`, by rows).",
        Answer({"residue": "integer", "samples": "integer", "change": "text"}),
        {"residue": ordered[0], "samples": len(samples[ordered[0]]), "change": top[0][0]},
        script(
            f"""
            rows = data_mutations[
                (data_mutations["Hugo_Symbol"] == "{gene}")
                & (data_mutations["Variant_Classification"] == "Missense_Mutation")
            ]
            counts = rows.groupby("Protein_position")["Tumor_Sample_Barcode"].nunique()
            residue = int(counts.idxmax())
            """,
            """
            change = rows[rows["Protein_position"] == residue]["HGVSp_Short"].mode()[0]
            submit({"residue": residue, "samples": int(counts.max()), "change": change})
            """,
        ),
    )  # fmt: skip


def allele_fraction(rng: Generator, study: Study) -> Question | None:
    """The mean variant allele fraction of a gene in a cohort."""
    cohort, gene = draw_cohort(rng, study, 1), draw_gene(rng, study.tumour)
    rows = study.columns["data_mutations"]
    chosen = _rows_of(study, set(cohort.ids))
    chosen = chosen[rows["Hugo_Symbol"][chosen] == gene]
    least = int(rng.choice([0, 100, 200]))
    depth = rows["t_alt_count"][chosen] + rows["t_ref_count"][chosen]
    chosen, depth = chosen[depth >= least], depth[depth >= least]
    if len(chosen) < 5:
        return None
    deep = f" with a depth of {least} or more" if least else ""
    return Question(
        f"What is the mean variant allele fraction (alternative reads over all reads) of the rows of {gene}"
        f"{deep}, silent ones too, in the primary samples of {cohort.words}?",
        number(), float((rows["t_alt_count"][chosen] / depth).sum() / len(depth)),
        script(
            cohort.source,
            f"""
            rows = data_mutations[
                data_mutations["Tumor_Sample_Barcode"].isin(cohort["SAMPLE_ID"])
                & (data_mutations["Hugo_Symbol"] == "{gene}")
            ]
            depth = rows["t_alt_count"] + rows["t_ref_count"]
            fraction = (rows["t_alt_count"] / depth)[depth >= {least}]
            submit(fraction.mean())
            """,
        ),
    )  # fmt: skip


def annotation(rng: Generator, study: Study) -> Question | None:
    """Rows by consequence and class."""
    cohort = draw_cohort(rng, study)
    rows = study.columns["data_mutations"]
    chosen = _rows_of(study, set(cohort.ids))
    pairs = zip(
        rows["Consequence"][chosen].tolist(), rows["Variant_Classification"][chosen].tolist(),
        strict=True,
    )  # fmt: skip
    counts = Counter(pairs)
    columns = ("Consequence", "Variant_Classification", "rows")
    return Question(
        f"How many rows of `data_mutations` are there for the primary samples of {cohort.words}, by "
        "consequence and variant classification? Leave out pairs without rows.",
        Answer(columns=columns, rel_tol=COUNTS), table(columns, [(*pair, count) for pair, count in counts.items()]),
        script(
            cohort.source,
            """
            rows = data_mutations[data_mutations["Tumor_Sample_Barcode"].isin(cohort["SAMPLE_ID"])]
            submit(rows.groupby(["Consequence", "Variant_Classification"]).size().reset_index(name="rows"))
            """,
        ),
    )  # fmt: skip


def region(rng: Generator, study: Study) -> Question | None:
    """Rows within a stretch of a gene's protein."""
    gene = draw_gene(rng, study.tumour)
    rows = study.columns["data_mutations"]
    places = rows["Protein_position"][rows["Hugo_Symbol"] == gene]
    if len(places) < 12:
        return None
    low, high = (int(one) for one in np.quantile(places, np.sort(rng.uniform(0, 1, 2))))
    count = int(((places >= low) & (places <= high)).sum())
    if count < 3 or count > len(places) - 2:
        return None
    return Question(
        f"How many rows of `data_mutations` change residues {low} to {high} of {gene}, both included?",
        INTEGER, count,
        script(
            f"""
            rows = data_mutations[data_mutations["Hugo_Symbol"] == "{gene}"]
            submit(int(rows["Protein_position"].between({low}, {high}).sum()))
            """,
        ),
    )  # fmt: skip


MAKERS: dict[str, Maker] = {
    "variants/burden": burden,
    "variants/substitutions": substitutions,
    "variants/hotspot": hotspot,
    "variants/allele fraction": allele_fraction,
    "variants/annotation": annotation,
    "variants/region": region,
}
