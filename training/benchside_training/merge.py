"""Merge checkpoints, with given weights or with those that solve most tasks.

    benchside merge merge.yaml

Weights are searched by CMA-ES: each candidate is merged, plays tasks of the splits train or valid
in live kernels, and its mean reward is its fitness. Every parent alone and their plain average come
first, so that the result is never worse on these tasks than the best of them. Candidates lie in
`candidates/N/run`, run folders like any other, and in `candidates.jsonl`; a search that was
interrupted asks for the same candidates again and takes what it knows from there.

Sources: N. Hansen, The CMA Evolution Strategy (2016); T. Akiba et al., Evolutionary Optimization of
Model Merging Recipes (2024); the idea of episodes as fitness from Mergenetic (2025).
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import cma
import numpy as np
from pydantic import Field, JsonValue, field_validator, model_validator
from rich.console import Console

from benchside.commands import RunRequest, run_suites
from benchside.errors import InfrastructureError, InputError
from benchside.evaluation import Evaluation, LimitChoice, PolicyChoice, SuiteChoice
from benchside.manifests import read_yaml
from benchside.policies import PolicyOptions
from benchside.row_file import readable_rows
from benchside.runs import load_run
from benchside.store import append_line, cut_torn_line
from benchside.task import Frozen
from benchside_kernels.startup import home_folder
from benchside_training.local.loading import weights_of
from benchside_training.merging import Method, Parents, checked
from benchside_training.merging import merge as write_merged
from benchside_training.model_card import write_model_card
from benchside_training.recipe import run_recipe
from benchside_training.training_folder import TrainingFolder

LOG = "candidates.jsonl"
BOUNDS = {"linear": (1e-3, 1.0), "task_arithmetic": (0.0, 1.5)}
STEP = 0.25  # first standard deviation of the search


class Search(Frozen):
    """How weights are searched.

    Args:
        suites: with their splits, train or valid, and how many tasks of each.
        candidates: that are tried in all, the parents and their average among them.
        population: of a generation of CMA-ES; None for its own default.
        samples: attempts per task.
        policy: how candidates are sampled; by default greedily.
        parallel: most episodes at a time; None for the machine's cores.
    """

    suites: tuple[SuiteChoice, ...] = Field(min_length=1)
    candidates: int = Field(40, ge=2)
    population: int | None = Field(None, ge=2)
    samples: int = Field(1, ge=1)
    policy: PolicyOptions = PolicyOptions(temperature=0.0)
    limits: LimitChoice = LimitChoice()
    parallel: int | None = Field(None, ge=1)

    @field_validator("suites")
    @classmethod
    def _no_test(cls, suites: tuple[SuiteChoice, ...]) -> tuple[SuiteChoice, ...]:
        for one in suites:
            if one.split not in ("train", "valid"):
                raise ValueError(
                    f"{one.name}: weights are searched on the split train or valid, not {one.split}"
                )
        return suites


class MergeConfig(Frozen):
    """Options of `main`.

    Args:
        models: folders of checkpoints of one architecture and tokenizer.
        base: of task arithmetic: what they were trained from.
        weights: one for each model; None where they are searched.
        resume: go on with the search in `out`.
    """

    models: tuple[Path, ...] = Field(min_length=2)
    out: Path
    method: Method = "linear"
    base: Path | None = None
    weights: tuple[float, ...] | None = None
    search: Search | None = None
    stage: str = "merge"
    seed: int = 0
    resume: bool = False

    @model_validator(mode="after")
    def _weights_or_search(self) -> Self:
        if (self.weights is None) == (self.search is None):
            raise ValueError("give either weights, such as [0.5, 0.5], or search with its suites")
        if self.weights is not None and len(self.weights) != len(self.models):
            raise ValueError(f"weights: give {len(self.models)}, one for each model")
        return self


class Candidate(Frozen):
    """One line of `candidates.jsonl`.

    Args:
        reward: mean over `n` scored episodes.
    """

    number: int
    weights: tuple[float, ...]
    reward: float
    n: int


class Played(NamedTuple):
    """What a candidate's episodes came to."""

    reward: float
    n: int


Fitness = Callable[[Path, Path], Played]
"""Called with the folder of a candidate and the one for its episodes."""


def main(config: MergeConfig, *, fitness: Fitness | None = None, home: Path | None = None) -> Path:
    """Merge; return the folder of the result.

    Args:
        fitness: instead of the reward of episodes.
        home: where suites are prepared; the user's by default.

    Raises:
        InputError: the models do not fit together, or the folder cannot be used; nothing was
            overwritten.
        InfrastructureError: no episode of a candidate could be scored.
    """
    parents = checked(config.method, config.models, config.base)
    folder = TrainingFolder(config.out)
    asked: dict[str, JsonValue] = {
        "config": config.model_dump(mode="json", exclude={"out", "resume"}),
        "parents": {str(one): weights_of(str(one), None, None) for one in parents.all},
    }
    console = Console(stderr=True)
    with folder.started(asked, resume=config.resume):
        tried: list[Candidate] = []
        weights = config.weights
        if config.search is not None:
            play = fitness or _episodes(config.search, config.seed, home or home_folder(), console)
            tried = _searched(config, config.search, parents, play, console)
            weights = max(tried, key=lambda one: one.reward).weights  # of equal ones, the first
        assert weights is not None
        with folder.result() as result:
            made_by = write_merged(parents, weights, result)
            write_model_card(result, folder, _summary(parents, weights, tried, made_by))
    return folder.model


