"""What a run's numbers say, each with n and a 95% interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import sqrt

from benchside.episode import UNSCORED, Outcome
from benchside.store import EpisodeRow

Z_95 = 1.959963984540054


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


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Return the 95% Wilson score interval of a proportion; (0, 1) where n is 0.

    Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209-212.
    """
    if n == 0:
        return 0.0, 1.0
    p, z2 = successes / n, Z_95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return low, high


def success_rate(rows: Iterable[EpisodeRow]) -> Rate:
    """Return the rate of solved episodes; infrastructure and grader errors count as unscored."""
    outcomes: list[Outcome] = [row.outcome for row in rows]
    scored = [outcome for outcome in outcomes if outcome not in UNSCORED]
    successes = scored.count("solved")
    low, high = wilson(successes, len(scored))
    return Rate(successes, len(scored), low, high, len(outcomes) - len(scored))


def rates_by(
    rows: Iterable[EpisodeRow], key: Callable[[EpisodeRow], tuple[str, ...]]
) -> dict[tuple[str, ...], Rate]:
    """Return success rates by group, in order of the groups' names."""
    groups: dict[tuple[str, ...], list[EpisodeRow]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return {name: success_rate(groups[name]) for name in sorted(groups)}
