"""Reads a file of resources: one JSON object a line, gzipped or not, Bundles taken apart."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

from benchside.errors import InputError
from benchside.fhir.outcome import Resource
from benchside.fhir.parameters import PARAMETERS, entries


def read_resources(path: Path) -> Iterator[Resource]:
    """Yield the resources of known types, each with an id; others are passed over.

    Raises:
        InputError: the file cannot be read, or a line is no resource; the message names the line.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            for line in file:
                number += 1
                if line.strip():
                    yield from _resources(json.loads(line))
    except (OSError, EOFError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"the resources cannot be read: {type(error).__name__}: {error}",
            where=f"{path}, line {number}", fix="give one FHIR resource as JSON in each line",
        ) from None  # fmt: skip


def _resources(value: Resource) -> Iterator[Resource]:
    if value["resourceType"] == "Bundle":
        for entry in value.get("entry", []):
            yield from _resources(entry["resource"])
    elif value["resourceType"] in PARAMETERS:
        if not isinstance(value.get("id"), str):
            raise ValueError(f"a {value['resourceType']} has no id")
        list(entries(value))  # its dates can be read
        yield value
