"""The calculators: worked examples, units, ranges, and what must rise or fall with what."""

from __future__ import annotations

import datetime as dt
import inspect
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchside.calculators import (
    BY_NUMBER,
    CALCULATORS,
    Calculator,
    CalculatorError,
    Choice,
    Doses,
    Flag,
    InputTypeError,
    Measured,
    MissingInputError,
    OutOfRangeError,
    UndefinedError,
    UnitError,
    UnknownCalculatorError,
    UnknownInputError,
    calculator,
    compute,
)

GAP = {"sodium": 140, "chloride": 100, "bicarbonate": 20}
SICK = {
    "age": 60, "pulse": 125, "temperature": 40, "ph": 7.34, "breaths": 30, "systolic": 89,
    "urea_nitrogen": 30, "sodium": 129, "glucose": 250, "hematocrit": 29, "oxygen": 59,
}  # fmt: skip
WELL = {
    "age": 40, "temperature": 37, "systolic": 120, "diastolic": 80, "pulse": 80, "breaths": 16,
    "inspired_oxygen": 21, "oxygen": 90, "ph": 7.4, "sodium": 140, "potassium": 4,
    "creatinine": 1, "hematocrit": 40, "leukocytes": 8000, "coma_score": 15,
}  # fmt: skip
BREATHING = {
    "oxygen": 90, "inspired_oxygen": 21, "platelets": 200_000, "coma_score": 15, "bilirubin": 1,
}  # fmt: skip

