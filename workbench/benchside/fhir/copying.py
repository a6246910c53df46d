"""Copies resources from a FHIR server, such as a user's own, into a file of one resource a line.

It reads by searching, page by page, and only follows links that stay on that server.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx

from benchside.errors import InfrastructureError, InputError
from benchside.fhir.outcome import Resource

PAGE = 500
TIMEOUT_S = 60.0


def copy_server(url: str, kinds: Sequence[str], path: Path) -> dict[str, int]:
    """Write all resources of these types to a file and return how many there were of each.

    Args:
        url: the server's base, such as http://localhost:8080/fhir.
        path: ends in .ndjson or .ndjson.gz; written whole or not at all.

    Raises:
        InputError: the URL is none, or its server does not answer as FHIR servers do.
        InfrastructureError: it cannot be reached or fails.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise InputError("this is no URL of a server", value=url, fix="write http://host:port/fhir")
    opened = gzip.open if path.suffix == ".gz" else open
    unfinished = path.with_name(f".{path.name}")
    counts = dict.fromkeys(kinds, 0)
    try:
        with (
            httpx.Client(timeout=TIMEOUT_S, follow_redirects=False) as client,
            opened(unfinished, "wt", encoding="utf-8") as file,
        ):
            for kind in kinds:
                for resource in _all(client, url, kind):
                    file.write(json.dumps(resource, ensure_ascii=False) + "\n")
                    counts[kind] += 1
        unfinished.replace(path)
    except httpx.HTTPError as error:
        raise InfrastructureError(
            f"the FHIR server failed: {error}", where=url, fix="check that it runs, then try again"
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)
    return counts


def _all(client: httpx.Client, url: str, kind: str) -> Iterator[Resource]:
    base = url.rstrip("/")
    page, seen = f"{base}/{kind}?_count={PAGE}", set[str]()
    while page:
        if urlsplit(page)[:2] != urlsplit(base)[:2] or page in seen:
            raise InputError("the server's pages lead elsewhere or in circles", where=page)
        seen.add(page)
        answer = client.get(page, headers={"Accept": "application/fhir+json"})
        answer.raise_for_status()
        try:
            bundle = answer.json()
            yield from (entry["resource"] for entry in bundle.get("entry", []))
            links = {link["relation"]: link["url"] for link in bundle.get("link", [])}
        except (ValueError, AttributeError, KeyError, TypeError):
            raise InputError(
                "the server's answer is no searchset", where=page, value=answer.text[:100],
                fix="give the base URL of a FHIR R4 server",
            ) from None  # fmt: skip
        page = urljoin(page, links["next"]) if "next" in links else ""
