"""Tasks are dealt out by hash alone, and chosen evenly from all suites."""

from collections import Counter
from pathlib import Path

import pytest

from benchside_training.nano import curriculum
from benchside_training.nano.curriculum import (
    SHARES,
    UNSEEN_SUITE,
    part_of,
    read_curriculum,
    some,
)
from tests.training.nano.asked import suite, task


def test_parts_follow_from_the_hash_and_have_their_shares() -> None:
    tasks = [task(number) for number in range(1000)]
    dealt = Counter(map(part_of, tasks))
    assert dealt.keys() == {"taught", "practised", "held-out"}
    for part, share in SHARES:
        assert dealt[part] == pytest.approx(1000 * share / 10, abs=70)  # more than four deviations
    assert [part_of(one) for one in reversed(tasks)] == [part_of(one) for one in tasks][::-1]


def test_a_rewording_of_what_is_learned_is_not_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [task(number) for number in range(40)]
    by_part = {part: [one for one in tasks if part_of(one) == part] for part, _ in SHARES}
    reworded = by_part["held-out"][0]
    same = {reworded.task_id: by_part["taught"][0].task_id}  # its solution
    suites = {name: suite(name, tasks, same) for name in ("wards", UNSEEN_SUITE)}
    monkeypatch.setattr(curriculum, "load_suite", lambda name, home: suites[name])
    monkeypatch.setattr(curriculum, "select", lambda own, split, limit: own.tasks)
    learned = read_curriculum(["wards"], Path(), Path())
    held_out = {one.hash for _, one in learned.parts["held-out"]}
    assert held_out == {one.hash for one in by_part["held-out"][1:]}
    assert {one.hash for _, one in learned.parts["taught"]} == {
        one.hash for one in by_part["taught"]
    }


def test_some_are_chosen_evenly_and_whatever_their_order() -> None:
    names = ("registry", "units", "wards")
    asked = [(suite(name), task(number, name)) for name in names for number in range(20)]
    few = some(asked, 9)
    assert Counter(own.name for own, _ in few) == dict.fromkeys(names, 3)
    again = some(asked[::-1], 9)
    assert {one.hash for _, one in again} == {one.hash for _, one in few}
    assert {one.hash for _, one in few} <= {one.hash for _, one in some(asked, 12)}
