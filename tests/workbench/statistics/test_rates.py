"""Intervals against an independent implementation and by hand."""

from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from benchside.statistics import success_rate, wilson
from tests.workbench.test_store import row


@given(st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_statsmodels(case: tuple[int, int]) -> None:
    successes, n = case
    low, high = proportion_confint(successes, n, method="wilson")
    ours = wilson(successes, n)
    assert abs(ours[0] - low) < 1e-12
    assert abs(ours[1] - high) < 1e-12


def test_wilson_by_hand() -> None:
    # Wilson 1927 with p = 1/2, n = 4: centre 1/2, half width 1.96 sqrt(1/16 + 3.84/64) / 1.96
    low, high = wilson(2, 4)
    assert round(low, 4) == 0.1500
    assert round(high, 4) == 0.8500
    assert wilson(0, 0) == (0.0, 1.0)


def test_errors_of_ours_are_left_out_and_counted() -> None:
    outcomes = ["solved", "wrong", "truncated", "policy_error", "infrastructure_error"]
    rows = [row(number, outcome) for number, outcome in enumerate([*outcomes, "grader_error"])]
    rate = success_rate(rows)
    assert (rate.successes, rate.n, rate.unscored) == (1, 4, 2)
    assert success_rate([]).value is None
