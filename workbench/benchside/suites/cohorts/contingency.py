"""Two-way tables: chi-square, Fisher, risks and odds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.contingency_tables import Table2x2

from benchside.suites.cohorts.cohort import Cohort, Contrast, Factor
from benchside.suites.cohorts.question import FIT, Question, number, record

Z = 1.959963984540054
Counts: TypeAlias = NDArray[np.int64]
EXPOSURES = {
    "lung": ("sex", "ph.ecog"),
    "gbsg2": ("horTh", "menostat"),
    "kidney_transplant": ("race", "sex"),
    "actg175": ("gender", "str2", "symptom"),
    "lymphoma": ("stage",),
    "lymph_node": ("hormone",),
}
GRADED = ("gbsg2", "larynx", "actg175")


@dataclass(frozen=True, slots=True)
class TwoByTwo:
    """Counts of a 2×2 table: a, b exposed with and without the outcome; c, d the others."""

    a: int
    b: int
    c: int
    d: int

    @property
    def rows(self) -> Counts:
        """(2, 2) as scipy and statsmodels take it."""
        return np.array([[self.a, self.b], [self.c, self.d]])

    def chi_square(self, correction: float) -> float:
        """Pearson's chi-square; a correction of 0.5 is Yates'."""
        a, b, c, d = self.a, self.b, self.c, self.d
        n = a + b + c + d
        gap = max(abs(a * d - b * c) - correction * n, 0)
        return float(n * gap**2 / ((a + b) * (c + d) * (a + c) * (b + d)))


def questions(cohorts: Mapping[str, Cohort]) -> Iterator[Question]:
    """All questions of this topic."""
    for name, columns in EXPOSURES.items():
        cohort = cohorts[name]
        outcome = cohort.outcomes[0]
        for position, column in enumerate(columns):
            exposure = cohort.contrast(column)
            yield chi_square(cohort, exposure, outcome, corrected=position % 2 == 0)
            yield from (odds(cohort, exposure, outcome), risk(cohort, exposure, outcome))
            other = fisher if position % 2 == 0 else difference
            yield other(cohort, exposure, outcome)
    for cohort in (cohorts[name] for name in GRADED):
        yield cramer(cohort, cohort.factors[0], cohort.outcomes[0])


def counts(cohort: Cohort, exposure: Contrast, outcome: Contrast) -> TwoByTwo:
    """Cross-classify; rows at other levels of the exposure are left out."""
    cells = [
        int(np.sum(cohort.where(exposure.column, group) & cohort.where(outcome.column, result)))
        for group in (exposure.first, exposure.second)
        for result in (outcome.first, outcome.second)
    ]
    return TwoByTwo(*cells)


def table_cell(cohort: Cohort, exposure: Contrast, outcome: Contrast) -> str:
    """Source lines that make the 2×2 `table`, exposed and with the outcome first."""
    groups = [exposure.first.value, exposure.second.value]
    results = [outcome.first.value, outcome.second.value]
    name = cohort.name
    return f"""table = pd.crosstab({name}["{exposure.column}"], {name}["{outcome.column}"])
        table = table.loc[{groups!r}, {results!r}]
        table"""


def chi_square(
    cohort: Cohort, exposure: Contrast, outcome: Contrast, *, corrected: bool
) -> Question:
    """Pearson's chi-square, with or without Yates' correction."""
    two = counts(cohort, exposure, outcome)
    how = "with Yates' continuity correction" if corrected else "without continuity correction"
    return number(
        cohort,
        "contingency/chi-square",
        f"chi-square-{exposure.column}-{outcome.column}",
        f"Cross-tabulate {exposure.phrase} against `{outcome.column}`. What is Pearson's "
        f"chi-square statistic of this 2×2 table, {how}? Censoring is ignored.",
        two.chi_square(0.5 if corrected else 0.0),
        f"""
        {table_cell(cohort, exposure, outcome)}
        # %%
        from scipy import stats
        test = stats.chi2_contingency(table, correction={corrected})
        submit(test.statistic)
        """,
        check=float(stats.chi2_contingency(two.rows, correction=corrected).statistic),
        slips={
            "other correction": two.chi_square(0.0 if corrected else 0.5),
            "G test": float(
                stats.chi2_contingency(two.rows, correction=corrected, lambda_=0).statistic
            ),
        },
    )


def odds(cohort: Cohort, exposure: Contrast, outcome: Contrast) -> Question:
    """The odds ratio with Woolf's interval."""
    two = counts(cohort, exposure, outcome)
    ratio = two.a * two.d / (two.b * two.c)
    half = Z * np.sqrt((1 / two.rows).sum())
    library = Table2x2(two.rows)
    low, high = library.oddsratio_confint(0.05)
    risks = two.a / (two.a + two.b) / (two.c / (two.c + two.d))
    return record(
        cohort,
        "contingency/odds-ratio",
        f"odds-{exposure.column}-{outcome.column}",
        f"What is the odds ratio for being among the {outcome.label(outcome.first)}, comparing "
        f"{exposure.label(exposure.first)} with {exposure.label(exposure.second)}, and its 95% "
        "confidence interval by Woolf's logit method? Censoring is ignored.",
        {
            "odds_ratio": ratio,
            "lower": float(ratio * np.exp(-half)),
            "upper": float(ratio * np.exp(half)),
        },
        f"""
        {table_cell(cohort, exposure, outcome)}
        # %%
        from statsmodels.stats.contingency_tables import Table2x2
        two_by_two = Table2x2(table.to_numpy())
        lower, upper = two_by_two.oddsratio_confint(0.05)
        print(two_by_two.oddsratio, lower, upper)
        # %%
        submit({{"odds_ratio": two_by_two.oddsratio, "lower": lower, "upper": upper}})
        """,
        check={"odds_ratio": library.oddsratio, "lower": float(low), "upper": float(high)},
        slips={
            "reciprocal": {"odds_ratio": 1 / ratio, "lower": 1 / high, "upper": 1 / low},
            "risk ratio": {"odds_ratio": risks, "lower": float(low), "upper": float(high)},
        },
    )


