"""Suite manifests: `task_specs/<name>/suite.yaml`, found, read and checked."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from benchside.errors import InputError
from benchside.suite import SuiteManifest

Model = TypeVar("Model", bound=BaseModel)


def suite_names() -> list[str]:
    """Return the names of all suites, without reading their manifests."""
    return list(_files())


def manifests() -> dict[str, SuiteManifest]:
    """Return all manifests by name, from the folder `task_specs`."""
    return {name: _read(path) for name, path in _files().items()}


def manifest(name: str) -> SuiteManifest:
    """Return one manifest; `InputError` with the nearest name if there is none."""
    known = _files()
    if name in known:
        return _read(known[name])
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise InputError(
        "unknown suite", where="suite", value=name,
        fix=f"{hint}known suites: {', '.join(known)}",
    )  # fmt: skip


def _files() -> dict[str, Path]:
    return {path.parent.name: path for path in sorted(_task_specs().glob("*/suite.yaml"))}


def _read(path: Path) -> SuiteManifest:
    manifest = read_yaml(path, SuiteManifest)
    if manifest.name != path.parent.name:
        raise InputError(
            "the suite's name differs from its folder's", where=f"{path}: name",
            value=manifest.name, fix=f"call it {path.parent.name}",
        )  # fmt: skip
    return manifest


def _task_specs() -> Path:
    package = Path(__file__).resolve().parent
    packaged = package / "task_specs"
    return packaged if packaged.is_dir() else package.parents[1] / "task_specs"


def read_yaml(path: Path, model: type[Model]) -> Model:
    """Read a YAML file into a model; an error names file, line or field, value and fix."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"cannot read the file: {error.strerror}", where=path, fix="check the path"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise InputError(
            f"not valid YAML: {problem}", where=f"{path}{line}", fix="correct that line"
        ) from None
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise invalid(path, error) from None


def invalid(where: object, error: ValidationError) -> InputError:
    """Turn a validation error into a message that names the first wrong field and its value."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return InputError(
        f"{first['msg']}{more}", where=f"{where}: {field}" if field else where,
        value=first["input"], fix="correct the field",
    )  # fmt: skip
