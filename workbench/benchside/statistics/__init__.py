"""What runs say in numbers, each with n and a 95% interval, clustered by the tasks' groups."""

from benchside.statistics.attempts import best_at, majority_at, pass_at, pass_hat, weighted_at
from benchside.statistics.estimate import Estimate, clustered_mean, wilson
from benchside.statistics.paired import Comparison, compare
from benchside.statistics.rates import Rate, rates_by, success_rate
from benchside.statistics.scores import scores

__all__ = [
    "Comparison", "Estimate", "Rate", "best_at", "clustered_mean", "compare", "majority_at",
    "pass_at", "pass_hat", "rates_by", "scores", "success_rate", "weighted_at", "wilson",
]  # fmt: skip
