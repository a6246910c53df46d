"""Success rates of episodes, as counts with an interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchside.episode import UNSCORED
from benchside.statistics.estimate import clustered_mean
from benchside.store import EpisodeRow


@dataclass(frozen=True, slots=True)
class Rate:
    """A success rate over `n` scored episodes with its interval; `unscored` ones are left out."""

    successes: int
    n: int
    low: float
    high: float
    unscored: int = 0

    @property
    def value(self) -> float | None:
        """The rate, None where nothing was scored."""
        return self.successes / self.n if self.n else None


def success_rate(rows: Iterable[EpisodeRow]) -> Rate:
    """Return the rate of solved episodes; infrastructure and grader errors count as unscored."""
    listed = list(rows)
    scored = [row for row in listed if row.outcome not in UNSCORED]
    solved = [float(row.outcome == "solved") for row in scored]
    found = clustered_mean(
        solved, [(row.suite, row.group) for row in scored], [row.task_hash for row in scored]
    )
    assert found.low is not None
    assert found.high is not None
    return Rate(int(sum(solved)), found.n, found.low, found.high, len(listed) - len(scored))


def rates_by(
    rows: Iterable[EpisodeRow], key: Callable[[EpisodeRow], tuple[str, ...]]
) -> dict[tuple[str, ...], Rate]:
    """Return success rates by group, in order of the groups' names."""
    groups: dict[tuple[str, ...], list[EpisodeRow]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return {name: success_rate(groups[name]) for name in sorted(groups)}
