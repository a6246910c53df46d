# ruff: noqa: E501 — what prompts say stays whole
"""Expression: two groups of samples, gene sets, principal components, separation of subtypes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from benchside.suites.oncology.exact import adjusted, correlation, upper_tail, welch
from benchside.suites.oncology.profiles import GENE_SETS
from benchside.suites.oncology.question import (
    FIT,
    SET,
    Answer,
    Maker,
    Question,
    number,
    script,
)
from benchside.suites.oncology.study import SYMBOLS, Array, Study

SAMPLES = (
    "Values of `data_expression` are log2; all its samples count, metastases too, and subtypes are "
    "those of `data_clinical_sample`."
)
MATRIX = """
values = data_expression.set_index("Hugo_Symbol")
subtype = data_clinical_sample.set_index("SAMPLE_ID")["SUBTYPE"].reindex(values.columns)
"""


@dataclass(frozen=True, slots=True)
class Contrast:
    """One subtype against all others: (genes, samples) of both sides."""

    name: str
    inside: Array
    outside: Array

    @property
    def source(self) -> str:
        """Lines that make `inside` and `outside`."""
        return (
            f"inside = values.loc[:, subtype == {self.name!r}]\n"
            f"outside = values.loc[:, subtype != {self.name!r}]"
        )


def _subtypes(study: Study) -> Array:
    """(samples,) subtypes of those with expression."""
    samples = study.columns["data_clinical_sample"]
    known = dict(zip(samples["SAMPLE_ID"].tolist(), samples["SUBTYPE"].tolist(), strict=True))
    return np.array([known[one] for one in study.samples["data_expression"]])


def _contrast(rng: Generator, study: Study) -> Contrast | None:
    matrix, subtype = study.matrices["data_expression"], _subtypes(study)
    names = study.tumour.subtypes
    name = names[int(rng.integers(len(names)))]
    chosen = subtype == name
    if min(chosen.sum(), (~chosen).sum()) < 10:
        return None
    return Contrast(name, matrix[:, chosen], matrix[:, ~chosen])


def tested(rng: Generator, study: Study) -> Question | None:
    """Log2 fold change and Welch's test of one gene."""
    contrast = _contrast(rng, study)
    if contrast is None:
        return None
    gene = SYMBOLS[int(rng.integers(len(SYMBOLS)))]
    inside, outside = (side[SYMBOLS.index(gene)] for side in (contrast.inside, contrast.outside))
    t, p = welch(inside, outside)
    if p < 1e-30:
        return None
    return Question(
        f'Is {gene} expressed differently in subtype "{contrast.name}" than in all others? Give the log2 '
        "fold change (difference of the mean log2 values, the subtype minus the others), Welch's t and "
        f"its two-sided p-value. {SAMPLES}",
        Answer({"log2_fold_change": "number", "t": "number", "p": "number"}, rel_tol=FIT),
        {"log2_fold_change": float(inside.mean() - outside.mean()), "t": t, "p": p},
        script(
            MATRIX, contrast.source,
            f"""
            from scipy.stats import ttest_ind
            first, second = inside.loc["{gene}"], outside.loc["{gene}"]
            test = ttest_ind(first, second, equal_var=False)
            submit({{
                "log2_fold_change": first.mean() - second.mean(), "t": test.statistic, "p": test.pvalue
            }})
            """,
        ),
    )  # fmt: skip


def _significant(contrast: Contrast) -> Array:
    """(genes,) q values of Welch's tests."""
    sides = zip(contrast.inside, contrast.outside, strict=True)
    return adjusted([welch(*one)[1] for one in sides])


def _clear(q: Array, limit: float) -> bool:
    """No gene so near the limit that rounding could decide."""
    return bool((np.abs(q - limit) > 1e-3 * limit).all())


TESTS = """
from scipy.stats import ttest_ind
from statsmodels.stats.multitest import multipletests
p = ttest_ind(inside, outside, axis=1, equal_var=False).pvalue
q = pd.Series(multipletests(p, method="fdr_bh")[1], index=values.index)
"""


