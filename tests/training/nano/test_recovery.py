"""What a verifier's choice recovers, against numbers by hand."""

import pandas as pd
import pytest

from benchside_training.nano.recovery import recovery


def episodes(tasks: dict[tuple[str, str], list[tuple[bool, float]]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            (group, task, "solved" if solved else "wrong", score)
            for (group, task), own in tasks.items()
            for solved, score in own
        ],
        columns=["group", "task_id", "outcome", "verifier_score"],
    )


MIXED = [(True, 0.9), (False, 0.1)]
BLIND = [(True, 0.5), (False, 0.5)]


def test_a_verifier_that_knows_recovers_all_and_one_that_guesses_nothing() -> None:
    knows = recovery(episodes({("a", "1"): MIXED, ("b", "2"): MIXED}), 2)
    assert (knows.pass_1.value, knows.pass_k.value, knows.best_k.value) == (0.5, 1.0, 1.0)
    assert knows.share.value == 1.0
    guesses = recovery(episodes({("a", "1"): BLIND, ("b", "2"): BLIND}), 2)
    assert guesses.share.value == pytest.approx(0.0)
    both = recovery(episodes({("a", "1"): MIXED, ("b", "2"): BLIND}), 2)
    assert both.share.value == pytest.approx(0.5)
    assert (both.share.n, both.share.clusters) == (2, 2)
    assert (both.share.low, both.share.high) == pytest.approx((0.0, 1.0))


def test_what_cannot_be_told_has_no_value() -> None:
    hopeless = recovery(episodes({("a", "1"): [(False, 0.2), (False, 0.7)]}), 2)
    assert hopeless.pass_k.value == 0.0
    assert (hopeless.share.value, hopeless.share.low) == (None, None)
    spoiled = episodes({("a", "1"): MIXED})
    spoiled.loc[0, "outcome"] = "infrastructure_error"
    assert recovery(spoiled, 2).share.n == 0
