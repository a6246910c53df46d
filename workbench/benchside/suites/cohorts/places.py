"""Rankings of cities and countries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from benchside.suites.cohorts.cohort import Cohort
from benchside.suites.cohorts.question import Question, names, text
from benchside.suites.cohorts.ranking import best, ordering


def questions(cohorts: Mapping[str, Cohort]) -> Iterator[Question]:
    """All questions of this topic."""
    yield from cities(cohorts["china_smoking"])
    for years in ((1960, 1985), (1985, 2011), (1970, 2000)):
        yield steepest_fall(cohorts["fertility"], *years)
    for year in (1975, 2005):
        yield highest_fertility(cohorts["fertility"], year)


def cities(cohort: Cohort) -> Iterator[Question]:
    """Cities by odds ratio of smoking."""
    frame = cohort.frame.set_index("city")
    a, b = frame["smoking_yes_cancer_yes"], frame["smoking_yes_cancer_no"]
    c, d = frame["smoking_no_cancer_yes"], frame["smoking_no_cancer_no"]
    ratio = {str(city): float(value) for city, value in (a * d / (b * c)).items()}
    logs = np.log(a) + np.log(d) - np.log(b) - np.log(c)
    check = {str(city): float(value) for city, value in logs.items()}
    cell = """
        t = china_smoking.set_index("city")
        odds_smokers = t["smoking_yes_cancer_yes"] / t["smoking_yes_cancer_no"]
        odds_others = t["smoking_no_cancer_yes"] / t["smoking_no_cancer_no"]
        odds_ratio = odds_smokers / odds_others
        odds_ratio
        # %%
        """
    yield text(
        cohort,
        "ranking/which",
        "highest-odds-ratio",
        "In which city is the odds ratio for lung cancer of smokers against non-smokers highest?",
        best(ratio),
        cell + "submit(odds_ratio.idxmax())\n        ",
        choices=list(ratio),
        check=best(check),
    )
    yield ordering(
        cohort,
        "odds-ratio",
        "Order all eight cities by the odds ratio for lung cancer of smokers against non-smokers, "
        "highest first. Submit the list of their names.",
        ratio,
        check,
        cell + "submit(odds_ratio.sort_values(ascending=False).index.tolist())\n        ",
    )
    above = [city for city, value in ratio.items() if value > 2.5]
    yield names(
        cohort,
        "ranking/set",
        "odds-ratio-above",
        "In which cities is the odds ratio for lung cancer of smokers against non-smokers above "
        "2.5? Submit the set of their names.",
        above,
        cell + "submit(set(odds_ratio.index[odds_ratio > 2.5]))\n        ",
        ordered=False,
        check=[city for city, value in check.items() if value > float(np.log(2.5))],
        slips={"below": [city for city in ratio if city not in above], "one less": above[1:]},
    )


def steepest_fall(cohort: Cohort, start: int, end: int) -> Question:
    """The country whose fertility fell most."""
    frame = cohort.frame.set_index("country")
    fall = (frame[f"y{start}"] - frame[f"y{end}"]).dropna()
    ordered = fall.sort_values(ascending=False)
    by_hand = {
        row["country"]: row[f"y{start}"] - row[f"y{end}"]
        for row in cohort.frame.to_dict("records")
        if np.isfinite(row[f"y{start}"] - row[f"y{end}"])
    }
    five = [str(country) for country in ordered.index[:5]]
    return names(
        cohort,
        "ranking/order",
        f"fall-{start}-{end}",
        f"Which five countries or regions saw the largest fall in total fertility from {start} "
        f"(`y{start}`) to {end} (`y{end}`), in births per woman? Submit their names (`country`) "
        "as a list, the largest fall first.",
        sorted(by_hand, key=lambda country: -by_hand[country])[:5],
        f"""
        by_country = fertility.set_index("country")
        fall = (by_country["y{start}"] - by_country["y{end}"]).dropna()
        fall.describe()
        # %%
        submit(fall.nlargest(5).index.tolist())
        """,
        ordered=True,
        check=five,
        slips={
            "smallest": [str(c) for c in ordered.index[-5:]],
            "relative": [
                str(c) for c in (fall / frame[f"y{start}"]).nlargest(5).index
            ],
        },
    )  # fmt: skip


def highest_fertility(cohort: Cohort, year: int) -> Question:
    """The three countries of highest fertility."""
    column = f"y{year}"
    recorded = cohort.frame.dropna(subset=[column])
    pairs = zip(recorded[column], recorded["country"], strict=True)
    top = [str(country) for _, country in sorted(pairs, reverse=True)[:3]]
    return names(
        cohort,
        "ranking/set",
        f"highest-{year}",
        f"Which three countries or regions had the highest total fertility rate in {year} "
        f"(`{column}`)? Submit the set of their names (`country`).",
        top,
        f"""
        recorded = fertility.dropna(subset=["{column}"]).set_index("country")["{column}"]
        recorded.describe()
        # %%
        submit(set(recorded.nlargest(3).index))
        """,
        ordered=False,
        check=[str(c) for c in recorded.nlargest(3, column)["country"]],
        slips={
            "lowest": [str(c) for c in recorded.nsmallest(3, column)["country"]],
            "four": [str(c) for c in recorded.nlargest(4, column)["country"]],
        },
    )
