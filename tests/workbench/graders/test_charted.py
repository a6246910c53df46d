"""Grader `charted`: exactly the changes that were asked for, whoever writes them down how."""

import copy
from typing import Any

import pytest

from benchside.errors import GraderError
from benchside.graders.charted import ChartedGrader, ExpectedWrite, differences
from benchside.graders.grader import build_grader
from benchside.state import ServiceState, StateChange

ORDER: dict[str, Any] = {
    "resourceType": "MedicationRequest", "status": "active", "intent": "order",
    "medicationCodeableConcept": {"coding": [{"system": "urn:ndc", "code": "1"}]},
    "subject": {"reference": "Patient/p1"}, "authoredOn": "2024-05-06T09:30:00+00:00",
    "dosageInstruction": [
        {"route": {"text": "IV"}, "doseAndRate": [{"doseQuantity": {"value": 2, "unit": "g"}}]}
    ],
}  # fmt: skip
CREATE = ExpectedWrite(
    verb="create", kind="MedicationRequest", record=ORDER, optional=("requester",)
)


def made(record: dict[str, Any], name: str = "new-1") -> StateChange:
    whole = {**record, "id": name, "meta": {"versionId": "1"}}
    return StateChange(kind=record["resourceType"], id=name, before=None, after=whole)


def changed(**parts: Any) -> dict[str, Any]:
    return {**copy.deepcopy(ORDER), **parts}


@pytest.mark.parametrize(
    "record",
    [
        ORDER,
        changed(requester={"display": "Dr. Who"}),
        changed(authoredOn="2024-05-06T11:30:00+02:00"),
        changed(subject={"reference": "http://fhir/Patient/p1", "display": "Ann"}),
        changed(medicationCodeableConcept={
            "text": "Magnesium", "coding": [{"system": "urn:ndc", "code": "1", "display": "Mg"}],
        }),
        changed(dosageInstruction=[{
            "text": "once", "route": {"text": " IV"},
            "doseAndRate": [{"doseQuantity": {"value": 2.0, "unit": "g", "code": "g"}}],
        }]),
    ],
)  # fmt: skip
def test_the_same_order_passes_in_other_words(record: dict[str, Any]) -> None:
    assert differences([CREATE], [made(record)]) == []


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (changed(status="draft"), "status is"),
        (changed(authoredOn="2024-05-06T09:30:00+02:00"), "authoredOn is"),
        (changed(subject={"reference": "Patient/p2"}), "subject.reference is"),
        (changed(priority="stat"), "priority was not asked for"),
        (changed(dosageInstruction=ORDER["dosageInstruction"] * 2), "1 items too many"),
        (changed(dosageInstruction=[]), "dosageInstruction lacks an item"),
        (changed(medicationCodeableConcept={"coding": [{"code": "1"}]}), "system is missing"),
        (
            changed(dosageInstruction=[{
                "route": {"text": "IV"},
                "doseAndRate": [{"doseQuantity": {"value": 4, "unit": "g"}}],
            }]),
            "value is '4', expected '2'",
        ),
    ],
)  # fmt: skip
def test_another_order_fails_and_the_evidence_names_the_element(
    record: dict[str, Any], said: str
) -> None:
    (problem,) = differences([CREATE], [made(record)])
    assert said in problem and "MedicationRequest/new-1" in problem


def test_missing_extra_updated_and_deleted() -> None:
    assert differences([CREATE], []) == ["missing: create MedicationRequest"]
    twice = [made(ORDER), made(ORDER, "new-2")]
    assert differences([CREATE], twice) == ["not asked for: create MedicationRequest/new-2"]
    assert differences([CREATE, CREATE], twice) == []
    before = {**ORDER, "id": "m1"}
    after = {**before, "status": "stopped"}
    stop = ExpectedWrite(verb="update", kind="MedicationRequest", id="m1", record=after)
    did = StateChange(kind="MedicationRequest", id="m1", before=before, after=after)
    assert differences([stop], [did]) == []
    other = did.model_copy(update={"id": "m2"})
    assert differences([stop], [other]) == [
        "missing: update MedicationRequest m1", "not asked for: update MedicationRequest/m2",
    ]  # fmt: skip
    careless = did.model_copy(update={"after": {**after, "note": [{"text": "x"}]}})
    assert "note was not asked for" in differences([stop], [careless])[0]
    gone = ExpectedWrite(verb="delete", kind="MedicationRequest", id="m1")
    assert differences([gone], [did.model_copy(update={"after": None})]) == []
    assert differences([gone], [did])[0].startswith("missing: delete")


def test_answer_and_changes_must_both_be_right() -> None:
    params: dict[str, Any] = {
        "answer": {"grader": "number", "params": {"abs_tol": 0.01}},
        "writes": [CREATE.model_dump(mode="json")],
    }
    grader = build_grader("charted", params)
    assert isinstance(grader, ChartedGrader)
    assert grader.exposed() == ["writes"]
    right = ServiceState(service="fhir", host="fhir:80", changes=(made(ORDER),))
    nothing = right.model_copy(update={"changes": ()})
    for state, answer, parts in (
        (right, 1.2, (1, 1)), (right, 1.3, (0, 1)), (nothing, 1.2, (1, 0)), (nothing, 7, (0, 0)),
    ):  # fmt: skip
        verdict = grader.with_states([state]).judge(answer, 1.2)
        assert (verdict.parts["answer"], verdict.parts["changes"]) == parts
        assert verdict.passed == (parts == (1, 1))
    with pytest.raises(GraderError, match="without what its service recorded"):
        grader.with_states([]).judge(1.2, 1.2)
