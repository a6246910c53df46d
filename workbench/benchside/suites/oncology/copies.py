# ruff: noqa: E501 — what prompts say stays whole
"""Copy numbers and rearrangements: calls of genes, altered fraction of the genome, fusions."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from benchside.suites.oncology.cohort import Cohort, draw_cohort, everyone
from benchside.suites.oncology.exact import correlation, ranks
from benchside.suites.oncology.mutated import altered, draw_gene
from benchside.suites.oncology.question import (
    COUNTS,
    INTEGER,
    SET,
    Answer,
    Maker,
    Question,
    number,
    script,
    table,
)
from benchside.suites.oncology.study import SYMBOLS, Array, Study

CALLS = "`data_cna` holds -2 (deep deletion), -1, 0, 1 and 2 (amplification); empty: not measured."


def calls(cohort: Cohort, gene: str) -> Array:
    """(n,) calls of a gene; nan where not measured."""
    matrix = cohort.study.matrices["data_cna"]
    return np.asarray(matrix[SYMBOLS.index(gene), cohort.sample])


def _gene(rng: Generator, study: Study) -> tuple[str, int, str]:
    """A gene with the change that it often has, in words."""
    if rng.random() < 0.6:
        genes = study.tumour.amplified
        return genes[int(rng.integers(len(genes)))], 2, "amplified (2)"
    genes = ("CDKN2A", "PTEN", "RB1")
    return genes[int(rng.integers(3))], -2, "deeply deleted (-2)"


def share(rng: Generator, study: Study) -> Question | None:
    """The share of measured samples with a gene amplified or deleted."""
    cohort = draw_cohort(rng, study)
    gene, call, words = _gene(rng, study)
    found = calls(cohort, gene)
    known = found[~np.isnan(found)]
    if not (known == call).any():
        return None
    return Question(
        f"In what percentage of the measured primary samples of {cohort.words} is {gene} {words}? "
        f"{CALLS}",
        number(), 100 * int((known == call).sum()) / len(known),
        script(
            cohort.source,
            f"""
            row = data_cna.set_index("Hugo_Symbol").loc["{gene}", cohort["SAMPLE_ID"]]
            submit(100 * (row.dropna() == {call}).mean())
            """,
        ),
    )  # fmt: skip


def samples(rng: Generator, study: Study) -> Question | None:
    """Which samples have two changes."""
    gene, call, words = _gene(rng, study)
    driver = draw_gene(rng, study.tumour, often=0.95)
    cohort = draw_cohort(rng, study, 2)
    mutated = altered(study, driver)
    found = calls(cohort, gene)
    both = {
        one for one, value in zip(cohort.ids, found.tolist(), strict=True)
        if value == call and one in mutated
    }  # fmt: skip
    if not 1 <= len(both) <= 20:
        return None
    return Question(
        f"Which primary samples (SAMPLE_ID) of {cohort.words} have {gene} {words} in `data_cna` and "
        f'a mutation of {driver} of any class but "Silent"?',
        SET, both,
        script(
            cohort.source,
            f"""
            row = data_cna.set_index("Hugo_Symbol").loc["{gene}"]
            changed = row.index[row == {call}]
            coding = data_mutations[data_mutations["Variant_Classification"] != "Silent"]
            mutated = coding[coding["Hugo_Symbol"] == "{driver}"]["Tumor_Sample_Barcode"]
            keep = cohort["SAMPLE_ID"].isin(changed) & cohort["SAMPLE_ID"].isin(mutated)
            submit(set(cohort[keep]["SAMPLE_ID"]))
            """,
        ),
    )  # fmt: skip


def by_subtype(rng: Generator, study: Study) -> Question | None:
    """Gains and losses of a gene by subtype."""
    gene, _, _ = _gene(rng, study)
    cohort = draw_cohort(rng, study, 1, without="SUBTYPE")
    found, subtype = calls(cohort, gene), cohort.of("SUBTYPE")
    rows = []
    for name in sorted(set(subtype.tolist())):
        values = found[subtype == name]
        values = values[~np.isnan(values)]
        if not len(values):
            return None
        rows.append((name, int((values > 0).sum()), int((values < 0).sum()), len(values)))
    columns = ("SUBTYPE", "gains", "losses", "measured")
    return Question(
        f"For each SUBTYPE of {cohort.words}, how many primary samples have a gain of {gene} (1 or 2), "
        f"a loss (-1 or -2), and were measured at all? {CALLS}",
        Answer(columns=columns, rel_tol=COUNTS), table(columns, rows),
        script(
            cohort.source,
            f"""
            row = data_cna.set_index("Hugo_Symbol").loc["{gene}"]
            call = cohort["SAMPLE_ID"].map(row)
            parts = pd.DataFrame({{
                "SUBTYPE": cohort["SUBTYPE"], "gains": call > 0, "losses": call < 0,
                "measured": call.notna(),
            }})
            submit(parts.groupby("SUBTYPE").sum().reset_index())
            """,
        ),
    )  # fmt: skip


def _altered_fraction(study: Study, limit: float) -> dict[str, float]:
    """Sample → length of segments at or beyond the limit, over the length of all."""
    rows = study.columns["data_segments"]
    length = (rows["loc.end"] - rows["loc.start"]).astype(float)
    names, place = np.unique(rows["ID"], return_inverse=True)
    beyond = np.bincount(place, length * (np.abs(rows["seg.mean"]) >= limit))
    return dict(zip(names.tolist(), (beyond / np.bincount(place, length)).tolist(), strict=True))


def altered_genome(rng: Generator, study: Study) -> Question | None:
    """The mean fraction of the genome altered."""
    cohort = draw_cohort(rng, study)
    limit = float(rng.choice([0.1, 0.2, 0.3]))
    by_sample = _altered_fraction(study, limit)
    values = [by_sample[one] for one in cohort.ids]
    return Question(
        "The altered fraction of a sample's genome is the total length (loc.end - loc.start) of its "
        f"segments in `data_segments` with |seg.mean| >= {limit:g} over that of all its segments. What "
        f"is its mean, and its highest value, over the primary samples of {cohort.words}?",
        Answer({"mean": "number", "highest": "number"}),
        {"mean": sum(values) / len(values), "highest": max(values)},
        script(
            cohort.source,
            f"""
            length = data_segments["loc.end"] - data_segments["loc.start"]
            beyond = length.where(data_segments["seg.mean"].abs() >= {limit:g}, 0)
            fraction = (
                beyond.groupby(data_segments["ID"]).sum() / length.groupby(data_segments["ID"]).sum()
            )
            values = fraction.loc[cohort["SAMPLE_ID"]]
            submit({{"mean": values.mean(), "highest": values.max()}})
            """,
        ),
    )  # fmt: skip


def dosage(rng: Generator, study: Study) -> Question | None:
    """Spearman's correlation of copies and expression."""
    gene = SYMBOLS[int(rng.integers(len(SYMBOLS)))]
    measured = study.samples["data_expression"]
    place = {one: column for column, one in enumerate(study.samples["data_cna"])}
    copies = study.matrices["data_cna"][SYMBOLS.index(gene), [place[one] for one in measured]]
    values = study.matrices["data_expression"][SYMBOLS.index(gene)]
    known = ~np.isnan(copies)
    gold = correlation(ranks(copies[known]), ranks(values[known]))
    return Question(
        f"Over all samples with both (metastases too), what is Spearman's correlation of the copy-number "
        f"call and the expression of {gene}? {CALLS}",
        number(), gold,
        script(
            f"""
            copies = data_cna.set_index("Hugo_Symbol").loc["{gene}"]
            values = data_expression.set_index("Hugo_Symbol").loc["{gene}"]
            both = pd.concat([copies, values], axis=1, keys=["copies", "values"]).dropna()
            both = both.astype(float)
            """,
            """
            submit(both["copies"].corr(both["values"], method="spearman"))
            """,
        ),
    )  # fmt: skip


