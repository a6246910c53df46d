"""Tasks are dealt out by hash alone, and chosen evenly from all suites."""

from collections import Counter

import pytest

from benchside_training.nano.curriculum import SHARES, part_of, some
from tests.training.nano.asked import suite, task


def test_parts_follow_from_the_hash_and_have_their_shares() -> None:
    tasks = [task(number) for number in range(1000)]
    dealt = Counter(map(part_of, tasks))
    assert dealt.keys() == {"taught", "practised", "held-out"}
    for part, share in SHARES:
        assert dealt[part] == pytest.approx(1000 * share / 10, abs=70)  # more than four deviations
    assert [part_of(one) for one in reversed(tasks)] == [part_of(one) for one in tasks][::-1]


def test_some_are_chosen_evenly_and_whatever_their_order() -> None:
    names = ("registry", "units", "wards")
    asked = [(suite(name), task(number, name)) for name in names for number in range(20)]
    few = some(asked, 9)
    assert Counter(own.name for own, _ in few) == dict.fromkeys(names, 3)
    again = some(asked[::-1], 9)
    assert {one.hash for _, one in again} == {one.hash for _, one in few}
    assert {one.hash for _, one in few} <= {one.hash for _, one in some(asked, 12)}
