"""Examples and pairs from a real run: what is chosen, what is left out and why, and the card."""

import asyncio
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from benchside.commands import RunRequest, run_suites
from benchside.errors import DataMissingError, InputError
from benchside.evaluation import Evaluation
from benchside.library import Suite, prepare
from benchside.policy import Action, Message, ToolCall, Turn
from benchside.store import RunFolder, row_of
from benchside.task import TaskSpec
from benchside.transcript import read_transcript, write_transcript
from benchside_training.contamination import HeldOut
from benchside_training.example import example_of
from benchside_training.examples import ExamplesConfig, main, read_examples
from tests.training.tiny import episode_of, told


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def suite(home: Path) -> Suite:
    return prepare("power", home, size=120)


@pytest.fixture(scope="module")
def run(home: Path, suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tasks, two samples, a policy that solves them and one that does not."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    asked = Evaluation.model_validate(
        {
            "suites": [{"name": suite.name, "split": "train", "limit": 2}],
            "samples": 2, "parallel": 2, "policies": ["reference", "constant"],
        }
    )  # fmt: skip
    asyncio.run(run_suites(RunRequest(asked, folder), home, Console(file=io.StringIO())))
    return folder


def test_examples_are_the_solved_episodes_once_with_a_card(
    run: Path, home: Path, tmp_path: Path
) -> None:
    card = main(ExamplesConfig(runs=(str(run),), out=tmp_path / "set"), home)
    rows = read_examples(tmp_path / "set" / "examples.jsonl")
    # 8 episodes: 2 tasks × 2 samples solved, of which the second samples did the same
    assert card.left_out == {"outcome wrong": 4, "the same actions on the same task": 2}
    assert [row.policy for row in rows] == ["reference"] * 2
    assert card.by["outcome"] == {"solved": 2}
    assert (card.rows, card.sensitivity, card.sources[0].episodes) == (2, "open", 8)
    assert card.held_out_tasks == 32  # valid and test of the same suite
    episode = RunFolder(run).episode(rows[0].episode_id)
    assert list(rows[0].messages[:2]) == list(episode.opening)
    assert rows[0].messages[-1] == episode.turns[-1].action.message
    assert rows[0].messages[2] == episode.turns[0].action.message
    assert rows[0].messages[3:4] == episode.turns[0].observations
    stored = json.loads((tmp_path / "set" / "data_card.json").read_text())
    assert stored["sha256"] == card.sha256
    assert "| outcome wrong | 4 |" in (tmp_path / "set" / "data_card.md").read_text()


def test_what_is_chosen_by_outcome_policy_length_and_task(
    run: Path, home: Path, tmp_path: Path
) -> None:
    def kept(**asked: object) -> int:
        config = ExamplesConfig.model_validate({"runs": [str(run)], "out": tmp_path / "s", **asked})
        return main(config, home).rows

    assert kept(outcomes=["wrong"], policies=["constant"]) == 2
    assert kept(outcomes=["wrong", "solved"]) == 4
    assert kept(outcomes=["wrong", "solved"], per_task=1) == 2
    for nothing in ({"max_turns": 1, "outcomes": ["solved"], "policies": ["nobody"]},
                    {"max_chars": 10}, {"splits": ["test"]}, {"suites": ["cohorts"]}):  # fmt: skip
        with pytest.raises(InputError, match=r"nothing is left[\s\S]*left out: \w+"):
            kept(**nothing)
    with pytest.raises(DataMissingError, match="ehrsql2024 is not prepared"):
        kept(held_out_suites=["ehrsql2024"])


def test_held_out_tasks_are_known_by_hash_by_id_and_by_wording(suite: Suite) -> None:
    tasks = [task for task in suite.tasks if task.split == "train"]
    one = tasks[0]
    held = HeldOut([one])
    assert held.reason(one) == "is a held-out task"
    limits = one.limits.model_copy(update={"max_turns": 3})
    assert held.reason(one.model_copy(update={"limits": limits})) == "is a held-out task"
    question = (
        "Of the patients who were admitted to the surgical ward in March with a fracture of the "
        "hip, how many had received cefazolin within an hour before the operation began?"
    )
    asked = TaskSpec.model_validate({**one.model_dump(), "task_id": "a", "prompt": question})
    near = question.replace("began?", "had begun?")
    other = question.replace("hip", "wrist").replace("March", "May").replace("an hour", "2 days")
    held = HeldOut([asked])
    assert "nearly" in str(held.reason(_asking(one, near)))
    assert held.reason(_asking(one, other)) is None
    # what all held-out tasks say is no sign of any of them
    frame = "Answer with a number that is rounded to two decimals and nothing else besides it. "
    framed = [
        _asking(one, f"{frame} {word * 3} {number}?").model_copy(update={"task_id": word})
        for number, word in enumerate(("alpha ", "beta ", "gamma ", "delta ", "eta ", "zeta "))
    ]
    assert HeldOut(framed).reason(_asking(one, frame)) is None
    # nor where it is one suite of several that says it
    others = [
        _asking(one, question).model_copy(update={"suite": "other", "task_id": str(number)})
        for number in range(60)
    ]
    assert HeldOut([*framed, *others]).reason(_asking(one, frame)) is None
    # while what all of another suite ask is a question here
    assert "nearly" in str(HeldOut([asked, *others]).reason(_asking(one, near)))


