"""Suites by Inspect's own `eval`, with its mock model."""

import gc
from pathlib import Path

import pytest

from benchside.library import Suite
from benchside.store import RunFolder

inspect_ai = pytest.importorskip("inspect_ai", reason="inspect_ai is not installed")
pytestmark = pytest.mark.filterwarnings("default")  # what Inspect warns of is its own matter


@pytest.fixture(autouse=True)
def _own_home(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHSIDE_HOME", str(suite.home))


def evaluated(outputs, out: Path, task_id: str, logs: Path, **options):
    from inspect_ai.model import get_model

    model = get_model("mockllm/model", custom_outputs=outputs)
    (log,) = inspect_ai.eval(
        "benchside/power", model=model, log_dir=str(logs), display="none", retry_on_error=0,
        fail_on_error=False, task_args={"task_id": task_id, "out": str(out)}, **options,
    )  # fmt: skip
    return log


def test_inspect_runs_grades_and_keeps_the_gold_out(suite: Suite, tmp_path: Path) -> None:
    from inspect_ai.model import ModelOutput, ModelUsage
    from inspect_ai.solver import solver
    from inspect_ai.util import sandbox

    task_id = suite.tasks[0].task_id
    cells = suite.answer_key(task_id).solution
    out, logs = tmp_path / "run", tmp_path / "logs"

    def say(name: str, **arguments) -> ModelOutput:
        output = ModelOutput.for_tool_call("mockllm/model", name, arguments)
        output.usage = ModelUsage()  # else it is counted, with a file from the internet
        return output

    solved = evaluated([say("run_cell", code=cell) for cell in cells], out, task_id, logs)
    assert solved.status == "success", solved.error
    assert solved.results.scores[0].metrics["accuracy"].value == 1.0
    (sample,) = solved.samples
    assert sample.target == ""
    shown = sample.input[0].text + sample.input[1].text + str(sample.metadata)
    assert not any(cell in shown for cell in cells)
    assert "Submitted" in sample.messages[-1].text

    wrong = evaluated([say("submit", value=-3)], out, task_id, logs)
    assert wrong.samples[0].scores["grade"].value == 0.0
    assert wrong.samples[0].scores["grade"].answer == "-3"

    found = {}

    @solver
    def tries():
        async def solve(state, generate):
            place = sandbox()
            found["shell"] = await place.exec(["sh", "-c", "cat; echo $MINE >&2; exit 3"],
                                              input="in", env={"MINE": "x"})  # fmt: skip
            await place.write_file("a/b.txt", "text \u03a9")
            found["file"] = await place.read_file("a/b.txt")
            found["none"] = (await place.exec(["no-such-command"])).returncode
            with pytest.raises(FileNotFoundError):
                await place.read_file("missing")
            return state

        return solve

    left = evaluated([], out, task_id, logs, solver=tries())
    assert left.status == "success", left.error
    assert left.samples[0].scores["grade"].value == 0.0  # nothing was submitted
    shell = found["shell"]
    assert (shell.returncode, shell.stdout, shell.stderr) == (3, "in", "x\n")
    assert (found["file"], found["none"]) == ("text \u03a9", 127)
    outcomes = [row.outcome for row in RunFolder(out).all_rows()]
    assert outcomes == ["solved", "wrong", "policy_error"]
    gc.collect()  # Inspect's unclosed streams are told of here, where they are no error


def test_what_fails_in_inspect_is_an_error_of_the_sample_and_leaves_nothing(
    suite: Suite, tmp_path: Path
) -> None:
    from inspect_ai.solver import solver
    from inspect_ai.util import sandbox

    from benchside.serving import inspect_sandbox

    task_id = suite.tasks[0].task_id
    out, logs = tmp_path / "run", tmp_path / "logs"

    @solver
    def breaks():
        async def solve(state, generate):
            await sandbox().exec(["true"])
            raise RuntimeError("the solver broke")

        return solve

    @solver
    def loses_its_kernel():
        async def solve(state, generate):
            await sandbox().as_type(inspect_sandbox.KernelSandbox).episode.leave()
            await sandbox().exec(["true"])
            return state

        return solve

    def no_answer(*_: object) -> None:
        raise RuntimeError("the model's server broke")

    for solving, said in [
        ({"solver": breaks()}, "the solver broke"),
        ({"solver": loses_its_kernel()}, "client left"),
        ({}, "the model's server broke"),
    ]:
        log = evaluated(no_answer, out, task_id, logs, **solving)
        (sample,) = log.samples
        assert said in sample.error.message
        assert not sample.scores
    folder = RunFolder(out)
    with folder.lock():  # no desk is open
        outcomes = [row.outcome for row in folder.all_rows()]
    assert outcomes == ["infrastructure_error"] * 3
    assert not inspect_sandbox._DESKS
    gc.collect()
