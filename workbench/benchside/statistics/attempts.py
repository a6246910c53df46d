"""What several attempts at one task come to: unbiased estimates from n samples for k of them.

Each is the mean over all ways to draw k of the n samples without putting any back.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import combinations, groupby
from math import comb, fsum

MAX_DRAWS = 1_000


def pass_at(n: int, solved: int, k: int) -> float:
    """Return pass@k: that any of k samples solves the task.

    Source: M. Chen et al., arXiv:2107.03374, equation 1.
    """
    return 1 - comb(n - solved, k) / comb(n, k)


def pass_hat(n: int, solved: int, k: int) -> float:
    """Return pass^k: that all of k samples solve the task.

    Source: S. Yao et al., arXiv:2406.12045 (tau-bench), section 3.
    """
    return comb(solved, k) / comb(n, k)


def best_at(rewards: Sequence[float], scores: Sequence[float], k: int) -> float:
    """Return best@k: the mean reward of the sample with the highest score of k.

    Args:
        scores: of a verifier, one per sample; of samples with equal scores each is as likely.
    """
    ranked = sorted(zip(scores, rewards, strict=True))
    total, below = 0.0, 0
    for _, tied in groupby(ranked, key=lambda pair: pair[0]):
        worth = [reward for _, reward in tied]
        upto = below + len(worth)
        chance = (comb(upto, k) - comb(below, k)) / comb(len(ranked), k)
        total += chance * sum(worth) / len(worth)
        below = upto
    return total


def majority_at(rewards: Sequence[float], votes: Sequence[Hashable | None], k: int) -> float:
    """Return majority@k: the mean reward of the answer that most of k samples gave.

    Args:
        votes: what each sample submitted; None for nothing, which is no vote.

    Of answers with equally many votes each is as likely; no vote at all is worth 0. Over more than
    `MAX_DRAWS` ways to draw, as many are taken at random, the same in every call.
    """
    return weighted_at(rewards, votes, [1.0] * len(votes), k)


def weighted_at(
    rewards: Sequence[float], votes: Sequence[Hashable | None], scores: Sequence[float], k: int
) -> float:
    """Return weighted@k: as majority@k, where each vote counts what a verifier gives its sample.

    Args:
        scores: of a verifier, one per sample, at least 0.

    Source: Y. Li et al., arXiv:2206.02336 (DiVeRSe), equation 1.
    """
    if None not in votes and len(set(rewards)) == 1:
        return rewards[0]
    numbers: Iterable[Sequence[int]] = combinations(range(len(votes)), k)
    if comb(len(votes), k) > MAX_DRAWS:
        generator = random.Random(0)
        numbers = [generator.sample(range(len(votes)), k) for _ in range(MAX_DRAWS)]
    samples = list(zip(votes, rewards, scores, strict=True))
    worth = [_elected([samples[number] for number in drawn]) for drawn in numbers]
    return sum(worth) / len(worth)


def _elected(drawn: Sequence[tuple[Hashable | None, float, float]]) -> float:
    """The mean reward of the samples of the answer that has most weight; 0 without any vote."""
    weights: defaultdict[Hashable, list[float]] = defaultdict(list)
    for vote, _, score in drawn:
        if vote is not None:
            weights[vote].append(score)
    if not weights:
        return 0.0
    sums = {vote: fsum(own) for vote, own in weights.items()}  # exact: ties do not hang on order
    most = max(sums.values())
    worth = [reward for vote, reward, _ in drawn if vote is not None and sums[vote] == most]
    return sum(worth) / len(worth)
