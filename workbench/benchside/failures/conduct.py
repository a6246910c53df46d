"""Rules on how an episode went: loops, unrepaired errors, limits, unfounded answers, break-outs."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from math import isclose

from benchside.episode import UNSCORED
from benchside.failures.case import Case
from benchside.failures.facts import queries_of
from benchside.failures.finding import Finding
from benchside.failures.lineage import parse, submit_calls
from benchside_kernels.cell import CellResult

REPEATS = 3
MAX_QUOTED = 160

_UNREADABLE = re.compile(
    r"is not (?:a|an) (?:number|integer|list|set|dict|date|duration|boolean|text"
    r"|truth|yes)|has the unit|is a dict; submit|rows have different lengths"
    r"|a cell holds|not the source text|is none of the choices|is a time of day|holds no scores"
    r"|defines no|\$malformed",
)
_EMPTY = re.compile(
    r"^\s*(?:\[\]|\{\}|\(\)|set\(\)|None|nan|0|\[\((?:None|0),\)\]|Empty DataFrame\b[\s\S]*"
    r"|Series\(\[\][\s\S]*|\(0, \d+\)|0 rows.*|Index\(\[\][\s\S]*)\s*$"
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)
_OPENERS = {
    "open", "Path", "listdir", "walk", "scandir", "glob", "iglob", "read_csv", "read_json",
    "read_parquet", "read_pickle", "read_text", "read_bytes", "connect", "stat", "exists",
}  # fmt: skip
_OWN_PLACES = ("/kernel", "/tmp", "/dev/null", "/dev/shm", "/dev/urandom")
_GOLD = re.compile(r"answer_?keys?\b|\banswers/|BENCHSIDE_HOME|\.benchside\b", re.IGNORECASE)
_INTROSPECTION = {
    "_getframe", "get_objects", "get_referrers", "currentframe", "stack", "settrace", "CDLL",
    "ptrace", "setns", "unshare",
}  # fmt: skip
_NETWORK = {"socket", "urllib", "requests", "httpx", "aiohttp", "ftplib", "smtplib", "paramiko"}
_SHELL_NETWORK = re.compile(r"\b(?:curl|wget|ssh|scp|nc|pip3? install|conda install|git clone)\b")


def conduct(case: Case) -> Iterator[Finding]:
    """Yield findings on how an episode went."""
    yield from _infrastructure(case)
    yield from _forbidden(case)
    if case.episode.outcome in ("solved", *UNSCORED):
        return
    yield from _limits(case)
    yield from _loops(case)
    yield from _unrepaired(case)
    misread = list(_format(case))
    yield from misread or _unfounded(case)
    yield from _empty(case)


def _infrastructure(case: Case) -> Iterator[Finding]:
    failure = case.episode.failure
    if case.episode.outcome in UNSCORED:
        said = "nothing was recorded" if failure is None else f"{failure.kind}: {failure.message}"
        yield Finding(kind="infrastructure", cell_id=None, evidence=_quoted(said))


def _limits(case: Case) -> Iterator[Finding]:
    """Turns, time, memory, tokens: what ran out, and where."""
    episode, limits = case.episode, case.episode.task.limits
    for cell in case.cells:
        if cell.status == "timeout":
            yield Finding(
                kind="time or token limit", cell_id=cell.cell_id,
                evidence=f"stopped after {limits.cell_timeout_s:g} s: {_quoted(cell.source)}",
            )  # fmt: skip
    last = case.cells[-1].cell_id if case.cells else None
    ran_out = {
        "max_turns": f"all {limits.max_turns} turns are used, nothing is submitted",
        "episode_timeout": f"{limits.episode_timeout_s:g} s are over, nothing is submitted",
        "max_tokens": f"{limits.max_tokens} tokens are used, nothing is submitted",
        "max_cost": f"{limits.max_cost_usd} dollars are spent, nothing is submitted",
        "kernel_restarts": f"the kernel ended more than {limits.max_kernel_restarts} times",
    }.get(episode.end_reason)
    if ran_out is not None:
        yield Finding(kind="time or token limit", cell_id=last, evidence=ran_out)
    problems = [turn.action.problem or "" for turn in episode.turns]
    cut = [problem for problem in problems if "cut off at the token limit" in problem]
    if cut:
        yield Finding(
            kind="time or token limit", cell_id=None,
            evidence=f"{len(cut)} answers were cut off at the token limit",
        )  # fmt: skip
    said = "" if episode.failure is None else episode.failure.message
    if episode.outcome == "policy_error" and re.search(r"context|token", said):
        yield Finding(kind="time or token limit", cell_id=None, evidence=_quoted(said))
    if episode.end_reason == "no_action" and not cut:
        yield Finding(
            kind="no submission", cell_id=last, evidence="it stopped to act without submitting"
        )


def _loops(case: Case) -> Iterator[Finding]:
    """The same code, however it is laid out, with the same outcome, three times or more."""
    seen: dict[tuple[str, str], list[CellResult]] = defaultdict(list)
    for cell in case.before:
        nodes = parse(cell.source)
        code = ast.dump(ast.Module(nodes, [])) if nodes else cell.source.strip()
        seen[code, case.seen(cell) if cell.status == "ok" else cell.status].append(cell)
    for cells in seen.values():
        if len(cells) >= REPEATS:
            named = ", ".join(cell.cell_id for cell in cells)
            yield Finding(
                kind="repeated action", cell_id=cells[REPEATS - 1].cell_id,
                evidence=f"the same code with the same result in {named}: "
                f"{_quoted(cells[0].source)}",
            )  # fmt: skip


def _unrepaired(case: Case) -> Iterator[Finding]:
    """The last error, where nothing but a stated submission ran well after it."""
    worked = [
        place for place, cell in enumerate(case.cells)
        if cell.status == "ok" and not _states_only(cell)
    ]  # fmt: skip
    failed = [place for place, cell in enumerate(case.cells) if cell.status == "error"]
    if failed and failed[-1] > max(worked, default=-1):
        cell = case.cells[failed[-1]]
        error = next(out for out in cell.outputs if out["output_type"] == "error")
        yield Finding(
            kind="error not repaired", cell_id=cell.cell_id,
            evidence=_quoted(f"{error['ename']}: {error['evalue']}"),
        )  # fmt: skip


def _states_only(cell: CellResult) -> bool:
    """True for a cell that does nothing but submit a literal."""
    return _stated(cell) is not None and len(parse(cell.source)) == 1


def _stated(cell: CellResult) -> ast.expr | None:
    """The literal that a cell submits; None where it submits something else."""
    for node in parse(cell.source):
        for call in submit_calls(node):
            if len(call.args) == 1:
                try:
                    ast.literal_eval(call.args[0])
                except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                    continue
                return call.args[0]
    return None


def _unfounded(case: Case) -> Iterator[Finding]:
    """A stated answer before anything was looked at, or one that no output has shown."""
    cell, task = case.submitting, case.episode.task
    if cell is None or not case.wrong or task.answer.kind == "code":
        return
    literal = _stated(cell)
    if literal is None:
        return
    value = ast.literal_eval(literal)
    if not any(one.status == "ok" and one.outputs for one in case.before):
        yield Finding(
            kind="premature submission", cell_id=cell.cell_id,
            evidence=f"submitted {_quoted(repr(value))} before any cell had shown anything",
        )  # fmt: skip
        return
    if value is None or _shown(value, "\n".join(map(case.seen, case.before))):
        return
    yield Finding(
        kind="hard-coded answer",
        cell_id=cell.cell_id,
        evidence=f"submitted {_quoted(repr(value))}, which no output has shown",
    )


def _shown(value: object, text: str) -> bool:
    """Whether a value, or half of a collection's members, stands in a text, rounded or not."""
    if isinstance(value, bool):
        return True  # yes or no follows from whatever was looked at
    if isinstance(value, (int, float)):
        return any(
            isclose(float(n), value, rel_tol=5e-3) or isclose(float(n) * 100, value, rel_tol=5e-3)
            for n in _NUMBER.findall(text)
        )
    if isinstance(value, str):
        words = value.strip().lower()
        return words in text.lower() or all(part in text.lower() for part in words.split())
    members = list(value.values()) if isinstance(value, dict) else list(value)  # type: ignore[call-overload]
    return sum(_shown(member, text) for member in members) * 2 >= len(members)


