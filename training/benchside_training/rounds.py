"""Self-improvement in rounds: sample, keep what is good, learn from it, and again.

    python -m benchside_training.rounds rounds.yaml

    round-0/run/         episodes of the model on training tasks, a run folder
    round-0/held-out/    the same on held-out suites, where there are any
    round-0/set/         what was learned from, with its data card
    round-0/training/    the fine-tuning; its model/ is what round 1 samples from
    ...
    evaluations.jsonl    success of each round's model (see `benchside.curves`)

What is good says the grade, or a verifier, which never sees it. The last round only samples, so
that the last model is measured like the others. Each part is finished once, and what was
interrupted goes on.

Sources: E. Zelikman et al., STaR (2022); A. Singh et al., Beyond Human Data (2023), which starts
each round's training from the first model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from pydantic import Field, JsonValue, field_validator
from rich.console import Console

from benchside.commands import RunRequest, run_suites
from benchside.curves import EvaluationRow, MetricsRow
from benchside.evaluation import Evaluation, LimitChoice, PolicyChoice, SuiteChoice
from benchside.policies import PolicyOptions
from benchside.task import Frozen
from benchside_kernels.startup import home_folder
from benchside_training.evaluation_rows import evaluation_rows, write_evaluations
from benchside_training.examples import FILE as EXAMPLES
from benchside_training.examples import ExamplesConfig
from benchside_training.examples import main as make_examples
from benchside_training.recipe import run_recipe
from benchside_training.sft import SftConfig
from benchside_training.sft import main as fine_tune
from benchside_training.training_folder import TrainingFolder
from benchside_training.verifier_scores import VerifierScoresConfig
from benchside_training.verifier_scores import main as score

_GIVEN = ("model", "data", "out", "resume", "seed")  # options of SFT that rounds set themselves


class RoundsConfig(Frozen):
    """Options of `main`.

    Args:
        model: folder or name of the first model.
        out: folder of all rounds.
        resume: go on with the rounds in `out`.
        suites: whose `train` tasks are sampled, all or `limit` of each.
        held_out: suites with their splits on which each model is measured, too.
        rounds: of learning.
        samples: attempts per task and round.
        policy: how the model is sampled, as a policy's options; a temperature of 0 gives the same
            attempt again and again.
        limits: instead of those of the tasks.
        parallel: most episodes at a time; None for the machine's cores.
        verifier: folder of a verifier that says what is good; None: the grade does.
        min_score: of the verifier.
        per_task: at most so many attempts at one task are learned from; None for all.
        from_first: each round trains the first model on what all rounds have found; otherwise it
            goes on with the last model, on what the last round has found.
        sft: options of `benchside_training.sft`, but for model, data, out, resume and seed.
    """

    model: str
    out: Path
    suites: tuple[SuiteChoice, ...] = Field(min_length=1)
    held_out: tuple[SuiteChoice, ...] = ()
    stage: str = "rounds"
    resume: bool = False
    seed: int = 0
    rounds: int = Field(3, ge=1)
    samples: int = Field(8, ge=1)
    policy: PolicyOptions = PolicyOptions()
    limits: LimitChoice = LimitChoice()
    parallel: int | None = Field(None, ge=1)
    verifier: Path | None = None
    min_score: float = Field(0.5, ge=0, le=1)
    per_task: int | None = Field(4, ge=1)
    from_first: bool = True
    sft: dict[str, JsonValue] = Field(default_factory=dict)

    @field_validator("suites")
    @classmethod
    def _training_tasks(cls, suites: tuple[SuiteChoice, ...]) -> tuple[SuiteChoice, ...]:
        for one in suites:
            if one.split not in (None, "train"):
                raise ValueError(f"{one.name}: rounds learn from the split train, not {one.split}")
        return tuple(one.model_copy(update={"split": "train"}) for one in suites)

    @field_validator("held_out")
    @classmethod
    def _other_tasks(cls, suites: tuple[SuiteChoice, ...]) -> tuple[SuiteChoice, ...]:
        for one in suites:
            if one.split in (None, "train"):
                raise ValueError(f"{one.name}: name the split, valid or test")
        return suites

    @field_validator("sft")
    @classmethod
    def _options_of_sft(cls, options: dict[str, JsonValue]) -> dict[str, JsonValue]:
        given = [name for name in _GIVEN if name in options]
        if given:
            raise ValueError(f"{', '.join(given)}: set by the rounds themselves")
        SftConfig.model_validate({"model": "", "data": ".", "out": ".", **options})
        return options


def main(
    config: RoundsConfig,
    on_step: Callable[[MetricsRow], None] = lambda _: None,
    home: Path | None = None,
) -> Path:
    """Improve a model; return the folder of the last round's.

    Args:
        on_step: called with the metrics of each step of training.
        home: where suites are prepared; the user's by default.

    Raises:
        InputError: model, suite, verifier or folder cannot be used, or a round has found nothing
            to learn from.
        TrainingError: see `sft.main`.
    """
    home = home or home_folder()
    folder = TrainingFolder(config.out)
    asked: dict[str, JsonValue] = {
        "config": config.model_dump(mode="json", exclude={"out", "resume"})
    }
    with folder.started(asked, resume=config.resume):
        model = Path(config.model)
        measured: list[EvaluationRow] = []
        for number in range(config.rounds + 1):
            own = config.out / f"round-{number}"
            measured += _sample(config, str(model), number, own, home)
            write_evaluations(config.out, measured)
            if number < config.rounds:
                model = _learn(config, str(model), number, own, home, on_step)
    return model


def _sample(
    config: RoundsConfig, model: str, number: int, own: Path, home: Path
) -> list[EvaluationRow]:
    """Sample the tasks with a round's model; return its success."""
    rows = []
    for name, suites in (("run", config.suites), ("held-out", config.held_out)):
        if not suites:
            continue
        choice = PolicyChoice(policy=f"hf:{model}", **config.policy.model_dump())
        asked = Evaluation(
            suites=suites, samples=config.samples, seed=config.seed + number, policies=(choice,),
            limits=config.limits, parallel=config.parallel,
        )  # fmt: skip
        out = own / name
        request = RunRequest(asked, out, resume=(out / "run.json").is_file())
        asyncio.run(run_suites(request, home, Console(stderr=True)))
        if config.verifier is not None:
            score(VerifierScoresConfig(verifier=config.verifier, runs=(str(out),)))
        rows += evaluation_rows(out, f"round {number}", config.seed)
    return rows


def _learn(
    config: RoundsConfig,
    model: str,
    number: int,
    own: Path,
    home: Path,
    on_step: Callable[[MetricsRow], None],
) -> Path:
    """Choose examples and train; return the folder of the new model."""
    training = TrainingFolder(own / "training")
    if training.model.is_dir():
        return training.model
    rounds = range(number + 1) if config.from_first else (number,)
    graded = config.verifier is None
    make_examples(
        ExamplesConfig(
            runs=tuple(str(config.out / f"round-{one}" / "run") for one in rounds),
            out=own / "set", per_task=config.per_task,
            outcomes=("solved",) if graded else ("solved", "wrong"),
            min_score=None if graded else config.min_score,
            held_out_suites=tuple({one.name: 0 for one in (*config.suites, *config.held_out)}),
        ),
        home,
    )  # fmt: skip
    return fine_tune(
        SftConfig.model_validate(
            {
                **config.sft, "model": config.model if config.from_first else model,
                "data": own / "set" / EXAMPLES, "out": training.path, "seed": config.seed,
                "resume": (training.path / "training.json").is_file(),
            }
        ),
        on_step,
    )  # fmt: skip


if __name__ == "__main__":
    run_recipe(RoundsConfig, main)
