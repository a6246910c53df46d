"""Ship: of a finished pipeline, the best model that learned by RL becomes the policy `nano`.

    python -m benchside_training.nano.ship NANO.yaml

The best is the one that solved most of what it practised, over its last steps: no held-out task has
a say in it. Beside the weights come a model card and a list of tasks, in suites as users have them,
that ask nothing which the model was taught or has practised.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from pydantic import JsonValue
from rich.console import Console

from benchside.curves import METRICS, MetricsRow
from benchside.errors import InputError
from benchside.library import Suite, load_suite
from benchside.row_file import readable_rows
from benchside.store import RunFolder
from benchside.task_list import task_line
from benchside_training.model_card import write_model_card
from benchside_training.nano.config import MAX_TOKENS, SIZES, NanoConfig
from benchside_training.nano.curriculum import (
    USUAL_HOME,
    Curriculum,
    read_curriculum,
    solution,
)
from benchside_training.nano.episodes import Run, play_model, success
from benchside_training.nano.results import percent
from benchside_training.nano.shipped import HELD_OUT, WEIGHTS
from benchside_training.recipe import run_recipe
from benchside_training.training_folder import TrainingFolder

MOST_BYTES = 20_000_000
LAST_STEPS = 5
MOST_LISTED = 100  # tasks of each suite
FILES = (
    "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
    "tokenizer_config.json", "chat_template.jinja",
)  # fmt: skip
ABOUT = """\
A small llama that answers questions over hospital tables by writing Python and SQL in a Jupyter
kernel. It was trained from random weights by `make train-demo`, on tasks that Benchside generates
itself: no person's data, no other model's weights or words. It is the policy `nano`:

    benchside run registry units wards --limit 10 --policy nano --tasks {listed}"""
LIMITS = """\
It knows {families} families of questions in English over the schemas of `registry`, `units` and
`wards`, and next to nothing else: see the columns of unseen templates and of the unseen suite. Its
chat template shows it the question, the first table's name and the end of each output. It is there
to show how training works; its answers are fit for no other use, and for no patient."""


class Practised(NamedTuple):
    """How well a model did, at the end of its RL, on the tasks that it learned from."""

    method: str
    seed: int
    solved: float
    training: Path


def ship(config: NanoConfig, weights: Path = WEIGHTS, console: Console | None = None) -> Practised:
    """Put the best model of a finished pipeline in place; return which it was.

    Raises:
        InputError: the pipeline is not finished, or the model is too large; nothing was changed.
    """
    console = console or Console()
    if not (config.out / "results.json").is_file():
        raise InputError(
            "the pipeline in this folder is not finished", where="out", value=str(config.out),
            fix="make train-demo; it goes on where it was",
        )  # fmt: skip
    own = (config.reads, config.max_tokens, config.sizes.keys())
    if own != ("question", MAX_TOKENS, SIZES.keys()):
        raise InputError(
            f"what ships has learned {', '.join(SIZES)}, reads questions alone and says at most "
            f"{MAX_TOKENS} tokens in a turn", where="out",
            value=f"{', '.join(config.sizes)}; {config.reads}, {config.max_tokens}",
            fix="ship a pipeline such as training/nano.yaml",
        )  # fmt: skip
    ranked = practised(config)
    best = ranked[0]
    model = best.training / "model"
    size = sum((model / name).stat().st_size for name in FILES)
    if size > MOST_BYTES:
        raise InputError(
            f"the model is larger than {MOST_BYTES:,} bytes", where=model, value=f"{size:,} bytes",
            fix="choose a smaller shape",
        )  # fmt: skip
    usual = config.out / USUAL_HOME
    learned = read_curriculum(config.sizes, config.out / "home", usual)
    suites = [load_suite(name, usual) for name in config.sizes]
    listed = {suite.name: unasked(suite, learned) for suite in suites}
    tasks = [(suite, suite.task(one)) for suite in suites for one in listed[suite.name]]
    run = config.out / "played" / f"shipped-{best.method}-{best.seed}"
    [played] = play_model(model, 0, config.playing, Run(run, tasks, temperature=0.0))
    found = success(played)
    console.print(f"{best.method}, seed {best.seed}: {percent(found)} of {found.n} listed tasks")
    staged = weights.with_name(f".{weights.name}-staged")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    for name in FILES:
        shutil.copyfile(model / name, staged / name)
    lines = [task_line(task) for _, task in tasks]
    (staged / HELD_OUT).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    summary = _summary(config, ranked, learned)
    summary["Measured as shipped"] = (
        f"At temperature 0, on the tasks of `{HELD_OUT}`: {percent(found)} of {found.n} solved, in "
        f"{found.clusters} families. They belong to other hospitals than the model has learned "
        "from (the suites in their default size), and ask nothing that it was asked before."
    )
    write_model_card(staged, TrainingFolder(best.training), summary)
    card = staged / "README.md"  # with paths within the pipeline's folder, wherever that lies
    card.write_text(card.read_text(encoding="utf-8").replace(f"{config.out}/", ""), "utf-8")
    shutil.rmtree(weights, ignore_errors=True)
    staged.rename(weights)
    return best


def practised(config: NanoConfig) -> list[Practised]:
    """Return the models that learned by RL, the best first."""
    found = []
    for seed in config.seeds:
        for method in ("ppo", "grpo"):
            training = config.out / f"seed-{seed}" / method
            rows = list(readable_rows(training / METRICS, MetricsRow, []))
            rates = [row.reward_correct for row in rows if row.reward_correct is not None]
            found.append(Practised(method, seed, mean(rates[-LAST_STEPS:]), training))
    return sorted(found, key=lambda one: -one.solved)


def unasked(suite: Suite, learned: Curriculum) -> list[str]:
    """Return tasks of the learned families that were neither taught nor practised, however worded.

    Args:
        suite: as users have it: another build than the one that was learned from.
    """
    known = [
        one
        for part in ("taught", "practised")
        for one in learned.parts[part]
        if one[0].name == suite.name
    ]
    asked, solutions = {task.prompt for _, task in known}, set(map(solution, known))
    families = learned.families[suite.name]
    fresh = [
        (task.hash, task.task_id) for task in suite.tasks
        if task.group in families and task.prompt not in asked
        and solution((suite, task)) not in solutions
    ]  # fmt: skip
    return [task_id for _, task_id in sorted(fresh)[:MOST_LISTED]]


def _summary(
    config: NanoConfig, ranked: list[Practised], learned: Curriculum
) -> dict[str, JsonValue]:
    suites = {suite.name: suite for suite, _ in learned.parts["taught"]}
    builds: dict[str, JsonValue] = {
        f"suite {name}": f"version {suite.manifest.version}, seed {suite.record.seed}, "
        f"{suite.record.contents.tasks:,} tasks of the families below (of size "
        f"{suite.record.size:,}), build {suite.record.build}, sha256 of its tasks "
        f"{suite.record.hashes.tasks}"
        for name, suite in suites.items()
    }
    families: dict[str, JsonValue] = {
        f"families of {name}": ", ".join(own) for name, own in learned.families.items()
    }
    taught = {row.task_hash for row in RunFolder(config.out / "teacher").rows().values()}
    numbers: dict[str, JsonValue] = {
        "taught tasks": f"{len(taught):,}",
        "practised tasks": f"{len(learned.parts['practised']):,} to draw from",
    }
    rows = "\n".join(
        f"- {one.method}, seed {one.seed}: {one.solved:.1%} of what it practised" for one in ranked
    )
    return {
        "What it is": ABOUT.format(listed=f"{WEIGHTS.name}/{HELD_OUT}"),
        "Limits": LIMITS.format(families=sum(map(len, learned.families.values()))),
        "Licence": "Apache-2.0, as Benchside.",
        "Trained on": {
            **builds, **numbers, **families,
            "right or wrong": "`base` imitates all episodes of the imperfect teacher on the "
            "taught tasks, `sft` those that graders have passed, both with Muon; RL plays the "
            "practised ones",
        },
        "Measured": "Models of the pipeline over all seeds (`base`, parts and attempts: one), on "
        "tasks over the hospitals that they learned from (unseen templates and the unseen suite: "
        "over those that users have), sampled at temperature 1 unless a column says greedy; 95% "
        "intervals over tasks, given these trainings:\n\n"
        + (config.out / "results.md").read_text(encoding="utf-8"),
        "Why this one": f"By the share solved in the last {LAST_STEPS} steps of RL, on tasks that "
        f"were learned from; held-out tasks had no say:\n\n{rows}",
        "Command": "`make train-demo`, then `python -m benchside_training.nano.ship "
        "training/nano.yaml`, with these options:\n\n```json\n"
        + json.dumps(config.model_dump(mode="json", exclude={"out"}), indent=1) + "\n```",
    }  # fmt: skip


if __name__ == "__main__":
    run_recipe(NanoConfig, ship)
