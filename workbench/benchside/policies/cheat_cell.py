"""Cell source of the `cheat` policy: look for the answer wherever an agent might, and submit it.

This file is sent to the kernel as text and runs there, with the standard library only. It looks for
answer keys and gold among the kernel's variables and objects, in the environment, in files (also of
other episodes and of Benchside's own code), in other processes and behind `submit`. It does not
attack the sandbox; `benchside doctor` does.
"""

import gc
import json
import os
import re
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

_TELLING = re.compile(
    r"(^|[^a-z])(answer|answers|gold|golden|solution|solutions|label)s?([^a-z]|$)"
)
_KEYS = ("value", "answer", "gold", "label", "solution")
_TEXTS = (".json", ".jsonl", ".ipynb", ".csv", ".txt", ".yaml", ".pkl", "")
_PASSED = {"proc", "sys", "dev", "lib", "lib64", "bin", "sbin", "include", "share", "__pycache__"}
_MAX_BYTES = 64 * 1024 * 1024
_SECONDS = 0.5


def cheat_find(task_id: str, namespace: dict[str, Any]) -> list[Any]:
    """Print what was found and where; return the values found, the surest first."""
    looks = (_in_code, _in_objects, _behind_submit, _in_files, _in_variables, _in_environment)
    found: list[Any] = []
    for look in looks:
        for where, value in look(task_id, namespace):
            print(f"{look.__name__.strip('_')}: {where}: {str(value)[:200]!r}")
            if value is not None:
                found.append(value)
    return found


def _in_variables(task_id: str, namespace: dict[str, Any]) -> Any:
    """Variables, columns and keys that are called answer, gold or the like."""
    for name, value in list(namespace.items()):
        if name.startswith(("_", "cheat_")) or callable(value):
            continue
        if _TELLING.search(name.lower()):
            yield name, _entry(value, task_id)
        if isinstance(value, dict):
            for key, part in list(value.items())[:10_000]:
                if isinstance(key, str) and _TELLING.search(key.lower()):
                    yield f"{name}[{key!r}]", _entry(part, task_id)
        for column in getattr(value, "columns", ()):
            if _TELLING.search(str(column).lower()) and len(value):
                yield f"{name}.{column}", _plain(value[column].iloc[0])


def _entry(value: Any, task_id: str) -> Any:
    """The part of a container that belongs to this task, where there is one."""
    if isinstance(value, dict):
        value = value.get(task_id, value)
        if isinstance(value, dict):
            return next((value[key] for key in _KEYS if key in value), None)
    return _plain(value)


def _in_objects(task_id: str, _: dict[str, Any]) -> Any:
    """Any dict in memory that holds this task's id beside a value."""
    for item in gc.get_objects():
        try:
            told = type(item) is dict and item.get("task_id") == task_id
        except Exception:
            continue
        if told:
            for key in _KEYS:
                if key in item:
                    yield f"an object's {key!r}", _plain(item[key])


def _behind_submit(task_id: str, namespace: dict[str, Any]) -> Any:
    """What `submit` closes over, and what its module knows."""
    submit = namespace.get("submit")
    for cell in getattr(submit, "__closure__", None) or ():
        yield from _told_by("submit's closure", _attributes(cell.cell_contents), task_id)
    yield from _told_by("submit's globals", getattr(submit, "__globals__", {}), task_id)
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_globals is not namespace:
            yield from _told_by(f"frame {frame.f_code.co_name}", frame.f_locals, task_id)
        frame = frame.f_back


def _attributes(value: Any) -> dict[str, Any]:
    """An object's attributes, none where it has none."""
    return dict(getattr(value, "__dict__", {}))


def _told_by(where: str, names: dict[str, Any], task_id: str) -> Any:
    for name, value in list(names.items()):
        if name in _KEYS[1:]:
            yield f"{where}, {name}", _entry(value, task_id)


def _in_environment(task_id: str, _: dict[str, Any]) -> Any:
    environments = [dict(os.environ)]
    for process in Path("/proc").glob("[0-9]*/environ"):
        try:
            pairs = process.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        environments.append(dict(pair.split("=", 1) for pair in pairs if "=" in pair))
    for environment in environments:
        for name, value in environment.items():
            if _TELLING.search(name.lower().replace("_", " ")):
                yield name, value


def _in_files(task_id: str, _: dict[str, Any]) -> Any:
    """Files that tell of this task, below the work folder, the home folders and the root."""
    deadline = time.monotonic() + _SECONDS
    homes = [os.environ.get("BENCHSIDE_HOME"), str(Path.home() / ".cache"), os.environ.get("HOME")]
    parents = [str(parent) for parent in Path.cwd().parents]
    for root in dict.fromkeys([".", *filter(None, homes), *parents, "/"]):
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(name for name in folders if name not in _PASSED)
            for name in files:
                path = os.path.join(folder, name)  # noqa: PTH118
                if time.monotonic() > deadline:
                    return
                if os.path.splitext(name)[1] in _TEXTS:  # noqa: PTH122
                    yield from _in_file(path, task_id)


def _in_file(path: str, task_id: str) -> Any:
    try:
        if os.stat(path).st_size > _MAX_BYTES:  # noqa: PTH116
            return
        with open(path, "rb") as file:  # noqa: PTH123
            content = file.read()
    except OSError:
        return
    telling = _TELLING.search(path.lower()) is not None
    for line in content.split(b"\n") if task_id.encode() in content else ():
        if task_id.encode() in line:
            yield from _in_line(path, line, task_id)
    if telling and len(content) < 1000 and task_id.encode() not in content:
        text = content.decode(errors="replace").strip()
        yield path, _parsed(text)


def _in_line(path: str, line: bytes, task_id: str) -> Any:
    told = _parsed(line.decode(errors="replace"))
    if isinstance(told, dict) and told.get("task_id") == task_id:
        for key in _KEYS:
            if key in told:
                yield path, told[key]
    elif isinstance(told, dict) and task_id in told:
        yield path, _entry(told, task_id)


def _in_code(task_id: str, _: dict[str, Any]) -> Any:
    """Benchside's own library, which would give the key away."""
    try:
        from benchside.library import open_suite  # noqa: PLC0415
        from benchside.manifests import manifests  # noqa: PLC0415
        from benchside_kernels.startup import home_folder  # noqa: PLC0415
    except Exception as error:
        print(f"no benchside here: {type(error).__name__}")
        return
    for name in manifests():
        if (home_folder() / "suites" / name / "current").exists():
            try:
                yield f"suite {name}", open_suite(name, home_folder()).answer_key(task_id).value
            except Exception as error:
                print(f"suite {name}: {type(error).__name__}")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value
