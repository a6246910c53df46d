"""The 55 calculators of MedCalc-Bench: type and unit of the answer, and which entities they take.

The formulas are those of `benchside.calculators`. Source of the types: `evaluate` of the benchmark
(evaluation/evaluate.py), by calculator id.
"""

from __future__ import annotations

from collections.abc import Mapping

from benchside.suites.medcalcbench.entities import Entity
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


def answer_kind(calculator: int) -> AnswerKind | None:
    """Return the type of a calculator's answer; None where the calculator is not known."""
    kinds: dict[AnswerKind, tuple[int, ...]] = {
        "date": DATES, "duration": DURATIONS, "integer": INTEGERS, "number": NUMBERS,
    }  # fmt: skip
    return next((kind for kind, numbers in kinds.items() if calculator in numbers), None)


def _flags(**names: str) -> dict[str, Entity]:
    return {argument: Entity(name, "flag") for argument, name in names.items()}


SEX = Entity("sex", "text")
AGE = Entity("age")
WEIGHT = Entity("weight")
HEIGHT = Entity("height")
CREATININE = Entity("creatinine")
BILIRUBIN = Entity("Bilirubin")
ALBUMIN = Entity("Albumin")
GLUCOSE = Entity("Glucose")
BUN = Entity("Blood Urea Nitrogen (BUN)")
SODIUM = Entity("Sodium")
INR = Entity("international normalized ratio", "number")
PULSE = Entity("Heart Rate or Pulse")
BREATHS = Entity("respiratory rate")
TEMPERATURE = Entity("Temperature")
SYSTOLIC = Entity("Systolic Blood Pressure")
DIASTOLIC = Entity("Diastolic Blood Pressure")
PRESSURE = {"systolic": SYSTOLIC, "diastolic": DIASTOLIC}
TOTAL = Entity("Total cholesterol")
HDL = Entity("high-density lipoprotein cholesterol")
HEMATOCRIT = Entity("Hematocrit")
LEUKOCYTES = Entity("White blood cell count")
PLATELETS = Entity("Platelet count")
COMA = Entity("Glasgow Coma Score", "number")
OXYGEN = Entity("Partial pressure of oxygen (PaO₂) for Apache II")
INSPIRED = Entity("FiO₂")
LAST_PERIOD = Entity("Last menstrual date", "date")
PAST_EMBOLISM = "Previously Documented Pulmonary Embolism"
PAST_THROMBOSIS = "Previously documented Deep Vein Thrombosis"
PAST = {"past_embolism": PAST_EMBOLISM, "past_thrombosis": PAST_THROMBOSIS}

GAP = {
    "sodium": SODIUM,
    "chloride": Entity("Chloride"),
    "bicarbonate": Entity("Bicarbonate"),
}
GAP_ALBUMIN = {**GAP, "albumin": ALBUMIN}
QT = {"qt": Entity("QT interval"), "pulse": PULSE}
BODY = {"weight": WEIGHT, "height": HEIGHT}
# What annotators wrote, where it is not the library's own word; True alone says the least.
LIVER: dict[object, object] = {
    "Mild": "mild",
    "Moderate": "moderate to severe",
    "Severe": "moderate to severe",
    "Moderate to Severe": "moderate to severe",
}
DIABETES: dict[object, object] = {
    "None or diet-controlled": "none",
    "none or diet-controlled": "none",
    "None or Diet-controlled": "none",
    "Uncomplicated": "uncomplicated",
    "End-organ damage": "end-organ damage",
}
TUMOR: dict[object, object] = {
    False: "none",
    True: "localized",
    "Localized": "localized",
    "Metastatic": "metastatic",
}
SEVERE: dict[object, object] = {False: False, True: True, "Severe": True}

