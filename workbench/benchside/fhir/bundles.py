"""Bundles of interactions: `transaction` (all or nothing) and `batch` (each for itself).

Entries of a transaction are done in the order that R4 sets (deletions, creations, updates, reads),
and `urn:uuid:` references to what the same bundle creates are replaced by the new ids.
Source: https://hl7.org/fhir/R4/http.html#transaction. Conditional references are not resolved.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from benchside.fhir.interactions import Answer, Request, perform
from benchside.fhir.outcome import FhirError, Resource
from benchside.fhir.store import FhirStore

MAX_ENTRIES = 500
_ORDER = ("DELETE", "POST", "PUT", "GET", "HEAD")


def perform_bundle(store: FhirStore, bundle: object, base: str) -> Resource:
    """Do what a bundle asks and return the bundle of answers, in the order of its entries.

    Raises:
        FhirError: it is no such bundle, or a transaction failed and nothing was changed.
    """
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise FhirError(400, "invalid", "only a Bundle may be posted to the base")
    kind, entries = bundle.get("type"), bundle.get("entry") or []
    if kind not in ("transaction", "batch"):
        raise FhirError(400, "invalid", f"Bundle.type is {kind!r}, not transaction or batch")
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        raise FhirError(400, "too-costly", f"Bundle.entry is a list of at most {MAX_ENTRIES}")
    answers = (
        _transaction(store, entries, base)
        if kind == "transaction"
        else [_alone(store, entry, index, base) for index, entry in enumerate(entries)]
    )
    return {"resourceType": "Bundle", "type": f"{kind}-response", "entry": answers}


def _transaction(store: FhirStore, entries: list[Any], base: str) -> list[Resource]:
    requests = [_request(entry, index) for index, entry in enumerate(entries)]
    answers: dict[int, Resource] = {}
    new: dict[str, str] = {}
    with store.transaction():
        creates = [index for index, request in enumerate(requests) if request.method == "POST"]
        for index in sorted(range(len(requests)), key=lambda i: _ORDER.index(requests[i].method)):
            request = requests[index]
            if index in creates:
                later = [one for one in creates if one > index]
                _refuse_forward(entries, request.body, index, later)
            body = _resolved(request.body, new)
            try:
                answer = perform(store, _with_body(request, body), base)
            except FhirError as error:
                said = [f"entry {index}: {problem}" for problem in error.problems]
                raise FhirError(
                    error.status, error.code, *said,
                    expression=[f"Bundle.entry[{index}].resource.{e}" for e in error.expression],
                ) from None  # fmt: skip
            full_url = entries[index].get("fullUrl")
            if answer.written is not None and isinstance(full_url, str):
                new[full_url] = f"{answer.written['resourceType']}/{answer.written['id']}"
            answers[index] = _response(answer)
    return [answers[index] for index in range(len(requests))]


def _refuse_forward(entries: list[Any], body: object, index: int, later: list[int]) -> None:
    """A creation may refer to an earlier one of its bundle only."""
    urls = {entries[one].get("fullUrl") for one in later}
    for url in _references(body):
        if url in urls:
            raise FhirError(
                400, "not-supported", f"entry {index} refers to a later one; put {url} before it"
            )


def _references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for item in value for found in _references(item)]
    if isinstance(value, dict):
        own = [value["reference"]] if isinstance(value.get("reference"), str) else []
        return own + [found for item in value.values() for found in _references(item)]
    return []


def _alone(store: FhirStore, entry: Any, index: int, base: str) -> Resource:
    try:
        return _response(perform(store, _request(entry, index), base))
    except FhirError as error:
        return {"response": {"status": str(error.status), "outcome": error.outcome()}}


def _request(entry: Any, index: int) -> Request:
    asked = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(asked, dict) or not isinstance(asked.get("url"), str):
        raise FhirError(400, "required", f"entry {index} needs request.method and request.url")
    method = asked.get("method")
    if method not in _ORDER:
        raise FhirError(400, "value", f"entry {index}: {method!r} is none of {', '.join(_ORDER)}")
    url = urlsplit(asked["url"])
    return Request(
        method, tuple(part for part in url.path.split("/") if part),
        parse_qsl(url.query), entry.get("resource"), asked.get("ifMatch"), asked.get("ifNoneExist"),
    )  # fmt: skip


def _with_body(request: Request, body: object) -> Request:
    return Request(
        request.method, request.path, request.query, body, request.if_match, request.if_none_exist
    )


def _resolved(value: Any, new: dict[str, str]) -> Any:
    """The same JSON with references to new resources by their ids."""
    if isinstance(value, list):
        return [_resolved(item, new) for item in value]
    if isinstance(value, dict):
        return {
            name: new.get(part, part)
            if name == "reference" and isinstance(part, str)
            else _resolved(part, new)
            for name, part in value.items()
        }
    return value


def _response(answer: Answer) -> Resource:
    status = f"{answer.status} {HTTPStatus(answer.status).phrase}"
    written = answer.written
    if written is None:
        found = {"resource": answer.body} if answer.body else {}
        return {**found, "response": {"status": status}}
    meta = written["meta"]
    said = {
        "status": status,
        "location": f"{written['resourceType']}/{written['id']}",
        "etag": f'W/"{meta["versionId"]}"',
        **({"lastModified": meta["lastUpdated"]} if "lastUpdated" in meta else {}),
    }
    return {"resource": written, "response": said}