def differential(rng: Generator, study: Study) -> Question | None:
    """Genes below a false discovery rate, in one direction."""
    contrast = _contrast(rng, study)
    if contrast is None:
        return None
    limit = float(rng.choice([0.01, 0.05, 0.1]))
    q = _significant(contrast)
    higher = rng.random() < 0.5
    change = contrast.inside.mean(axis=1) - contrast.outside.mean(axis=1)
    side = change > 0 if higher else change < 0
    found = {gene for gene, keep in zip(SYMBOLS, (q < limit) & side, strict=True) if keep}
    if not 2 <= len(found) <= 20 or not _clear(q, limit):
        return None
    sign = ">" if higher else "<"
    return Question(
        f'Which genes are {"higher" if higher else "lower"} in subtype "{contrast.name}" than in all '
        "others, at a false discovery rate (Benjamini-Hochberg over all genes, Welch's t-tests) below "
        f"{limit:g}? {SAMPLES}",
        SET, found,
        script(
            MATRIX, contrast.source, TESTS,
            f"""
            change = inside.mean(axis=1) - outside.mean(axis=1)
            submit(set(q.index[(q < {limit:g}) & (change {sign} 0)]))
            """,
        ),
    )  # fmt: skip


def enrichment(rng: Generator, study: Study) -> Question | None:
    """Is a gene set over-represented among the differential genes?"""
    contrast = _contrast(rng, study)
    if contrast is None:
        return None
    limit = float(rng.choice([0.01, 0.05, 0.1]))
    q = _significant(contrast)
    name = sorted(GENE_SETS)[int(rng.integers(len(GENE_SETS)))]
    found = {gene for gene, keep in zip(SYMBOLS, q < limit, strict=True) if keep}
    hits = len(found & set(GENE_SETS[name]))
    if hits < 1 or not _clear(q, limit):
        return None
    p = upper_tail(hits, len(found), len(GENE_SETS[name]), len(SYMBOLS))
    return Question(
        f'Take the genes that differ between subtype "{contrast.name}" and all others at a false discovery '
        f"rate below {limit:g} (Benjamini-Hochberg over all genes, Welch's t-tests). How many of them are "
        f"in the gene set {name}, and what is the hypergeometric p-value of so many or more, with all genes "
        f"of `data_expression` as the background? {SAMPLES}",
        Answer({"hits": "integer", "p": "number"}), {"hits": hits, "p": p},
        script(
            MATRIX, contrast.source, TESTS,
            f"""
            from scipy.stats import hypergeom
            found = set(q.index[q < {limit:g}])
            members = set(gene_sets[gene_sets["GENE_SET"] == "{name}"]["Hugo_Symbol"])
            hits = len(found & members)
            submit({{"hits": hits, "p": hypergeom.sf(hits - 1, len(q), len(members), len(found))}})
            """,
        ),
    )  # fmt: skip


def correlated(rng: Generator, study: Study) -> Question | None:
    """The gene that goes most closely with another."""
    matrix = study.matrices["data_expression"]
    gene = int(rng.integers(len(SYMBOLS)))
    name = study.tumour.subtypes[int(rng.integers(len(study.tumour.subtypes)))]
    chosen = matrix[:, _subtypes(study) == name]
    if chosen.shape[1] < 12:
        return None
    r = {one: correlation(chosen[gene], row) for one, row in zip(SYMBOLS, chosen, strict=True)}
    del r[SYMBOLS[gene]]
    first, second = sorted(r, key=lambda one: -abs(r[one]))[:2]
    if abs(r[first]) - abs(r[second]) < 1e-6:
        return None
    return Question(
        f"Within the samples of subtype \"{name}\", the expression of which other gene has the strongest "
        f"Pearson correlation, positive or negative, with that of {SYMBOLS[gene]}? Give it and the "
        f"correlation. {SAMPLES}",
        Answer({"gene": "text", "r": "number"}), {"gene": first, "r": r[first]},
        script(
            MATRIX,
            f"""
            chosen = values.loc[:, subtype == {name!r}].T
            r = chosen.drop(columns="{SYMBOLS[gene]}").corrwith(chosen["{SYMBOLS[gene]}"])
            gene = r.abs().idxmax()
            submit({{"gene": gene, "r": r[gene]}})
            """,
        ),
    )  # fmt: skip


