# ruff: noqa: PLC0415 — whoever merely loads a suite need not wait for scikit-learn
"""The plain models: on the host they set the bar, in the kernel their source is the solution.

Functions use numpy, pandas and scikit-learn only, as their source is sent to kernels.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def fit_risk(x: pd.DataFrame, y: pd.Series, new: pd.DataFrame) -> pd.Series:
    """Return the risks of the rows of `new` by penalised logistic regression."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000),
    )
    model.fit(x.to_numpy(float), y.to_numpy(int))
    return pd.Series(model.predict_proba(new.to_numpy(float))[:, 1], index=new.index)


def fit_value(x: pd.DataFrame, y: pd.Series, new: pd.DataFrame) -> pd.Series:
    """Return the values of the rows of `new` by ridge regression on the logarithm.

    Values are 0 or more. Back from the logarithm, the prediction is near the median, which the mean
    absolute error asks for.
    """
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        Ridge(alpha=300),
    )
    model.fit(x.to_numpy(float), np.log1p(y.to_numpy(float)))
    guess = np.expm1(model.predict(new.to_numpy(float)))
    return pd.Series(np.clip(guess, y.min(), y.max()), index=new.index)


def summarise(hours: pd.DataFrame, row_id: str) -> pd.DataFrame:
    """Return last, mean, lowest, highest and number of values of each column, by row id."""
    values = hours.drop(columns="hour").groupby(row_id)
    parts = {name: values.agg(name) for name in ("last", "mean", "min", "max", "count")}
    table = pd.concat(parts, axis=1)
    table.columns = table.columns.map(" ".join)
    return table


def fit_classes(x: pd.DataFrame, y: pd.Series, new: pd.DataFrame) -> pd.DataFrame:
    """Return the chance of each class (columns) by multinomial logistic regression."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000),
    )
    model.fit(x.to_numpy(float), y.to_numpy(str))
    return pd.DataFrame(model.predict_proba(new.to_numpy(float)), new.index, list(model.classes_))
