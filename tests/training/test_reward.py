"""Parts of rewards, from episodes made by hand."""

import pytest
from pydantic import ValidationError

from benchside.episode import Submitted
from benchside.policy import Turn
from benchside.task import AnswerKind, AnswerSchema
from benchside_kernels.cell import CellResult
from benchside_kernels.submission import Json
from benchside_training.reward import RewardWeights, mean_parts, reward_parts
from tests.training.tiny import episode_of, sampled


def with_cells(*statuses: str, value: Json = 3, kind: AnswerKind = "integer", reward: float = 0.5):
    """An episode with cells that ended so, and a submission."""
    episode = episode_of([sampled([1], [2]) for _ in statuses], reward)
    turns = tuple(
        Turn(turn.action, cell(status), turn.observations)
        for turn, status in zip(episode.turns, statuses, strict=True)
    )
    task = episode.task.model_copy(update={"answer": AnswerSchema(kind=kind)})
    told = {"turns": turns, "submission": Submitted(value=value), "task": task}
    return episode.model_copy(update=told)


def cell(status: str) -> CellResult:
    return CellResult(
        cell_id="c", source="1", status=status, outputs=(), duration_s=0.0, cpu_s=None,
        peak_mib=None, output_chars=0, dropped_chars=0, state_survived=True, note="",
        submission=None,
    )  # fmt: skip


def test_parts_weigh_as_they_are_told_to() -> None:
    episode = with_cells("ok", "error", "ok", "timeout")
    assert reward_parts(episode) == (0, 0.5, 1, 0.5)
    assert RewardWeights().reward(episode) == 0.5  # the grader's own
    assert RewardWeights(correct=1, partial=0).reward(episode) == 0
    weights = RewardWeights(correct=5, partial=2, typed=2, clean=1)
    assert weights.reward(episode) == pytest.approx((0 + 1 + 2 + 0.5) / 10)
    solved = with_cells(reward=1.0)
    assert reward_parts(solved) == (1, 1, 1, 0)  # without a cell, none was clean
    unscored = episode_of([sampled([1], [2])], None)
    assert RewardWeights().reward(unscored) is None
    assert mean_parts([episode, solved, unscored]) == (0.5, 0.75, 1, 0.25)
    assert mean_parts([unscored]) is None
    with pytest.raises(ValidationError, match="at least one part"):
        RewardWeights(partial=0)


@pytest.mark.parametrize(
    ("kind", "fitting", "unfit"),
    [
        ("integer", 3.0, 3.5), ("number", 3.5, True), ("boolean", False, 0), ("set", [], "a"),
        ("record", {}, []), ("date", "2100-01-01", 2100), ("text", "a", None),
    ],
)  # fmt: skip
def test_a_submission_is_typed_by_its_kind_alone(
    kind: AnswerKind, fitting: Json, unfit: Json
) -> None:
    for value, typed in ((fitting, 1.0), (unfit, 0.0)):
        parts = reward_parts(with_cells("ok", value=value, kind=kind))
        assert parts is not None
        assert parts.typed == typed