def risk(cohort: Cohort, exposure: Contrast, outcome: Contrast) -> Question:
    """The risk ratio with the log interval."""
    two = counts(cohort, exposure, outcome)
    n, m = two.a + two.b, two.c + two.d
    ratio = (two.a / n) / (two.c / m)
    error = np.sqrt(1 / two.a - 1 / n + 1 / two.c - 1 / m)
    library = Table2x2(two.rows)
    _, high = library.riskratio_confint(0.05)
    upper = float(ratio * np.exp(Z * error))
    return record(
        cohort,
        "contingency/risk-ratio",
        f"risk-{exposure.column}-{outcome.column}",
        f"What is the risk ratio for being among the {outcome.label(outcome.first)}, comparing "
        f"{exposure.label(exposure.first)} with {exposure.label(exposure.second)}, and the upper "
        "limit of its 95% confidence interval by the log method (Katz)? Censoring is ignored.",
        {"risk_ratio": ratio, "upper": upper},
        f"""
        {table_cell(cohort, exposure, outcome)}
        # %%
        (a, b), (c, d) = table.to_numpy()
        risk_ratio = (a / (a + b)) / (c / (c + d))
        log_error = np.sqrt(b / a / (a + b) + d / c / (c + d))
        upper = risk_ratio * np.exp(1.959964 * log_error)
        # %%
        submit({{"risk_ratio": risk_ratio, "upper": upper}})
        """,
        check={"risk_ratio": float(library.riskratio), "upper": float(high)},
        slips={
            "odds ratio": {"risk_ratio": two.a * two.d / (two.b * two.c), "upper": upper},
            "reciprocal": {"risk_ratio": 1 / ratio, "upper": upper},
            "90% interval": {
                "risk_ratio": ratio, "upper": float(ratio * np.exp(1.644854 * error))
            },
        },
    )  # fmt: skip


def fisher(cohort: Cohort, exposure: Contrast, outcome: Contrast) -> Question:
    """Fisher's exact p value, summed from the hypergeometric distribution."""
    two = counts(cohort, exposure, outcome)
    n, m, k = two.a + two.b, two.c + two.d, two.a + two.c
    support = np.arange(max(0, k - m), min(k, n) + 1)
    chances = stats.hypergeom.pmf(support, n + m, k, n)
    seen = stats.hypergeom.pmf(two.a, n + m, k, n)
    p = float(chances[chances <= seen * (1 + 1e-7)].sum())
    return number(
        cohort,
        "contingency/fisher",
        f"fisher-{exposure.column}-{outcome.column}",
        f"Test the association between {exposure.phrase} and `{outcome.column}` with Fisher's "
        "exact test. What is the two-sided p value (the sum over all tables at most as probable "
        "as the observed one)?",
        p,
        f"""
        {table_cell(cohort, exposure, outcome)}
        # %%
        from scipy import stats
        odds_ratio, p = stats.fisher_exact(table, alternative="two-sided")
        submit(p)
        """,
        check=float(stats.fisher_exact(two.rows)[1]),
        slips={
            "greater": float(stats.fisher_exact(two.rows, alternative="greater")[1]),
            "less": float(stats.fisher_exact(two.rows, alternative="less")[1]),
            "chi-square": float(stats.chi2_contingency(two.rows, correction=False).pvalue),
        },
        rel_tol=FIT,
    )


