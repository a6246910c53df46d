"""The estimators that give the gold, written from their formulas.

They share no code with lifelines, statsmodels or scikit-learn, against which the builder checks
them. Sources: Kalbfleisch & Prentice, The Statistical Analysis of Failure Time Data (2002);
McCullagh & Nelder, Generalized Linear Models (1989); Efron, JASA 72:557 (1977).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchside.suites.cohorts.cohort import Floats, Mask


@dataclass(frozen=True, slots=True)
class SurvivalCurve:
    """A Kaplan-Meier curve at the distinct event times.

    Args:
        times: (k,) event times, increasing.
        survival: (k,) survival just after each.
        greenwood: (k,) cumulated sum of d / (n (n - d)), for the variance.
        at_risk, deaths: (k,) subjects at risk just before each, and events at it.
    """

    times: Floats
    survival: Floats
    greenwood: Floats
    at_risk: Floats
    deaths: Floats

    def at(self, time: float) -> float:
        """Survival probability at a time."""
        passed = int(np.searchsorted(self.times, time, side="right"))
        return float(self.survival[passed - 1]) if passed else 1.0

    def error_at(self, time: float) -> float:
        """Greenwood's standard error of `at(time)`."""
        passed = int(np.searchsorted(self.times, time, side="right"))
        return self.at(time) * float(np.sqrt(self.greenwood[passed - 1])) if passed else 0.0

    def log_log_interval(self, time: float) -> tuple[float, float]:
        """The 95% interval on the log(-log) scale (Kalbfleisch & Prentice, section 1.4)."""
        passed = int(np.searchsorted(self.times, time, side="right"))
        survival = self.at(time)
        spread = 1.959963984540054 * np.sqrt(self.greenwood[passed - 1]) / np.log(survival)
        return survival ** float(np.exp(-spread)), survival ** float(np.exp(spread))

    def quantile(self, level: float) -> float:
        """The first time at which survival is `level` or less; inf where it never is."""
        reached = np.flatnonzero(self.survival <= level + 1e-12)
        return float(self.times[reached[0]]) if len(reached) else float("inf")

    def restricted_mean(self, tau: float) -> float:
        """Area under the curve up to tau."""
        inside = self.times < tau
        steps = np.concatenate(([0.0], self.times[inside], [tau]))
        heights = np.concatenate(([1.0], self.survival[inside]))
        return float(np.sum(np.diff(steps) * heights))

    def cumulative_hazard(self, time: float) -> float:
        """The Nelson-Aalen estimate at a time."""
        inside = self.times <= time
        return float(np.sum(self.deaths[inside] / self.at_risk[inside]))


def kaplan_meier(time: Floats, event: Floats, entry: Floats | None = None) -> SurvivalCurve:
    """The product-limit estimate; `entry` gives delayed entry (at risk from after it)."""
    times = np.unique(time[event == 1])
    at_risk = np.array([np.sum(time >= t) for t in times], dtype=np.float64)
    if entry is not None:
        at_risk = np.array([np.sum((time >= t) & (entry < t)) for t in times], dtype=np.float64)
    deaths = np.array([np.sum((time == t) & (event == 1)) for t in times], dtype=np.float64)
    survival = np.cumprod(1 - deaths / at_risk).astype(np.float64)
    left = at_risk - deaths
    terms = np.divide(deaths, at_risk * left, out=np.zeros_like(left), where=left > 0)
    return SurvivalCurve(times, survival, np.cumsum(terms), at_risk, deaths)


def log_rank(time: Floats, event: Floats, group: Floats, weights: str = "") -> float:
    """The log-rank chi-square for any number of groups; `weights="wilcoxon"` is Gehan-Breslow."""
    levels = np.unique(group)[:-1]
    difference = np.zeros(len(levels))
    covariance = np.zeros((len(levels), len(levels)))
    for t in np.unique(time[event == 1]):
        at_risk = time >= t
        n, d = at_risk.sum(), ((time == t) & (event == 1)).sum()
        weight = float(n) if weights == "wilcoxon" else 1.0
        share = np.array([(at_risk & (group == level)).sum() / n for level in levels])
        seen = np.array([((time == t) & (event == 1) & (group == g)).sum() for g in levels])
        difference += weight * (seen - d * share)
        if n > 1:
            spread = np.diag(share) - np.outer(share, share)
            covariance += weight**2 * d * (n - d) / (n - 1) * spread
    return float(difference @ np.linalg.solve(covariance, difference))


@dataclass(frozen=True, slots=True)
class Fit:
    """Coefficients (p,) and their covariance (p, p) at the maximum of a likelihood."""

    beta: Floats
    covariance: Floats

    @property
    def errors(self) -> Floats:
        """(p,) standard errors."""
        return np.sqrt(np.diag(self.covariance)).astype(np.float64)