def components(rng: Generator, study: Study) -> Question | None:
    """Variance explained by the first principal components of some genes."""
    count = int(rng.integers(8, 20))
    chosen = np.sort(rng.choice(len(SYMBOLS), count, replace=False))
    scaled = rng.random() < 0.5
    values = study.matrices["data_expression"][chosen]
    centred = values - values.mean(axis=1, keepdims=True)
    if scaled:
        centred = centred / values.std(axis=1, keepdims=True)
    weights = np.linalg.eigvalsh(centred @ centred.T)[::-1]
    first, second = (float(one / weights.sum()) for one in weights[:2])
    genes = [SYMBOLS[one] for one in chosen]
    standard = "scaled to unit variance" if scaled else "not scaled"
    scaler = "StandardScaler()" if scaled else "StandardScaler(with_std=False)"
    return Question(
        f"In a principal component analysis of all samples of `data_expression` over the genes "
        f"{', '.join(genes)} (centred by gene, {standard}), which fractions of the variance do the first "
        "and the second component explain?",
        Answer({"first": "number", "second": "number"}), {"first": first, "second": second},
        script(
            f"""
            from sklearn.decomposition import PCA
            from sklearn.preprocessing import StandardScaler
            chosen = data_expression.set_index("Hugo_Symbol").loc[{genes}].T.to_numpy()
            scaled = {scaler}.fit_transform(chosen)
            first, second = PCA(n_components=2, svd_solver="full").fit(scaled).explained_variance_ratio_
            submit({{"first": first, "second": second}})
            """,
        ),
    )  # fmt: skip


def separation(rng: Generator, study: Study) -> Question | None:
    """The mean silhouette of the subtypes over some genes."""
    count = int(rng.integers(5, 15))
    chosen = np.sort(rng.choice(len(SYMBOLS), count, replace=False))
    points, labels = study.matrices["data_expression"][chosen].T, _subtypes(study)
    names = sorted(set(labels.tolist()))
    if min(int((labels == name).sum()) for name in names) < 3:
        return None
    squares = (points**2).sum(axis=1)
    apart = np.sqrt(np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0))
    np.fill_diagonal(apart, 0)
    sums = np.column_stack([apart[:, labels == name].sum(axis=1) for name in names])
    sizes = np.array([int((labels == name).sum()) for name in names])
    own = np.array([names.index(one) for one in labels.tolist()])
    each = np.arange(len(own))
    inner = sums[each, own] / (sizes[own] - 1)
    means = sums / sizes
    means[each, own] = np.inf
    outer = means.min(axis=1)
    genes = [SYMBOLS[one] for one in chosen]
    return Question(
        "How well do the subtypes separate by expression? Give the mean silhouette coefficient (Euclidean "
        f"distances, not scaled) of all samples over the genes {', '.join(genes)}, with the subtypes as "
        f"clusters. {SAMPLES}",
        number(FIT), float(((outer - inner) / np.maximum(outer, inner)).mean()),
        script(
            MATRIX,
            f"""
            from sklearn.metrics import silhouette_score
            submit(float(silhouette_score(values.loc[{genes}].T.to_numpy(), subtype.to_numpy())))
            """,
        ),
    )  # fmt: skip


MAKERS: dict[str, Maker] = {
    "expression/test": tested,
    "expression/differential": differential,
    "expression/enrichment": enrichment,
    "expression/correlation": correlated,
    "expression/components": components,
    "expression/separation": separation,
}