EXAMPLES: list[tuple[str, dict[str, Any], object]] = [  # worked by hand from the publications
    # 163 cm, 48 kg: BMI 18.07, actual weight; (140 - 87) 48 / (72 1.4)
    ("creatinine-clearance",
     {"sex": "Male", "age": 87, "weight": 48, "height": 163, "creatinine": 1.4}, 25.238),
    # 60 in, 90 kg, BMI 38.8: ideal 50, adjusted 50 + 0.4 (90 - 50) = 66; (140 - 40) 66 / 72
    ("creatinine-clearance",
     {"sex": "Male", "age": 40, "weight": 90, "height": (60, "in"), "creatinine": 1}, 91.667),
    ("gfr-ckd-epi", {"sex": "Female", "age": 50, "creatinine": 0.7}, 142 * 0.9938**50 * 1.012),
    ("gfr-ckd-epi", {"sex": "Male", "age": 50, "creatinine": 1.8}, 142 * 2**-1.2 * 0.9938**50),
    ("gfr-mdrd", {"sex": "Female", "age": 1, "creatinine": 1, "race": "Black"},
     175 * 0.742 * 1.212),
    ("mean-arterial-pressure", {"systolic": 120, "diastolic": 60}, 80),
    ("body-mass-index", {"weight": 80, "height": (2, "m")}, 20),
    ("body-surface-area", {"weight": 50, "height": 280}, 3.8889**0.5),
    ("ideal-body-weight", {"sex": "Female", "height": (65, "in")}, 57),
    ("adjusted-body-weight", {"sex": "Male", "weight": 83, "height": 165.1}, 70.1),
    ("target-weight", {"bmi": 20, "height": 200}, 80),
    ("maintenance-fluids", {"weight": 8}, 32),
    ("maintenance-fluids", {"weight": 15}, 50),
    ("maintenance-fluids", {"weight": 70}, 110),
    ("corrected-calcium", {"calcium": 8, "albumin": (20, "g/L")}, 9.6),
    ("corrected-sodium", {"sodium": 130, "glucose": 600}, 142),
    ("serum-osmolality", {"sodium": 140, "urea_nitrogen": 14, "glucose": 90}, 290),
    ("free-water-deficit", {"sex": "Female", "age": 70, "weight": 100, "sodium": 154}, 4.5),
    ("free-water-deficit", {"sex": "Female", "age": 10, "weight": 10, "sodium": 154}, 0.6),
    ("sodium-excretion",
     {"sodium": 140, "creatinine": 1, "urine_sodium": 70, "urine_creatinine": 50}, 1),
    ("anion-gap", GAP, 20),
    ("delta-gap", GAP, 8),
    ("delta-ratio", GAP, 2),
    ("albumin-anion-gap", {**GAP, "albumin": 2}, 25),
    ("albumin-delta-gap", {**GAP, "albumin": 2}, 13),
    ("albumin-delta-ratio", {**GAP, "albumin": 2}, 3.25),
    ("ldl-cholesterol",
     {"total_cholesterol": 200, "hdl_cholesterol": 50, "triglycerides": 100}, 130),
    ("homa-ir", {"glucose": 81, "insulin": 10}, 2),
    ("fib-4", {"age": 50, "ast": 40, "alt": 16, "platelets": (250, "×10⁹/L")}, 2),
    ("qtc-bazett", {"qt": 400, "pulse": 240}, 800),
    ("qtc-fridericia", {"qt": (0.2, "s"), "pulse": 480 / 2}, 317.48),
    ("qtc-framingham", {"qt": 400, "pulse": 120}, 477),
    ("qtc-hodges", {"qt": 400, "pulse": 100}, 470),
    ("qtc-rautaharju", {"qt": 360, "pulse": 60}, 360),
    ("steroid-equivalent",
     {"steroid": "Dexamethasone IV", "dose": 3, "target": "PredniSONE PO"}, 20),
    ("morphine-equivalents", {"doses": {"OxyCODONE": (10, 3), "TraMADol": (50, 2)}}, 65),
    # all at their floors: 6.43 rounds to 6; nothing added for sodium up to 11
    ("meld-na", {"creatinine": 1, "bilirubin": 1, "inr": 1, "sodium": 120}, 6),
    # 0.957 ln 2 + 0.643 = 1.306 -> 13; 13 + 1.32 * 7 - 0.033 * 13 * 7 = 19.24
    ("meld-na", {"creatinine": 2, "bilirubin": 1, "inr": 1, "sodium": 130}, 19),
    # men: L = 208.4198 + 110.5069 - 3.3191 + 6.5075 - 101.8926 - 47.1039 - 172.3002 = 0.8185
    # with age, cholesterol, HDL, pressure, age and cholesterol, age²; 1 - 0.9402^exp(0.8185)
    ("framingham-risk",
     {"sex": "Male", "age": 55, "total_cholesterol": 250, "hdl_cholesterol": 39,
      "systolic": 146}, 13.047),
    ("due-date", {"last_period": "2024-01-01", "cycle": 30}, dt.date(2024, 10, 9)),
    ("due-date", {"last_period": dt.date(2023, 1, 1), "cycle": 28}, dt.date(2023, 10, 8)),
    ("conception-date", {"last_period": "2024-02-16"}, dt.date(2024, 3, 1)),
    ("gestational-age", {"last_period": "2024-02-28", "today": "2024-03-01"},
     dt.timedelta(days=2)),
    ("cha2ds2-vasc",
     {"sex": "Female", "age": 75, "stroke": True, "tia": True, "vascular": True}, 6),
    ("wells-embolism",
     {"pulse": 101, "surgery": True, "immobile": True, "likeliest": True}, 6),
    ("wells-thrombosis", {"bedridden": True, "surgery": True, "calf": True, "alternative": True},
     0),
    ("cardiac-risk-index", {"creatinine": 2.1, "insulin": True}, 2),
    ("heart-score",
     {"age": 65, "suspicion": "Highly suspicious", "ecg": "Normal",
      "troponin": "less than or equal to normal limit", "obesity": True}, 5),
    ("heart-score",
     {"age": 44, "suspicion": "Slightly suspicious", "ecg": "Normal",
      "troponin": "greater than three times normal limit", "tia": True}, 4),
    ("centor-score", {"age": 14, "temperature": 38.1, "no_cough": True}, 3),
    ("centor-score", {"age": 45, "temperature": (100.4, "°F"), "nodes": True}, 0),
    ("feverpain", {"fever": True, "purulent": True}, 2),
    ("glasgow-coma-score",
     {"eye": "not testable", "verbal": "not testable", "motor": "not testable"}, 15),
    ("glasgow-coma-score",
     {"eye": "no eye opening", "verbal": "no verbal response", "motor": "no motor response"}, 3),
    ("child-pugh", {"bilirubin": 1.9, "albumin": 3.6, "inr": 1.6}, 5),
    ("child-pugh",
     {"bilirubin": 3.1, "albumin": 2.7, "inr": 2.4, "ascites": "moderate",
      "encephalopathy": "Grade 3-4"}, 15),
    ("has-bled", {"age": 66, "drinks": 8, "renal": True}, 3),
    ("glasgow-blatchford",
     {"sex": "Male", "urea_nitrogen": 70, "hemoglobin": 9.9, "systolic": 89, "pulse": 100,
      "melena": True, "syncope": True, "hepatic": True, "failure": True}, 23),
    ("glasgow-blatchford",
     {"sex": "Female", "urea_nitrogen": 18, "hemoglobin": 11.9, "systolic": 110, "pulse": 99}, 1),
    ("pneumonia-severity", {"sex": "Female", **SICK, "neoplastic": True}, 50 + 40 + 15 + 80 + 60),
    ("curb-65",
     {"age": 65, "systolic": 90, "diastolic": 60, "urea_nitrogen": 20, "breaths": 29}, 3),
    ("perc-rule",
     {"age": 50, "pulse": 99, "saturation": 94, "past_embolism": True, "past_thrombosis": True}, 3),
    ("sirs-criteria",
     {"temperature": 38.1, "pulse": 91, "breaths": 20, "leukocytes": 3999, "carbon_dioxide": 31},
     4),
    ("sirs-criteria", {"temperature": 37, "pulse": 90, "breaths": 20, "leukocytes": 12_000}, 0),
    ("apache-ii", WELL, 0),
    # temperature 3, MAP 50 2, pulse 3, breaths 3, gradient 3, pH 3, Na 2, K 1, creatinine 2 * 3,
    # hematocrit 2, leukocytes 1, coma 15 - 7, age 3, chronic health 5
    ("apache-ii",
     {"age": 64, "temperature": 39, "systolic": 70, "diastolic": 40, "pulse": 140, "breaths": 35,
      "inspired_oxygen": 50, "gradient": 350, "ph": 7.24, "sodium": 129, "potassium": 5.5,
      "creatinine": 3.4, "hematocrit": 29, "leukocytes": (15, "×10³/µL"), "coma_score": 7,
      "acute_renal_failure": True, "organ_failure": True}, 45),
    ("apache-ii", {**WELL, "organ_failure": True, "surgery": "Elective", "oxygen": 61}, 3),
    ("sofa", BREATHING, 0),
    # 80/0.5 ventilated 3, platelets 2, coma 9 3, bilirubin 2 2, dopamine 3, urine 4
    ("sofa",
     {"oxygen": 80, "inspired_oxygen": 50, "ventilated": True, "platelets": 99_000,
      "coma_score": 9, "bilirubin": 2, "dopamine": 6, "creatinine": 1.2, "urine": 199}, 17),
    ("sofa", {**BREATHING, "systolic": 90, "diastolic": 55, "oxygen": 40}, 3),
    # 60 years 1, BMI 1, minor surgery 1, fracture 5, thrombosis 3, catheter 2, female 1
    ("caprini-score",
     {"sex": "Female", "age": 60, "bmi": 25.1, "surgery": "minor", "fracture": True,
      "past_thrombosis": True, "venous_access": True}, 14),
    ("caprini-score",
     {"sex": "Male", "age": 75, "surgery": "major", "mobility": "confined to bed >72 hours"}, 7),
    # 79 years 3, infarction 1, stroke or TIA 1, hemiplegia 2, liver 3, diabetes 1, tumor 6
    ("charlson-index",
     {"age": 79, "infarction": True, "stroke": True, "tia": True, "hemiplegia": True,
      "liver": "moderate to severe", "diabetes": "uncomplicated", "tumor": "metastatic"}, 17),
]  # fmt: skip


