"""The cohorts without follow-up: what each column means and who is compared."""

from __future__ import annotations

from benchside.suites.cohorts import data
from benchside.suites.cohorts.cohort import Cohort, Measure, contrast

SKLEARN = "Shipped with scikit-learn (BSD 3-clause licence)."
STATSMODELS = "Shipped with statsmodels (BSD 3-clause licence)."


def breast_cancer() -> Cohort:
    """Fine needle aspirates of breast masses."""
    return Cohort(
        name="breast_cancer",
        frame=data.breast_cancer(),
        people="fine needle aspirates of breast masses",
        columns={
            "mean_*, *_error, worst_*": "mean, standard error and worst value of ten features of "
            "the cell nuclei (radius, texture, perimeter, area, smoothness, compactness, "
            "concavity, concave_points, symmetry, fractal_dimension), such as `mean_radius`, "
            "`radius_error`, `worst_radius`; lengths in pixels",
            "diagnosis": "malignant or benign",
        },
        source="Street WN, Wolberg WH, Mangasarian OL, SPIE 1993;1905:861-870. " + SKLEARN,
        measures=(
            Measure("mean_texture", "mean nuclear texture"),
            Measure("mean_radius", "mean nuclear radius", "pixels"),
            Measure("mean_smoothness", "mean nuclear smoothness"),
            Measure("worst_area", "worst nuclear area", "square pixels"),
            Measure("mean_symmetry", "mean nuclear symmetry"),
            Measure("mean_compactness", "mean nuclear compactness"),
        ),
        contrasts=(
            contrast("diagnosis", ("malignant", "malignant masses"), ("benign", "benign masses")),
        ),
        outcomes=(
            contrast("diagnosis", ("malignant", "malignant masses"), ("benign", "benign masses")),
        ),
    )


def diabetes() -> Cohort:
    """Progression of diabetes."""
    return Cohort(
        name="diabetes",
        frame=data.diabetes(),
        people="patients with diabetes",
        columns={
            "age": "age in years",
            "sex": "coded 1 and 2; the source does not say which is which",
            "bmi": "body mass index, kg/m2",
            "bp": "mean arterial blood pressure, mmHg",
            "tc": "total serum cholesterol, mg/dL",
            "ldl": "LDL cholesterol, mg/dL",
            "hdl": "HDL cholesterol, mg/dL",
            "tch": "total cholesterol / HDL",
            "ltg": "natural logarithm of serum triglycerides",
            "glu": "blood glucose, mg/dL",
            "progression": "disease progression one year after baseline (score)",
        },
        source=(
            "Efron B, Hastie T, Johnstone I, Tibshirani R, Ann Stat 2004;32(2):407-499. " + SKLEARN
        ),
        notes="The serum columns are called s1 to s6 in the packaged table.",
        measures=(
            Measure("bmi", "body mass index", "kg/m2"),
            Measure("bp", "mean arterial pressure", "mmHg"),
            Measure("hdl", "HDL cholesterol", "mg/dL"),
            Measure("glu", "blood glucose", "mg/dL"),
            Measure("ldl", "LDL cholesterol", "mg/dL"),
            Measure("progression", "progression score"),
            Measure("age", "age", "years"),
        ),
        contrasts=(contrast("sex", (2, "patients of sex code 2"), (1, "patients of sex code 1")),),
    )


def health_insurance() -> Cohort:
    """The RAND Health Insurance Experiment."""
    return Cohort(
        name="health_insurance",
        frame=data.health_insurance(),
        people="person-years of the RAND Health Insurance Experiment",
        columns={
            "mdvis": "number of outpatient visits to a physician in the year",
            "lncoins": "ln(coinsurance percentage + 1)",
            "idp": "individual deductible plan: 1 = yes, 0 = no",
            "lpi": "ln(max(1, annual participation incentive payment))",
            "fmde": "0 if idp = 1, else ln(max(1, medical deductible / (0.01 coinsurance)))",
            "physlm": "physical limitation: 1 = yes, 0 = no; fractions are imputed",
            "disea": "index of chronic diseases",
            "hlthg": "self-rated health good: 1 = yes, 0 = no",
            "hlthf": "self-rated health fair: 1 = yes, 0 = no",
            "hlthp": "self-rated health poor: 1 = yes, 0 = no; excellent if all three are 0",
        },
        source=(
            "Cameron AC, Trivedi PK, Microeconometrics, Cambridge 2005; RAND Corporation, public "
            "domain. " + STATSMODELS
        ),
        measures=(
            Measure("mdvis", "number of physician visits"),
            Measure("disea", "index of chronic diseases"),
        ),
        contrasts=(
            contrast(
                "idp",
                (1, "person-years under a deductible plan"),
                (0, "person-years under other plans"),
            ),
            contrast("hlthf", (1, "person-years in fair health"), (0, "other person-years")),
        ),
    )


def county_cancer() -> Cohort:
    """Breast cancer in counties."""
    return Cohort(
        name="county_cancer",
        frame=data.county_cancer(),
        people="counties with their breast cancer deaths and adult female population",
        columns={"cancer": "number of breast cancer deaths", "population": "women at risk"},
        source="Rice JA, Mathematical Statistics and Data Analysis, Duxbury 1995. " + STATSMODELS,
        measures=(
            Measure("cancer", "number of breast cancer deaths"),
            Measure("population", "population", "women"),
        ),
    )


def china_smoking() -> Cohort:
    """Smoking and lung cancer in eight cities."""
    cells = {
        f"smoking_{s}_cancer_{c}": f"{'smokers' if s == 'yes' else 'non-smokers'} "
        f"{'with' if c == 'yes' else 'without'} lung cancer"
        for s in ("yes", "no")
        for c in ("yes", "no")
    }
    return Cohort(
        name="china_smoking",
        frame=data.china_smoking(),
        people="case-control tables of smoking and lung cancer, one per Chinese city",
        columns={"city": "city", **cells},
        source="Liu Z, Int J Epidemiol 1992;21(2):197-201. " + STATSMODELS,
    )


def fertility() -> Cohort:
    """Total fertility by country."""
    return Cohort(
        name="fertility",
        frame=data.fertility(),
        people="countries with their total fertility rate by year",
        columns={
            "country, code": "name and World Bank code",
            "y1960 … y2011": "births per woman in that year; missing where not reported",
        },
        source="World Bank, World Development Indicators SP.DYN.TFRT.IN (CC BY 4.0). "
        + STATSMODELS,
        measures=(
            Measure("y1960", "total fertility rate of 1960", "births per woman"),
            Measure("y1985", "total fertility rate of 1985", "births per woman"),
            Measure("y2011", "total fertility rate of 2011", "births per woman"),
        ),
    )
