"""The CapabilityStatement: what this server can do, made from what it does."""

from __future__ import annotations

from benchside import __version__
from benchside.fhir.outcome import Resource
from benchside.fhir.parameters import PARAMETERS

_INTERACTIONS = ("read", "search-type", "create", "update", "delete")


def capability(base: str) -> Resource:
    """Return the statement of a server at this URL."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-01-01",
        "kind": "instance",
        "software": {"name": "Benchside", "version": __version__},
        "implementation": {"description": "FHIR server of one episode", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "resource": [_type(kind) for kind in PARAMETERS],
                "interaction": [{"code": "transaction"}, {"code": "batch"}],
            }
        ],
    }


def _type(kind: str) -> Resource:
    references = [one.name for one in PARAMETERS[kind].values() if one.kind == "reference"]
    return {
        "type": kind,
        "interaction": [{"code": code} for code in _INTERACTIONS],
        "versioning": "versioned-update",
        "conditionalCreate": True,
        "updateCreate": True,
        "searchInclude": [f"{kind}:{name}" for name in references],
        "searchParam": [{"name": one.name, "type": one.kind} for one in PARAMETERS[kind].values()],
    }
