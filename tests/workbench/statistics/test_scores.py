"""Scores of a run in real kernels, and of what kernels cannot show."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

import benchside
from benchside.statistics import clustered_mean, scores, wilson
from benchside.statistics.scores import canonical


def values(found: pd.DataFrame, policy: str) -> dict[str, float]:
    rows = found[found.policy == policy]
    names = rows.measure.where(rows.k.isna(), rows.measure.str[:-1] + rows.k.astype(str))
    return dict(zip(names, rows.value, strict=True))


def test_scores_of_a_run(finished_run: Path) -> None:
    run = benchside.load_run(finished_run)
    found = scores(run)
    reference = values(found, "reference")
    assert {name: reference[name] for name in ("success", "reward", "pass@2", "pass^2")} == (
        dict.fromkeys(("success", "reward", "pass@2", "pass^2"), 1.0)
    )
    assert reference["majority@2"] == 1.0
    assert reference["floor"] == values(found, "constant")["success"] == 0.0
    assert "floor" not in values(found, "constant"), "a policy is not its own floor"
    row = found[(found.policy == "reference") & (found.measure == "success")].iloc[0]
    assert (row.n, row.low) == (4, pytest.approx(wilson(2, 2)[0])), "two tasks, two samples each"
    part = run.episodes[run.episodes.policy == "reference"]
    assert reference["duration_s"] == pytest.approx(part.duration_s.mean())
    assert reference["environment_s"] == pytest.approx((part.start_s + part.kernel_s).mean())
    assert pd.isna(reference["output_tokens"])
    by_category = scores(run, "category")
    assert set(by_category.category) == set(run.episodes.category)
    assert by_category[by_category.measure == "success"].n.sum() == 12


def changed(run: benchside.Run, /, **columns: object) -> benchside.Run:
    return dataclasses.replace(run, episodes=run.episodes.assign(**columns))


def test_best_at_k_goes_by_the_verifier(finished_run: Path) -> None:
    run = benchside.load_run(finished_run)
    rewards = [float(sample == 0) for sample in run.episodes["sample"]]
    run = changed(run, reward=rewards)
    places = pd.MultiIndex.from_frame(run.episodes[["run", "episode_id"]])
    for scale, best in ((1, 1.0), (-1, 0.0), (0, 0.5)):
        verifier = pd.Series([scale * reward for reward in rewards], index=places)
        assert values(scores(run, verifier=verifier), "reference")["best@2"] == best
    assert "best@2" not in values(scores(run), "reference")


def test_the_baseline_without_data_stands_beside_its_model(finished_run: Path) -> None:
    run = benchside.load_run(finished_run)
    names = {"reference": "openai:m", "constant": "blind:m"}
    found = scores(changed(run, policy=run.episodes.policy.map(lambda name: names.get(name, name))))
    assert values(found, "openai:m")["contamination"] == 0.0
    assert "contamination" not in values(found, "blind:m")


def test_baselines_come_from_another_run_where_a_run_has_none(finished_run: Path) -> None:
    run = benchside.load_run(finished_run)
    alone = dataclasses.replace(run, episodes=run.episodes[run.episodes.policy == "reference"])
    other = changed(run, run="elsewhere", outcome="solved", cost_usd=0.5)
    assert "floor" not in values(scores(alone), "reference")
    found = scores(alone, beside=other).set_index("measure")
    assert found.loc["floor", ["value", "n", "source"]].tolist() == [1.0, 4, "elsewhere"]
    assert scores(run, beside=other).source.isna().all(), "its own goes first"
    assert "floor" not in values(scores(alone, beside=run), "reference"), "the same run is no other"
    strange = changed(other, task_hash="of another task")
    assert "floor" not in values(scores(alone, beside=strange), "reference")
    assert values(scores(other), "reference")["cost_usd"] == 0.5


def test_errors_of_ours_are_counted_apart(finished_run: Path) -> None:
    run = benchside.load_run(finished_run)
    spoiled = (run.episodes.policy == "reference") & (run.episodes["sample"] == 0)
    run = changed(run, outcome=run.episodes.outcome.mask(spoiled, "infrastructure_error"))
    rows = scores(run)
    row = rows[(rows.policy == "reference") & (rows.measure == "success")].iloc[0]
    assert (row.n, row.unscored, row.value) == (2, 2, 1.0)
    assert "pass@2" not in values(rows, "reference")


def test_equal_answers_are_one_vote() -> None:
    assert canonical("[3.0, 0.1234567]") == canonical("[3, 0.1234568]")
    assert canonical('"a"') != canonical('"b"')
    assert canonical("true") != canonical("1")


def test_a_mean_without_clusters_is_named_so() -> None:
    assert clustered_mean([1, 0], ["a", "b"], [1, 2]).clusters == 2
