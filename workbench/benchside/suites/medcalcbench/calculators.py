"""The 55 calculators of MedCalc-Bench: type and unit of the answer, and the formula for 51 of them.

Source of the types: `evaluate` of the benchmark (evaluation/evaluate.py), by calculator id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchside.suites.medcalcbench import formulas, scores
from benchside.suites.medcalcbench.entities import Argument, Entity, read_argument
from benchside.task import AnswerKind

DATES = (13, 68)
DURATIONS = (69,)
INTEGERS = (4, 15, 16, 17, 18, 20, 21, 25, 27, 28, 29, 32, 33, 36, 43, 45, 48, 51)
NUMBERS = (
    2, 3, 5, 6, 7, 8, 9, 10, 11, 19, 22, 23, 24, 26, 30, 31, 38, 39, 40, 44, 46, 49,
    56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67,
)  # fmt: skip
ANSWER_UNITS = {
    2: "mL/min", 3: "mL/min/1.73 m²", 5: "mm Hg", 6: "kg/m²", 7: "mg/dL", 9: "mL/min/1.73 m²",
    10: "kg", 11: "msec", 22: "mL/hr", 24: "mg", 26: "mEq/L", 30: "mOsm/kg", 38: "L", 39: "mEq/L",
    40: "%", 44: "mg/dL", 56: "msec", 57: "msec", 58: "msec", 59: "msec", 60: "m²", 61: "kg",
    62: "kg", 63: "mEq/L", 65: "mEq/L", 66: "mEq/L",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to recompute one calculator: a formula and where its arguments come from."""

    formula: Callable[..., Any]
    inputs: Mapping[str, Entity]

    def arguments(self, entities: Mapping[str, object]) -> dict[str, Argument]:
        """Return the formula's arguments in its units.

        Raises:
            NotMappedError: an entity is missing or not of the expected form.
        """
        found = {name: read_argument(entities, entity) for name, entity in self.inputs.items()}
        return {name: value for name, value in found.items() if value is not None}


def answer_kind(calculator: int) -> AnswerKind | None:
    """Return the type of a calculator's answer; None where the calculator is not known."""
    kinds: dict[AnswerKind, tuple[int, ...]] = {
        "date": DATES, "duration": DURATIONS, "integer": INTEGERS, "number": NUMBERS,
    }  # fmt: skip
    return next((kind for kind, numbers in kinds.items() if calculator in numbers), None)


def _flags(**names: str) -> dict[str, Entity]:
    return {argument: Entity(name, "flag") for argument, name in names.items()}


SEX = Entity("sex", "text")
AGE = Entity("age", "age_y")
WEIGHT = Entity("weight", "weight_kg")
HEIGHT = Entity("height", "height_cm")
CREATININE = Entity("creatinine", "creatinine_mg_dl")
BILIRUBIN = Entity("Bilirubin", "bilirubin_mg_dl")
ALBUMIN = Entity("Albumin", "albumin_g_dl")
GLUCOSE = Entity("Glucose", "glucose_mg_dl")
BUN = Entity("Blood Urea Nitrogen (BUN)", "bun_mg_dl")
SODIUM = Entity("Sodium", "ion_meq_l")
INR = Entity("international normalized ratio", "number")
PULSE = Entity("Heart Rate or Pulse", "rate_per_min")
BREATHS = Entity("respiratory rate", "rate_per_min")
TEMPERATURE = Entity("Temperature", "temperature_c")
SYSTOLIC = Entity("Systolic Blood Pressure", "pressure_mm_hg")
DIASTOLIC = Entity("Diastolic Blood Pressure", "pressure_mm_hg")
TOTAL = Entity("Total cholesterol", "cholesterol_mg_dl")
HDL = Entity("high-density lipoprotein cholesterol", "cholesterol_mg_dl")
LAST_PERIOD = Entity("Last menstrual date", "date")
PAST_EMBOLISM = "Previously Documented Pulmonary Embolism"
PAST_THROMBOSIS = "Previously documented Deep Vein Thrombosis"

GAP = {
    "sodium_meq_l": SODIUM,
    "chloride_meq_l": Entity("Chloride", "ion_meq_l"),
    "bicarbonate_meq_l": Entity("Bicarbonate", "ion_meq_l"),
}
GAP_ALBUMIN = {**GAP, "albumin_g_dl": ALBUMIN}
QT = {"qt_ms": Entity("QT interval", "qt_ms"), "rate_per_min": PULSE}
BODY = {"weight_kg": WEIGHT, "height_cm": HEIGHT}