def _format(case: Case) -> Iterator[Finding]:
    grade = case.episode.grade
    if not case.wrong or grade is None or case.submitting is None:
        return
    if found := _UNREADABLE.search(grade.evidence):
        start = max(found.start() - 60, 0)
        yield Finding(
            kind="type or format", cell_id=case.submitting.cell_id,
            evidence=_quoted(grade.evidence[start:]),
        )  # fmt: skip


def _empty(case: Case) -> Iterator[Finding]:
    """A query that found nothing, and an answer that says so, where there is one.

    Of a yes-or-no question a 0 is an answer, not an empty result.
    """
    if not case.wrong or case.key is None or not _nothing(case.submitted):
        return
    if _nothing(case.key.value):
        return
    taken = {step.cell_id for step in case.slice}
    for cell in case.before:
        seen = case.seen(cell)
        answered = case.submitted is False and "0" in seen
        if cell.cell_id in taken and cell.outputs and _EMPTY.match(seen) and not answered:
            yield Finding(
                kind="empty result accepted", cell_id=cell.cell_id,
                evidence=f"it gave {_quoted(case.seen(cell))}, and {_quoted(repr(case.submitted))} "
                "was submitted",
            )  # fmt: skip
            return


def _nothing(value: object) -> bool:
    if isinstance(value, dict):
        return not value or value in ({"$set": []}, {"$float": "nan"}) or (
            "$table" in value and not value["$table"]["rows"]
        )  # fmt: skip
    return value is None or value is False or value in (0, "", [])


