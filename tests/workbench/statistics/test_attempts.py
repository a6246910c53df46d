"""Measures of k of n samples against all draws one by one, and against others' formulas."""

from collections import Counter
from itertools import combinations
from math import prod
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchside.statistics import attempts, best_at, majority_at, pass_at, pass_hat, weighted_at

DRAWS = st.integers(1, 7).flatmap(
    lambda n: st.tuples(
        st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=n, max_size=n),
        st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=n, max_size=n),
        st.integers(1, n),
    )
)


@settings(max_examples=60, deadline=None)
@given(DRAWS)
def test_every_measure_is_the_mean_over_all_draws(case) -> None:
    rewards, votes, k = case
    n, solved = len(rewards), rewards.count(1.0)
    draws = [[rewards[i] == 1.0 for i in drawn] for drawn in combinations(range(n), k)]
    assert pass_at(n, solved, k) == pytest.approx(mean(map(any, draws)))
    assert pass_hat(n, solved, k) == pytest.approx(mean(map(all, draws)))
    scores = [0.0 if vote is None else ord(vote) for vote in votes]
    tops = []
    for drawn in combinations(range(n), k):
        top = max(scores[i] for i in drawn)
        tops.append(mean(rewards[i] for i in drawn if scores[i] == top))
    elected = []
    for drawn in combinations(range(n), k):
        counted = Counter(votes[i] for i in drawn if votes[i] is not None).most_common()
        names = [name for name, count in counted if count == counted[0][1]]
        elected.append(mean([rewards[i] for i in drawn if votes[i] in names] or [0.0]))
    assert majority_at(rewards, votes, k) == pytest.approx(mean(elected))
    weighted = []
    for drawn in combinations(range(n), k):
        sums = Counter({votes[i]: 0.0 for i in drawn if votes[i] is not None})
        for i in drawn:
            if votes[i] is not None:
                sums[votes[i]] += scores[i]
        names = [name for name, weight in sums.items() if weight == max(sums.values())]
        weighted.append(mean([rewards[i] for i in drawn if votes[i] in names] or [0.0]))
    assert weighted_at(rewards, votes, scores, k) == pytest.approx(mean(weighted))
    if k == n or len(set(scores)) == n:
        assert best_at(rewards, scores, k) == pytest.approx(mean(tops))


def test_best_of_tied_scores_by_hand() -> None:
    # draws of 2 from rewards 0, 1, 1 with scores 5, 5, 1: the tied pair is worth 1/2; with the
    # third, the one of score 5 is taken: 0 and 1. Over all draws (1/2 + 0 + 1) / 3
    assert best_at([0, 1, 1], [5, 5, 1], 2) == pytest.approx(0.5)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_pass_at_k_equals_the_reducers_of_inspect(case: tuple[int, int]) -> None:
    """pass_at of inspect_ai: 1 - prod(1 - k / arange(n - c + 1, n + 1)); at_least where k = n."""
    n, solved = case
    for k in {1, 2, n // 2, n} - {0} & set(range(1, n + 1)):
        product = prod(1 - k / i for i in range(n - solved + 1, n + 1))
        theirs = 1.0 if n - solved < k else 1 - product
        assert pass_at(n, solved, k) == pytest.approx(theirs)
    assert pass_at(n, solved, n) == float(solved >= 1)  # at_least(1)
    assert pass_hat(n, solved, n) == float(solved >= n)  # at_least(n)
    assert pass_at(n, solved, 1) == pytest.approx(solved / n)  # mean


def test_a_majority_of_many_draws_is_estimated_alike_each_time(monkeypatch) -> None:
    rewards = [1.0] * 7 + [0.0] * 5
    votes = ["right"] * 7 + ["wrong"] * 5
    exact = majority_at(rewards, votes, 5)
    monkeypatch.setattr(attempts, "MAX_DRAWS", 700)
    drawn = majority_at(rewards, votes, 5)
    assert drawn == majority_at(rewards, votes, 5)
    assert drawn == pytest.approx(exact, abs=0.08)
