"""The store's REST interface as an ASGI application.

Requests are handled in threads, off the event loop of those who host it. Bodies are bounded, and
whatever a client sends is answered with a resource: an OperationOutcome where it cannot be done.
"""

from __future__ import annotations

import json
import logging
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from benchside.fhir.bundles import perform_bundle
from benchside.fhir.capability import capability
from benchside.fhir.interactions import Answer, Request, perform
from benchside.fhir.outcome import FhirError, Resource
from benchside.fhir.store import FhirStore

MAX_BODY_BYTES = 1024**2
JSON_TYPES = ("application/fhir+json", "application/json", "text/json")
FORM = "application/x-www-form-urlencoded"
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]

log = logging.getLogger(__name__)


def make_app(store: FhirStore) -> Starlette:
    """Return the application that serves a store at the root of its host."""

    async def handle(request: HttpRequest) -> Response:
        base = str(request.base_url).rstrip("/")
        try:
            body = await _body(request)
            return await run_in_threadpool(_answer, store, request, body, base)
        except FhirError as error:
            return _response(error.status, error.outcome())
        except ClientDisconnect:
            return Response(status_code=400)
        except RecursionError:
            deep = FhirError(400, "too-costly", "the body is nested too deeply")
            return _response(deep.status, deep.outcome())
        except Exception:  # one capture point: a bug of ours is an answer, and told in the log
            log.exception("%s %s", request.method, request.url)
            failed = FhirError(500, "exception", "the server failed; see its log")
            return _response(failed.status, failed.outcome())

    return Starlette(routes=[Route("/{path:path}", handle, methods=METHODS)])


def _answer(store: FhirStore, request: HttpRequest, body: bytes, base: str) -> Response:
    path = tuple(part for part in request.path_params["path"].split("/") if part)
    query = parse_qsl(request.url.query, keep_blank_values=True)
    if path == ("metadata",) and request.method in ("GET", "HEAD"):
        return _response(200, capability(base))
    form = request.method == "POST" and path[1:] == ("_search",)
    if form:
        query += parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    content = _json(request, body) if request.method in ("POST", "PUT") and not form else None
    if not path:
        if request.method != "POST":
            raise FhirError(405, "not-supported", "the base takes POST of a Bundle; see /metadata")
        return _response(200, perform_bundle(store, content, base))
    asked = Request(
        request.method, path, query, content,
        request.headers.get("if-match"), request.headers.get("if-none-exist"),
    )  # fmt: skip
    answer = perform(store, asked, base)
    return _response(answer.status, answer.body, _headers(answer, base))


async def _body(request: HttpRequest) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise FhirError(413, "too-long", f"a body has at most {MAX_BODY_BYTES} bytes")
        parts.append(part)
    return b"".join(parts)


def _json(request: HttpRequest, body: bytes) -> object:
    said = request.headers.get("content-type", JSON_TYPES[0]).partition(";")[0].strip().lower()
    if said not in JSON_TYPES:
        raise FhirError(415, "not-supported", f"{said[:100]} is not read; send {JSON_TYPES[0]}")
    try:
        content = json.loads(body.decode())
        # what Python reads but JSON has not: NaN, infinity, half a surrogate pair
        json.dumps(content, allow_nan=False, ensure_ascii=False).encode()
    except ValueError as error:
        raise FhirError(400, "structure", f"the body is no JSON: {error}") from None
    return content


def _headers(answer: Answer, base: str) -> dict[str, str]:
    if answer.written is None:
        return {}
    kind, name, meta = (answer.written[key] for key in ("resourceType", "id", "meta"))
    headers = {"ETag": f'W/"{meta["versionId"]}"'}
    if answer.status == 201:
        headers["Location"] = f"{base}/{kind}/{name}"
    if "lastUpdated" in meta:
        changed = datetime.fromisoformat(meta["lastUpdated"])
        headers["Last-Modified"] = format_datetime(changed)
    return headers


def _response(
    status: int, body: Resource | None, headers: dict[str, str] | None = None
) -> Response:
    content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    return Response(content, status, headers, "application/fhir+json")
