# ruff: noqa: E501 — what prompts say stays whole
"""Mutations of genes: how often, which most, which together, in which pathways."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from benchside.suites.oncology.cohort import draw_cohort
from benchside.suites.oncology.exact import fisher
from benchside.suites.oncology.mutated import (
    PANELS,
    RULE,
    altered,
    cover,
    covered,
    draw_gene,
    draw_genes,
    has,
    mark,
)
from benchside.suites.oncology.profiles import GENE_SETS
from benchside.suites.oncology.question import (
    COUNTS,
    FIT,
    NAMES,
    Answer,
    Maker,
    Question,
    number,
    script,
    table,
)
from benchside.suites.oncology.study import SYMBOLS, Study


def frequency(rng: Generator, study: Study) -> Question | None:
    """The share of covered samples with a gene mutated."""
    cohort, gene = draw_cohort(rng, study), draw_gene(rng, study.tumour)
    known, mutated = covered(cohort, gene), has(cohort, gene)
    if not mutated.any():
        return None
    return Question(
        f"In what percentage of {cohort.words} is {gene} mutated? {RULE} {PANELS}",
        number(), 100 * float(mutated[known].sum()) / int(known.sum()),
        script(cohort.source, cover(gene), mark(gene), 'submit(100 * cohort["mutated"].mean())'),
    )  # fmt: skip


def ranking(rng: Generator, study: Study) -> Question | None:
    """The genes mutated in most samples."""
    cohort, count = draw_cohort(rng, study), int(rng.integers(3, 7))
    counts = {gene: int(has(cohort, gene).sum()) for gene in SYMBOLS}
    ordered = sorted(SYMBOLS, key=lambda gene: -counts[gene])
    values = [counts[gene] for gene in ordered[: count + 1]]
    if len(set(values)) < len(values):
        return None  # ties have no order
    return Question(
        f"Which {count} genes are mutated in most of the samples of {cohort.words} (each sample "
        f"once a gene), most frequent first? {RULE} Count samples whatever their panel.",
        NAMES, ordered[:count],
        script(
            cohort.source,
            f"""
            coding = data_mutations[data_mutations["Variant_Classification"] != "Silent"]
            coding = coding[coding["Tumor_Sample_Barcode"].isin(cohort["SAMPLE_ID"])]
            counts = coding.groupby("Hugo_Symbol")["Tumor_Sample_Barcode"].nunique()
            submit(counts.sort_values(ascending=False).index[:{count}].tolist())
            """,
        ),
    )  # fmt: skip


def together(rng: Generator, study: Study) -> Question | None:
    """Co-occurrence of two genes: Fisher's exact test."""
    cohort = draw_cohort(rng, study, 1)
    first, second = draw_genes(rng, study.tumour, 2)
    known = covered(cohort, first) & covered(cohort, second)
    a, b = has(cohort, first)[known], has(cohort, second)[known]
    counts = (int((a & b).sum()), int((a & ~b).sum()), int((~a & b).sum()), int((~a & ~b).sum()))
    if min(counts) < 1 or fisher(*counts) > 0.999:
        return None
    odds = counts[0] * counts[3] / (counts[1] * counts[2])
    return Question(
        f"Are mutations of {first} and {second} independent in {cohort.words}? Give the sample odds "
        f"ratio and the two-sided p-value of Fisher's exact test. {RULE} Only samples whose gene "
        "panel covers both genes count.",
        Answer({"odds_ratio": "number", "p": "number"}), {"odds_ratio": odds, "p": fisher(*counts)},
        script(
            cohort.source, cover(first), cover(second), mark(first, "first"), mark(second, "second"),
            """
            from scipy.stats import fisher_exact
            counts = pd.crosstab(cohort["first"], cohort["second"])
            odds_ratio, p = fisher_exact(counts)
            submit({"odds_ratio": odds_ratio, "p": p})
            """,
        ),
    )  # fmt: skip