def _fit(beta: NDArray[np.floating], covariance: NDArray[np.floating]) -> Fit:
    return Fit(beta.astype(np.float64), covariance.astype(np.float64))


def least_squares(design: Floats, outcome: Floats) -> Fit:
    """Ordinary least squares; `design` (n, p) includes the constant."""
    beta, *_ = np.linalg.lstsq(design, outcome, rcond=None)
    residual = outcome - design @ beta
    variance = residual @ residual / (len(outcome) - design.shape[1])
    return _fit(beta, variance * np.linalg.inv(design.T @ design))


def generalised(
    design: Floats, outcome: Floats, family: Literal["logistic", "poisson"], offset: Floats
) -> Fit:
    """Logistic or log-linear Poisson regression by iteratively reweighted least squares."""
    beta = np.zeros(design.shape[1])
    if family == "poisson":
        beta[0] = np.log(outcome.sum() / np.exp(offset).sum())
    for _ in range(60):
        linear = design @ beta + offset
        mean = 1 / (1 + np.exp(-linear)) if family == "logistic" else np.exp(linear)
        weight = mean * (1 - mean) if family == "logistic" else mean
        information = design.T @ (design * weight[:, None])
        step = np.linalg.solve(information, design.T @ (outcome - mean))
        beta = beta + step
        if np.max(np.abs(step)) < 1e-10:
            return _fit(beta, np.linalg.inv(information))
    raise ArithmeticError(f"{family} regression did not converge in 60 steps")


def logistic(design: Floats, outcome: Floats) -> Fit:
    """Logistic regression; `design` (n, p) includes the constant, `outcome` (n,) is 0/1."""
    return generalised(design, outcome, "logistic", np.zeros(len(outcome)))


def poisson(design: Floats, outcome: Floats, offset: Floats) -> Fit:
    """Log-linear Poisson regression; `offset` (n,) is the log exposure."""
    return generalised(design, outcome, "poisson", offset)


def cox(
    covariates: Floats,
    time: Floats,
    event: Floats,
    ties: Literal["efron", "breslow"] = "efron",
    entry: Floats | None = None,
) -> Fit:
    """Cox proportional hazards by Newton-Raphson.

    Args:
        covariates: (n, p), without a constant.
        time, event: (n,) end of each row's interval, and 1 where it is an event.
        entry: (n,) start of each interval, exclusive; None where all start at the origin.
    """
    centred = covariates - covariates.mean(axis=0)
    beta = np.zeros(covariates.shape[1])
    for _ in range(40):
        score, information = _cox_step(centred, time, event == 1, beta, ties, entry)
        step = np.linalg.solve(information, score)
        beta = beta + step
        if np.max(np.abs(step)) < 1e-10:
            return _fit(beta, np.linalg.inv(information))
    raise ArithmeticError("Cox regression did not converge in 40 steps")


def _cox_step(
    x: Floats, time: Floats, died: Mask, beta: Floats, ties: str, entry: Floats | None
) -> tuple[Floats, Floats]:
    """Score (p,) and information (p, p) of the partial likelihood."""
    p = len(beta)
    terms = _moments(x, np.exp(x @ beta))
    times = np.unique(time[died])
    at_risk = _sums_from(terms, time, times)
    if entry is not None:
        at_risk = at_risk - _sums_from(terms, entry, times)
    score, information = x[died].sum(axis=0), np.zeros((p, p))
    for t, sums in zip(times, at_risk, strict=True):
        tied = terms[(time == t) & died]
        for position in range(len(tied)):
            share = position / len(tied) if ties == "efron" else 0.0
            moments = sums - share * tied.sum(axis=0)
            mean = moments[1 : p + 1] / moments[0]
            score = score - mean
            information += moments[p + 1 :].reshape(p, p) / moments[0] - np.outer(mean, mean)
    return score, information


def _moments(x: Floats, risk: Floats) -> Floats:
    """(n, 1 + p + p²) per row: the risk, risk × x, and risk × x x'."""
    products = (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)
    return np.column_stack([np.ones(len(x)), x, products]) * risk[:, None]


def _sums_from(terms: Floats, time: Floats, at: Floats) -> Floats:
    """(len(at), columns) sums of the terms over the rows whose time is at least each of `at`."""
    order = np.argsort(-time)
    totals = np.vstack([np.zeros(terms.shape[1]), np.cumsum(terms[order], axis=0)])
    reached = len(time) - np.searchsorted(time[order][::-1], at, side="left")
    sums: Floats = totals[reached]
    return sums


def rank_auc(scores: Floats, positive: Mask) -> float:
    """The area under the ROC curve by counting pairs; ties count one half."""
    negative = np.sort(scores[~positive])
    below = np.searchsorted(negative, scores[positive], side="left")
    up_to = np.searchsorted(negative, scores[positive], side="right")
    return float((below + up_to).mean() / 2 / len(negative))