def difference(cohort: Cohort, exposure: Contrast, outcome: Contrast) -> Question:
    """The risk difference in percentage points with Newcombe's interval."""
    two = counts(cohort, exposure, outcome)
    (p1, l1, u1), (p2, l2, u2) = wilson(two.a, two.a + two.b), wilson(two.c, two.c + two.d)
    lower = p1 - p2 - np.sqrt((p1 - l1) ** 2 + (u2 - p2) ** 2)
    upper = p1 - p2 + np.sqrt((u1 - p1) ** 2 + (p2 - l2) ** 2)
    wald = Z * np.sqrt(p1 * (1 - p1) / (two.a + two.b) + p2 * (1 - p2) / (two.c + two.d))
    intervals = [
        stats.binomtest(x, n).proportion_ci(0.95, method="wilson")
        for x, n in ((two.a, two.a + two.b), (two.c, two.c + two.d))
    ]
    (cl1, cu1), (cl2, cu2) = ((float(ci.low), float(ci.high)) for ci in intervals)
    return record(
        cohort,
        "contingency/risk-difference",
        f"newcombe-{exposure.column}-{outcome.column}",
        f"By how much does the proportion of {outcome.label(outcome.first)} differ between "
        f"{exposure.label(exposure.first)} and {exposure.label(exposure.second)} (first minus "
        "second, as a fraction), with Newcombe's 95% hybrid score interval (from Wilson limits, "
        "without continuity correction)?",
        {"difference": p1 - p2, "lower": float(lower), "upper": float(upper)},
        f"""
        {table_cell(cohort, exposure, outcome)}
        # %%
        from statsmodels.stats.proportion import confint_proportions_2indep
        (a, b), (c, d) = table.to_numpy()
        difference = a / (a + b) - c / (c + d)
        lower, upper = confint_proportions_2indep(
            a, a + b, c, c + d, compare="diff", method="newcomb"
        )
        print(difference, lower, upper)
        # %%
        submit({{"difference": difference, "lower": lower, "upper": upper}})
        """,
        check={
            "difference": two.a / (two.a + two.b) - two.c / (two.c + two.d),
            "lower": p1 - p2 - float(np.hypot(p1 - cl1, cu2 - p2)),
            "upper": p1 - p2 + float(np.hypot(cu1 - p1, p2 - cl2)),
        },
        slips={
            "Wald": {
                "difference": p1 - p2, "lower": p1 - p2 - wald, "upper": p1 - p2 + wald
            },
            "reversed": {"difference": p2 - p1, "lower": -float(upper), "upper": -float(lower)},
        },
    )  # fmt: skip


def wilson(events: int, n: int) -> tuple[float, float, float]:
    """A proportion with its 95% Wilson limits."""
    p = events / n
    centre = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * float(np.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2)))
    return p, centre - half, centre + half


def cramer(cohort: Cohort, factor: Factor, outcome: Contrast) -> Question:
    """Cramér's V of a k×2 table."""
    observed = np.array(
        [
            [
                np.sum(cohort.where(factor.column, level) & cohort.where(outcome.column, result))
                for result in (outcome.first, outcome.second)
            ]
            for level in factor.levels
        ],
        dtype=np.int64,
    )
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0)) / observed.sum()
    statistic = float(((observed - expected) ** 2 / expected).sum())
    v = float(np.sqrt(statistic / observed.sum()))
    return record(
        cohort,
        "contingency/chi-square",
        f"cramer-{factor.column}-{outcome.column}",
        f"How strongly are {factor.phrase} and `{outcome.column}` associated? Report Pearson's "
        "chi-square of their cross-table and Cramér's V (without bias correction).",
        {"chi_square": statistic, "v": v},
        f"""
        from scipy import stats
        table = pd.crosstab({cohort.name}["{factor.column}"], {cohort.name}["{outcome.column}"])
        table
        # %%
        chi_square = stats.chi2_contingency(table, correction=False).statistic
        v = np.sqrt(chi_square / table.to_numpy().sum() / (min(table.shape) - 1))
        submit({{"chi_square": chi_square, "v": v}})
        """,
        check={
            "chi_square": float(stats.chi2_contingency(observed, correction=False).statistic),
            "v": float(stats.contingency.association(observed, method="cramer")),
        },
        slips={"V squared": {"chi_square": statistic, "v": v**2}},
    )
