"""What is asked of each calculator, so that the answer is one: version, rules and unit."""

from __future__ import annotations

from collections.abc import Mapping

from benchside.calculators import Calculator
from benchside.suites.medcalc_notes.patients import STEROIDS, Patient

# calculator → the rules that publications or bedside forms leave open
RULES: Mapping[str, str] = {
    "creatinine-clearance": "Use the actual weight below a body mass index of 18.5 kg/m², the "
    "lower of actual and ideal (Devine) weight below 25 kg/m², the adjusted weight from there on.",
    "gfr-ckd-epi": "Use the 2021 equation without race.",
    "gfr-mdrd": "Use the four-variable equation with the factor 175; it has a factor for Black "
    "patients.",
    "free-water-deficit": "The target sodium is 140 mEq/L. Body water is 0.6 of the weight in "
    "children and men, 0.5 in women and in men from 65 years on, 0.45 in women from 65 years on.",
    "corrected-calcium": "The normal albumin is 4 g/dL.",
    "corrected-sodium": "Add 2.4 mEq/L for each 100 mg/dL of glucose above 100 mg/dL.",
    "delta-gap": "The normal anion gap is 12 mEq/L.",
    "delta-ratio": "The normal anion gap is 12 mEq/L, the normal bicarbonate 24 mEq/L.",
    "albumin-anion-gap": "The normal albumin is 4 g/dL; add 2.5 mEq/L for each g/dL below it.",
    "albumin-delta-gap": "The normal albumin is 4 g/dL, the normal anion gap 12 mEq/L.",
    "albumin-delta-ratio": "The normal albumin is 4 g/dL, the normal anion gap 12 mEq/L, the "
    "normal bicarbonate 24 mEq/L.",
    "ldl-cholesterol": "Use the Friedewald formula in mg/dL.",
    "meld-na": "Use the UNOS/OPTN formula of 2016.",
    "glasgow-coma-score": "What cannot be tested counts as full.",
    "caprini-score": "Count one point for women; thrombosis and embolism of the past count three "
    "points each; mind the operation that is planned, and none for a medical admission.",
    "charlson-index": "Include the points for age: one per decade from 50 years on, four at most.",
    "apache-ii": "From 50% of oxygen on, the alveolar-arterial gradient counts, else the arterial "
    "oxygen pressure. Acute renal failure doubles the creatinine's points from 1.5 mg/dL on.",
    "sofa": "What is not mentioned counts as normal.",
    "sirs-criteria": "What is not mentioned counts as normal.",
    "has-bled": "Alcohol counts from 8 drinks a week on; without a statement it counts as none.",
    "conception-date": "Take 14 days after the last menstrual period.",
    "due-date": "Use Naegele's rule and adjust for the cycle length.",
    "morphine-equivalents": "Use the factors of the CDC guideline of 2022 and current medication "
    "only.",
    "framingham-risk": "Use the equation of the NCEP Adult Treatment Panel III.",
}  # fmt: skip
FRAMES = (
    "What is the patient's {title}?",
    "Compute the {title} of this patient.",
    "From this note, what is the {title}?",
)
# calculator → what is asked for, where its title would not do in a sentence
TITLES: Mapping[str, str] = {
    "adjusted-body-weight": "adjusted body weight",
    "albumin-anion-gap": "albumin-corrected anion gap",
    "albumin-delta-gap": "albumin-corrected delta gap",
    "albumin-delta-ratio": "albumin-corrected delta ratio",
    "anion-gap": "anion gap",
    "body-mass-index": "body mass index",
    "body-surface-area": "body surface area by the formula of Mosteller",
    "cardiac-risk-index": "revised cardiac risk index",
    "centor-score": "Centor score, as modified by McIsaac",
    "conception-date": "estimated date of conception",
    "corrected-calcium": "calcium corrected for albumin",
    "corrected-sodium": "sodium corrected for glucose",
    "creatinine-clearance": "creatinine clearance by the formula of Cockcroft and Gault",
    "delta-gap": "delta gap",
    "delta-ratio": "delta ratio",
    "due-date": "estimated due date",
    "fib-4": "fibrosis-4 index",
    "framingham-risk": "ten-year Framingham risk of hard coronary heart disease",
    "free-water-deficit": "free water deficit",
    "gestational-age": "gestational age",
    "gfr-ckd-epi": "glomerular filtration rate by the CKD-EPI equation",
    "gfr-mdrd": "glomerular filtration rate by the MDRD equation",
    "ideal-body-weight": "ideal body weight by the formula of Devine",
    "ldl-cholesterol": "calculated LDL cholesterol",
    "maintenance-fluids": "maintenance fluid rate by the 4-2-1 rule",
    "mean-arterial-pressure": "mean arterial pressure",
    "morphine-equivalents": "daily dose in morphine milligram equivalents",
    "perc-rule": "number of criteria met of the PERC rule for pulmonary embolism",
    "pneumonia-severity": "pneumonia severity index",
    "qtc-bazett": "QT interval corrected by the formula of Bazett",
    "qtc-fridericia": "QT interval corrected by the formula of Fridericia",
    "qtc-framingham": "QT interval corrected by the Framingham formula",
    "qtc-hodges": "QT interval corrected by the formula of Hodges",
    "qtc-rautaharju": "QT interval corrected by the formula of Rautaharju",
    "serum-osmolality": "serum osmolality",
    "sirs-criteria": "number of SIRS criteria met",
    "sodium-excretion": "fractional excretion of sodium",
    "target-weight": "target weight at the body mass index that the note gives",
    "wells-embolism": "score by Wells' criteria for pulmonary embolism",
    "wells-thrombosis": "score by Wells' criteria for deep vein thrombosis",
}
DAYS = {
    "latest": "Where a value was measured on several days, the most recent one counts.",
    "first": "Where a value was measured on several days, the earliest one counts.",
}
NOT_MENTIONED = "Criteria that the note does not mention count as absent."


def question(patient: Patient, frame: int) -> str:
    """Return the question about a patient.

    Args:
        frame: place in `FRAMES`.
    """
    calculator = patient.calculator
    sentences = [FRAMES[frame].format(title=_title(patient))]
    if calculator.key in RULES:
        sentences.append(RULES[calculator.key])
    if patient.readings:
        sentences.append(DAYS[patient.rule])
    if patient.conditions:
        sentences.append(NOT_MENTIONED)
    return " ".join(sentences)


def asked(patient: Patient) -> dict[str, object]:
    """Return the inputs that stand in the question and not in the note."""
    if patient.calculator.key == "steroid-equivalent":
        return {"target": patient.values["target"]}
    return {}


def _title(patient: Patient) -> str:
    calculator: Calculator = patient.calculator
    if calculator.key == "steroid-equivalent":
        target = str(patient.values["target"])
        route = {"IV": "intravenous", "PO": "oral"}[target.split()[1]]
        return f"equivalent daily dose of {route} {STEROIDS[target]} for the current corticosteroid"
    return TITLES.get(calculator.key, calculator.title)
