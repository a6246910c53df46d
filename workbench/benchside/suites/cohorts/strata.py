"""Smoking and lung cancer in several cities: odds ratios by stratum and pooled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from statsmodels.stats.contingency_tables import StratifiedTable, Table2x2

from benchside.suites.cohorts.cohort import Cohort, Floats
from benchside.suites.cohorts.contingency import Z
from benchside.suites.cohorts.question import Question, number, record

SMOKING = (
    "smoking_yes_cancer_yes",
    "smoking_yes_cancer_no",
    "smoking_no_cancer_yes",
    "smoking_no_cancer_no",
)


def questions(cohorts: Mapping[str, Cohort]) -> Iterator[Question]:
    """All questions of this topic."""
    for cities in (("Beijing", "Shanghai"), ("Shenyang", "Nanjing", "Harbin"), ()):
        yield pooled_odds(cohorts["china_smoking"], cities)
    for city in ("Zhengzhou", "Taiyuan", "Nanchang", "Harbin"):
        yield city_odds(cohorts["china_smoking"], city)


def strata(cohort: Cohort, cities: tuple[str, ...]) -> Floats:
    """(cities, 4) counts a, b, c, d: smokers with and without cancer, then non-smokers."""
    frame = cohort.frame
    chosen = frame[frame["city"].isin(cities)] if cities else frame
    return chosen[list(SMOKING)].to_numpy(dtype=np.float64)


def pooled_odds(cohort: Cohort, cities: tuple[str, ...]) -> Question:
    """The Mantel-Haenszel odds ratio over cities."""
    a, b, c, d = strata(cohort, cities).T
    n = a + b + c + d
    pooled = float((a * d / n).sum() / (b * c / n).sum())
    crude = float(a.sum() * d.sum() / (b.sum() * c.sum()))
    library = StratifiedTable(np.array([[a, b], [c, d]]))
    where = " and ".join(cities) if cities else "all eight cities"
    chosen = f'china_smoking[china_smoking["city"].isin({list(cities)!r})]'
    return number(
        cohort,
        "contingency/odds-ratio",
        "mantel-haenszel-" + ("-".join(cities) or "all"),
        f"What is the Mantel-Haenszel odds ratio for lung cancer in smokers against non-smokers, "
        f"stratified by city, over {where}?",
        pooled,
        f"""
        chosen = {chosen if cities else "china_smoking"}
        a = chosen["smoking_yes_cancer_yes"]
        b = chosen["smoking_yes_cancer_no"]
        c = chosen["smoking_no_cancer_yes"]
        d = chosen["smoking_no_cancer_no"]
        chosen.set_index("city")
        # %%
        n = a + b + c + d
        numerator, denominator = (a * d / n).sum(), (b * c / n).sum()
        submit(numerator / denominator)
        """,
        check=float(library.oddsratio_pooled),
        slips={
            "crude": crude,
            "mean of odds ratios": float((a * d / b / c).mean()),
            "reciprocal": 1 / pooled,
        },
    )


def city_odds(cohort: Cohort, city: str) -> Question:
    """Odds ratio of one city."""
    a, b, c, d = strata(cohort, (city,))[0]
    ratio, error = a * d / (b * c), np.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    library = Table2x2(np.array([[a, b], [c, d]]))
    low = float(library.oddsratio_confint(0.05)[0])
    lower = float(ratio * np.exp(-Z * error))
    risks = a / (a + b) / (c / (c + d))
    return record(
        cohort,
        "contingency/odds-ratio",
        f"odds-{city}",
        f"What is the odds ratio for lung cancer in smokers against non-smokers in {city}, and "
        "the lower limit of its 95% confidence interval by Woolf's logit method?",
        {"odds_ratio": float(ratio), "lower": lower},
        f"""
        row = china_smoking.set_index("city").loc["{city}"]
        row
        # %%
        a, b = row["smoking_yes_cancer_yes"], row["smoking_yes_cancer_no"]
        c, d = row["smoking_no_cancer_yes"], row["smoking_no_cancer_no"]
        log_odds_ratio = np.log(a * d / (b * c))
        lower = np.exp(log_odds_ratio - 1.959964 * np.sqrt(1 / a + 1 / b + 1 / c + 1 / d))
        # %%
        submit({{"odds_ratio": np.exp(log_odds_ratio), "lower": lower}})
        """,
        check={"odds_ratio": float(library.oddsratio), "lower": low},
        slips={
            "reciprocal": {"odds_ratio": float(1 / ratio), "lower": lower},
            "risk ratio": {"odds_ratio": float(risks), "lower": lower},
        },
    )