def exclusive(rng: Generator, study: Study) -> Question | None:
    """Of several pairs, the one that overlaps least."""
    cohort = draw_cohort(rng, study, 1)
    genes = draw_genes(rng, study.tumour, 5)
    p = {}
    for place, first in enumerate(genes):
        for second in genes[place + 1 :]:
            a, b = has(cohort, first), has(cohort, second)
            p[first, second] = fisher(
                int((a & b).sum()), int((a & ~b).sum()), int((~a & b).sum()), int((~a & ~b).sum())
            )
    least, next_least = sorted(p.values())[:2]
    if least > 0.9 * next_least:
        return None
    pair = min(p, key=lambda one: p[one])
    listed = ", ".join(genes)
    return Question(
        f"Which pair of the genes {listed} has mutations that depend on each other most clearly in "
        f"{cohort.words}: the smallest two-sided p-value of Fisher's exact test? Give the two genes "
        f"and that p-value. {RULE} Count samples whatever their panel.",
        Answer({"genes": "set", "p": "number"}, rel_tol=FIT), {"genes": set(pair), "p": least},
        script(
            cohort.source,
            f"""
            from itertools import combinations
            from scipy.stats import fisher_exact
            coding = data_mutations[data_mutations["Variant_Classification"] != "Silent"]
            found = {{}}
            for first, second in combinations({genes}, 2):
                hits = [
                    cohort["SAMPLE_ID"].isin(
                        coding[coding["Hugo_Symbol"] == gene]["Tumor_Sample_Barcode"]
                    ).astype(int)
                    for gene in (first, second)
                ]
                counts = np.bincount(2 * hits[0] + hits[1], minlength=4).reshape(2, 2)
                found[first, second] = fisher_exact(counts)[1]
            pair = min(found, key=found.get)
            submit({{"genes": set(pair), "p": found[pair]}})
            """,
        ),
    )  # fmt: skip


def oncoprint(rng: Generator, study: Study) -> Question | None:
    """A matrix of genes by subtype: samples with missense and with truncating mutations."""
    cohort = draw_cohort(rng, study, 1)
    genes = draw_genes(rng, study.tumour, int(rng.integers(3, 6)))
    rows = study.columns["data_mutations"]
    ids = set(cohort.ids)
    truncating = {"Nonsense_Mutation", "Frame_Shift_Del", "Frame_Shift_Ins", "Splice_Site"}
    found: dict[tuple[str, str], set[str]] = {
        (g, k): set() for g in genes for k in ("mis", "trunc")
    }
    for gene, kind, sample in zip(rows["Hugo_Symbol"].tolist(),
                                  rows["Variant_Classification"].tolist(),
                                  rows["Tumor_Sample_Barcode"].tolist(), strict=True):  # fmt: skip
        if gene in genes and sample in ids and kind == "Missense_Mutation":
            found[gene, "mis"].add(sample)
        if gene in genes and sample in ids and kind in truncating:
            found[gene, "trunc"].add(sample)
    gold = [
        (gene, len(found[gene, "mis"]), len(found[gene, "trunc"]),
         len(found[gene, "mis"] & found[gene, "trunc"]))
        for gene in genes
    ]  # fmt: skip
    columns = ("Hugo_Symbol", "Missense", "Truncating", "Both")
    if sum(row[1] for row in gold) < 5:
        return None
    return Question(
        f"For an oncoprint of {', '.join(genes)}, count for each gene the primary samples of "
        f"{cohort.words} with a missense mutation, with a truncating one (Nonsense_Mutation, "
        "Frame_Shift_Del, Frame_Shift_Ins, Splice_Site), and with both.",
        Answer(columns=columns, rel_tol=COUNTS), table(columns, gold),
        script(
            cohort.source,
            """
            rows = data_mutations[data_mutations["Tumor_Sample_Barcode"].isin(cohort["SAMPLE_ID"])]
            kinds = rows["Variant_Classification"].map({
                "Missense_Mutation": "Missense", "Nonsense_Mutation": "Truncating",
                "Frame_Shift_Del": "Truncating", "Frame_Shift_Ins": "Truncating",
                "Splice_Site": "Truncating",
            })
            rows = rows.assign(kind=kinds).dropna(subset=["kind"])
            """,
            f"""
            sides = rows.groupby(["Hugo_Symbol", "Tumor_Sample_Barcode", "kind"]).size()
            matrix = sides.unstack("kind").reindex(columns=["Missense", "Truncating"]).notna()
            matrix["Both"] = matrix["Missense"] & matrix["Truncating"]
            counts = matrix.groupby(level="Hugo_Symbol").sum().reindex({genes}, fill_value=0)
            submit(counts.reset_index())
            """,
        ),
    )  # fmt: skip


