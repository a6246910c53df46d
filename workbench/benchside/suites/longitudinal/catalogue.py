"""What the generated hospital knows: traits of patients, codes, laboratory tests, outcomes.

Codes are those that EHRSHOT's tasks go by, in its spelling (vocabulary/code). Prevalences and
effects are set by hand so that two hundred held-out patients suffice to tell a model from guessing:
rare diseases are far more common here than anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TRAITS = (
    "frail", "vascular", "lipid", "pancreas", "gut", "immune", "coronary", "marrow", "kidney",
    "water", "blood", "sugar", "lung", "heart",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sign:
    """A code that past visits may carry.

    Args:
        base: logit of having it at all traits zero.
        weights: logit per standard deviation, by trait.
    """

    code: str
    table: str
    base: float
    weights: Mapping[str, float]


SIGNS = (
    Sign("SNOMED/44054006", "condition_occurrence", -1.6, {"sugar": 0.9, "frail": 0.3}),
    Sign("SNOMED/84114007", "condition_occurrence", -1.7, {"heart": 1.3}),
    Sign("SNOMED/13645005", "condition_occurrence", -1.6, {"lung": 1.3}),
    Sign("SNOMED/709044004", "condition_occurrence", -1.7, {"kidney": 1.2}),
    Sign("SNOMED/194828000", "condition_occurrence", -1.6, {"coronary": 1.2}),
    Sign("SNOMED/371622005", "condition_occurrence", -1.0, {"vascular": 1.1}),
    Sign("SNOMED/414916001", "condition_occurrence", -0.8, {"lipid": 0.8, "sugar": 0.3}),
    Sign("SNOMED/235494005", "condition_occurrence", -2.2, {"pancreas": 1.2}),
    Sign("SNOMED/89362005", "condition_occurrence", -1.6, {"pancreas": 0.8, "frail": 0.4}),
    Sign("SNOMED/62315008", "condition_occurrence", -1.3, {"gut": 1.2}),
    Sign("SNOMED/87522002", "condition_occurrence", -1.6, {"gut": 0.8, "blood": -0.8}),
    Sign("SNOMED/57676002", "condition_occurrence", -1.1, {"immune": 1.1}),
    Sign("SNOMED/271807003", "condition_occurrence", -1.4, {"immune": 1.0}),
    Sign("SNOMED/19943007", "condition_occurrence", -2.2, {"marrow": -1.1}),
    Sign("SNOMED/233604007", "condition_occurrence", -1.8, {"lung": 0.5, "frail": 0.5}),
    Sign("SNOMED/161891005", "condition_occurrence", -0.7, {}),
    Sign("SNOMED/21522001", "condition_occurrence", -1.0, {"gut": 0.3}),
    Sign("SNOMED/25064002", "condition_occurrence", -0.6, {}),
    Sign("SNOMED/77176002", "observation", -1.1, {"lung": 0.5, "coronary": 0.4}),
    Sign("SNOMED/129839007", "observation", -1.5, {"frail": 1.1}),
    Sign("RxNorm/4603", "drug_exposure", -1.3, {"heart": 1.0, "kidney": 0.3}),
    Sign("RxNorm/29046", "drug_exposure", -1.0, {"vascular": 0.7, "kidney": 0.4}),
    Sign("RxNorm/6809", "drug_exposure", -1.6, {"sugar": 0.9}),
    Sign("RxNorm/253182", "drug_exposure", -2.0, {"sugar": 1.0}),
    Sign("RxNorm/1191", "drug_exposure", -0.9, {"coronary": 0.8}),
    Sign("RxNorm/435", "drug_exposure", -1.3, {"lung": 1.0}),
    Sign("RxNorm/8640", "drug_exposure", -1.7, {"immune": 0.8, "lung": 0.4}),
    Sign("RxNorm/9997", "drug_exposure", -1.9, {"heart": 0.7}),
    Sign("CPT4/36556", "procedure_occurrence", -2.2, {"frail": 0.7}),
    Sign("CPT4/33208", "device_exposure", -2.3, {"heart": 0.9}),
)


@dataclass(frozen=True, slots=True)
class Test:
    """A measurement, normally distributed around what the patient's trait makes of it.

    Args:
        noise: standard deviation between visits.
    """

    code: str
    unit: str
    mean: float
    trait: str
    per_trait: float
    noise: float
    digits: int = 1


TESTS = (
    Test("LOINC/777-3", "10*9/L", 205, "marrow", 40, 38, 0),
    Test("LOINC/2823-3", "mmol/L", 4.75, "kidney", 0.36, 0.38),
    Test("LOINC/2951-2", "mmol/L", 137.6, "water", 2.2, 2.2, 0),
    Test("LOINC/718-7", "g/dL", 12.7, "blood", 1.0, 0.95),
    Test("LOINC/14749-6", "mmol/L", 5.3, "sugar", 0.8, 0.85),
    Test("LOINC/8480-6", "mm[Hg]", 128, "vascular", 11, 9, 0),
    Test("LOINC/13457-7", "mg/dL", 118, "lipid", 27, 17, 0),
    Test("LOINC/3040-3", "U/L", 42, "pancreas", 15, 11, 0),
    Test("LOINC/31017-7", "U/mL", 6.0, "gut", 2.4, 1.7),
    Test("LOINC/5130-0", "IU/mL", 5.0, "immune", 2.0, 1.5),
    Test("LOINC/10839-9", "ng/L", 16, "coronary", 6.0, 4.5),
    Test("LOINC/30934-4", "pg/mL", 160, "heart", 62, 45, 0),
    Test("LOINC/2708-6", "%", 95.5, "lung", -1.5, 1.1, 0),
    Test("LOINC/2160-0", "mg/dL", 1.15, "kidney", 0.25, 0.17, 2),
    Test("LOINC/29463-7", "kg", 79, "frail", -9, 2.5),
)

SEVERITY_TESTS = (  # of the day of admission; the trait is the severity of this admission
    Test("LOINC/2524-7", "mmol/L", 2.0, "", 0.7, 0.5),
    Test("LOINC/6690-2", "10*9/L", 10.5, "", 2.6, 2.2),
    Test("LOINC/8867-4", "/min", 92, "", 11, 9, 0),
    Test("LOINC/9279-1", "/min", 19, "", 2.6, 2.2, 0),
    Test("LOINC/1988-5", "mg/L", 60, "", 26, 21, 0),
)


@dataclass(frozen=True, slots=True)
class Level:
    """A laboratory kind.

    Args:
        test: index into `TESTS`.
        normal: what counts as normal, in words.
        low: True where low values are abnormal.
        limits: of mild, moderate and severe, in the test's unit.
    """

    test: int
    low: bool
    limits: tuple[float, float, float]
    normal: str


LEVELS = {
    "lab_thrombocytopenia": Level(0, True, (150, 100, 50), "150 10*9/L or more"),
    "lab_hyperkalemia": Level(1, False, (5.5, 6, 7), "5.5 mmol/L or less"),
    "lab_hyponatremia": Level(2, True, (135, 130, 125), "135 mmol/L or more"),
    "lab_anemia": Level(3, True, (12, 11, 7), "12 g/dL or more"),
    "lab_hypoglycemia": Level(4, True, (3.9, 3.5, 3), "3.9 mmol/L or more"),
}


@dataclass(frozen=True, slots=True)
class Disease:
    """A new diagnosis to foresee; `trait` raises its risk, `signs` are not needed for it."""

    code: str
    name: str
    trait: str
    per_trait: float
    per_decade: float


DISEASES = {
    "new_hypertension": Disease("SNOMED/59621000", "essential hypertension", "vascular", 1.7, 0.3),
    "new_hyperlipidemia": Disease("SNOMED/55822004", "hyperlipidemia", "lipid", 1.7, 0.2),
    "new_pancan": Disease("SNOMED/372003004", "pancreatic cancer", "pancreas", 1.8, 0.3),
    "new_celiac": Disease("SNOMED/396331005", "celiac disease", "gut", 1.8, -0.1),
    "new_lupus": Disease("SNOMED/55464009", "lupus", "immune", 1.8, -0.2),
    "new_acutemi": Disease(
        "SNOMED/57054005", "an acute myocardial infarction", "coronary", 1.7, 0.3
    ),
}

FINDINGS: dict[str, tuple[float, Mapping[str, float]]] = {  # base logit, weights
    "Enlarged Cardiomediastinum": (-1.6, {"heart": 1.1}),
    "Cardiomegaly": (-1.1, {"heart": 1.7}),
    "Lung Lesion": (-1.9, {"lung": 0.8}),
    "Lung Opacity": (-0.7, {"lung": 1.5, "severity": 0.5}),
    "Edema": (-1.1, {"heart": 1.4, "kidney": 0.8}),
    "Consolidation": (-1.7, {"lung": 1.0, "severity": 0.6}),
    "Pneumonia": (-1.5, {"lung": 1.3, "severity": 0.5}),
    "Atelectasis": (-0.9, {"lung": 0.9, "frail": 0.8}),
    "Pneumothorax": (-2.6, {"lung": 0.8}),
    "Pleural Effusion": (-1.0, {"heart": 1.4, "frail": 0.6}),
    "Pleural Other": (-2.5, {"lung": 0.7}),
    "Fracture": (-2.2, {"frail": 1.0}),
    "Support Devices": (-0.7, {"frail": 1.3, "severity": 0.8}),
}
ASKED_FINDINGS = (
    "Pleural Effusion", "Cardiomegaly", "Lung Opacity", "Support Devices", "Edema", "Pneumonia",
    "Atelectasis", "No Finding",
)  # fmt: skip
KINDS = (
    "guo_los", "guo_readmission", "guo_icu", *LEVELS, *DISEASES, "chexpert",
)  # fmt: skip
VISIT, INPATIENT, ICU = "Visit/OP", "Visit/IP", "CARE_SITE/ICU"
BIRTH, SEXES, FINDING = "SNOMED/3950001", ("Gender/F", "Gender/M"), "CHEXPERT/"
