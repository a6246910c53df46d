"""The gate on suites with planted faults: each is found, named, and left out of runs."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from benchside import commands, library
from benchside.cli import app
from benchside.commands import RunRequest, run_suites
from benchside.errors import StoreError
from benchside.evaluation import Evaluation
from benchside.gate.leakage import leakage, masked_sentences
from benchside.gate.log import GateLog
from benchside.gate.report import Held, Tally, held_back, read_report, report_path, write_report
from benchside.gate.run import GateRequest, gate_suite
from benchside.gate.verdict import above_chance, chances
from benchside.library import Suite, prepare
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.task import AnswerKey, AnswerSchema, GraderRef, TaskSpec
from benchside_kernels.image import ImageSource

FAULTY = SuiteManifest(
    name="faulty", version="1", title="Faulty", description="", source="", url="",
    licence="Apache-2.0", builder="benchside.suites.power",
)  # fmt: skip
IMAGE = "faulty.ward"


def number(task_id: str, prompt: str = "", **fields: object) -> TaskSpec:
    return TaskSpec(
        **{
            "task_id": task_id, "suite": "faulty", "version": "1", "category": "c", "split": "test",
            "group": task_id, "prompt": prompt or f"How much is {task_id}?", "image": IMAGE,
            "answer": AnswerSchema(kind="number"), "grader": GraderRef(name="number"),
            **fields,
        }
    )  # fmt: skip


def key(task_id: str, value: object, *cells: str) -> AnswerKey:
    return AnswerKey(task_id=task_id, value=value, solution=cells or (f"submit({value!r})",))


def build_faulty(_: BuildOptions) -> SuiteBuild:
    wide = GraderRef(name="number", params={"abs_tol": 1000})
    tasks = [
        *(number(f"sound-{n}") for n in range(6)),
        number("unsolved"), number("random", grader=wide),
        number("guessable", grader=wide),
        number("told"), number("one-of-two", prompt="Which?"),
        number("two-of-two", prompt="Which?"),
        number("train-twin", prompt="The same in both?", split="train"),
        number("test-twin", prompt="The same  in both?"),
    ]  # fmt: skip
    keys = [
        *(key(f"sound-{n}", n + 0.5, f"x = {n}", "submit(x + 0.5)") for n in range(6)),
        key("unsolved", 7.5, "submit(0)"),
        key("random", 8.5, "import random", "submit(random.random())"),
        key("guessable", 9.5), key("told", 10.5), key("one-of-two", 11.5),
        key("two-of-two", 12.5), key("train-twin", 13.5), key("test-twin", 13.5),
    ]  # fmt: skip
    image = ImageSource(IMAGE, variables={"wards": {"gold": {"told": {"value": 10.5}}}})
    return SuiteBuild(tasks, keys, [image])


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    monkeypatch.setattr(library, "manifest", lambda _: FAULTY)
    monkeypatch.setattr(library, "_builder", lambda _: build_faulty)
    return prepare("faulty", tmp_path / "home")


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_each_planted_fault_is_held_back_with_its_reason(
    faulty: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "open_suite", lambda name, home, say: faulty)
    report = await gate_suite(faulty, GateRequest(limit=None, parallel=2), quiet())
    assert report == read_report(faulty)
    reasons = held_back(faulty)
    assert set(reasons) == {
        "unsolved", "random", "guessable", "told", "one-of-two", "two-of-two", "test-twin",
    }  # fmt: skip
    assert reasons["unsolved"] == ("reference, attempt 0: wrong", "reference, attempt 1: wrong")
    assert any(reason.startswith("not deterministic") for reason in reasons["random"])
    assert reasons["told"] == ("solved by cheat",)
    assert reasons["guessable"][-1].startswith("guessable: its grader accepts ")
    assert reasons["one-of-two"] == ("ambiguous: two-of-two asks the same and has another answer",)
    assert reasons["test-twin"] == ("duplicate: train-twin of split train asks the same",)
    assert (report.gated, report.tasks, report.unscored) == (14, 14, 0)
    assert (report.oracle.count, report.oracle.n) == (26, 28)
    assert (report.same.count, report.same.n) == (13, 14)
    assert report.floor["cheat"].count == 1
    assert not report.passed
    assert "gated 14 of 14, oracle 92.9%" in report.line()
    shown = report_path(faulty).read_text()
    assert not any(gold in shown for gold in ("7.5", "10.5", "11.5"))
    kept = list((GateLog.of(faulty).folder / "episodes").glob("*.ipynb"))
    assert len(kept) == 3 + report.floor["dump"].count  # two of `unsolved`, one of `told`

    console = quiet()
    asked = Evaluation.model_validate({"suites": ["faulty"], "policies": ["do-nothing"]})
    request = RunRequest(asked, tmp_path / "run")
    folder = await run_suites(request, faulty.home, console)
    assert {row.task_id for row in folder.rows().values()}.isdisjoint(reasons)
    assert len(folder.rows()) == 7
    assert folder.config().suites[0].quarantined == 7
    assert "7 quarantined tasks are left out" in console.file.getvalue()

    # a later gate of fewer tasks goes on holding back what it did not play
    again = await gate_suite(faulty, GateRequest(limit=2, parallel=2), quiet())
    assert again.gated == 2
    assert {held.task_id for held in again.quarantined} >= {"one-of-two", "test-twin"}
    assert len(again.quarantined) >= 5


async def test_an_interrupted_gate_goes_on_where_it_stopped(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = GateLog.of(suite)
    rows: list[str] = []

    def stop(self: GateLog, row: object) -> None:
        if len(rows) == 4:
            raise StoreError("the disk is full")
        rows.append(str(row))
        append(self, row)

    append = GateLog.append
    with monkeypatch.context() as patch, pytest.raises(StoreError, match="disk is full"):
        patch.setattr(GateLog, "append", stop)
        await gate_suite(suite, GateRequest(limit=2, parallel=1), quiet())
    assert read_report(suite) is None
    with log.path.open("a") as file:
        file.write('{"torn')
    console = quiet()
    report = await gate_suite(suite, GateRequest(limit=2, parallel=1), console)
    assert "4 of 12 episodes are done" in console.file.getvalue()
    assert report.passed, report
    assert report.line().startswith("passed ")
    assert f"gated 2 of {len(suite.tasks)}, oracle 100.0%, floor 0.0%" in report.line()
    assert not log.path.exists()
    with log.lock(), pytest.raises(StoreError, match="another process is gating"), log.lock():
        pass
    report_path(suite).write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        read_report(suite)
    report_path(suite).unlink()


def test_leakage_is_seen_through_slots() -> None:
    words = "what was the mean {} of the patients in ward {} who stayed longer than {} days"
    one = number("a", prompt=words.format("'age'", 3, 4), split="train", group="g")
    two = number("b", prompt=words.format("'weight'", 5, 61), group="g")
    three = number("c", prompt="Count the admissions of this year that ended by a transfer home")
    assert masked_sentences(one.prompt) == masked_sentences(two.prompt)
    shared, alike = leakage([one, two, three])
    assert shared == "1 groups are in train and in test: g"
    assert alike.startswith("1 of 2 test tasks share at least 80% of their 10-grams")
    assert leakage([two, three]) == ()


def test_a_frame_around_short_questions_is_not_taken_for_a_shared_wording() -> None:
    frame = (
        "Answer a question about the records, and answer it from the tables alone.\n{}\n"
        "Submit nothing but the answer, and round no number that you submit."
    )

    def asks(name: str, question: str, split: str = "train") -> TaskSpec:
        return number(name, prompt=frame.format(question), split=split, group=name)

    train = [asks(f"t{i}", f"What was the {what}?") for i, what in enumerate(("age", "sex", "bed"))]
    train.append(asks("head", "Was patient 10 admitted to the hospital in this month?"))
    train.append(asks("tail", "Is patient 10 admitted to the hospital in this year?"))
    new = asks("new", "Was patient 10 admitted to the hospital in this year?", "test")
    old = asks("old", "Is patient 11 admitted to the hospital in this year?", "test")
    assert leakage([*train, new]) == ()
    [found] = leakage([*train, new, old])
    assert found.startswith("1 of 2 test tasks share")


def test_the_commands_gate_list_and_show_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCHSIDE_HOME", str(tmp_path))
    suite = prepare("power", tmp_path, size=40)
    runner = CliRunner()
    done = runner.invoke(app, ["gate", "power", "--limit", "1", "--parallel", "1", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["gated"], found["tasks"]) == (1, 40)
    assert found["floor"]["cheat"] == {"count": 0, "n": 1}
    report = read_report(suite)
    assert report is not None
    held = (Held(task_id=suite.tasks[3].task_id, reasons=("solved by cheat",)),)
    write_report(suite, report.model_copy(update={"quarantined": held}))
    shown = runner.invoke(app, ["tasks", "power", "--quarantined"]).stdout
    assert shown.startswith(f"{suite.tasks[3].task_id}: solved by cheat\n")
    assert "1 of 40 tasks are quarantined" in shown
    listed = json.loads(runner.invoke(app, ["suites", "--json"]).stdout)
    power = next(one for one in listed if one["name"] == "power")
    assert power["quarantined"] == 1
    assert "gated 1 of 40, oracle 100.0%, floor 0.0%, 1 held back" in power["gate_line"]


def test_constants_are_held_against_what_guessing_gives() -> None:
    yes_no = number("yes", answer=AnswerSchema(kind="boolean"))
    four = number("four", answer=AnswerSchema(kind="text", choices=tuple("abcd")))
    score = number("score", answer=AnswerSchema(kind="integer", choices=(0, 1)))
    guesses = chances([number("how-many")] * 95 + [yes_no] * 2 + [four] * 2 + [score])
    assert sum(guesses) == pytest.approx(2)
    assert above_chance(Tally(count=3, n=100), guesses, 100) == ()
    (finding,) = above_chance(Tally(count=4, n=100), guesses, 100)
    assert "solve 4 of 100 tasks, guessing 2" in finding
    # 100 of 400: two standard deviations are 2 * sqrt(1.125 * 0.75) = 1.84
    assert above_chance(Tally(count=4, n=100), guesses, 400) == ()
    assert above_chance(Tally(count=5, n=100), guesses, 400) != ()