def _searched(
    config: MergeConfig, search: Search, parents: Parents, play: Fitness, console: Console
) -> list[Candidate]:
    """All candidates, those of an interrupted search included."""
    log = config.out / LOG
    cut_torn_line(log)
    known = {one.number: one for one in readable_rows(log, Candidate, [])}
    tried: list[Candidate] = []
    asked = _asked(config, search, tried)
    for number, weights in zip(range(search.candidates), asked, strict=False):
        found = known.get(number)
        if found is None:
            found = _tried(
                config.out / "candidates" / f"{number:04d}", number, weights, parents, play
            )
            append_line(log, found.model_dump_json(), sync=True)
        elif not np.allclose(found.weights, weights, atol=1e-9):
            raise InputError(
                "the search asks for other weights than before", where=f"{log}: {number}",
                value=list(found.weights),
                fix="go on with the version of cma and numpy that it was started with, or choose "
                "another out",
            )  # fmt: skip
        tried.append(found)
        best = max(one.reward for one in tried)
        shown = ", ".join(f"{weight:.3f}" for weight in weights)
        console.print(
            f"candidate {number + 1} of {search.candidates}: weights {shown}; reward "
            f"{found.reward:.3f} (n = {found.n}); best {best:.3f}", soft_wrap=True, highlight=False,
        )  # fmt: skip
    return tried


def _asked(
    config: MergeConfig, search: Search, tried: list[Candidate]
) -> Iterator[tuple[float, ...]]:
    """The weights to try; `tried` grows between two of them."""
    count = len(config.models)
    yield from (tuple(map(float, row)) for row in np.eye(count))
    average = [1 / count] * count
    yield tuple(average)
    bounds = list(BOUNDS[config.method])
    options = {"seed": config.seed + 1, "bounds": bounds, "verbose": -9}  # seed 0: by the clock
    if search.population is not None:
        options["popsize"] = search.population
    strategy = cma.CMAEvolutionStrategy(average, STEP, options)
    while True:
        generation = strategy.ask()
        before = len(tried)
        yield from (tuple(map(float, row)) for row in generation)
        rewards = [one.reward for one in tried[before:]]
        strategy.tell(generation, [-reward for reward in rewards])


def _tried(
    place: Path, number: int, weights: Sequence[float], parents: Parents, play: Fitness
) -> Candidate:
    """Merge a candidate, let it play, and drop its weights."""
    model = place / "model"
    shutil.rmtree(model, ignore_errors=True)
    model.mkdir(parents=True)
    write_merged(parents, weights, model)
    played = play(model, place / "run")
    shutil.rmtree(model)
    return Candidate(number=number, weights=tuple(weights), reward=played.reward, n=played.n)


def _episodes(search: Search, seed: int, home: Path, console: Console) -> Fitness:
    """The mean reward of a candidate's episodes, the same tasks and seeds for each."""

    def play(model: Path, out: Path) -> Played:
        choice = PolicyChoice(policy=f"hf:{model}", **search.policy.model_dump())
        asked = Evaluation(
            suites=search.suites, samples=search.samples, seed=seed, policies=(choice,),
            limits=search.limits, parallel=search.parallel,
        )  # fmt: skip
        request = RunRequest(asked, out, resume=(out / "run.json").is_file())
        asyncio.run(run_suites(request, home, console))
        rewards = load_run(out).episodes["reward"].dropna()
        if rewards.empty:
            raise InfrastructureError(
                "no episode of this candidate could be scored", where=out,
                fix="mend the cause that its episodes name, then go on with resume: true",
            )  # fmt: skip
        return Played(float(rewards.mean()), len(rewards))

    return play


def _summary(
    parents: Parents, weights: Sequence[float], tried: Sequence[Candidate], made_by: str
) -> dict[str, JsonValue]:
    told: dict[str, JsonValue] = {
        "Parents": {
            **({"base": str(parents.base)} if parents.base else {}),
            **{
                str(model): f"weight {weight:.6g}"
                for model, weight in zip(parents.models, weights, strict=True)
            },
        },
        "Merged by": f"{made_by}, {parents.method}",
    }  # fmt: skip
    if tried:
        best = max(tried, key=lambda one: one.reward)
        told["Search"] = {
            "candidates": len(tried),
            "reward of the best on the tasks of the search": f"{best.reward:.4f} (n = {best.n})",
            **{
                f"reward of {model}": f"{one.reward:.4f} (n = {one.n})"
                for model, one in zip(parents.models, tried, strict=False)
            },
            "note": "the best of many on the same tasks: too high by chance; measure it on others",
        }  # fmt: skip
    return told


def command(config: Path) -> None:
    """Do what a YAML file asks for; the entry point of `benchside merge`."""
    main(read_yaml(config, MergeConfig))


if __name__ == "__main__":
    run_recipe(MergeConfig, main)