def pathway(rng: Generator, study: Study) -> Question | None:
    """The share of samples with any gene of a set mutated."""
    cohort = draw_cohort(rng, study)
    name = sorted(GENE_SETS)[int(rng.integers(len(GENE_SETS)))]
    hit = np.any([has(cohort, gene) for gene in GENE_SETS[name]], axis=0)
    if not hit.any() or hit.all():
        return None
    return Question(
        f"What percentage of {cohort.words} has a mutation in at least one gene of the gene set "
        f"{name}? {RULE} Count samples whatever their panel.",
        number(), 100 * float(hit.mean()),
        script(
            cohort.source,
            f"""
            members = gene_sets[gene_sets["GENE_SET"] == "{name}"]["Hugo_Symbol"]
            coding = data_mutations[data_mutations["Variant_Classification"] != "Silent"]
            hit = coding[coding["Hugo_Symbol"].isin(members)]["Tumor_Sample_Barcode"]
            submit(100 * cohort["SAMPLE_ID"].isin(hit).mean())
            """,
        ),
    )  # fmt: skip


def metastasis(rng: Generator, study: Study) -> Question | None:
    """Patients of whom both samples were sequenced: mutations that both have."""
    samples = study.columns["data_clinical_sample"]
    pairs: dict[str, dict[str, str]] = {}
    for patient, kind, sample in zip(*(samples[one].tolist() for one in (
            "PATIENT_ID", "SAMPLE_TYPE", "SAMPLE_ID")), strict=True):  # fmt: skip
        pairs.setdefault(patient, {})[kind] = sample
    gene = draw_gene(rng, study.tumour, often=0.9)
    hit = altered(study, gene)
    both = [one for one in pairs.values() if len(one) == 2]
    counts = {
        "both": sum(one["Primary"] in hit and one["Metastasis"] in hit for one in both),
        "primary_only": sum(one["Primary"] in hit and one["Metastasis"] not in hit for one in both),
        "metastasis_only": sum(
            one["Primary"] not in hit and one["Metastasis"] in hit for one in both
        ),
    }
    if sum(counts.values()) < 3:
        return None
    return Question(
        f"Of the patients with a primary sample and a metastasis, how many have {gene} mutated in "
        'both samples, in the primary only, and in the metastasis only? A row of any class but "Silent" '
        "is a mutation.",
        Answer({"both": "integer", "primary_only": "integer", "metastasis_only": "integer"}), counts,
        script(
            f"""
            coding = data_mutations[data_mutations["Variant_Classification"] != "Silent"]
            hit = coding[coding["Hugo_Symbol"] == "{gene}"]["Tumor_Sample_Barcode"]
            samples = data_clinical_sample.assign(
                hit=data_clinical_sample["SAMPLE_ID"].isin(hit).astype(float)
            )
            pairs = samples.pivot(index="PATIENT_ID", columns="SAMPLE_TYPE", values="hit").dropna()
            """,
            """
            primary, metastasis = pairs["Primary"] == 1, pairs["Metastasis"] == 1
            submit({
                "both": int((primary & metastasis).sum()),
                "primary_only": int((primary & ~metastasis).sum()),
                "metastasis_only": int((~primary & metastasis).sum()),
            })
            """,
        ),
    )  # fmt: skip


MAKERS: dict[str, Maker] = {
    "mutations/frequency": frequency,
    "mutations/ranking": ranking,
    "mutations/co-occurrence": together,
    "mutations/strongest pair": exclusive,
    "mutations/oncoprint": oncoprint,
    "mutations/pathway": pathway,
    "mutations/metastasis": metastasis,
}