@pytest.mark.parametrize(("key", "values", "expected"), EXAMPLES)
def test_worked_examples(key: str, values: dict[str, Any], expected: object) -> None:
    found = compute(key, **values)
    if isinstance(expected, (int, float)):
        assert found == pytest.approx(expected, abs=6e-4)
    else:
        assert found == expected


def test_there_are_55_and_each_has_an_example() -> None:
    assert len(CALCULATORS) == len(BY_NUMBER) == 55
    assert {key for key, _, _ in EXAMPLES} == set(CALCULATORS)


@pytest.mark.parametrize("one", CALCULATORS.values(), ids=list(CALCULATORS))
def test_inputs_are_the_formulas_arguments(one: Calculator) -> None:
    parameters = inspect.signature(one.formula).parameters
    assert {item.argument for item in one.inputs} == set(parameters)
    for item in one.inputs:
        has_default = parameters[item.argument].default is not inspect.Parameter.empty
        assert item.required != has_default, item.name
    assert 1919 < one.source.year < 2026
    assert one.formula.__doc__
    assert (one.output.kind == "number") == (one.output.decimals is not None)


def draw_values(data: st.DataObject, one: Calculator) -> dict[str, Any]:
    """Values that every input accepts, in the quantities' own units."""
    values: dict[str, Any] = {}
    for item in one.inputs:
        match item:
            case Measured():
                width = item.high - item.low
                values[item.name] = data.draw(
                    st.floats(item.low + 0.2 * width, item.low + 0.3 * width), item.name
                )
            case Choice():
                values[item.name] = data.draw(st.sampled_from(item.values), item.name)
            case Flag():
                values[item.name] = data.draw(st.booleans(), item.name)
            case Doses():
                drug = data.draw(st.sampled_from(sorted(item.amounts)))
                values[item.name] = {drug: (data.draw(st.integers(1, 50)), 2)}
            case _:
                values[item.name] = data.draw(st.dates(dt.date(2000, 1, 1), dt.date(2030, 1, 1)))
    return values


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_answers_do_not_depend_on_units(data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(sorted(CALCULATORS.values(), key=lambda one: one.key)))
    values = draw_values(data, one)
    other = dict(values)
    for item in one.inputs:
        if isinstance(item, Measured):
            unit = data.draw(st.sampled_from(sorted(item.quantity.units)))
            other[item.name] = (item.quantity.express(values[item.name], unit), unit)
    try:
        first = one.exact(one.arguments(values))
    except UndefinedError:
        return
    second = one.exact(one.arguments(other))
    if one.output.kind == "number":
        assert isinstance(first, (int, float))
        assert second == pytest.approx(first, rel=1e-6, abs=1e-6)
    else:
        assert second == first


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_criterion_more_never_lowers_a_score(data: st.DataObject) -> None:
    scores = [one for one in CALCULATORS.values() if any(isinstance(i, Flag) for i in one.inputs)]
    one = data.draw(st.sampled_from(sorted(scores, key=lambda one: one.key)))
    flags = [item.name for item in one.inputs if isinstance(item, Flag)]
    values = draw_values(data, one)
    name = data.draw(st.sampled_from(flags))
    absent, present = ({**values, name: met} for met in (False, True))
    low, high = compute(one.key, **absent), compute(one.key, **present)
    assert isinstance(low, (int, float))
    assert isinstance(high, (int, float))
    if (one.key, name) == ("wells-thrombosis", "alternative"):  # the one criterion that subtracts
        assert high == low - 2
    else:
        assert high >= low
    if one.output.low is not None:
        assert low >= one.output.low
    if one.output.high is not None:
        assert high <= one.output.high