RECIPES: dict[int, Recipe] = {
    2: Recipe(
        formulas.creatinine_clearance,
        {"sex": SEX, "age_y": AGE, **BODY, "creatinine_mg_dl": CREATININE},
    ),
    3: Recipe(formulas.gfr_ckd_epi, {"sex": SEX, "age_y": AGE, "creatinine_mg_dl": CREATININE}),
    4: Recipe(
        scores.cha2ds2_vasc,
        {"sex": SEX, "age_y": AGE}
        | _flags(
            failure="Congestive Heart Faliure",
            hypertension="Hypertension history",
            diabetes="Diabetes history",
            stroke="Stroke",
            tia="Transient Ischemic Attacks History",
            embolism="Thromboembolism history",
            vascular="Vascular disease history",
        ),
    ),
    5: Recipe(
        formulas.mean_arterial_pressure,
        {"systolic_mm_hg": SYSTOLIC, "diastolic_mm_hg": DIASTOLIC},
    ),
    6: Recipe(formulas.body_mass_index, BODY),
    7: Recipe(
        formulas.corrected_calcium,
        {"calcium_mg_dl": Entity("Calcium", "calcium_mg_dl"), "albumin_g_dl": ALBUMIN},
    ),
    8: Recipe(
        scores.wells_embolism,
        {"rate_per_min": PULSE}
        | _flags(
            thrombosis_signs="Clinical signs and symptoms of Deep Vein Thrombosis",
            likeliest="Pulmonary Embolism is #1 diagnosis OR equally likely",
            immobile="Immobilization for at least 3 days",
            surgery="Surgery in the previous 4 weeks",
            past_embolism=PAST_EMBOLISM,
            past_thrombosis=PAST_THROMBOSIS,
            hemoptysis="Hemoptysis",
            malignancy="Malignancy with treatment within 6 months or palliative",
        ),
    ),
    9: Recipe(
        formulas.gfr_mdrd,
        {
            "sex": SEX,
            "age_y": AGE,
            "creatinine_mg_dl": CREATININE,
            "race": Entity("Race", "text", required=False),
        },
    ),
    10: Recipe(formulas.ideal_weight, {"sex": SEX, "height_cm": HEIGHT}),
    11: Recipe(formulas.qtc_bazett, QT),
    13: Recipe(
        formulas.due_date,
        {"last_period": LAST_PERIOD, "cycle_days": Entity("cycle length", "number")},
    ),
    15: Recipe(
        scores.child_pugh,
        {
            "bilirubin_mg_dl": BILIRUBIN,
            "albumin_g_dl": ALBUMIN,
            "inr": INR,
            "ascites": Entity("Ascites", "text", required=False),
            "encephalopathy": Entity("Encephalopathy", "text", required=False),
        },
    ),
    16: Recipe(
        scores.wells_thrombosis,
        _flags(
            cancer="Active cancer",
            bedridden="Bedridden recently >3 days or major surgery within 12 weeks",
            surgery="Major surgery within 12 weeks",
            paralysis="Paralysis, paresis, or recent plaster immobilization of the lower extremity",
            past_thrombosis=PAST_THROMBOSIS,
            alternative="Alternative diagnosis to Deep Vein Thrombosis as likely or more likely",
            calf="Calf swelling >3 centimeters compared to the other leg",
            collateral="Collateral (nonvaricose) superficial veins present",
            leg="Entire Leg Swollen",
            tenderness="Localized tenderness along the deep venous system",
            edema="Pitting edema, confined to symptomatic leg",
        ),
    ),
    17: Recipe(
        scores.cardiac_risk_index,
        {"creatinine_mg_dl": Entity("Pre-operative creatinine", "creatinine_mg_dl")}
        | _flags(
            surgery="Elevated-risk surgery",
            ischemic="History of ischemic heart disease",
            failure="Congestive Heart Failure criteria for the Cardiac Risk Index rule",
            cerebrovascular="History of cerebrovascular disease",
            insulin="Pre-operative treatment with insulin",
        ),
    ),
    18: Recipe(
        scores.heart_score,
        {
            "age_y": AGE,
            "suspicion": Entity("Suspicion History", "text"),
            "ecg": Entity("Electrocardiogram Test", "text"),
            "troponin": Entity("Initial troponin", "text"),
        }
        | _flags(
            hypertension="Hypertension history",
            cholesterol="hypercholesterolemia",
            diabetes="Diabetes mellitus criteria for CCI rule",
            obesity="obesity",
            smoking="smoking",
            family="parent or sibling with Cardiovascular disease before age 65",
            atherosclerosis="atherosclerotic disease",
            tia="Transient Ischemic Attacks History",
        ),
    ),
    19: Recipe(
        formulas.fib4,
        {
            "age_y": AGE,
            "ast_u_l": Entity("Aspartate aminotransferase", "enzyme_u_l"),
            "alt_u_l": Entity("Alanine aminotransferase", "enzyme_u_l"),
            "platelets_per_ul": Entity("Platelet count", "cells_per_ul"),
        },
    ),
    20: Recipe(
        scores.centor_score,
        {"age_y": AGE, "temperature_c": TEMPERATURE}
        | _flags(
            no_cough="Cough Absent",
            nodes="Tender/swollen anterior cervical lymph nodes",
            exudate="Exudate or swelling on tonsils",
        ),
    ),
    21: Recipe(
        scores.glasgow_coma_score,
        {
            "eye": Entity("Best eye response", "text"),
            "verbal": Entity("Best verbal response", "text"),
            "motor": Entity("Best motor response", "text"),
        },
    ),
    22: Recipe(formulas.maintenance_fluid, {"weight_kg": WEIGHT}),
    23: Recipe(
        formulas.meld_na,
        {
            "creatinine_mg_dl": CREATININE,
            "bilirubin_mg_dl": BILIRUBIN,
            "inr": INR,
            "sodium_meq_l": SODIUM,
        }
        | _flags(
            dialysis="Dialysis at least twice in the past week",
            hemodialysis="Continuous veno-venous hemodialysis for ≥24 hours in the past week",
        ),
    ),
    24: Recipe(
        formulas.steroid_equivalent,
        {
            "steroid": Entity("input steroid", "steroid"),
            "dose_mg": Entity("input steroid", "dose_mg"),
            "target": Entity("target steroid", "text"),
        },
    ),
    25: Recipe(
        scores.has_bled,
        {
            "age_y": AGE,
            "drinks_per_week": Entity("Number of Alcoholic Drinks Per Week", "number", False),
        }
        | _flags(
            hypertension="Hypertension history",
            renal="Renal disease criteria for the HAS-BLED rule",
            liver="Liver disease criteria for the HAS-BLED rule",
            stroke="Stroke",
            bleeding="Prior major bleeding or predisposition to bleeding",
            labile_inr="Labile international normalized ratio",
            medication="Medication usage predisposing to bleeding",
        ),
    ),
    26: Recipe(formulas.corrected_sodium, {"sodium_meq_l": SODIUM, "glucose_mg_dl": GLUCOSE}),
    27: Recipe(
        scores.glasgow_blatchford,
        {
            "sex": SEX,
            "bun_mg_dl": BUN,
            "hemoglobin_g_dl": Entity("Hemoglobin", "hemoglobin_g_dl"),
            "systolic_mm_hg": SYSTOLIC,
            "rate_per_min": PULSE,
        }
        | _flags(
            melena="Melena present",
            syncope="Recent syncope",
            hepatic="Hepatic disease history",
            failure="Cardiac failure present",
        ),
    ),
    29: Recipe(
        scores.pneumonia_severity,
        {
            "sex": SEX,
            "age_y": AGE,
            "rate_per_min": PULSE,
            "temperature_c": TEMPERATURE,
            "ph": Entity("pH", "number"),
            "breaths_per_min": BREATHS,
            "systolic_mm_hg": SYSTOLIC,
            "bun_mg_dl": BUN,
            "sodium_meq_l": SODIUM,
            "glucose_mg_dl": GLUCOSE,
            "hematocrit": Entity("Hematocrit", "percent"),
            "oxygen_mm_hg": Entity(
                "Partial pressure of oxygen (PaO₂) for Apache II", "pressure_mm_hg"
            ),
        }
        | _flags(
            nursing_home="Nursing home resident",
            neoplastic="Neoplastic disease",
            liver="Liver disease severity",
            failure="Congestive Heart Faliure",
            cerebrovascular="Cerebrovascular disease history",
            renal="Renal disease",
            mental="Altered mental status",
            effusion="Pleural effusion on x-ray",
        ),
    ),
    30: Recipe(
        formulas.serum_osmolality,
        {"sodium_meq_l": SODIUM, "bun_mg_dl": BUN, "glucose_mg_dl": GLUCOSE},
    ),
    31: Recipe(
        formulas.homa_ir,
        {"glucose_mg_dl": GLUCOSE, "insulin_uiu_ml": Entity("Insulin", "insulin_uiu_ml")},
    ),
    33: Recipe(
        scores.feverpain,
        _flags(
            fever="Fever in past 24 hours",
            no_cough="Absence of cough or coryza",
            early="Symptom onset ≤3 days",
            purulent="Purulent tonsils",
            inflamed="Severe tonsil inflammation",
        ),
    ),
    38: Recipe(
        formulas.free_water_deficit,
        {"sex": SEX, "age_y": AGE, "weight_kg": WEIGHT, "sodium_meq_l": SODIUM},
    ),
    39: Recipe(formulas.anion_gap, GAP),
    40: Recipe(
        formulas.sodium_excretion,
        {
            "sodium_meq_l": SODIUM,
            "creatinine_mg_dl": CREATININE,
            "urine_sodium_meq_l": Entity("Urine sodium", "ion_meq_l"),
            "urine_creatinine_mg_dl": Entity("Urine creatinine", "creatinine_mg_dl"),
        },
    ),
    44: Recipe(
        formulas.ldl_cholesterol,
        {
            "total_mg_dl": TOTAL,
            "hdl_mg_dl": HDL,
            "triglycerides_mg_dl": Entity("Triglycerides", "triglycerides_mg_dl"),
        },
    ),
    45: Recipe(
        scores.curb65,
        {
            "age_y": AGE,
            "systolic_mm_hg": SYSTOLIC,
            "diastolic_mm_hg": DIASTOLIC,
            "bun_mg_dl": BUN,
            "breaths_per_min": BREATHS,
        }
        | _flags(confusion="Confusion"),
    ),
    46: Recipe(
        formulas.framingham_risk,
        {
            "sex": SEX,
            "age_y": AGE,
            "total_mg_dl": TOTAL,
            "hdl_mg_dl": HDL,
            "systolic_mm_hg": SYSTOLIC,
        }
        | _flags(treated="Blood pressure being treated with medicines", smoker="Smoker"),
    ),
    48: Recipe(
        scores.perc_rule,
        {
            "age_y": AGE,
            "rate_per_min": PULSE,
            "saturation": Entity("O₂ saturation percentage", "percent"),
        }
        | _flags(
            leg="Unilateral Leg Swelling",
            hemoptysis="Hemoptysis",
            surgery="Recent surgery or trauma",
            past_embolism=PAST_EMBOLISM,
            past_thrombosis=PAST_THROMBOSIS,
            hormones="Hormone use",
        ),
    ),
    49: Recipe(formulas.morphine_equivalents, {"doses": Entity("", "opioids")}),
    51: Recipe(
        scores.sirs_criteria,
        {
            "temperature_c": TEMPERATURE,
            "rate_per_min": PULSE,
            "breaths_per_min": BREATHS,
            "leukocytes_per_ul": Entity("White blood cell count", "cells_per_ul"),
            "carbon_dioxide_mm_hg": Entity("PaCO₂", "pressure_mm_hg", required=False),
        },
    ),
    56: Recipe(formulas.qtc_fridericia, QT),
    57: Recipe(formulas.qtc_framingham, QT),
    58: Recipe(formulas.qtc_hodges, QT),
    59: Recipe(formulas.qtc_rautaharju, QT),
    60: Recipe(formulas.body_surface, BODY),
    61: Recipe(
        formulas.target_weight, {"bmi": Entity("Body Mass Index (BMI)", "bmi"), "height_cm": HEIGHT}
    ),
    62: Recipe(formulas.adjusted_weight, {"sex": SEX, **BODY}),
    63: Recipe(formulas.delta_gap, GAP),
    64: Recipe(formulas.delta_ratio, GAP),
    65: Recipe(formulas.albumin_anion_gap, GAP_ALBUMIN),
    66: Recipe(formulas.albumin_delta_gap, GAP_ALBUMIN),
    67: Recipe(formulas.albumin_delta_ratio, GAP_ALBUMIN),
    68: Recipe(formulas.conception_date, {"last_period": LAST_PERIOD}),
    69: Recipe(
        formulas.gestational_age,
        {"last_period": LAST_PERIOD, "today": Entity("Current Date", "date")},
    ),
}