def fusions(rng: Generator, study: Study) -> Question | None:
    """Patients with a rearrangement of any gene of a list."""
    rows = study.columns["data_sv"]
    genes = sorted(str(one) for one in rng.choice(SYMBOLS, int(rng.integers(3, 9)), replace=False))
    hit = np.isin(rows["Site1_Hugo_Symbol"], genes) | np.isin(rows["Site2_Hugo_Symbol"], genes)
    samples = set(rows["Sample_Id"][hit].tolist())
    owner = study.columns["data_clinical_sample"]
    names, owners = owner["SAMPLE_ID"].tolist(), owner["PATIENT_ID"].tolist()
    patients = {p for s, p in zip(names, owners, strict=True) if s in samples}
    if len(patients) < 4 or len(everyone(study)) < 1:
        return None
    return Question(
        f"How many patients have a rearrangement (`data_sv`, at either site, in any of their samples) "
        f"of at least one of {', '.join(genes)}?",
        INTEGER, len(patients),
        script(
            f"""
            genes = {genes}
            hit = data_sv[
                data_sv["Site1_Hugo_Symbol"].isin(genes) | data_sv["Site2_Hugo_Symbol"].isin(genes)
            ]
            samples = data_clinical_sample.merge(hit, left_on="SAMPLE_ID", right_on="Sample_Id")
            submit(int(samples["PATIENT_ID"].nunique()))
            """,
        ),
    )  # fmt: skip


MAKERS: dict[str, Maker] = {
    "copies/share": share,
    "copies/samples": samples,
    "copies/by subtype": by_subtype,
    "copies/altered genome": altered_genome,
    "copies/dosage": dosage,
    "copies/rearrangements": fusions,
}
