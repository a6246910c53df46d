"""Checks a resource that a client sends: its structure, its required codes, what it refers to.

`fhir.resources` knows elements, types and cardinalities; the codes that R4 requires stand in its
fields and are checked here. Profiles, invariants and terminology are not checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from fhir.resources.R4B import get_fhir_model_class
from pydantic import BaseModel, ValidationError

from benchside.fhir.outcome import FhirError, Resource
from benchside.fhir.parameters import entries, local_reference

MAX_PROBLEMS = 10
_MORE_CODES = {
    "Observation.status": ("corrected", "cancelled", "entered-in-error", "unknown"),
    "Encounter.status": ("entered-in-error", "unknown"),
}
"""Codes for which `fhir.resources` has a "+" only."""

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")


def check_resource(resource: object, kind: str, exists: Callable[[str, str], bool]) -> Resource:
    """Return the resource if it may be stored.

    Args:
        kind: the type that it must have.
        exists: tells whether a type and id are on this server.

    Raises:
        FhirError: 400 if it is no resource of this type; 422 if it breaks a rule of R4 or refers to
            what is not there.
    """
    if not isinstance(resource, dict):
        raise FhirError(400, "structure", f"the body is no {kind}: it must be a JSON object")
    if resource.get("resourceType") != kind:
        said = resource.get("resourceType")
        raise FhirError(400, "invalid", f"resourceType is {said!r}, but {kind} was addressed")
    model = _model(kind)
    try:
        model.model_validate(resource)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[:MAX_PROBLEMS]
        paths = [_path(kind, problem["loc"]) for problem in found]
        said = [f"{path}: {problem['msg']}" for path, problem in zip(paths, found, strict=True)]
        raise FhirError(422, "structure", *said, expression=paths) from None
    try:
        list(entries(resource))
    except ValueError as error:  # a date that pydantic reads and FHIR does not know
        raise FhirError(422, "value", str(error)) from None
    problems = [*_wrong_codes(model, resource, kind), *_dangling(resource, kind, exists)]
    if problems:
        paths = [path for path, _ in problems[:MAX_PROBLEMS]]
        said = [f"{path}: {text}" for path, text in problems[:MAX_PROBLEMS]]
        raise FhirError(422, "business-rule", *said, expression=paths)
    return resource


def check_id(name: str) -> None:
    """Raise `FhirError` for an id that FHIR does not allow."""
    if not _ID.fullmatch(name):
        raise FhirError(400, "value", f"{name[:100]!r} is no id: letters, digits, - and . only")


@cache
def _model(kind: str) -> type[BaseModel]:
    model: type[BaseModel] = get_fhir_model_class(kind)
    return model


@cache
def _required_codes(model: type[BaseModel]) -> dict[str, tuple[str, ...]]:
    """Element → codes, for the elements of the resource itself that are plain codes."""
    found = {}
    for name, field in model.model_fields.items():
        extra = field.json_schema_extra
        values = extra.get("enum_values") if isinstance(extra, dict) else None
        if isinstance(values, list):
            codes = [str(value) for value in values if value != "+"]
            codes += _MORE_CODES.get(f"{model.__name__}.{name}", ())
            found[field.alias or name] = tuple(codes)
    return found


def _wrong_codes(
    model: type[BaseModel], resource: Resource, kind: str
) -> Iterator[tuple[str, str]]:
    for name, codes in _required_codes(model).items():
        value = resource.get(name)
        if isinstance(value, str) and value not in codes:
            yield f"{kind}.{name}", f"{value!r} is none of {', '.join(codes)}"


def _dangling(
    value: Any, path: str, exists: Callable[[str, str], bool]
) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _dangling(item, f"{path}[{index}]", exists)
    elif isinstance(value, dict):
        for name, part in value.items():
            if name != "reference" or not isinstance(part, str):
                yield from _dangling(part, f"{path}.{name}", exists)
                continue
            target = local_reference(part)
            if target is not None and not exists(*target):
                yield f"{path}.reference", f"there is no {'/'.join(target)} on this server"
            elif target is None and not part.startswith(("#", "http:", "https:", "urn:")):
                yield f"{path}.reference", f"{part[:100]!r} is not written as Type/id"


def _path(kind: str, loc: tuple[int | str, ...]) -> str:
    path = kind
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path
