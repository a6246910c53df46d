"""The BioCoder loader on small files of its format, and on the real one where there is one."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchside.batch import assign, run_batch
from benchside.errors import DataMissingError, InputError
from benchside.library import Suite, prepare
from benchside.policies import make_policy
from benchside.provenance import provenance
from benchside.store import RunConfig, RunFolder
from benchside.suites.biocoder.script import public_context, without_repeats
from benchside_kernels.makers import open_kernels

MAIN = 'def main():\n    {body}\nif __name__ == "__main__":\n    main()\n'
RANDOM = "random.seed(42)\n    print({call}([random.random() for _ in range(4)]))"


def row(name: str, solution: str, context: str) -> dict[str, str]:
    return {
        "idx": (name * 64)[:64], "problem": f"Write {name}.", "solution": solution,
        "context": context, "signature": f"def {name}(x)",
    }  # fmt: skip


def function(name: str, solution: str, body: str | None = None) -> dict[str, str]:
    main = MAIN.format(body=body or RANDOM.format(call=name))
    return row(name, solution, f"import random\n<<insert solution here>>\n{main}")


ROWS = [
    function("total", "def total(x):\n    return sum(x)"),
    row(
        "method", "def method(self, x):\n    return self.k * max(x)",
        "import random\nclass Box:\n    k = 2\n    <<insert solution here>>\n"
        + MAIN.format(body=RANDOM.format(call="Box().method")),
    ),
    function("old", "def old(x):\n    import numpy\n    return float(numpy.asfarray(x).sum())"),
    function("literal", "def literal(x):\n    return x[::-1]", "print(literal('abc'))"),
    function("broken", "def broken(x):\n    return missing"),
    function("clock", "def clock(x):\n    import time\n    return time.time_ns()"),
    function("quiet", "def quiet(x):\n    return None"),
    function("first", "def first(x):\n    return x"),
    row(
        "twice", "def twice(x):\n    return 2 * sum(x)",
        "import random\n<<insert solution here>>\ndef twice(x):\n    return sum(x) * 2\n"
        + MAIN.format(body=RANDOM.format(call="twice")),
    ),
]  # fmt: skip


def folder(tmp_path: Path, lines: list[Any]) -> Path:
    (tmp_path / "biocoder").mkdir()
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    with gzip.open(tmp_path / "biocoder" / "test_tasks.jsonl.gz", "wt") as file:
        file.write(text)
    return tmp_path


async def solved(suite: Suite, out: Path, limit: int) -> Counter[tuple[str, str]]:
    reference = make_policy("reference", solutions=lambda t: suite.answer_key(t.task_id).solution)
    policies = [reference, make_policy("constant"), make_policy("dump")]
    run = RunFolder(out)
    run.start(RunConfig(suites=(), policies={}, samples=1, seed=0, provenance={}), resume=False)
    async with open_kernels() as maker:
        assignments = assign([(suite, suite.tasks[:limit])], policies, 1, 0)
        await run_batch(assignments, run, provenance(0, maker.isolation), maker=maker, parallel=2)
    return Counter((one.policy, one.outcome) for one in run.rows().values())


async def test_references_run_and_the_rest_is_left_out_by_reason(
    home: Path, tmp_path: Path
) -> None:
    suite = prepare("biocoder", home, data=folder(tmp_path, ROWS))
    kept = {task.answer.entry: task for task in suite.tasks}
    assert set(kept) == {"total", "method", "old", "literal", "twice"}
    assert suite.record.counts == {
        "items": 9, "tasks": 5, "tasks with more than one input": 4,
        "left out: the reference raises NameError": 1,
        "left out: the reference prints something else each time": 1,
        "left out: a stub that returns None passes": 1,
        "left out: a stub that returns a[-1] passes": 1,
    }  # fmt: skip
    for task in suite.tasks:
        assert "main" not in task.prompt
        assert "random.seed(42)" not in task.prompt
    assert "sum(x) * 2" not in kept["twice"].prompt
    assert kept["method"].category == "method"
    assert await solved(suite, tmp_path / "run", 9) == {
        ("reference", "solved"): 5, ("constant", "wrong"): 5, ("dump", "wrong"): 5
    }  # fmt: skip


def test_what_is_wrong_with_a_file_is_said(home: Path, tmp_path: Path) -> None:
    with pytest.raises(DataMissingError):
        prepare("biocoder", home, data=tmp_path)
    bad = folder(tmp_path, [ROWS[0], "{}"])
    with pytest.raises(InputError, match="line 2, field idx"):
        prepare("biocoder", home, data=bad)
    path = bad / "biocoder" / "test_tasks.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"cannot be unpacked(.|\n)*test_tasks\.jsonl\.gz"):
        prepare("biocoder", home, data=bad)


def test_repeats_and_main_are_cut_out() -> None:
    context = "<<insert solution here>>\n@x\ndef f(a):\n    return 1\ndef g():\n    pass\n"
    assert without_repeats(context, "f") == "<<insert solution here>>\ndef g():\n    pass\n"
    assert public_context("a = 1\ndef main():\n    print(2)\n") == "a = 1"


DATA = Path(os.environ.get("BENCHSIDE_DATA", "../shared/data"))


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.skipif(not (DATA / "biocoder").is_dir(), reason="BENCHSIDE_DATA has no biocoder")
async def test_the_real_file(home: Path, tmp_path: Path) -> None:
    pytest.importorskip("pysam")
    pytest.importorskip("skimage")
    suite = prepare("biocoder", home, data=DATA)
    assert suite.record.counts["items"] == 157
    assert len(suite.tasks) >= 130
    count = len(suite.tasks[:30])
    assert await solved(suite, tmp_path / "run", 30) == {
        ("reference", "solved"): count, ("constant", "wrong"): count, ("dump", "wrong"): count
    }  # fmt: skip
