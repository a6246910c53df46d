"""Transcripts: lossless for any episode, plain notebooks for everybody else."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchside.episode import Episode, EpisodeUsage, Failure, Provenance, Submitted
from benchside.errors import StoreError
from benchside.grade import Grade
from benchside.policy import Action, Message, Tokens, ToolCall, Turn, Usage
from benchside.task import AnswerSchema, GraderRef, TaskSpec
from benchside.token_file import tokens_path, write_tokens
from benchside.transcript import read_transcript, write_transcript
from benchside_kernels.cell import CellResult, Submission
from benchside_kernels.submission import MIME

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
floats = st.floats(0, 1e6)
maybe_floats = st.none() | floats
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
streams = st.builds(
    lambda name, text: {"output_type": "stream", "name": name, "text": text},
    st.sampled_from(["stdout", "stderr"]),
    texts,
)
displays = st.builds(
    lambda plain, value: {
        "output_type": "display_data",
        "data": {"text/plain": plain, "image/png": "aGk=", MIME: value},
        "metadata": {},
    },
    texts,
    json_values,
)
results_ = st.builds(
    lambda plain, count: {
        "output_type": "execute_result",
        "data": {"text/html": plain, "text/plain": plain},
        "metadata": {},
        "execution_count": count,
    },
    texts,
    st.none() | st.integers(0, 99),
)
errors = st.builds(
    lambda name, lines: {
        "output_type": "error", "ename": name, "evalue": name, "traceback": lines,
    },
    texts,
    st.lists(texts, max_size=3),
)  # fmt: skip
cells = st.builds(
    CellResult,
    cell_id=st.just(""),
    source=texts,
    status=st.sampled_from(["ok", "error", "timeout", "dead"]),
    outputs=st.lists(streams | displays | results_ | errors, max_size=3).map(tuple),
    duration_s=floats,
    cpu_s=maybe_floats,
    peak_mib=maybe_floats,
    output_chars=st.none() | st.integers(0),
    dropped_chars=st.integers(0),
    state_survived=st.booleans(),
    note=texts,
    submission=st.none() | st.builds(Submission, json_values),
)
calls = st.builds(ToolCall, id=texts, name=texts, arguments=texts)
messages = st.builds(
    Message,
    role=st.sampled_from(["assistant", "tool", "user"]),
    content=st.none() | texts,
    tool_calls=st.lists(calls, max_size=2).map(tuple),
    tool_call_id=st.none() | texts,
)
token_ids = st.integers(0, 200_000)
sampled = st.lists(st.tuples(token_ids, st.floats(-50, 0, width=32), st.integers(0, 9)), max_size=4)
tokens = st.builds(
    lambda context, drawn, restarted: Tokens(
        context_ids=context,
        sampled_ids=[one[0] for one in drawn],
        logprobs=[one[1] for one in drawn],
        versions=[one[2] for one in drawn],
        restarted=restarted,
    ),
    st.lists(token_ids, max_size=4),
    sampled,
    st.booleans(),
)
usages = st.builds(Usage, input_tokens=st.none() | st.integers(0), latency_s=maybe_floats)
actions = st.builds(
    Action, message=messages, thought=texts, code=st.none() | texts, problem=st.none() | texts,
    reasoning=st.none() | texts, usage=usages, tokens=st.none() | tokens,
)  # fmt: skip
turns = st.builds(Turn, actions, st.none() | cells, st.lists(messages, max_size=2).map(tuple))

TASK = TaskSpec(
    task_id="t-1", suite="tests", version="1", category="c", split="test", group="g",
    prompt="What is the mean age?\n\nPlease.", image="tests.ward",
    answer=AnswerSchema(kind="number", description="years"),
    grader=GraderRef(name="number", params={"abs_tol": 0.1}),
)  # fmt: skip


def numbered(found: list[Turn]) -> tuple[Turn, ...]:
    """Give cells unique ids, as a session does."""
    return tuple(
        Turn(turn.action, _with_id(turn.result, number), turn.observations)
        for number, turn in enumerate(found)
    )


def _with_id(result: CellResult | None, number: int) -> CellResult | None:
    if result is None:
        return None
    fields = {name: getattr(result, name) for name in CellResult.__slots__}
    return CellResult(**{**fields, "cell_id": f"cell-{number:03d}"})


episodes = st.builds(
    Episode,
    episode_id=st.just("0123456789abcdef"),
    task=st.just(TASK),
    policy=texts,
    sample=st.integers(0, 9),
    opening=st.lists(messages, max_size=2).map(tuple),
    setup_source=texts,
    turns=st.lists(turns, max_size=4).map(numbered),
    outcome=st.sampled_from(["solved", "wrong", "truncated", "grader_error"]),
    terminated=st.booleans(),
    truncated=st.booleans(),
    end_reason=st.sampled_from(["submitted", "max_turns", "failed"]),
    submission=st.none() | st.builds(Submitted, value=json_values),
    grade=st.none()
    | st.builds(Grade, reward=st.floats(0, 1), passed=st.booleans(), grader=texts, evidence=texts),
    failure=st.none() | st.builds(Failure, kind=texts, message=texts, traceback=texts),
    usage=st.builds(EpisodeUsage, duration_s=floats, start_s=maybe_floats, cpu_s=maybe_floats),
    provenance=st.builds(
        Provenance, suite_build=texts, image=texts, isolation=texts, seed=st.integers(0),
        versions=st.dictionaries(texts, texts, max_size=2), git_commit=st.none() | texts,
        started_at=texts,
    ),
    parent=st.none() | texts,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(episodes)
def test_episode_to_notebook_to_episode_is_lossless(episode: Episode) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "episode.ipynb"
        write_transcript(episode, path)
        nbformat.validate(nbformat.read(path, as_version=4))
        assert read_transcript(path) == episode


@pytest.fixture
def written(tmp_path: Path) -> Path:
    turn = Turn(
        Action(message=Message(role="assistant", content="I look.")),
        CellResult("cell-001", "1 / 0", "error", (), 0.1),
        (),
    )
    slow = Turn(
        Action(message=Message(role="assistant")),
        CellResult("cell-002", "while True: pass", "timeout", (), 0.1),
        (),
    )
    provenance = Provenance(
        suite_build="b", image="i", isolation="none", seed=0, versions={}, git_commit=None,
        started_at="2026-01-01",
    )  # fmt: skip
    episode = Episode(
        episode_id="e", task=TASK, policy="p", sample=0, opening=(), setup_source="pass",
        turns=(turn, slow), outcome="truncated", terminated=False, truncated=True,
        end_reason="max_turns", submission=None, grade=None, failure=None,
        usage=EpisodeUsage(duration_s=1.0), provenance=provenance,
    )  # fmt: skip
    write_transcript(episode, tmp_path / "e.ipynb")
    return tmp_path / "e.ipynb"


def test_cells_that_failed_or_hung_are_tagged_for_nbclient(written: Path) -> None:
    notebook = nbformat.read(written, as_version=4)
    tags = [cell.metadata.get("tags") for cell in notebook.cells if cell.cell_type == "code"]
    assert tags == [None, ["raises-exception"], ["skip-execution"]]
    assert list(written.parent.iterdir()) == [written], "no temporary file is left"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "not a readable notebook"),
        (lambda _: "[]", "not a readable notebook"),
        (lambda _: json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}),
         "not a transcript of Benchside"),
        (lambda text: text.replace('"schema": 1', '"schema": 99'), "schema version"),
        (lambda text: text.replace('"outcome": "truncated"', '"outcome": "won"'), "outcome"),
    ],
)  # fmt: skip
def test_a_damaged_transcript_is_one_clear_error(written: Path, damage, message: str) -> None:
    written.write_text(damage(written.read_text()))
    with pytest.raises(StoreError, match=message) as raised:
        read_transcript(written)
    assert str(written) in str(raised.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[: len(content) // 2], "damaged tokens"),
        (lambda _: b"", "damaged tokens"),
    ],
)
def test_damaged_tokens_are_one_clear_error(written: Path, damage, message: str) -> None:
    beside = tokens_path(written)
    one = Tokens(context_ids=(1, 2), sampled_ids=(3,), logprobs=(-0.5,), versions=(0,))
    write_tokens([one, None], beside)
    assert [turn.action.tokens for turn in read_transcript(written).turns] == [one, None]
    write_tokens([one], beside)
    with pytest.raises(StoreError, match="it has 1 turns, the notebook 2"):
        read_transcript(written)
    beside.write_bytes(damage(beside.read_bytes()))
    with pytest.raises(StoreError, match=message) as raised:
        read_transcript(written)
    assert str(beside) in str(raised.value)


def test_tokens_need_a_probability_and_a_version_each() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        Tokens(context_ids=(1,), sampled_ids=(2, 3), logprobs=(-0.1,), versions=(0, 0))


def test_a_missing_transcript_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"none\.ipynb"):
        read_transcript(tmp_path / "none.ipynb")