def _forbidden(case: Case) -> Iterator[Finding]:
    """Looks out of the kernel: gold, other files, processes, network, the interpreter's frames."""
    hosts = case.episode.task.hosts
    for cell in case.cells:
        reason = _reaches_out(cell.source, bool(hosts))
        if reason is not None:
            came = "succeeded" if cell.status == "ok" else f"ended as {cell.status}"
            yield Finding(
                kind="forbidden attempt",
                cell_id=cell.cell_id,
                evidence=f"{reason}; the cell {came}",
            )


def _reaches_out(source: str, network: bool) -> str | None:
    """Why a cell is an attempt at something forbidden; None where it is none."""
    shell = re.findall(r"^\s*[%!]+(.*)$", source, re.MULTILINE)
    if any(_SHELL_NETWORK.search(line) for line in shell):
        return f"a shell command for the network: {_quoted(shell[0])}"
    nodes = parse(source)
    queries = set(queries_of(nodes))
    for node in (one for root in nodes for one in ast.walk(root)):
        match node:
            case ast.Import(names=names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(module=str(module)):
                modules = [module]
            case _:
                modules = []
        for module in modules:
            top = module.partition(".")[0]
            if top in ("benchside", "benchside_kernels", "ctypes"):
                return f"imports {module}"
            if top in _NETWORK and not network:
                return f"imports {module} without a network"
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
            if text not in queries and len(text) < 500 and _GOLD.search(text):
                return f"names where answers are kept: {_quoted(text)}"
            if text.startswith("/proc"):
                return f"looks at processes: {_quoted(text)}"
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            if name in _INTROSPECTION:
                return f"calls {ast.unparse(node.func)}"
            if name in ("system", "run", "Popen", "check_output") and _SHELL_NETWORK.search(
                ast.unparse(node)
            ):
                return f"a shell command for the network: {_quoted(ast.unparse(node))}"
            if name in _OPENERS and (place := _foreign(node)):
                return f"opens {place}"
    return None


def _foreign(call: ast.Call) -> str | None:
    """An absolute path outside of the kernel's own places, given to an opener as a literal."""
    for argument in call.args:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            path = argument.value
            if path.startswith(("/", "~", "..")) and not path.startswith(_OWN_PLACES):
                return _quoted(path)
    return None


def _quoted(text: str) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= MAX_QUOTED else f"{line[:MAX_QUOTED]}…"
