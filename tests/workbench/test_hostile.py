"""Cells that try to break the runner, on both kinds of kernels: rows and notebooks still come."""

from pathlib import Path

import pytest

from benchside.batch import assign, run_batch
from benchside.errors import IntegrityError
from benchside.library import Suite, load_suite
from benchside.policies import make_policy
from benchside.provenance import provenance
from benchside.store import RunConfig, RunFolder
from benchside_kernels.makers import open_kernels
from benchside_kernels.sandbox import Level, sandbox_problem

MIME = "application/vnd.benchside.submission+json"
SHOW = "from IPython.display import display\n"

NEST = "x = []\nfor _ in range({}): x = [x]\n"
CELLS = {
    "deep submission": SHOW + NEST.format(400) + f"display({{{MIME!r}: x}}, raw=True)",
    "unknown tag": SHOW + f"display({{{MIME!r}: {{'$table': 3}}}}, raw=True)",
    "huge submission": SHOW + f"display({{{MIME!r}: 'x' * 5_000_000}}, raw=True)",
    "surrogates": SHOW + "display({'a/json': '\\ud800', 'text/plain': '\\ud800'}, raw=True)",
    "odd mimes": SHOW + "display({'image/x+json': 5, 'a/json': [[]], 'text/html': 3}, raw=True)",
    "deep json": SHOW + NEST.format(900) + "display({'application/json': x}, raw=True)",
    "metadata": SHOW + "display({'text/plain': 'x'}, metadata={'m': 'y' * 10**6}, raw=True)",
    "bad repr": "class R(float):\n    def __repr__(self): raise RuntimeError\nsubmit(R(0))",
    "bad first": "try: submit('\\ud800')\nexcept ValueError: pass",
    "many": SHOW + f"for _ in range(60): display({{{MIME!r}: 'x' * 1_000_000}}, raw=True)",
}


@pytest.mark.parametrize("level", ["process", "sandbox"])
async def test_every_cell_ends_in_a_scored_row_and_a_small_notebook(
    suite: Suite, tmp_path: Path, level: Level
) -> None:
    if level == "sandbox" and (problem := sandbox_problem()):
        pytest.skip(f"no sandbox here: {problem}")
    policies = []
    for name, source in CELLS.items():
        path = tmp_path / f"{name}.py"
        path.write_text(f"{source}\n# %%\nsubmit(0)\n")
        policies.append(make_policy(f"scripted:{path}"))
    folder = RunFolder(tmp_path / "run")
    folder.start(RunConfig(suites=(), policies={}, samples=1, seed=0, provenance={}), resume=False)
    assignments = assign([(suite, suite.tasks[:1])], policies, 1, 0)
    async with open_kernels(level) as maker:
        origin = provenance(0, maker.isolation)
        await run_batch(assignments, folder, origin, maker=maker, parallel=2)
    rows = list(folder.rows().values())
    assert len(rows) == len(CELLS)
    assert {(row.outcome, row.end_reason) for row in rows} == {("wrong", "submitted")}
    sizes = {row.policy: (folder.path / row.transcript).stat().st_size for row in rows}
    assert max(sizes.values()) < 6_000_000, sizes
    for row in rows:
        assert folder.episode(row.episode_id).episode_id == row.episode_id


def test_changed_files_of_a_prepared_suite_are_noticed(suite: Suite) -> None:
    answers = suite.home / "answers" / suite.name / f"{suite.record.build}.jsonl"
    tasks = suite.home / "suites" / suite.name / suite.record.build / "tasks.jsonl"
    for path, check in (
        (answers, lambda: load_suite(suite.name, suite.home).check_answers()),
        (tasks, lambda: load_suite(suite.name, suite.home)),
    ):
        before = path.read_bytes()
        path.write_bytes(before.replace(b"a", b"b", 1))
        try:
            from benchside.library import _answer_keys

            _answer_keys.cache_clear()
            with pytest.raises(IntegrityError, match=path.name):
                check()
        finally:
            path.write_bytes(before)


def test_a_damaged_image_is_noticed(suite: Suite) -> None:
    from benchside.library import _checked_image

    image = suite.image(suite.tasks[0])
    path = image.folder / "variables.pkl"
    before = path.read_bytes()
    path.write_bytes(before[:-1])
    _checked_image.cache_clear()
    try:
        with pytest.raises(IntegrityError, match=r"variables\.pkl"):
            suite.image(suite.tasks[0])
    finally:
        path.write_bytes(before)
