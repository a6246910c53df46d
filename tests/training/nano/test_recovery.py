"""What a verifier's choice recovers, against numbers by hand."""

import pandas as pd
import pytest

from benchside_training.nano.recovery import Choice, Recovery, recovery


def episodes(tasks: dict[tuple[str, str], list[tuple[bool, float]]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            ("wards", group, task, "solved" if solved else "wrong", score, "1" if solved else "2")
            for (group, task), own in tasks.items()
            for solved, score in own
        ],
        columns=["suite", "group", "task_hash", "outcome", "verifier_score", "vote"],
    )


def best(found: Recovery) -> Choice:
    return found.choices["best"]


MIXED = [(True, 0.9), (False, 0.1)]
BLIND = [(True, 0.5), (False, 0.5)]


def test_a_verifier_that_knows_recovers_all_and_one_that_guesses_nothing() -> None:
    knows = recovery(episodes({("a", "1"): MIXED, ("b", "2"): MIXED}), 2)
    assert (knows.pass_1.value, knows.pass_k.value) == (0.5, 1.0)
    assert (best(knows).solved.value, best(knows).recovered.value) == (1.0, 1.0)
    # of two votes for two answers neither is a majority, but one has the higher score
    assert knows.choices["majority"].recovered.value == pytest.approx(0.0)
    assert knows.choices["weighted"].recovered.value == 1.0
    guesses = recovery(episodes({("a", "1"): BLIND, ("b", "2"): BLIND}), 2)
    assert best(guesses).recovered.value == pytest.approx(0.0)
    both = recovery(episodes({("a", "1"): MIXED, ("b", "2"): BLIND}), 2)
    share = best(both).recovered
    assert share.value == pytest.approx(0.5)
    assert (share.n, share.clusters) == (2, 2)
    assert (share.low, share.high) == pytest.approx((0.0, 1.0))


def test_tasks_of_two_suites_do_not_vote_with_each_other() -> None:
    ours = episodes({("a", "1"): MIXED})
    found = recovery(pd.concat([ours, ours.assign(suite="units")]), 2)
    assert (found.pass_1.n, found.pass_1.clusters) == (2, 2)


def test_votes_outweigh_one_high_score() -> None:
    voted = [(True, 0.6), (True, 0.6), (False, 0.9)]
    found = recovery(episodes({("a", "1"): voted}), 3)
    assert best(found).solved.value == 0.0
    assert found.choices["majority"].solved.value == 1.0
    assert found.choices["weighted"].solved.value == 1.0


def test_what_cannot_be_told_has_no_value() -> None:
    hopeless = recovery(episodes({("a", "1"): [(False, 0.2), (False, 0.7)]}), 2)
    assert hopeless.pass_k.value == 0.0
    assert (best(hopeless).recovered.value, best(hopeless).recovered.low) == (None, None)
    spoiled = episodes({("a", "1"): MIXED})
    spoiled.loc[0, "outcome"] = "infrastructure_error"
    assert best(recovery(spoiled, 2)).recovered.n == 0
