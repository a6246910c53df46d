"""Who has a mutation in a gene: by arrays, and by lines of pandas.

A gene counts where it is changed other than silently; only samples whose panel covers a gene can
tell. The conventions stand in every prompt that needs them.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from benchside.suites.oncology.cohort import Cohort
from benchside.suites.oncology.profiles import Tumour
from benchside.suites.oncology.study import NOT_ON_SMALL, SMALL, SYMBOLS, Array, Study

RULE = (
    'A gene is mutated in a sample where `data_mutations` has a row of any class but "Silent"; '
    "the cohort's primary samples count, metastases do not."
)
PANELS = "Only samples whose gene panel covers the gene count, in numerator and denominator."


def altered(study: Study, gene: str) -> set[str]:
    """Samples with a mutation of a gene that is not silent."""
    rows = study.columns["data_mutations"]
    keep = (rows["Hugo_Symbol"] == gene) & (rows["Variant_Classification"] != "Silent")
    return {str(one) for one in rows["Tumor_Sample_Barcode"][keep]}


def has(cohort: Cohort, gene: str) -> Array:
    """(n,) bool: is the gene mutated?"""
    found = altered(cohort.study, gene)
    return np.array([one in found for one in cohort.ids])


def covered(cohort: Cohort, gene: str) -> Array:
    """(n,) bool: does the sample's panel cover the gene?"""
    if gene not in NOT_ON_SMALL:
        return np.ones(len(cohort), bool)
    return np.asarray(cohort.of("GENE_PANEL") != SMALL)


def mark(gene: str, name: str = "mutated") -> str:
    """Lines that add a column of truth values to `cohort`."""
    return f"""\
coding = data_mutations[data_mutations["Variant_Classification"] != "Silent"]
hit = coding[coding["Hugo_Symbol"] == "{gene}"]["Tumor_Sample_Barcode"]
cohort = cohort.assign({name}=cohort["SAMPLE_ID"].isin(hit))"""


def cover(gene: str) -> str:
    """Lines that leave the samples whose panel covers a gene."""
    return f"""\
panels = gene_panels[gene_panels["Hugo_Symbol"] == "{gene}"]["GENE_PANEL"]
cohort = cohort[cohort["GENE_PANEL"].isin(panels)]"""


def draw_gene(rng: Generator, tumour: Tumour, *, often: float = 0.7) -> str:
    """A gene; a driver of the tumour in `often` of all draws."""
    if rng.random() < often:
        drivers = list(tumour.drivers)
        return drivers[int(rng.integers(len(drivers)))]
    return SYMBOLS[int(rng.integers(len(SYMBOLS)))]


def draw_genes(rng: Generator, tumour: Tumour, count: int) -> list[str]:
    """Different genes, in alphabetical order."""
    found: set[str] = set()
    while len(found) < count:
        found.add(draw_gene(rng, tumour))
    return sorted(found)
