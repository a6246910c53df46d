"""Regression models: linear, logistic, Poisson."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
import statsmodels.api as sm
from scipy import stats

from benchside.suites.cohorts.cohort import Cohort, Contrast, Floats
from benchside.suites.cohorts.estimators import (
    Fit,
    least_squares,
    logistic,
    poisson,
    rank_auc,
)
from benchside.suites.cohorts.question import FIT, FORMULA, Question, number, record

Z = 1.959963984540054
Models: TypeAlias = dict[str, tuple[tuple[str, tuple[str, ...]], ...]]
LINEAR: Models = {
    "diabetes": (("progression", ("bmi", "bp")), ("glu", ("age", "bmi")), ("bp", ("age", "ltg"))),
    "actg175": (("cd420", ("cd40", "age")), ("cd80", ("cd40", "wtkg"))),
    "lung": (("meal.cal", ("age", "ph.karno")), ("wt.loss", ("age", "pat.karno"))),
    "gbsg2": (("tsize", ("age", "pnodes")),),
    "breast_cancer": (("worst_area", ("mean_radius", "mean_texture")),),
}
LOGISTIC: Models = {
    "actg175": (("cens", ("cd40", "age")), ("symptom", ("cd40", "karnof"))),
    "breast_cancer": (
        ("diagnosis", ("mean_radius", "mean_texture")),
        ("diagnosis", ("mean_compactness", "mean_texture")),
    ),
    "gbsg2": (("horTh", ("age", "tsize")), ("cens", ("pnodes", "tsize"))),
    "lung": (("status", ("age", "ph.karno")), ("sex", ("wt.loss", "age"))),
    "kidney_transplant": (("death", ("age",)),),
}
COUNTS: Models = {
    "gbsg2": (("pnodes", ("tsize", "age")),),
    "health_insurance": (("mdvis", ("disea", "lncoins")), ("mdvis", ("disea", "physlm"))),
    "leukemia": (("relapse", ("log_wbc",)),),
    "lung": (("status", ("age",)),),
    "lupus": (("dead", ("months_onset_to_diagnosis",)),),
    "kidney_transplant": (("death", ("age",)),),
}
EXPOSURE = {
    "kidney_transplant": "time",
    "leukemia": "weeks",
    "lung": "time",
    "lupus": "years_followed",
}


class Model(NamedTuple):
    """Complete rows: `design` (n, 1 + p) with the constant, and `outcome` (n,)."""

    design: Floats
    outcome: Floats


def questions(cohorts: Mapping[str, Cohort]) -> Iterator[Question]:
    """All questions of this topic."""
    for name, models in LINEAR.items():
        for outcome, columns in models:
            cohort = cohorts[name]
            yield from (slope(cohort, outcome, columns), fit(cohort, outcome, columns))
            yield prediction(cohort, outcome, columns)
    for name, models in LOGISTIC.items():
        for outcome, columns in models:
            event = cohorts[name].contrast(outcome)
            yield odds_ratio(cohorts[name], event, columns)
            yield probability(cohorts[name], event, columns)
            yield brier(cohorts[name], event, columns)
    for name, models in COUNTS.items():
        for outcome, columns in models:
            yield rate_ratio(cohorts[name], outcome, columns)


def complete(cohort: Cohort, outcome: Floats, columns: tuple[str, ...]) -> Model:
    """The rows without gaps."""
    covariates = np.column_stack([cohort.values(column) for column in columns])
    kept = ~np.isnan(covariates).any(axis=1) & ~np.isnan(outcome)
    constant = np.ones(int(kept.sum()))
    return Model(np.column_stack([constant, covariates[kept]]), outcome[kept])


def listed(columns: tuple[str, ...]) -> str:
    """Columns for a sentence."""
    return " and ".join(f"`{column}`" for column in columns)


def ols_cell(cohort: Cohort, outcome: str, columns: tuple[str, ...]) -> str:
    """Source lines that fit `model`."""
    return f"""import statsmodels.api as sm
        rows = {cohort.name}[{[outcome, *columns]!r}].dropna()
        predictors = sm.add_constant(rows[{list(columns)!r}])
        model = sm.OLS(rows["{outcome}"], predictors).fit()
        print(model.summary().tables[1])"""


def slope(cohort: Cohort, outcome: str, columns: tuple[str, ...]) -> Question:
    """A coefficient with its t interval."""
    design, y = complete(cohort, cohort.values(outcome), columns)
    model = least_squares(design, y)
    half = stats.t.ppf(0.975, len(y) - design.shape[1]) * model.errors[1]
    beta = float(model.beta[1])
    library = sm.OLS(y, design).fit()
    low, high = library.conf_int()[1]
    alone = float(least_squares(design[:, :2], y).beta[1])
    scaled = beta * float(design[:, 1].std(ddof=1) / y.std(ddof=1))
    return record(
        cohort,
        "regression/linear",
        f"slope-{outcome}-{'-'.join(columns)}",
        f"Regress `{outcome}` on {listed(columns)} by ordinary least squares with an intercept, "
        f"over the complete rows. What is the coefficient of `{columns[0]}` and its 95% "
        "confidence interval (Student t)?",
        {"coefficient": beta, "lower": float(beta - half), "upper": float(beta + half)},
        f"""
        {ols_cell(cohort, outcome, columns)}
        # %%
        lower, upper = model.conf_int(alpha=0.05).loc["{columns[0]}"]
        submit({{"coefficient": model.params["{columns[0]}"], "lower": lower, "upper": upper}})
        """,
        check={"coefficient": float(library.params[1]), "lower": float(low), "upper": float(high)},
        slips={
            "unadjusted": {"coefficient": alone, "lower": low, "upper": high},
            "standardised": {"coefficient": scaled, "lower": low, "upper": high},
            "other coefficient": {
                "coefficient": float(model.beta[2]), "lower": float(low), "upper": float(high)
            },
        },
    )  # fmt: skip


def fit(cohort: Cohort, outcome: str, columns: tuple[str, ...]) -> Question:
    """Adjusted R² and the residual standard error."""
    design, y = complete(cohort, cohort.values(outcome), columns)
    residual = y - design @ least_squares(design, y).beta
    n, p = design.shape
    unexplained = (residual @ residual) / ((y - y.mean()) ** 2).sum()
    adjusted = float(1 - unexplained * (n - 1) / (n - p))
    error = float(np.sqrt(residual @ residual / (n - p)))
    library = sm.OLS(y, design).fit()
    return record(
        cohort,
        "regression/linear",
        f"fit-{outcome}-{'-'.join(columns)}",
        f"Regress `{outcome}` on {listed(columns)} (ordinary least squares, intercept, complete "
        "rows). Report the adjusted R squared and the residual standard error (denominator n "
        "minus the number of coefficients, the intercept included).",
        {"adjusted_r2": adjusted, "residual_se": error},
        f"""
        {ols_cell(cohort, outcome, columns)}
        # %%
        submit({{"adjusted_r2": model.rsquared_adj, "residual_se": np.sqrt(model.mse_resid)}})
        """,
        check={
            "adjusted_r2": float(library.rsquared_adj),
            "residual_se": float(np.sqrt(library.mse_resid)),
        },
        slips={
            "R squared": {"adjusted_r2": float(1 - unexplained), "residual_se": error},
            "rmse": {"adjusted_r2": adjusted, "residual_se": float(np.sqrt(np.mean(residual**2)))},
        },
    )


def profile(design: Floats) -> tuple[float, ...]:
    """A patient at the rounded third quartile of each predictor: plausible, not the mean."""
    return tuple(float(np.round(np.quantile(column, 0.75), 1)) for column in design.T[1:])


def described(columns: tuple[str, ...], values: tuple[float, ...]) -> str:
    """A profile for a sentence."""
    return " and ".join(f"`{c}` = {v:g}" for c, v in zip(columns, values, strict=True))


def prediction(cohort: Cohort, outcome: str, columns: tuple[str, ...]) -> Question:
    """A predicted mean with its confidence and not its prediction interval."""
    design, y = complete(cohort, cohort.values(outcome), columns)
    values = profile(design)
    at = np.array([1.0, *values])
    model = least_squares(design, y)
    mean = float(at @ model.beta)
    error = float(np.sqrt(at @ model.covariance @ at))
    residual = y - design @ model.beta
    df = len(y) - design.shape[1]
    quantile = float(stats.t.ppf(0.975, df))
    wide = float(np.sqrt(error**2 + residual @ residual / df))
    library = sm.OLS(y, design).fit().get_prediction(at[None, :])
    return record(
        cohort,
        "regression/prediction",
        f"mean-{outcome}-{'-'.join(columns)}",
        f"Fit `{outcome}` on {listed(columns)} by ordinary least squares with an intercept over "
        f"the complete rows. For {described(columns, values)}, what is the predicted mean, and "
        "the upper limit of the 95% confidence interval of that mean (not the prediction "
        "interval of a new observation)?",
        {"mean": mean, "upper": mean + quantile * error},
        f"""
        {ols_cell(cohort, outcome, columns)}
        # %%
        patient = pd.DataFrame([[1.0, {", ".join(map(repr, values))}]], columns=predictors.columns)
        predicted = model.get_prediction(patient).summary_frame(alpha=0.05)
        predicted
        # %%
        submit({{"mean": predicted["mean"].iloc[0], "upper": predicted["mean_ci_upper"].iloc[0]}})
        """,
        check={
            "mean": float(library.predicted_mean[0]),
            "upper": float(library.conf_int(alpha=0.05)[0, 1]),
        },
        slips={
            "prediction interval": {"mean": mean, "upper": mean + quantile * wide},
            "90% interval": {"mean": mean, "upper": mean + float(stats.t.ppf(0.95, df)) * error},
        },
    )


def logit_cell(cohort: Cohort, event: Contrast, columns: tuple[str, ...]) -> str:
    """Source lines that fit the logistic `model`."""
    return f"""import statsmodels.api as sm
        rows = {cohort.name}[{[event.column, *columns]!r}].dropna()
        event = (rows["{event.column}"] == {event.first.value!r}).astype(int)
        predictors = sm.add_constant(rows[{list(columns)!r}])
        model = sm.Logit(event, predictors).fit(disp=0)
        print(model.summary().tables[1])"""


def fitted(cohort: Cohort, event: Contrast, columns: tuple[str, ...]) -> tuple[Model, Fit]:
    """A logistic model of the first level of a contrast."""
    model = complete(cohort, cohort.where(event.column, event.first).astype(np.float64), columns)
    return model, logistic(*model)


def odds_ratio(cohort: Cohort, event: Contrast, columns: tuple[str, ...]) -> Question:
    """The odds ratio per ten units or per unit, with the Wald interval."""
    (design, y), model = fitted(cohort, event, columns)
    beta, error = float(model.beta[1]), float(model.errors[1])
    step = 10 if design[:, 1].std() > 5 else 1
    library = sm.GLM(y, design, family=sm.families.Binomial()).fit()
    lower, upper = np.exp(step * library.conf_int()[1])
    ratio = float(np.exp(step * beta))
    opposite = {"odds_ratio": 1 / ratio, "lower": 1 / float(upper), "upper": 1 / float(lower)}
    return record(
        cohort,
        "regression/logistic",
        f"odds-ratio-{event.column}-{'-'.join(columns)}",
        f"Model being among the {event.label(event.first)} against all others by logistic "
        f"regression on {listed(columns)} (intercept, complete rows, no penalty"
        f"{cohort.ignoring(event.column)}). What is the odds ratio of `{columns[0]}` per {step} "
        f"unit{'s' if step > 1 else ''} and its 95% Wald interval?",
        {
            "odds_ratio": ratio,
            "lower": float(np.exp(step * (beta - Z * error))),
            "upper": float(np.exp(step * (beta + Z * error))),
        },
        f"""
        {logit_cell(cohort, event, columns)}
        # %%
        lower, upper = np.exp({step} * model.conf_int(alpha=0.05).loc["{columns[0]}"])
        odds_ratio = np.exp({step} * model.params["{columns[0]}"])
        submit({{"odds_ratio": odds_ratio, "lower": lower, "upper": upper}})
        """,
        check={
            "odds_ratio": float(np.exp(step * library.params[1])),
            "lower": float(lower),
            "upper": float(upper),
        },
        slips={
            "reciprocal": opposite,
            "log odds ratio": {
                "odds_ratio": step * beta, "lower": float(lower), "upper": float(upper)
            },
        },
        rel_tol=FIT,
    )  # fmt: skip


def probability(cohort: Cohort, event: Contrast, columns: tuple[str, ...]) -> Question:
    """A predicted probability."""
    (design, y), model = fitted(cohort, event, columns)
    values = profile(design)
    linear = float(np.array([1.0, *values]) @ model.beta)
    gold = float(1 / (1 + np.exp(-linear)))
    library = sm.GLM(y, design, family=sm.families.Binomial()).fit()
    return number(
        cohort,
        "regression/prediction",
        f"probability-{event.column}-{'-'.join(columns)}",
        f"Fit a logistic regression of being among the {event.label(event.first)} on "
        f"{listed(columns)} (intercept, complete rows, no penalty"
        f"{cohort.ignoring(event.column)}). What probability does it predict for "
        f"{described(columns, values)}?",
        gold,
        f"""
        {logit_cell(cohort, event, columns)}
        # %%
        patient = pd.DataFrame([[1.0, {", ".join(map(repr, values))}]], columns=predictors.columns)
        submit(model.predict(patient).iloc[0])
        """,
        check=float(library.predict(np.array([[1.0, *values]]))[0]),
        slips={"other class": 1 - gold, "odds": float(np.exp(linear)), "observed": y.mean()},
        rel_tol=FIT,
    )


def brier(cohort: Cohort, event: Contrast, columns: tuple[str, ...]) -> Question:
    """Discrimination and calibration in the sample."""
    (design, y), model = fitted(cohort, event, columns)
    chance = 1 / (1 + np.exp(-design @ model.beta))
    auc = rank_auc(chance, y == 1)
    score = float(((y - chance) ** 2).sum() / len(y))
    library = sm.GLM(y, design, family=sm.families.Binomial()).fit()
    u = stats.mannwhitneyu(library.fittedvalues[y == 1], library.fittedvalues[y == 0]).statistic
    return record(
        cohort,
        "regression/logistic",
        f"brier-{event.column}-{'-'.join(columns)}",
        f"Fit a logistic regression of being among the {event.label(event.first)} on "
        f"{listed(columns)} (intercept, complete rows, no penalty"
        f"{cohort.ignoring(event.column)}). For the "
        "fitted probabilities in the same rows, what are the area under the ROC curve and the "
        "Brier score (mean squared difference from the 0/1 outcome)?",
        {"auc": auc, "brier": score},
        f"""
        {logit_cell(cohort, event, columns)}
        # %%
        from sklearn.metrics import brier_score_loss, roc_auc_score
        fitted = model.predict(predictors)
        submit({{"auc": roc_auc_score(event, fitted), "brier": brier_score_loss(event, fitted)}})
        """,
        check={
            "auc": float(u / (y.sum() * (len(y) - y.sum()))),
            "brier": float(np.mean((library.fittedvalues - y) ** 2)),
        },
        slips={
            "reversed": {"auc": 1 - auc, "brier": score},
            "root": {"auc": auc, "brier": float(np.sqrt(score))},
        },
        rel_tol=FIT,
    )


def rate_ratio(cohort: Cohort, outcome: str, columns: tuple[str, ...]) -> Question:
    """A Poisson rate ratio, with an exposure offset where there is follow-up."""
    covariates = np.column_stack([cohort.values(column) for column in columns])
    exposure = EXPOSURE.get(cohort.name)
    spent = cohort.values(exposure) if exposure else np.ones(len(covariates))
    kept = ~np.isnan(covariates).any(axis=1) & (spent > 0)
    design = np.column_stack([np.ones(int(kept.sum())), covariates[kept]])
    y, offset = cohort.values(outcome)[kept], np.log(spent[kept])
    model = poisson(design, y, offset)
    ratio, upper = (float(np.exp(model.beta[1] + q * model.errors[1])) for q in (0.0, Z))
    library = sm.GLM(y, design, family=sm.families.Poisson(), offset=offset).fit()
    how = f"log(`{exposure}`) as offset" if exposure else "no offset"
    positive = f'\n        rows = rows[rows["{exposure}"] > 0]' if exposure else ""
    used = [outcome, *columns, *([exposure] if exposure else [])]
    given = f', offset=np.log(rows["{exposure}"])' if exposure else ""
    return record(
        cohort,
        "regression/poisson",
        f"rate-ratio-{outcome}-{'-'.join(columns)}",
        f"Fit a Poisson regression (log link, intercept, {how}, complete rows"
        f"{' with positive follow-up' if exposure else ''}) of `{outcome}` on {listed(columns)}. "
        f"What is the rate ratio per unit of `{columns[0]}`, and the upper limit of its 95% Wald "
        "interval (model-based standard error)?",
        {"rate_ratio": ratio, "upper": upper},
        f"""
        import statsmodels.api as sm
        rows = {cohort.name}[{used!r}].dropna(){positive}
        rows.describe()
        # %%
        predictors = sm.add_constant(rows[{list(columns)!r}])
        model = sm.GLM(rows["{outcome}"], predictors, family=sm.families.Poisson(){given}).fit()
        print(model.summary().tables[1])
        # %%
        upper = model.conf_int(alpha=0.05).loc["{columns[0]}", 1]
        submit({{"rate_ratio": np.exp(model.params["{columns[0]}"]), "upper": np.exp(upper)}})
        """,
        check={
            "rate_ratio": float(np.exp(library.params[1])),
            "upper": float(np.exp(library.conf_int()[1, 1])),
        },
        slips={
            "reciprocal": {"rate_ratio": 1 / ratio, "upper": upper},
            "coefficient": {"rate_ratio": float(model.beta[1]), "upper": upper},
        },
        rel_tol=FORMULA,
    )