RISING = [
    ("creatinine-clearance", "creatinine", -1), ("gfr-ckd-epi", "creatinine", -1),
    ("gfr-mdrd", "creatinine", -1), ("gfr-mdrd", "age", -1), ("body-mass-index", "weight", 1),
    ("body-mass-index", "height", -1), ("body-surface-area", "height", 1),
    ("maintenance-fluids", "weight", 1), ("corrected-calcium", "albumin", -1),
    ("corrected-sodium", "glucose", 1), ("anion-gap", "bicarbonate", -1),
    ("albumin-anion-gap", "albumin", -1), ("ldl-cholesterol", "triglycerides", -1),
    ("homa-ir", "insulin", 1), ("fib-4", "platelets", -1), ("qtc-bazett", "pulse", 1),
    ("qtc-fridericia", "pulse", 1), ("qtc-framingham", "pulse", 1), ("qtc-hodges", "qt", 1),
    ("qtc-rautaharju", "pulse", 1), ("free-water-deficit", "sodium", 1),
    ("framingham-risk", "hdl_cholesterol", -1), ("target-weight", "bmi", 1),
]  # fmt: skip


@pytest.mark.parametrize(("key", "name", "sign"), RISING)
@settings(max_examples=8, deadline=None)
@given(st.data())
def test_monotone_in_one_input(key: str, name: str, sign: int, data: st.DataObject) -> None:
    one = calculator(key)
    values = draw_values(data, one)
    more = one.exact(one.arguments({**values, name: values[name] * 1.05}))
    less = one.exact(one.arguments(values))
    assert isinstance(more, (int, float))
    assert isinstance(less, (int, float))
    assert sign * (more - less) >= 0


