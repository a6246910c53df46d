"""Submitted programs on real kernels: what is right passes, what is wrong or hostile fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from benchside.execution import observe
from benchside.grade import Grade
from benchside.graders import ProgramGrader, grade
from benchside.graders.grading import build_task_grader
from benchside.graders.probes import check_probes
from benchside.graders.program import inserted
from benchside.task import AnswerKey, TaskSpec
from benchside_kernels.backend import KernelMaker
from benchside_kernels.image import ImageSource, KernelImage, build_image
from benchside_kernels.makers import open_kernels
from tests.workbench.graders.tasks import task_and_key

SECRET = "the gold lies here"
REFERENCE = "def total(xs):\n    if not xs:\n        raise ValueError('empty')\n    return sum(xs)"
WRITER = (
    "def save(xs, path):\n    with open(path, 'w') as file:\n        file.write(f'{sum(xs)}\\n')\n"
    "    return path"
)
SCRIPT = (
    "import random\nclass Box:\n    def size(self):\n        return 2\n    <<program>>\n"
    "random.seed(3)\nprint(Box().total([random.random() for _ in range(4)]))\n"
)


@pytest.fixture
async def maker() -> AsyncIterator[KernelMaker]:
    async with open_kernels() as made:
        yield made


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> KernelImage:
    home = tmp_path_factory.mktemp("home")
    return build_image(ImageSource("programs"), home / "images")


def task_of(
    cases: list[dict[str, Any]], gold: list[Any], entry: str = "total", timeout_s: float = 10
) -> tuple[TaskSpec, AnswerKey]:
    return task_and_key(
        "program", gold, {"entry": entry, "timeout_s": timeout_s}, secret={"cases": cases},
        kind="code",
    )  # fmt: skip


async def graded(
    task: TaskSpec, key: AnswerKey, program: Any, image: KernelImage, maker: KernelMaker,
    hidden: tuple[Path, ...] = (),
) -> Grade:  # fmt: skip
    grader = build_task_grader(task, key)
    assert isinstance(grader, ProgramGrader)
    observed = await observe(grader, program, image=image, maker=maker, hidden=hidden)
    return grade(task, key, observed)


def returned(value: Any, *arguments: Any, **files: str) -> dict[str, Any]:
    return {"returned": value, "arguments": list(arguments), "files": files}


CASES = [{"arguments": [xs]} for xs in ([1.5, 2.25], [-3.0, 1.0], [7.0], [])]
GOLD = [
    returned(3.75, [1.5, 2.25]),
    returned(-2.0, [-3.0, 1.0]),
    returned(7.0, [7.0]),
    {"raised": ["ValueError", "Exception", "BaseException", "object"]},
]


async def test_a_right_program_passes_and_its_mutants_fail(
    image: KernelImage, maker: KernelMaker
) -> None:
    task, key = task_of(CASES, GOLD)
    right = {
        "reference": REFERENCE,
        "rewrite": (
            "class Empty(ValueError): pass\n"
            "def total(xs):\n    if len(xs) == 0: raise Empty\n    out = 0\n"
            "    for x in xs: out += x\n    return out + 1e-12"
        ),
    }
    wrong: dict[str, Any] = {
        "constant": "def total(xs):\n    return 7.0",
        "identity": "def total(xs):\n    return xs",
        "empty": "",
        "no source": 7,
        "other name": REFERENCE.replace("total", "sums"),
        "syntax error": "def total(xs:",
        "sign flip": REFERENCE.replace("return sum", "return -sum"),
        "other exception": REFERENCE.replace("ValueError", "KeyError"),
        "any exception": "def total(xs):\n    raise BaseException",
        "argument changed": REFERENCE.replace(
            "return sum(xs)", "t = sum(xs); xs.clear(); return t"
        ),
        "text": REFERENCE.replace("return sum(xs)", "return str(sum(xs))"),
    }
    for name, program in right.items():
        assert (given := await graded(task, key, program, image, maker)).passed, (name, given)
    for name, program in wrong.items():
        given = await graded(task, key, program, image, maker)
        assert not given.passed, (name, given)
        assert given.evidence


HOSTILE = {
    "prints the frame": "print('{\"outcomes\": []}')\ndef total(xs):\n    print(xs)",
    "submits itself": "import __main__\n__main__.submit([{'returned': 3.75}] * 4)\n" + REFERENCE,
    "patches json and encode": (
        "import json, benchside_kernels.submission as s\njson.dumps = lambda *a, **k: '[]'\n"
        "s.encode = lambda v: 1\ndef total(xs):\n    return xs"
    ),
    "patches the runner": (
        "import __main__\n__main__.encode = lambda v: 7.0\ndef total(xs): return 1"
    ),
    "exits early": "import sys\nsys.exit(0)",
    "ends the process": "import os\ndef total(xs):\n    os._exit(0)",
    "hangs": "def total(xs):\n    while True: pass",
    "hangs and ignores interrupts": (
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ndef total(xs):\n"
        "    while True:\n        try:\n            while True: pass\n"
        "        except BaseException: pass"
    ),
    "floods": "def total(xs):\n    while True: print('x' * 10_000)",
    "huge answer": "def total(xs):\n    return [0] * 10_000_000",
    "takes all memory": "def total(xs):\n    return bytearray(10 ** 12)",
    "forks": (
        "import os\ndef total(xs):\n    for _ in range(20):\n        if os.fork() == 0:\n"
        "            while True: pass\n    return 1"
    ),
    "lies about equality": (
        "class Same(float):\n    def __eq__(self, other): return True\n"
        "    def __float__(self): return 1.0\ndef total(xs):\n    return Same(1)"
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_program_fails_and_harms_nothing(
    name: str, image: KernelImage, maker: KernelMaker
) -> None:
    task, key = task_of(CASES, GOLD, timeout_s=2)
    given = await graded(task, key, HOSTILE[name], image, maker)
    assert not given.passed, given
    assert (await graded(task, key, REFERENCE, image, maker)).passed


async def test_a_program_cannot_read_what_is_hidden(
    image: KernelImage, maker: KernelMaker, tmp_path: Path
) -> None:
    if not maker.isolation.hides_files:
        pytest.skip("no sandbox on this machine")
    hidden = tmp_path / "answers"
    hidden.mkdir()
    (hidden / "gold.txt").write_text(SECRET)
    thief = (
        "import pathlib\ndef total(xs):\n"
        f"    return pathlib.Path({str(hidden / 'gold.txt')!r}).read_text()"
    )
    task, key = task_of([{"arguments": [[1]]}], [returned(SECRET, [1])])
    given = await graded(task, key, thief, image, maker, hidden=(hidden,))
    assert not given.passed
    assert "Error" in given.evidence


async def test_files_are_compared_by_content_and_scripts_by_what_they_print(
    image: KernelImage, maker: KernelMaker
) -> None:
    cases = [{"arguments": [[1, 2], "$folder/out.txt"], "files": {"in.txt": "a\n"}}]
    files = {"in.txt": "a\n", "out.txt": "3\n"}
    gold = {**returned("$folder/out.txt", [1, 2], "$folder/out.txt"), "files": files}
    task, key = task_of(cases, [gold], entry="save")
    assert (await graded(task, key, WRITER, image, maker)).passed
    other = await graded(task, key, WRITER.replace("sum(xs)", "max(xs)"), image, maker)
    assert "files" in other.evidence
    printed = {"printed": "1.7560690575\n"}
    task, key = task_of([{"script": SCRIPT}], [printed])
    method = "def total(self, xs):\n    return sum(xs) + self.size() - 2"
    given = await graded(task, key, method, image, maker)
    assert given.passed, given
    wrong = await graded(task, key, method.replace("- 2", "- 1"), image, maker)
    assert "printed" in wrong.evidence


def test_a_program_is_indented_as_its_place() -> None:
    program = "    def total(self):\n        return 1\n"
    for given in (program, program.replace("    def", "def").replace("        ", "    ")):
        assert inserted("class A:\n  <<program>>\nA()", given) == (
            "class A:\n  def total(self):\n      return 1\nA()"
        )


def test_probes_hold_and_outcomes_cannot_be_submitted() -> None:
    task, key = task_of(CASES, GOLD)
    assert check_probes(task, key) == []
    assert not grade(task, key, GOLD).passed
