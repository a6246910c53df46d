"""The Charlson comorbidity index.

Formulas stand alone with those that they call: reference solutions carry their source.
"""

from __future__ import annotations

from .calculator import Calculator, Output, Source
from .inputs import Choice
from .measures import AGE, flags


def charlson_index(
    *,
    age_y: float,
    infarction: bool = False,
    failure: bool = False,
    peripheral: bool = False,
    stroke: bool = False,
    tia: bool = False,
    dementia: bool = False,
    copd: bool = False,
    connective: bool = False,
    ulcer: bool = False,
    hemiplegia: bool = False,
    renal: bool = False,
    leukemia: bool = False,
    lymphoma: bool = False,
    aids: bool = False,
    liver: str = "none",
    diabetes: str = "none",
    tumor: str = "none",
) -> int:
    """Return the index with points for age, 0 to 37.

    Source: Charlson et al.: J Chronic Dis 1987;40:373-383; age: J Clin Epidemiol 1994;47:1245.
    """
    age = min(max(int(age_y // 10) - 4, 0), 4)
    ones = (
        infarction + failure + peripheral + (stroke or tia) + dementia + copd + connective + ulcer
    )
    twos = hemiplegia + renal + leukemia + lymphoma
    graded = {"mild": 1, "moderate to severe": 3}.get(liver, 0)
    graded += {"uncomplicated": 1, "end-organ damage": 2}.get(diabetes, 0)
    graded += {"localized": 2, "metastatic": 6}.get(tumor, 0)
    return age + ones + 2 * twos + 6 * aids + graded


CALCULATORS = (
    Calculator(
        "charlson-index",
        32,
        "Charlson comorbidity index",
        charlson_index,
        (
            AGE,
            *flags(
                infarction="myocardial infarction",
                failure="congestive heart failure",
                peripheral="peripheral vascular disease",
                stroke="stroke",
                tia="transient ischemic attack",
                dementia="dementia",
                copd="chronic obstructive pulmonary disease",
                connective="connective tissue disease",
                ulcer="peptic ulcer disease",
                hemiplegia="hemiplegia",
                renal="moderate to severe chronic kidney disease",
                leukemia="leukemia",
                lymphoma="lymphoma",
                aids="AIDS",
            ),
            Choice("liver", ("none", "mild", "moderate to severe"), required=False),
            Choice("diabetes", ("none", "uncomplicated", "end-organ damage"), required=False),
            Choice("tumor", ("none", "localized", "metastatic"), required=False),
        ),
        Output("integer", low=0, high=37),
        Source("Charlson et al.", "J Clin Epidemiol", 1994, "47:1245-1251"),
    ),
)
