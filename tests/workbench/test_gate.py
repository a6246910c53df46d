"""The embedded suites on real kernels: reference solves all, probes next to nothing."""

from pathlib import Path

import pytest

from benchside.batch import assign, run_batch, select
from benchside.library import Suite, prepare
from benchside.policies import make_policy
from benchside.provenance import provenance
from benchside.store import EpisodeRow, RunConfig, RunFolder
from benchside.task import TaskSpec
from benchside_kernels.makers import open_kernels

PROBES = ["do-nothing", "constant", "dump"]
MODULES = ("lifelines", "statsmodels.api", "sklearn.linear_model")
CHANCE = 0.01


async def run(suite: Suite, tasks: list[TaskSpec], out: Path) -> list[EpisodeRow]:
    reference = make_policy("reference", solutions=lambda t: suite.answer_key(t.task_id).solution)
    policies = [reference, *(make_policy(name) for name in PROBES)]
    folder = RunFolder(out)
    folder.start(RunConfig(suites=(), policies={}, samples=1, seed=0, provenance={}), resume=False)
    async with open_kernels(modules=MODULES) as maker:
        origin = provenance(0, maker.isolation)
        assignments = assign([(suite, tasks)], policies, 1, 0)
        await run_batch(assignments, folder, origin, maker=maker, parallel=2)
    return list(folder.rows().values())


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("name", ["cohorts", "power"])
async def test_reference_solves_everything_and_probes_nothing(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    suite = prepare(name, tmp_path_factory.mktemp("home"))
    tasks = select(suite, None, 100)  # over all categories
    rows = await run(suite, tasks, tmp_path_factory.mktemp("run") / "run")
    assert len(rows) == len(tasks) * (1 + len(PROBES))
    unsolved = [row for row in rows if row.policy == "reference" and row.outcome != "solved"]
    assert unsolved == []
    boolean = {task.task_id for task in tasks if task.answer.kind == "boolean"}
    for probe in PROBES:
        solved = [row.task_id for row in rows if row.policy == probe and row.outcome == "solved"]
        beyond = [task_id for task_id in solved if task_id not in boolean]
        assert len(beyond) <= CHANCE * (len(tasks) - len(boolean)), (probe, beyond)
        guessed = [task_id for task_id in solved if task_id in boolean]
        chance = 0.5 * len(boolean) + len(boolean) ** 0.5  # and two standard deviations
        assert len(guessed) <= chance, (probe, guessed)
