"""Yes/no questions, as many true as false."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from lifelines.statistics import logrank_test
from scipy import stats

from benchside.suites.cohorts.cohort import Cohort, Contrast, Floats, Level, Measure
from benchside.suites.cohorts.estimators import log_rank
from benchside.suites.cohorts.question import Question, truth

TRUTHS_PER_ANSWER = 7


def questions(cohorts: Mapping[str, Cohort]) -> Iterator[Question]:
    """All questions of this topic."""
    yield from balanced(list(truths(cohorts)))


def balanced(candidates: Sequence[Question]) -> Iterator[Question]:
    """As many true as false questions, so that a constant answer wins nothing."""
    for answer in (True, False):
        yield from [q for q in candidates if q.gold is answer][:TRUTHS_PER_ANSWER]


def truths(cohorts: Mapping[str, Cohort]) -> Iterator[Question]:
    """Candidates for yes/no questions."""
    for name in ("lung", "kidney_transplant", "lupus", "gbsg2", "actg175", "lymphoma", "leukemia"):
        for contrast in cohorts[name].contrasts:
            yield hazards_differ(cohorts[name], contrast)
    for name in ("diabetes", "lung", "lupus", "gbsg2", "breast_cancer"):
        for measure in cohorts[name].measures[:3]:
            yield skewed(cohorts[name], measure)


def hazards_differ(cohort: Cohort, contrast: Contrast) -> Question:
    """Is the log-rank test significant?"""
    follow = cohort.timed

    def sample(level: Level) -> tuple[Floats, Floats]:
        kept = cohort.where(contrast.column, level)
        return cohort.values(follow.time)[kept], cohort.values(follow.event)[kept]

    (time_1, event_1), (time_2, event_2) = sample(contrast.first), sample(contrast.second)
    group = np.repeat([1.0, 0.0], [len(time_1), len(time_2)])
    statistic = log_rank(
        np.concatenate([time_1, time_2]), np.concatenate([event_1, event_2]), group
    )
    library = logrank_test(time_1, time_2, event_1, event_2)
    return truth(
        cohort,
        "decision/boolean",
        f"log-rank-{contrast.column}",
        f"Does the time to {follow.words} differ between {contrast.phrase} at the two-sided 5% "
        f"level of the log-rank test ({follow.phrase})?",
        float(stats.chi2.sf(statistic, 1)) < 0.05,
        f"""
        first = {cohort.name}[{cohort.name}["{contrast.column}"] == {contrast.first.value!r}]
        second = {cohort.name}[{cohort.name}["{contrast.column}"] == {contrast.second.value!r}]
        # %%
        from lifelines.statistics import logrank_test
        test = logrank_test(
            first["{follow.time}"], second["{follow.time}"],
            first["{follow.event}"], second["{follow.event}"],
        )
        submit(bool(test.p_value < 0.05))
        """,
        float(library.p_value) < 0.05,
    )


def skewed(cohort: Cohort, measure: Measure) -> Question:
    """Is the mean well above the median?"""
    values = cohort.known(measure.column)
    series = cohort.frame[measure.column]
    ordered = np.sort(values)
    n = len(ordered)
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    return truth(
        cohort,
        "decision/boolean",
        f"skewed-{measure.column}",
        f"Is {measure.phrase} skewed to the right by Pearson's second coefficient, 3 (mean - "
        "median) / sample standard deviation, being above 0.3 (missing values left out)?",
        bool(3 * (values.mean() - middle) / values.std(ddof=1) > 0.3),
        f"""
        recorded = {cohort.name}["{measure.column}"].dropna()
        skewness = 3 * (recorded.mean() - recorded.median()) / recorded.std(ddof=1)
        skewness
        # %%
        submit(bool(skewness > 0.3))
        """,
        bool(3 * (series.mean() - series.median()) / series.std() > 0.3),
    )
