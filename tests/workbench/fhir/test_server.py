"""The FHIR server over HTTP: searching, reading, writing, bundles, refusals, changes."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchside.fhir.parameters import PARAMETERS
from benchside.fhir.server import MAX_BODY_BYTES, make_app
from benchside.fhir.store import FhirStore, write_template
from benchside.fhir.validation import check_resource

NOW = datetime(2023, 11, 13, 10, 15, tzinfo=UTC)


def patient(name: str, family: str, born: str, city: str = "Ulm") -> dict[str, Any]:
    return {
        "resourceType": "Patient", "id": name, "gender": "female", "birthDate": born,
        "identifier": [{"system": "urn:mrn", "value": name}],
        "name": [{"use": "official", "family": family, "given": ["Zoë", "Ann"]}],
        "address": [{"line": ["1 High Street"], "city": city, "state": "OR"}],
        "telecom": [{"system": "phone", "value": "060-415"}],
    }  # fmt: skip


def level(
    name: str, who: str, when: str, value: float, code: str = "K", unit: str = "mmol/L"
) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": name, "status": "final",
        "category": [{"coding": [{"system": "urn:cat", "code": "laboratory"}]}],
        "code": {"coding": [{"system": "urn:lab", "code": code}], "text": "Potassium, serum"},
        "subject": {"reference": f"Patient/{who}"}, "effectiveDateTime": when,
        "valueQuantity": {"value": value, "unit": unit},
    }  # fmt: skip


RESOURCES = [
    patient("S1", "Müller", "1950-02-28"),
    patient("S2", "Mullen", "1962-03-03", city="Bern"),
    patient("S3", "Ito", "1962-03-04"),
    level("o1", "S1", "2023-11-12T09:00:00+00:00", 3.1),
    level("o2", "S1", "2023-11-13T08:30:00+00:00", 3.4),
    level("o3", "S1", "2023-11-13T08:30:00+02:00", 4.0, "MG", "mg/dL"),
    level("o4", "S2", "2023-11-01", 5.4),
    {
        "resourceType": "Encounter", "id": "e1", "status": "finished", "class": {"code": "IMP"},
        "subject": {"reference": "Patient/S1"},
        "period": {"start": "2023-11-10T00:00:00Z", "end": "2023-11-12T00:00:00Z"},
    },
]  # fmt: skip


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fhir") / "fhir.sqlite"
    assert write_template(path, RESOURCES) == len(RESOURCES)
    return path


@pytest.fixture
async def store(template: Path) -> AsyncIterator[FhirStore]:
    with FhirStore(template, now=NOW) as opened:
        yield opened


@pytest.fixture
async def fhir(store: FhirStore) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_app(store))
    async with httpx.AsyncClient(transport=transport, base_url="http://fhir") as client:
        yield client


def test_these_resources_are_valid() -> None:
    for resource in RESOURCES:
        check_resource(resource, resource["resourceType"], lambda *_: True)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Patient?name=mul", "S1 S2"),
        ("Patient?family:exact=Mullen", "S2"),
        ("Patient?family=muller", "S1"),
        ("Patient?given=zoe&birthdate=1962-03-03", "S2"),
        ("Patient?birthdate=1962-03", "S2 S3"),
        ("Patient?birthdate=gt1950-02-28&birthdate=lt1962-03-04", "S2"),
        ("Patient?birthdate=1950,1962-03-04", "S1 S3"),
        ("Patient?birthdate=ne1962", "S1"),
        ("Patient?identifier=urn:mrn|S3", "S3"),
        ("Patient?identifier=|S3", ""),
        ("Patient?identifier=S3,S1", "S1 S3"),
        ("Patient?address-city:contains=er", "S2"),
        ("Patient?address=1%20high&address-state=or&telecom=060-415&legal-sex=female", "S1 S2 S3"),
        ("Patient?gender:not=female", ""),
        ("Patient?death-date:missing=true&_id=S1", "S1"),
        ("Patient?_sort=-birthdate&_count=2", "S3 S2"),
        ("Patient?_sort=family", "S3 S2 S1"),
        ("Observation?patient=S1&code=K", "o1 o2"),
        ("Observation?patient=Patient/S1&code=urn:lab|MG", "o3"),
        ("Observation?subject:Patient=http://fhir/Patient/S2", "o4"),
        ("Observation?code:text=serum&patient=S2", "o4"),
        ("Observation?patient=S1&date=ge2023-11-12T10:15:00Z", "o2 o3"),
        ("Observation?patient=S1&date=gt2023-11-13T08:30:00+00:00", ""),
        ("Observation?patient=S1&date=ge2023-11-13T08:30:00%2B00:00", "o2"),
        ("Observation?patient=S1&date=2023-11-13", "o2 o3"),
        ("Observation?date=sa2023-11-12&date=eb2023-11-14", "o2 o3"),
        ("Observation?date=le2023-11-01", "o4"),
        ("Observation?value-quantity=lt3.5||mmol/L", "o1 o2"),
        ("Observation?value-quantity=3.1", "o1"),
        ("Observation?value-quantity=ap5||mmol/L", "o4"),
        ("Observation?patient.family=mullen", "o4"),
        ("Observation?subject:Patient.identifier=S1&code=MG", "o3"),
        ("Observation?_sort=patient,-date&code=K", "o2 o1 o4"),
        ("Encounter?date=2023-11-11&patient=S1", ""),
        ("Encounter?date=lt2023-11-11", "e1"),
        ("Encounter?date=sa2023-11-12", ""),
    ],
)  # fmt: skip
async def test_search(fhir: httpx.AsyncClient, query: str, expected: str) -> None:
    answer = await fhir.get(f"/{query}")
    bundle = answer.json()
    assert answer.status_code == 200, bundle
    found = [entry["resource"]["id"] for entry in bundle.get("entry", [])]
    assert found == expected.split()
    if "_count" not in query:
        assert bundle["total"] == len(found)
    kind, _, rest = query.partition("?")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    posted = await fhir.post(f"/{kind}/_search", content=rest, headers=form)
    assert [entry["resource"]["id"] for entry in posted.json().get("entry", [])] == found


async def test_pages_and_includes(fhir: httpx.AsyncClient) -> None:
    seen, url = [], "/Observation?_count=3&_sort=date"
    while url:
        page = (await fhir.get(url)).json()
        assert page["total"] == 4
        seen += [entry["resource"]["id"] for entry in page["entry"]]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    assert seen == ["o4", "o1", "o3", "o2"]
    both = (await fhir.get("/Observation?code=MG&_include=Observation:patient")).json()
    assert [entry["search"]["mode"] for entry in both["entry"]] == ["match", "include"]
    back = (await fhir.get("/Patient?_id=S1&_revinclude=Observation:patient")).json()
    assert len(back["entry"]) == 4 and back["total"] == 1
    count = (await fhir.get("/Observation?_summary=count")).json()
    assert count["total"] == 4 and "entry" not in count


@pytest.mark.parametrize(
    ("method", "url", "body", "status", "code"),
    [
        ("GET", "/Patient/nobody", None, 404, "not-found"),
        ("GET", "/Spaceship", None, 404, "not-supported"),
        ("GET", "/Patient?colour=red", None, 400, "not-supported"),
        ("GET", "/Patient?birthdate=yesterday", None, 400, "invalid"),
        ("GET", "/Patient?birthdate:exact=1962", None, 400, "not-supported"),
        ("GET", "/Patient?_count=lots", None, 400, "invalid"),
        ("GET", "/Observation?patient.patient.name=x", None, 400, "not-supported"),
        ("GET", "/", None, 405, "not-supported"),
        ("PATCH", "/Patient/S1", None, 405, "not-supported"),
        ("POST", "/Patient", "{", 400, "structure"),
        ("POST", "/Patient", "[]", 400, "structure"),
        ("POST", "/Patient", '{"resourceType": "Patient", "birthDate": NaN}', 400, "structure"),
        ("POST", "/Patient", '{"resourceType": "Patient", "id": "\\ud800"}', 400, "structure"),
        ("POST", "/Patient", '{"resourceType": "Observation"}', 400, "invalid"),
        ("POST", "/Patient", '{"resourceType": "Patient", "birthDate": 7.5}', 422, "structure"),
        ("POST", "/Patient", '{"resourceType": "Patient", "colour": "red"}', 422, "structure"),
        ("POST", "/Patient", '{"resourceType": "Patient", "gender": "x"}', 422, "business-rule"),
        ("PUT", "/Patient/S1", '{"resourceType": "Patient", "id": "S2"}', 400, "invalid"),
        ("PUT", "/Patient/a b", '{"resourceType": "Patient", "id": "a b"}', 400, "value"),
        ("DELETE", "/Patient/nobody", None, 404, "not-found"),
        ("POST", "/", '{"resourceType": "Bundle", "type": "history"}', 400, "invalid"),
    ],
)  # fmt: skip
async def test_refusals_are_outcomes(
    fhir: httpx.AsyncClient, store: FhirStore, method: str, url: str, body: str | None, status: int,
    code: str,
) -> None:  # fmt: skip
    answer = await fhir.request(method, url, content=body)
    outcome = answer.json()
    assert (answer.status_code, outcome["resourceType"]) == (status, "OperationOutcome"), outcome
    assert outcome["issue"][0]["code"] == code, outcome
    assert answer.headers["content-type"] == "application/fhir+json"
    assert store.changes() == []


async def test_a_reference_must_lead_somewhere(fhir: httpx.AsyncClient) -> None:
    answer = await fhir.post("/Observation", json=level("x", "nobody", "2023-11-13", 1))
    assert answer.status_code == 422
    (issue,) = answer.json()["issue"]
    assert issue["expression"] == ["Observation.subject.reference"]
    assert "there is no Patient/nobody" in issue["diagnostics"]


async def test_bodies_are_bounded(fhir: httpx.AsyncClient) -> None:
    assert (await fhir.post("/Patient", content=b" " * (MAX_BODY_BYTES + 1))).status_code == 413
    assert (await fhir.post("/Patient", content=b"[" * 500_000)).status_code == 400
    answer = await fhir.post("/Patient", content=b"<x/>", headers={"content-type": "text/xml"})
    assert answer.status_code == 415


async def test_writes_are_found_and_change_only_this_copy(
    fhir: httpx.AsyncClient, store: FhirStore, template: Path
) -> None:
    made = await fhir.post("/Observation", json=level("ignored", "S2", "2023-11-13T10:00:00Z", 3.3))
    assert made.status_code == 201
    name = made.json()["id"]
    assert made.headers["location"] == f"http://fhir/Observation/{name}"
    assert made.headers["etag"] == 'W/"1"'
    assert made.json()["meta"]["lastUpdated"] == NOW.isoformat(timespec="milliseconds")
    found = (await fhir.get("/Observation?patient=S2&date=gt2023-11-02")).json()
    assert [entry["resource"]["id"] for entry in found["entry"]] == [name]

    changed = {**RESOURCES[1], "birthDate": "1963-01-01"}
    stale = await fhir.put("/Patient/S2", json=changed, headers={"If-Match": 'W/"7"'})
    assert stale.status_code == 412
    done = await fhir.put("/Patient/S2", json=changed, headers={"If-Match": 'W/"1"'})
    assert (done.status_code, done.headers["etag"]) == (200, 'W/"2"')
    assert (await fhir.get("/Patient?birthdate=1962-03-03")).json()["total"] == 0
    assert (await fhir.get("/Patient?birthdate=1963")).json()["total"] == 1

    assert (await fhir.delete("/Observation/o1")).status_code == 204
    assert (await fhir.get("/Observation/o1")).status_code == 410
    assert (await fhir.get("/Observation?patient=S1&code=K")).json()["total"] == 1

    there = {"If-None-Exist": "identifier=S1"}
    again = await fhir.post("/Patient", json=RESOURCES[0], headers=there)
    assert (again.status_code, again.json()["id"]) == (200, "S1")

    kinds = [(one.type, one.id, one.before is None, one.after is None) for one in store.changes()]
    assert kinds == [
        ("Observation", name, True, False),
        ("Patient", "S2", False, False),
        ("Observation", "o1", False, True),
    ]
    with FhirStore(template) as other:
        assert other.changes() == []
        assert other.read("Patient", "S2")["birthDate"] == "1962-03-03"


async def test_what_is_undone_is_no_change(fhir: httpx.AsyncClient, store: FhirStore) -> None:
    made = (await fhir.post("/Patient", json=patient("x", "New", "2000-01-01"))).json()
    await fhir.delete(f"/Patient/{made['id']}")
    await fhir.put("/Patient/S1", json={**RESOURCES[0], "gender": "other"})
    await fhir.put("/Patient/S1", json=RESOURCES[0])
    assert store.changes() == []


def bundle(kind: str, *entries: tuple[str, str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Bundle", "type": kind,
        "entry": [
            {
                "request": {"method": method, "url": url},
                **({"resource": body} if body else {}),
                **({"fullUrl": f"urn:uuid:{index}"} if method == "POST" else {}),
            }
            for index, (method, url, body) in enumerate(entries)
        ],
    }  # fmt: skip


async def test_a_transaction_is_all_or_nothing(fhir: httpx.AsyncClient, store: FhirStore) -> None:
    newborn = patient("x", "New", "2023-11-13")
    reading = level("x", "?", "2023-11-13", 4)
    reading["subject"] = {"reference": "urn:uuid:0"}
    fine = bundle(
        "transaction",
        ("POST", "Patient", newborn), ("POST", "Observation", reading),
        ("DELETE", "Observation/o4", None), ("GET", "Observation?patient=S2", None),
    )  # fmt: skip
    broken = bundle("transaction", ("POST", "Patient", newborn), ("DELETE", "Patient/nobody", None))
    refused = await fhir.post("/", json=broken)
    assert refused.status_code == 404
    assert "entry 1" in refused.json()["issue"][0]["diagnostics"]
    assert store.changes() == []
    answer = (await fhir.post("/", json=fine)).json()
    assert [entry["response"]["status"][:3] for entry in answer["entry"]] == [
        "201", "201", "204", "200",
    ]  # fmt: skip
    child = answer["entry"][0]["resource"]["id"]
    assert answer["entry"][1]["resource"]["subject"]["reference"] == f"Patient/{child}"
    assert answer["entry"][3]["resource"]["total"] == 0
    each = (await fhir.post("/", json={**broken, "type": "batch"})).json()
    assert [entry["response"]["status"][:3] for entry in each["entry"]] == ["201", "404"]


async def test_it_says_what_it_can(fhir: httpx.AsyncClient) -> None:
    from fhir.resources.R4B.capabilitystatement import CapabilityStatement

    said = (await fhir.get("/metadata")).json()
    CapabilityStatement.model_validate(said)
    assert {one["type"] for one in said["rest"][0]["resource"]} == set(PARAMETERS)


async def test_written_resources_can_outlive_the_server(template: Path, tmp_path: Path) -> None:
    kept = tmp_path / "written.sqlite"
    with FhirStore(template, written=kept) as first:
        first.put({**patient("S9", "Kept", "2001-01-01")})
    with FhirStore(template, written=kept) as again:
        assert again.read("Patient", "S9")["name"][0]["family"] == "Kept"
        assert [one.id for one in again.changes()] == ["S9"]


def test_a_store_takes_only_so_much(template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchside.fhir.store.MAX_WRITTEN_BYTES", 2000)
    from benchside.fhir.outcome import FhirError

    with FhirStore(template) as store, pytest.raises(FhirError, match="this server takes"):
        for index in range(10):
            store.put(patient(f"many{index}", "Many", "2001-01-01"))
