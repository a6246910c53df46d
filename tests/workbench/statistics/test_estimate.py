"""Clustered means against statsmodels and scipy, by hand, and by simulation."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from benchside.statistics import clustered_mean, wilson
from benchside.statistics.estimate import clustered_se

CLUSTERS = [0, 0, 0, 1, 1, 2, 3, 3, 3, 3, 4, 5]
VALUES = [0.1, 0.2, 0.15, 0.9, 0.8, 0.5, 0.4, 0.5, 0.45, 0.3, 1.0, 0.0]
TASKS = list(range(len(VALUES)))


def test_the_standard_error_and_the_interval_equal_those_of_statsmodels() -> None:
    fitted = sm.OLS(VALUES, np.ones(len(VALUES))).fit(
        cov_type="cluster", cov_kwds={"groups": np.array(CLUSTERS)}, use_t=True
    )
    assert clustered_se(np.array(VALUES), CLUSTERS) == pytest.approx(fitted.bse[0])
    found = clustered_mean(VALUES, CLUSTERS, TASKS)
    low, high = fitted.conf_int()[0]
    assert (found.value, found.low, found.high) == pytest.approx((np.mean(VALUES), low, high))
    assert (found.n, found.clusters) == (12, 6)


def test_without_clusters_it_is_the_plain_interval() -> None:
    independent = clustered_mean(VALUES, TASKS, TASKS, (0.0, np.inf))
    low, high = stats.t.interval(
        0.95, len(VALUES) - 1, loc=np.mean(VALUES), scale=stats.sem(VALUES)
    )
    assert (independent.low, independent.high) == pytest.approx((low, high))
    binary = clustered_mean([1, 0, 0, 1, 0, 0, 0], range(7), range(7))
    assert (binary.low, binary.high) == pytest.approx(wilson(2, 7))


def test_effective_n_by_hand() -> None:
    # four clusters of two equal tasks: sums of deviations are ±1, se² = 4/3 · 4 / 8² = 1/12;
    # design effect 1/12 · 7 / (1/4) = 7/3; effective n 8 / (7/3), times (t₇ / t₃)²
    found = clustered_mean([1, 1, 0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 2, 2, 3, 3], range(8))
    effective = 24 / 7 * (stats.t.ppf(0.975, 7) / stats.t.ppf(0.975, 3)) ** 2
    assert effective == pytest.approx(1.893, abs=1e-3)
    assert (found.low, found.high) == pytest.approx(wilson(effective / 2, effective))


def test_values_that_are_all_equal_leave_room() -> None:
    upper = wilson(0, 10)[1]
    assert clustered_mean([0] * 10, range(10), range(10)).high == pytest.approx(upper)
    assert clustered_mean([1] * 10, range(10), range(10)).low == pytest.approx(1 - upper)
    half = clustered_mean([0.5] * 10, range(10), range(10))
    assert (half.low, half.high) == pytest.approx((0.5 - upper / 2, 0.5 + upper / 2))
    many_samples = clustered_mean([0] * 40, ["g"] * 40, [number % 10 for number in range(40)])
    assert many_samples.high == pytest.approx(upper), "forty samples of ten tasks are ten tasks"
    none = clustered_mean([0] * 10, range(10), range(10), (-1.0, 1.0))
    assert (none.low, none.high) == pytest.approx((-upper, upper))


def test_what_cannot_be_told_is_not_told() -> None:
    empty = clustered_mean([], [], [])
    assert (empty.value, empty.low, empty.high) == (None, 0.0, 1.0)
    assert clustered_mean([], [], [], (0.0, np.inf)).high is None
    one_task = clustered_mean([1, 0, 1], ["g"] * 3, ["t"] * 3)
    assert (one_task.low, one_task.high) == (0.0, 1.0)
    assert clustered_mean([3.0], ["g"], ["t"], (0.0, np.inf)).low is None
    one_group = clustered_mean([1, 0, 1, 0], ["g"] * 4, range(4))
    assert one_group.clusters == 4, "one group says nothing of groups: tasks are the clusters"


@pytest.mark.parametrize("rate", [0.3, 0.7])
def test_intervals_cover_what_they_should(rate: float) -> None:
    """A thousand suites of 20 groups with 5 tasks that mostly stand or fall together."""
    generator = np.random.default_rng(1)
    clusters = np.repeat(np.arange(20), 5).tolist()
    covered = naive = 0
    for _ in range(1_000):
        of_group = generator.beta(rate, 1 - rate, 20)  # a correlation of 1/2 within groups
        values = (generator.random(100) < np.repeat(of_group, 5)).astype(float)
        found = clustered_mean(values.tolist(), clusters, range(100))
        covered += found.low <= rate <= found.high
        low, high = wilson(values.sum(), 100)
        naive += low <= rate <= high
    assert 930 <= covered <= 985
    assert naive < 850
