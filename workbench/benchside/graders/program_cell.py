"""Cell source that runs a submitted program on its cases and returns what it did.

This file is sent to a fresh kernel as text and runs there, beside the program; it has the cases but
neither the reference nor what it returns. A program may therefore do to it what it likes: the host
compares whatever comes out with the reference's outcomes, and there is nothing to copy them from.
"""

import contextlib
import copy
import io
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from benchside_kernels.submission import encode

FOLDER = "$folder"  # in arguments: the case's own folder; put back in results
MAX_PRINTED_CHARS = 200_000
MAX_FILE_CHARS = 200_000


class _Printed(io.StringIO):
    """What a program prints; past the limit it gets an error instead of the machine's memory."""

    def write(self, text: str) -> int:
        if self.tell() + len(text) > MAX_PRINTED_CHARS:
            raise OSError("the program prints too much")
        return super().write(text)


def run_cases(source: str, entry: str, cases: list[dict[str, Any]]) -> list[Any]:
    """Return the outcome of each case: what was returned, raised, printed and written.

    Args:
        source: the program; a case with a `script` has it inserted there already.
        entry: the function that the other cases call.
        cases: see `benchside.graders.program.ProgramCase`.
    """
    function, problem = None, None
    if any(case["script"] is None for case in cases):
        namespace: dict[str, Any] = {"__name__": "program"}
        try:
            exec(compile(source, "program", "exec"), namespace)
            function = namespace[entry]
        except BaseException as error:  # an exit() of the program's is a result like any other
            problem = _raised(error)
    return [_outcome(function, problem, case) for case in cases]


def _outcome(function: Any, problem: Any, case: dict[str, Any]) -> Any:
    if not case["files"] and case["script"] is None and FOLDER not in str(case["arguments"]):
        try:
            return problem or _call(function, case, None)
        except BaseException as error:  # as above
            return _raised(error)
    folder = Path(tempfile.mkdtemp()).resolve()
    for name, text in case["files"].items():
        (folder / name).write_text(text)
    try:
        if case["script"] is not None:
            return _script(case["script"], folder)
        return problem or _call(function, case, folder)
    except BaseException as error:  # as above
        return _raised(error)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _call(function: Any, case: dict[str, Any], folder: Path | None) -> Any:
    arguments = copy.deepcopy(case["arguments"])
    if folder is not None:
        arguments = _placed(arguments, FOLDER, str(folder))
    with contextlib.redirect_stdout(_Printed()):
        value = function(*arguments)
        if hasattr(value, "__next__"):
            value = list(value)
    outcome = {"returned": encode(value), "arguments": encode(arguments)}
    if folder is None:
        return {**outcome, "files": {}}
    written = {
        path.name: path.read_text()[:MAX_FILE_CHARS]
        for path in sorted(folder.iterdir())
        if path.is_file()
    }
    return _placed({**outcome, "files": written}, str(folder), FOLDER)


def _script(source: str, folder: Path) -> Any:
    """Run a whole script in its folder; kernels only, as it changes the process's folder."""
    before = Path.cwd()
    os.chdir(folder)
    printed = _Printed()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(_Printed()):
            exec(compile(source, "program", "exec"), {"__name__": "__main__"})
        return {"printed": printed.getvalue()}
    except BaseException as error:
        return {**_raised(error), "printed": printed.getvalue()}
    finally:
        os.chdir(before)


def _raised(error: BaseException) -> dict[str, Any]:
    return {"raised": [kind.__name__ for kind in type(error).__mro__]}


def _placed(value: Any, old: str, new: str) -> Any:
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, list):
        return [_placed(item, old, new) for item in value]
    if isinstance(value, dict):
        return {key: _placed(item, old, new) for key, item in value.items()}
    return value