@pytest.mark.parametrize(
    ("key", "values", "error", "told"),
    [
        ("anion-gap", {"sodium": 140, "chloride": 100}, MissingInputError, "bicarbonate"),
        ("anion-gap", {**GAP, "albumin": 4}, UnknownInputError, "sodium, chloride, bicarbonate"),
        ("anion-gap", {**GAP, "sodium": (140, "mg/dL")}, UnitError, "use mEq/L, mmol/L"),
        ("anion-gap", {**GAP, "sodium": 1.4}, OutOfRangeError, "80 to 220 mEq/L are possible"),
        ("anion-gap", {**GAP, "sodium": math.nan}, InputTypeError, "finite number"),
        ("anion-gap", {**GAP, "sodium": True}, InputTypeError, "finite number"),
        ("anion-gap", {**GAP, "sodium": "140"}, InputTypeError, "its own unit is mEq/L"),
        ("delta-ratio", {**GAP, "bicarbonate": 24}, UndefinedError, "delta-ratio"),
        ("gfr-ckd-epi", {"sex": "f", "age": 50, "creatinine": 1}, InputTypeError, "'Female'"),
        ("gfr-ckd-epi", {"sex": "Female", "age": (800, "years"), "creatinine": 1},
         OutOfRangeError, "0 to 125 years"),
        ("feverpain", {"fever": 1}, InputTypeError, "True or False"),
        ("due-date", {"last_period": "31/12/2024", "cycle": 28}, InputTypeError, "2024-02-29"),
        ("due-date", {"last_period": dt.datetime(2024, 1, 1), "cycle": 28}, InputTypeError, "date"),
        ("morphine-equivalents", {"doses": {"Aspirin": (1, 1)}}, InputTypeError, "Codeine"),
        ("morphine-equivalents", {"doses": {"Codeine": 30}}, InputTypeError, "pair"),
        ("morphine-equivalents", {"doses": {}}, InputTypeError, "dict"),
        ("morphine-equivalents", {"doses": {"Codeine": (30, 500)}}, OutOfRangeError, "48 times"),
        ("anion-gpa", {}, UnknownCalculatorError, "anion-gap"),
    ],
)  # fmt: skip
def test_wrong_inputs_are_named(
    key: str, values: dict[str, Any], error: type[CalculatorError], told: str
) -> None:
    with pytest.raises(error) as caught:
        compute(key, **values)
    assert told in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_ranges_can_be_left_out_where_labels_are_checked() -> None:
    one = calculator("anion-gap")
    assert one.exact(one.arguments({**GAP, "sodium": 14}, in_range=False)) == -106


def test_results_are_rounded_by_the_outputs_rule() -> None:
    assert compute("fib-4", age=50, ast=41, alt=17, platelets=250_000) == 1.989
    assert isinstance(compute("wells-embolism", pulse=101), float)
    assert isinstance(compute("meld-na", creatinine=1, bilirubin=1, inr=1, sodium=140), int)
