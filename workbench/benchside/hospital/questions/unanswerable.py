# ruff: noqa: E501 — wordings and queries stay whole
"""Questions that the record cannot answer, though a hospital might: abstaining is right."""

from __future__ import annotations

from typing import Any

from numpy.random import Generator

from benchside.hospital.questions.form import INTEGER, TEXT, Form
from benchside.hospital.questions.template import Request, Template
from benchside.hospital.questions.view import Role, View

CATEGORY = "unanswerable"
# Family, kind of event whose name is asked about ("" none), wordings. What is asked stands in no
# table of any of the views: people and places outside the wards, plans, texts, advice, images.
_TEXT: tuple[tuple[str, Role | None, tuple[str, ...]], ...] = (
    ("address", None, (
        "What is the home address of {patient}?", "In which city does {patient} live?",
        "What is the postcode of {patient}?", "Which district does {patient} come from?")),
    ("telephone", None, (
        "What is the telephone number of {patient}?", "Give the e-mail address of {patient}.",
        "Which number do I call to reach the relatives of {patient}?",
        "Who is the emergency contact of {patient}?")),
    ("appointment", None, (
        "When is the next appointment of {patient}?", "For which day is {patient} booked for follow-up?",
        "Does {patient} have an outpatient visit next month?",
        "With which clinic is {patient} to be followed up?")),
    ("physician", None, (
        "Which physician looked after {patient} on the last visit?",
        "What is the name of the nurse of {patient}?", "Who admitted {patient} to the hospital?",
        "Who is the family doctor of {patient}?")),
    ("family", None, (
        "Which illnesses run in the family of {patient}?", "Did the mother of {patient} have diabetes?",
        "What is the family history of {patient}?", "How many siblings does {patient} have?")),
    ("habits", None, (
        "How many cigarettes does {patient} smoke a day?", "What is the occupation of {patient}?",
        "What does {patient} eat for breakfast?", "How much exercise does {patient} take a week?")),
    ("imaging", None, (
        "What did the last chest x-ray of {patient} show?", "Describe the head CT of {patient}.",
        "What is the ejection fraction of {patient}?", "What were the findings of the MRI of {patient}?")),
    ("consent", None, (
        "Has {patient} signed the consent form?", "What are the treatment preferences of {patient}?",
        "Who holds the power of attorney for {patient}?", "Did {patient} agree to take part in a trial?")),
    ("vaccine", None, (
        "When did {patient} receive the last influenza vaccine?",
        "Which vaccines has {patient} had?", "Is {patient} vaccinated against tetanus?",
        "What is the blood group of {patient}?")),
    ("prognosis", None, (
        "When will {patient} be able to work again?", "How likely is {patient} to be readmitted next year?",
        "When will {patient} be discharged to rehabilitation next time?",
        "How long is {patient} expected to live?")),
    ("side-effects", "drug", (
        "What are the side effects of {name}?", "With which foods should {name} not be taken?",
        "Is {name} safe in pregnancy?", "Which company makes {name}?")),
    ("indication", "drug", (
        "For which diagnoses is {name} approved?", "What is the mechanism of {name}?",
        "What does {name} interact with?", "What is the half-life of {name}?")),
    ("guideline", "diagnosis", (
        "What is the recommended treatment of {name}?", "How is {name} prevented?",
        "Which guideline covers {name}?", "What causes {name}?")),
    ("waiting", "procedure", (
        "How long is the waiting list for {thing}?", "Which surgeon performs {thing} most often?",
        "How long does {thing} take on average in the operating room?",
        "What must a patient know before {thing}?")),
    ("laboratory", "lab", (
        "Which analyser is used for {name}?", "How much blood is needed to measure {name}?",
        "Which technician measured {name} of {patient} last?",
        "In which laboratory is {name} measured?")),
)  # fmt: skip
_COUNTS: tuple[tuple[str, Role | None, tuple[str, ...]], ...] = (
    ("rooms", None, (
        "How many beds are free in the intensive care units now?",
        "How many single rooms does the ward of {patient} have?",
        "How many nurses were on duty when {patient} was last discharged?",
        "How many visitors did {patient} have on the last visit?")),
    ("outpatients", "diagnosis", (
        "How many outpatients with {name} are seen each week?",
        "How many people in the city live with {name}?",
        "How many patients with {name} were treated at other hospitals?",
        "How many relatives of {patient} have {name}?")),
    ("stock", "drug", (
        "How many packages of {name} are in the pharmacy?",
        "How many tablets of {name} did {patient} take at home last week?",
        "How many doses of {name} expired?", "How many complaints were there about {name}?")),
)  # fmt: skip

IMPERSONAL: tuple[tuple[str, tuple[str, ...]], ...] = tuple(
    (family, wordings) for family, role, wordings in _TEXT if role is None
)
"""The families that name no event, for other views of the record."""


def templates() -> list[Template]:
    """All families; their form tells nothing about whether there is an answer."""
    texts = [_template(*entry, TEXT) for entry in _TEXT]
    return texts + [_template(*entry, INTEGER) for entry in _COUNTS]


def _template(family: str, role: Role | None, wordings: tuple[str, ...], form: Form) -> Template:
    def draw(rng: Generator, view: View, pool: Any) -> Request:
        patient = pool[rng.integers(len(pool))]
        if role is None:
            return Request(patient)
        names = list(view.events[role].of_name)
        return Request(patient, role, names[rng.integers(len(names))])

    return Template(
        f"{CATEGORY}/{family}", CATEGORY, form, wordings, draw,
        lambda request, view: "", lambda request, view: None,
    )  # fmt: skip
