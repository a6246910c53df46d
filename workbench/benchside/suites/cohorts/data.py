"""Reading the clinical tables that ship inside lifelines, scikit-learn and statsmodels.

Values stay as published. Indicator columns that encode one category are unfolded into that
category, dates are parsed, and cryptic names are replaced; each cohort's description says so.
"""

from __future__ import annotations

from importlib import resources

import pandas as pd
import statsmodels.api as sm
from lifelines import datasets
from sklearn.datasets import load_breast_cancer, load_diabetes

# Kernels must not read the packaged tables: some hold the labels of held-out rows. Only data files
# are hidden, so that the packages still import.
HIDDEN = (
    "lifelines/datasets/*.csv",
    "lifelines/datasets/*.tsv",
    "lifelines/datasets/*.dat",
    "sklearn/datasets/data/*.csv",
    "sklearn/datasets/data/*.csv.gz",
    "statsmodels/datasets/*/*.csv",
    "statsmodels/datasets/*/*.csv.gz",
    "statsmodels/datasets/*/*.dat",
    "statsmodels/datasets/*/src/*",
)


def lung() -> pd.DataFrame:
    """North Central Cancer Treatment Group lung cancer, 228 rows."""
    return frame_of(datasets.load_lung())


def gbsg2() -> pd.DataFrame:
    """German Breast Cancer Study Group trial 2, 686 rows, recurrence-free survival."""
    return frame_of(datasets.load_gbsg2())


def lymph_node() -> pd.DataFrame:
    """The women of GBSG2 with their dates and overall survival; other columns are left out."""
    frame = frame_of(datasets.load_lymph_node()).reset_index()
    names = {"diagdateb": "diagnosis_date", "recdate": "recurrence_date", "deathdate": "last_date"}
    frame = frame.rename(columns=names)
    for column in names.values():
        frame[column] = pd.to_datetime(frame[column], format="%d-%m-%Y")
    kept = ["id", *names.values(), "age", "grade", "nodes", "hormone", "rectime", "censrec"]
    return frame[[*kept, "survtime", "censdead"]]


def kidney_transplant() -> pd.DataFrame:
    """Kidney transplants at Ohio State University, 863 rows; indicators unfolded."""
    frame = frame_of(datasets.load_kidney_transplant())
    black = (frame["black_male"] == 1) | (frame["black_female"] == 1)
    male = (frame["black_male"] == 1) | (frame["white_male"] == 1)
    unfolded = frame[["time", "death", "age"]].copy()
    unfolded["race"] = black.map({True: "black", False: "white"})
    unfolded["sex"] = male.map({True: "male", False: "female"})
    return unfolded


def larynx() -> pd.DataFrame:
    """Cancer of the larynx, 90 rows; stage indicators unfolded."""
    frame = frame_of(datasets.load_larynx())
    stage = pd.Series("I", index=frame.index)
    for name in ("II", "III", "IV"):
        stage[frame[f"Stage_{name}"] == 1] = name
    return frame[["time", "death", "age"]].assign(stage=stage)


def leukemia() -> pd.DataFrame:
    """Remission of acute leukaemia under 6-mercaptopurine or placebo, 42 rows."""
    names = {"t": "weeks", "status": "relapse", "logWBC": "log_wbc"}
    frame = frame_of(datasets.load_leukemia()).rename(columns=names)
    frame["arm"] = frame["Rx"].map({0: "6-MP", 1: "placebo"})
    return frame[["weeks", "relapse", "sex", "log_wbc", "arm"]]


def actg175() -> pd.DataFrame:
    """AIDS Clinical Trials Group protocol 175, 2139 rows."""
    path = resources.files("lifelines") / "datasets" / "ACTG175.csv"
    with path.open("rb") as file:
        frame = pd.read_csv(file, index_col=0)
    dropped = ["zprior", "z30", "oprior", "strat", "treat", "offtrt", "homo", "r"]
    return frame.drop(columns=dropped).reset_index(drop=True)


