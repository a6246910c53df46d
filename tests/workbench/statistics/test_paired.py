"""Paired comparisons against statsmodels, scipy and by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_of_statsmodels

from benchside.errors import InputError
from benchside.statistics import clustered_mean, compare
from benchside.statistics.paired import mcnemar, permutation


@pytest.mark.parametrize("cells", [(0, 0), (3, 0), (7, 2), (5, 5), (12, 30)])
def test_mcnemar_equals_statsmodels(cells: tuple[int, int]) -> None:
    table = [[10, cells[0]], [cells[1], 4]]
    assert mcnemar(*cells) == pytest.approx(mcnemar_of_statsmodels(table, exact=True).pvalue)


def test_the_permutation_test_equals_scipys_where_clusters_are_single() -> None:
    differences = np.array([0.5, -0.25, 1.0, 0.0, 1.0, 0.5, -0.5, 0.25])
    theirs = stats.permutation_test(
        (differences, np.zeros(8)), lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples", n_resamples=np.inf, vectorized=True,
    )  # fmt: skip
    assert permutation(differences, list(range(8))) == pytest.approx(theirs.pvalue)


def test_many_clusters_are_sampled_near_the_exact_p() -> None:
    generator = np.random.default_rng(3)
    differences = generator.choice([-1.0, 0.0, 1.0], 60, p=[0.2, 0.4, 0.4])
    exact = mcnemar(int((differences > 0).sum()), int((differences < 0).sum()))
    assert permutation(differences, list(range(60))) == pytest.approx(exact, abs=0.01)


def episodes(rows: list[tuple[str, str, str, str]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["task_hash", "group", "policy", "outcome"])
    return frame.assign(suite="s")


def test_a_comparison_by_hand() -> None:
    outcomes = {"a": "solved solved wrong solved", "b": "wrong solved wrong truncated"}
    rows = [
        (f"t{number}", f"g{number // 2}", policy, outcome)
        for policy, listed in outcomes.items()
        for number, outcome in enumerate(listed.split())
    ]
    rows += [("t9", "g9", "a", "solved"), ("t9", "g9", "b", "infrastructure_error")]
    found = compare(episodes(rows), "a", "b")
    assert (found.only_first, found.only_second, found.difference.n) == (2, 0, 4)
    assert found.difference.value == 0.5
    assert found.mcnemar_p == 0.5
    assert found.permutation_p == 0.5, "two groups: of four sign changes two are as extreme"
    back = compare(episodes(rows), "b", "a")
    assert back.difference.value == -0.5
    assert back.permutation_p == 0.5


def test_several_samples_are_averaged_within_their_task() -> None:
    rows = [("t1", "g1", "a", "solved"), ("t1", "g1", "a", "wrong"), ("t1", "g1", "b", "wrong"),
            ("t2", "g2", "a", "solved"), ("t2", "g2", "b", "solved")]  # fmt: skip
    found = compare(episodes(rows), "a", "b")
    assert found.difference == clustered_mean([0.5, 0.0], [1, 2], [1, 2], (-1.0, 1.0))
    assert found.mcnemar_p is None
    with pytest.raises(InputError, match="no task"):
        compare(episodes(rows), "a", "c")
