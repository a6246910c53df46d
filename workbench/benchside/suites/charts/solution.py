"""Cells of reference solutions: they ask the server over HTTP, as any policy has to."""

from __future__ import annotations

BASE = "http://fhir"

OPENING = f'''\
from datetime import datetime, timedelta
import httpx

fhir = httpx.Client(base_url="{BASE}")

def search(kind, **query):
    """All resources that match, page by page."""
    page, found = fhir.get(f"/{{kind}}", params={{"_count": 200, **query}}), []
    while True:
        bundle = page.raise_for_status().json()
        found += [entry["resource"] for entry in bundle.get("entry", [])]
        onward = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        if not onward:
            return found
        page = fhir.get(onward[0])

def valid(resources):
    return [one for one in resources if one["status"] != "entered-in-error"]

def create(resource):
    fhir.post(f"/{{resource['resourceType']}}", json=resource).raise_for_status()

def update(resource):
    fhir.put(f"/{{resource['resourceType']}}/{{resource['id']}}", json=resource).raise_for_status()
'''


def cells(*lines: str) -> tuple[str, ...]:
    """Return the cells of a solution: the helpers, then its own lines."""
    return OPENING, "\n".join(lines)