def lupus() -> pd.DataFrame:
    """Systemic lupus erythematosus, 99 rows; booleans as 0/1, shorter names."""
    names = [
        "dead", "male", "white", "age_at_diagnosis", "months_onset_to_diagnosis",
        "diagnosis_month", "last_month", "years_followed",
    ]  # fmt: skip
    frame = frame_of(datasets.load_lupus()).set_axis(names, axis=1).reset_index()
    flags = ["dead", "male", "white"]
    frame[flags] = frame[flags].astype("int64")
    return frame


def lymphoma() -> pd.DataFrame:
    """Diffuse histiocytic lymphoma, stage III against IV, 80 rows."""
    frame = frame_of(datasets.load_lymphoma())
    stage = frame["Stage_group"].map({1: "III", 2: "IV"})
    return pd.DataFrame({"stage": stage, "days": frame["Time"], "death": frame["Censor"]})


def aids_entry() -> pd.DataFrame:
    """Multicenter AIDS Cohort Study with late entry, 78 rows."""
    frame = frame_of(datasets.load_multicenter_aids_cohort_study())
    names = {"AIDSY": "aids_year", "W": "entry", "T": "exit", "D": "death"}
    return frame.rename(columns=names).reset_index(drop=True)


def heart_transplant() -> pd.DataFrame:
    """The transplanted patients of the Stanford programme, 69 rows."""
    frame = frame_of(sm.datasets.heart.load_pandas().data)
    frame = frame.rename(columns={"survival": "days", "censors": "death"})
    return frame.astype({"days": "int64", "death": "int64"})


def waiting_list() -> pd.DataFrame:
    """The Stanford heart transplant programme in (start, stop] intervals, 172 rows."""
    frame = frame_of(datasets.load_stanford_heart_transplants())
    frame["age"] = (frame["age"] + 48).round(3)
    return frame[["id", "start", "stop", "event", "age", "year", "surgery", "transplant"]]


def breast_cancer() -> pd.DataFrame:
    """Wisconsin diagnostic breast cancer, 569 rows, 30 features and the diagnosis."""
    loaded = load_breast_cancer(as_frame=True)
    frame = frame_of(loaded.frame)
    diagnosis = frame.pop("target").map({0: "malignant", 1: "benign"})
    renamed = frame.rename(columns=lambda name: str(name).replace(" ", "_"))
    return renamed.assign(diagnosis=diagnosis)


def diabetes() -> pd.DataFrame:
    """Diabetes progression (Efron et al. 2004), 442 rows, unscaled; serum columns named."""
    serum = {"s1": "tc", "s2": "ldl", "s3": "hdl", "s4": "tch", "s5": "ltg", "s6": "glu"}
    frame = frame_of(load_diabetes(as_frame=True, scaled=False).frame)
    frame = frame.rename(columns={**serum, "target": "progression"})
    return frame.astype({"age": "int64", "sex": "int64", "progression": "int64"})


def health_insurance() -> pd.DataFrame:
    """RAND Health Insurance Experiment, 20190 person-years."""
    return frame_of(sm.datasets.randhie.load_pandas().data)


def county_cancer() -> pd.DataFrame:
    """Breast cancer deaths and population of 301 counties."""
    frame = frame_of(sm.datasets.cancer.load_pandas().data)
    return frame.astype("int64")


def china_smoking() -> pd.DataFrame:
    """Smoking and lung cancer in eight Chinese cities, one row per city."""
    frame = frame_of(sm.datasets.china_smoking.load_pandas().data).reset_index()
    frame = frame.rename(columns={"Location": "city"})
    return frame.replace({"city": {"Nanjng": "Nanjing"}})


def fertility() -> pd.DataFrame:
    """Births per woman by country, 1960 to 2011 (219 rows); the empty years are left out."""
    frame = frame_of(sm.datasets.fertility.load_pandas().data)
    years = [str(year) for year in range(1960, 2012)]
    renamed = frame.rename(columns={"Country Name": "country", "Country Code": "code"})
    return renamed[["country", "code", *years]].rename(columns={y: f"y{y}" for y in years})


def frame_of(loaded: object) -> pd.DataFrame:
    """Check that an untyped loader gave a DataFrame."""
    if not isinstance(loaded, pd.DataFrame):
        raise TypeError(f"a packaged data set gave {type(loaded).__name__}, not a DataFrame")
    return loaded.copy()
