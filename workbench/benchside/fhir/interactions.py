"""What a client may do to a store, apart from HTTP: one `Request` in, one `Answer` out.

Single requests and the entries of a bundle both come here.
Source: https://hl7.org/fhir/R4/http.html.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from benchside.fhir.outcome import FhirError, Resource
from benchside.fhir.search import known, search
from benchside.fhir.store import FhirStore
from benchside.fhir.validation import check_id, check_resource


@dataclass(frozen=True, slots=True)
class Request:
    """One interaction.

    Args:
        path: parts behind the base, such as ("Patient", "S1").
        body: as JSON; None where there is none.
        if_match: version that an update expects; `if_none_exist`: query of a conditional create.
    """

    method: str
    path: tuple[str, ...]
    query: Sequence[tuple[str, str]] = ()
    body: object = None
    if_match: str | None = None
    if_none_exist: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it; `written` is the resource that a create or update stored or found."""

    status: int
    body: Resource | None
    written: Resource | None = None


def perform(store: FhirStore, request: Request, base: str) -> Answer:
    """Do what is asked.

    Args:
        base: the server's URL, for links.

    Raises:
        FhirError: it cannot be done; the store is as before.
    """
    match request.method, request.path:
        case "GET" | "HEAD", (kind,):
            return Answer(200, search(store, kind, request.query, base))
        case "POST", (kind, "_search"):
            return Answer(200, search(store, kind, request.query, base))
        case "GET" | "HEAD", (kind, name):
            known(kind)
            found = store.read(kind, name)
            return Answer(200, found, found)
        case "POST", (kind,):
            return _create(store, kind, request, base)
        case "PUT", (kind, name):
            return _update(store, kind, name, request)
        case "DELETE", (kind, name):
            known(kind)
            store.delete(kind, name)
            return Answer(204, None)
    shown = "/".join(request.path)[:200] or "the base"
    raise FhirError(405, "not-supported", f"{request.method} is not for {shown}")


def _create(store: FhirStore, kind: str, request: Request, base: str) -> Answer:
    known(kind)
    with store.transaction():
        if request.if_none_exist:
            found = search(store, kind, parse_qsl(request.if_none_exist), base)
            matches = found.get("entry", [])
            if len(matches) > 1:
                raise FhirError(412, "multiple-matches", f"{len(matches)} resources match already")
            if matches:
                there = matches[0]["resource"]
                return Answer(200, there, there)
        checked = check_resource(request.body, kind, _exists(store))
        stored = store.put({**checked, "id": store.new_id(kind)})
    return Answer(201, stored, stored)


def _update(store: FhirStore, kind: str, name: str, request: Request) -> Answer:
    known(kind)
    check_id(name)
    with store.transaction():
        checked = check_resource(request.body, kind, _exists(store))
        if checked.get("id") != name:
            raise FhirError(
                400,
                "invalid",
                f"the body's id is {checked.get('id')!r}, but {name!r} was addressed",
            )
        old = store.find(kind, name)
        if request.if_match is not None:
            version = None if old is None else str(old.version)
            if request.if_match.removeprefix("W/").strip('"') != version:
                raise FhirError(412, "conflict", f"{kind}/{name} is at version {version}")
        stored = store.put(checked)
    there = old is not None and old.resource is not None
    return Answer(200 if there else 201, stored, stored)


def _exists(store: FhirStore) -> Callable[[str, str], bool]:
    def exists(kind: str, name: str) -> bool:
        found = store.find(kind, name)
        return found is not None and found.resource is not None

    return exists