ENTITIES: dict[int, Mapping[str, Entity]] = {
    2: {"sex": SEX, "age": AGE, **BODY, "creatinine": CREATININE},
    3: {"sex": SEX, "age": AGE, "creatinine": CREATININE},
    4: (
        {"sex": SEX, "age": AGE}
        | _flags(
            failure="Congestive Heart Faliure",
            hypertension="Hypertension history",
            diabetes="Diabetes history",
            stroke="Stroke",
            tia="Transient Ischemic Attacks History",
            embolism="Thromboembolism history",
            vascular="Vascular disease history",
        )
    ),
    5: PRESSURE,
    6: BODY,
    7: {"calcium": Entity("Calcium"), "albumin": ALBUMIN},
    8: (
        {"pulse": PULSE}
        | _flags(
            thrombosis_signs="Clinical signs and symptoms of Deep Vein Thrombosis",
            likeliest="Pulmonary Embolism is #1 diagnosis OR equally likely",
            immobile="Immobilization for at least 3 days",
            surgery="Surgery in the previous 4 weeks",
            **PAST,
            hemoptysis="Hemoptysis",
            malignancy="Malignancy with treatment within 6 months or palliative",
        )
    ),
    9: {
        "sex": SEX,
        "age": AGE,
        "creatinine": CREATININE,
        "race": Entity("Race", "text", required=False),
    },
    10: {"sex": SEX, "height": HEIGHT},
    11: QT,
    13: {"last_period": LAST_PERIOD, "cycle": Entity("cycle length", "number")},
    15: {
        "bilirubin": BILIRUBIN,
        "albumin": ALBUMIN,
        "inr": INR,
        "ascites": Entity("Ascites", "text", required=False),
        "encephalopathy": Entity("Encephalopathy", "text", required=False),
    },
    16: (
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
        )
    ),
    17: (
        {"creatinine": Entity("Pre-operative creatinine")}
        | _flags(
            surgery="Elevated-risk surgery",
            ischemic="History of ischemic heart disease",
            failure="Congestive Heart Failure criteria for the Cardiac Risk Index rule",
            cerebrovascular="History of cerebrovascular disease",
            insulin="Pre-operative treatment with insulin",
        )
    ),
    18: (
        {
            "age": AGE,
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
        )
    ),
    19: {
        "age": AGE,
        "ast": Entity("Aspartate aminotransferase"),
        "alt": Entity("Alanine aminotransferase"),
        "platelets": PLATELETS,
    },
    20: (
        {"age": AGE, "temperature": TEMPERATURE}
        | _flags(
            no_cough="Cough Absent",
            nodes="Tender/swollen anterior cervical lymph nodes",
            exudate="Exudate or swelling on tonsils",
        )
    ),
    21: {
        "eye": Entity("Best eye response", "text"),
        "verbal": Entity("Best verbal response", "text"),
        "motor": Entity("Best motor response", "text"),
    },
    22: {"weight": WEIGHT},
    23: (
        {
            "creatinine": CREATININE,
            "bilirubin": BILIRUBIN,
            "inr": INR,
            "sodium": SODIUM,
        }
        | _flags(
            dialysis="Dialysis at least twice in the past week",
            hemodialysis="Continuous veno-venous hemodialysis for ≥24 hours in the past week",
        )
    ),
    24: {
        "steroid": Entity("input steroid", "steroid"),
        "dose": Entity("input steroid", "dose"),
        "target": Entity("target steroid", "text"),
    },
    25: (
        {
            "age": AGE,
            "drinks": Entity("Number of Alcoholic Drinks Per Week", "number", False),
        }
        | _flags(
            hypertension="Hypertension history",
            renal="Renal disease criteria for the HAS-BLED rule",
            liver="Liver disease criteria for the HAS-BLED rule",
            stroke="Stroke",
            bleeding="Prior major bleeding or predisposition to bleeding",
            labile_inr="Labile international normalized ratio",
            medication="Medication usage predisposing to bleeding",
        )
    ),
    26: {"sodium": SODIUM, "glucose": GLUCOSE},
    27: (
        {
            "sex": SEX,
            "urea_nitrogen": BUN,
            "hemoglobin": Entity("Hemoglobin"),
            "systolic": SYSTOLIC,
            "pulse": PULSE,
        }
        | _flags(
            melena="Melena present",
            syncope="Recent syncope",
            hepatic="Hepatic disease history",
            failure="Cardiac failure present",
        )
    ),
    28: {
        "age": AGE,
        "temperature": TEMPERATURE,
        **PRESSURE,
        "pulse": PULSE,
        "breaths": BREATHS,
        "inspired_oxygen": INSPIRED,
        "oxygen": Entity(OXYGEN.name, required=False),
        "gradient": Entity("A-a gradient", "number", required=False),
        "ph": Entity("pH", "number"),
        "sodium": SODIUM,
        "potassium": Entity("Potassium"),
        "creatinine": CREATININE,
        "hematocrit": HEMATOCRIT,
        "leukocytes": LEUKOCYTES,
        "coma_score": COMA,
        "surgery": Entity("Surgery Type", "text", required=False),
    }
    | _flags(
        acute_renal_failure="Acute renal failure",
        organ_failure="History of severe organ failure or immunocompromise",
    ),
    29: (
        {
            "sex": SEX,
            "age": AGE,
            "pulse": PULSE,
            "temperature": TEMPERATURE,
            "ph": Entity("pH", "number"),
            "breaths": BREATHS,
            "systolic": SYSTOLIC,
            "urea_nitrogen": BUN,
            "sodium": SODIUM,
            "glucose": GLUCOSE,
            "hematocrit": HEMATOCRIT,
            "oxygen": OXYGEN,
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
        )
    ),
    30: {"sodium": SODIUM, "urea_nitrogen": BUN, "glucose": GLUCOSE},
    31: {"glucose": GLUCOSE, "insulin": Entity("Insulin")},
    32: {
        "age": AGE,
        "liver": Entity("Liver disease severity", "text", False, LIVER),
        "diabetes": Entity("Diabetes mellitus criteria for CCI rule", "text", False, DIABETES),
        "tumor": Entity("Solid tumor", "text", False, TUMOR),
        "renal": Entity("Moderate to severe Chronic Kidney Disease", "flag", False, SEVERE),
    }
    | _flags(
        infarction="Myocardial infarction",
        failure="Congestive Heart Faliure",
        peripheral="Peripheral vascular disease",
        stroke="Cerebrovascular Accident",
        tia="Transient Ischemic Attacks History",
        dementia="Dementia",
        copd="Chronic Obstructive Pulmonary Disease",
        connective="Connective tissue disease",
        ulcer="Peptic ulcer disease",
        hemiplegia="Hemiplegia",
        leukemia="Leukemia",
        lymphoma="Lymphoma",
        aids="AIDS",
    ),
    33: (
        _flags(
            fever="Fever in past 24 hours",
            no_cough="Absence of cough or coryza",
            early="Symptom onset ≤3 days",
            purulent="Purulent tonsils",
            inflamed="Severe tonsil inflammation",
        )
    ),
    36: {
        "sex": SEX,
        "age": AGE,
        "bmi": Entity("Body Mass Index (BMI)", required=False),
        "surgery": Entity("Surgery Type", "text", required=False),
        "mobility": Entity("Mobility", "text", required=False),
    }
    | _flags(
        recent_surgery="Major Surgery in the last month",
        failure="Congestive Heart Failure in the last month",
        sepsis="Sepsis in the last month",
        pneumonia="Pneumonia in the last month",
        cast="Immobilizing plaster cast in the last month",
        fracture="Hip, pelvis, or leg fracture in the last month",
        stroke="Stroke in the last month",
        trauma="Multiple trauma in the last month",
        cord="Acute spinal cord injury causing paralysis in the last month",
        varicose="Varicose veins",
        swollen="Current swollen legs",
        venous_access="Current central venous access",
        **PAST,
        family="Family history of thrombosis",
        factor_v="Positive Factor V Leiden",
        prothrombin="Positive prothrombin 20210A",
        homocysteine="Elevated serum homocysteine",
        lupus="Positive lupus anticoagulant",
        anticardiolipin="Elevated anticardiolipin antibody",
        heparin="Heparin-induced thrombocytopenia",
        thrombophilia="Other congenital or acquired thrombophilia",
        bowel="History of inflammatory bowel disease",
        infarction="Acute Myocardial infarction",
        copd="Chronic Obstructive Pulmonary Disease",
        malignancy="Present or previous malignancy",
    ),
    38: {"sex": SEX, "age": AGE, "weight": WEIGHT, "sodium": SODIUM},
    39: GAP,
    40: {
        "sodium": SODIUM,
        "creatinine": CREATININE,
        "urine_sodium": Entity("Urine sodium"),
        "urine_creatinine": Entity("Urine creatinine"),
    },
    43: {
        "oxygen": OXYGEN,
        "inspired_oxygen": INSPIRED,
        "platelets": PLATELETS,
        "coma_score": COMA,
        "bilirubin": BILIRUBIN,
        "creatinine": Entity("creatinine", required=False),
        "urine": Entity("Urine Output", required=False),
        "systolic": Entity("Systolic Blood Pressure", required=False),
        "diastolic": Entity("Diastolic Blood Pressure", required=False),
        "dopamine": Entity("DOPamine", required=False),
        "dobutamine": Entity("DOBUTamine", required=False),
        "epinephrine": Entity("EPINEPHrine", required=False),
        "norepinephrine": Entity("norEPINEPHrine", required=False),
    }
    | _flags(
        ventilated="On mechanical ventilation",
        cpap="Continous positive airway pressure",
        hypotension="Hypotension",
    ),
    44: {
        "total_cholesterol": TOTAL,
        "hdl_cholesterol": HDL,
        "triglycerides": Entity("Triglycerides"),
    },
    45: (
        {
            "age": AGE,
            "systolic": SYSTOLIC,
            "diastolic": DIASTOLIC,
            "urea_nitrogen": BUN,
            "breaths": BREATHS,
        }
        | _flags(confusion="Confusion")
    ),
    46: (
        {
            "sex": SEX,
            "age": AGE,
            "total_cholesterol": TOTAL,
            "hdl_cholesterol": HDL,
            "systolic": SYSTOLIC,
        }
        | _flags(treated="Blood pressure being treated with medicines", smoker="Smoker")
    ),
    48: (
        {
            "age": AGE,
            "pulse": PULSE,
            "saturation": Entity("O₂ saturation percentage"),
        }
        | _flags(
            leg="Unilateral Leg Swelling",
            hemoptysis="Hemoptysis",
            surgery="Recent surgery or trauma",
            **PAST,
            hormones="Hormone use",
        )
    ),
    49: {"doses": Entity("", "opioids")},
    51: {
        "temperature": TEMPERATURE,
        "pulse": PULSE,
        "breaths": BREATHS,
        "leukocytes": LEUKOCYTES,
        "carbon_dioxide": Entity("PaCO₂", required=False),
    },
    56: QT,
    57: QT,
    58: QT,
    59: QT,
    60: BODY,
    61: {"bmi": Entity("Body Mass Index (BMI)"), "height": HEIGHT},
    62: {"sex": SEX, **BODY},
    63: GAP,
    64: GAP,
    65: GAP_ALBUMIN,
    66: GAP_ALBUMIN,
    67: GAP_ALBUMIN,
    68: {"last_period": LAST_PERIOD},
    69: {"last_period": LAST_PERIOD, "today": Entity("Current Date", "date")},
}