def _asking(task: TaskSpec, prompt: str) -> TaskSpec:
    return TaskSpec.model_validate({**task.model_dump(), "task_id": "b", "prompt": prompt})


def test_held_out_tasks_do_not_get_into_a_set(run: Path, home: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a held-out task: 4"):
        main(
            ExamplesConfig(runs=(str(run),), out=tmp_path / "set", held_out_splits=("train",)), home
        )
    assert not (tmp_path / "set").exists()


def test_credentialed_episodes_need_a_flag(run: Path, home: Path, tmp_path: Path) -> None:
    (source, *_) = sorted((run / "episodes").glob("*.ipynb"))
    episode = read_transcript(source)
    task = TaskSpec.model_validate({**episode.task.model_dump(), "sensitivity": "credentialed"})
    episode = episode.model_copy(update={"task": task, "outcome": "solved"})
    other = RunFolder(tmp_path / "other")
    (other.path / "episodes").mkdir(parents=True)
    write_transcript(episode, other.transcript_path(episode.episode_id))
    other.rows_path.write_text(row_of(episode).model_dump_json() + "\n")
    config = ExamplesConfig(runs=(str(other.path),), out=tmp_path / "set")
    with pytest.raises(
        InputError, match=r"credentialed data \(suite power\)[\s\S]*credentialed: true"
    ):
        main(config, home)
    assert not (tmp_path / "set").exists()
    card = main(config.model_copy(update={"credentialed": True}), home)
    assert card.sensitivity == "credentialed"
    assert card.sources[0].run_json_sha256 is None


def test_graded_guesses_and_several_attempts_are_not_learned_from(
    run: Path, home: Path, tmp_path: Path
) -> None:
    episodes = [read_transcript(path) for path in sorted((run / "episodes").glob("*.ipynb"))]
    solved = next(one for one in episodes if one.outcome == "solved")
    first, *rest = solved.turns
    draft = replace(first, action=first.action.model_copy(update={"draft": True}))
    changed = [
        {"feedback": "oracle", "episode_id": "guessing"},
        {"turns": (draft, *rest), "episode_id": "attempting"},
        {"episode_id": "plain"},
    ]
    other = RunFolder(tmp_path / "other")
    (other.path / "episodes").mkdir(parents=True)
    with other.rows_path.open("w") as rows:
        for one in changed:
            episode = solved.model_copy(update=one)
            write_transcript(episode, other.transcript_path(episode.episode_id))
            rows.write(row_of(episode).model_dump_json() + "\n")
    card = main(ExamplesConfig(runs=(str(other.path),), out=tmp_path / "set"), home)
    assert card.left_out == {
        "told at each answer whether it is right": 1, "several attempts in one episode": 1,
    }  # fmt: skip
    (row,) = read_examples(tmp_path / "set" / "examples.jsonl")
    assert row.episode_id == "plain"


def test_malformed_actions_are_context_and_are_not_learned() -> None:
    call = ToolCall(id="1", name="run_cell", arguments='{"code": "1"}')
    good = Turn(
        Action(message=Message(role="assistant", tool_calls=(call,)), code="1"), None,
        (Message(role="tool", content="1", tool_call_id="1"),),
    )  # fmt: skip
    episode = episode_of([]).model_copy(
        update={"opening": (Message(role="user", content="?"),), "turns": (told(0, None), good)}
    )
    found = example_of(episode, "run")
    assert [message.role for message in found.messages] == [
        "user",
        "assistant",
        "user",
        "assistant",
    ]
    assert found.unlearned == (1,)


def test_damaged_sets_are_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    with pytest.raises(InputError, match="cannot read the set"):
        read_examples(path)
    path.write_text('{"run": 1}\n')
    with pytest.raises(InputError, match="line 1"):
        read_examples(path)
