"""The nano pipeline: suites, teacher, fresh model, base, SFT, then DPO, PPO and GRPO, measured.

Everything lies under one folder, and what is there is not made again: an interrupted pipeline goes
on where it was.

    pipeline.json            the options that it was begun with
    as-users-have-them/      suites in their default size
    home/                    suites with the learned families only, and many tasks of each
    teacher/                 run folder of the imperfect teacher
    fresh/                   tokenizer and random weights
    base/                    training on all the teacher did, right or wrong
    seed-N/sft, dpo, ppo, grpo
    logs/                    what the jobs say that are done side by side
    part-N/                  SFT on a part of its examples
    verifier/                chooses among several attempts of the SFT model
    played/                  run folders of the models: to learn from (dpo), and to be measured
    evaluations.jsonl        an `EvaluationRow` per model, seed, suite and measurement
    results.json, results.md the closing table
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
from rich.console import Console

from benchside.curves import EvaluationRow
from benchside.errors import InputError, StoreError
from benchside.library import load_suite, made_by_family
from benchside.manifests import manifest
from benchside.preparing import Wanted, prepare_all
from benchside.store import write_atomically
from benchside_training import dpo, examples, pairs, rl, sft
from benchside_training.accelerator import free_memory
from benchside_training.evaluation_rows import write_evaluations
from benchside_training.nano.attempts import Attempts
from benchside_training.nano.config import NanoConfig
from benchside_training.nano.curriculum import (
    UNSEEN_SUITE,
    USUAL_HOME,
    AskedTask,
    Curriculum,
    Part,
    read_curriculum,
    shortest_families,
    some,
)
from benchside_training.nano.episodes import (
    PARALLEL,
    Run,
    play_model,
    play_teacher,
    scored,
    success,
)
from benchside_training.nano.fresh import shown, write_fresh
from benchside_training.nano.recovery import Recovery
from benchside_training.rl_config import RlConfig

Method = Literal["base", "sft", "dpo", "ppo", "grpo"]
METHODS: tuple[Method, ...] = ("base", "sft", "dpo", "ppo", "grpo")
RL_METHODS: tuple[Method, ...] = ("ppo", "grpo")


class Measurement(NamedTuple):
    """Tasks that models are measured on, and how: at temperature 1 as they learn, or greedily."""

    name: str
    part: Part
    temperature: float


MEASURED = (
    Measurement("held-out", "held-out", 1.0),
    Measurement("held-out-greedy", "held-out", 0.0),
    Measurement("unseen-templates", "unseen-templates", 1.0),
    Measurement("unseen-suite", "unseen-suite", 1.0),
)


class Job(NamedTuple):
    """A part of a pipeline that a process of its own can do, once the jobs in `after` are done."""

    after: set[str]
    do: Callable[[], Any]


class Measured(NamedTuple):
    """What a pipeline has measured.

    Args:
        played: a row per episode of each method and seed, and what was `measured`.
        by_data: the same of SFT on parts of its examples, with `fraction`; held-out tasks.
        recovery: by a verifier, of several attempts.
    """

    played: pd.DataFrame
    by_data: pd.DataFrame
    recovery: Recovery


class Nano:
    """One pipeline; see the module.

    Args:
        leads: writes `evaluations.jsonl`; of several processes on one pipeline, one does.
    """

    def __init__(self, config: NanoConfig, console: Console | None = None, *, leads: bool = True):
        self.config = config
        self.out = config.out
        self.home = config.out / "home"
        self.usual_home = config.out / USUAL_HOME
        self._leads = leads
        self._console = console or Console()
        self._started = time.monotonic()
        self._rows: list[EvaluationRow] = []

    def run(self, side_by_side: Callable[[], None] = lambda: None) -> Measured:
        """Do all that is not done yet; return the measurements.

        Args:
            side_by_side: called when the base is there; may do any of the `jobs`.
        """
        self._record()
        learned = self._prepared()
        self._say("the teacher plays")
        taught = some(learned.parts["taught"], self.config.taught)
        teacher = play_teacher(self.out / "teacher", taught, 0, self.config.limits)
        self._say(f"{len(teacher)} episodes, {_solved(teacher):.0%} of them right")
        self._base(taught)
        self._mixed(self._examples("solved", ("solved",), 1))  # before the jobs that want them
        side_by_side()
        found = {name: job.do() for name, job in self.jobs().items()}
        parts = [found[f"part-{part:g}"] for part in self.config.parts]
        named = [f"{method}-{seed}" for seed in self.config.seeds for method in METHODS[1:]]
        return Measured(
            pd.concat([found[name] for name in ("base", *named)], ignore_index=True),
            pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(),
            found["attempts"],
        )

    def jobs(self) -> dict[str, Job]:
        """Return what follows from the base, by name, what others wait for first."""
        first, *others = self.config.seeds
        jobs = {f"sft-{seed}": self._job("sft", seed) for seed in self.config.seeds}
        further = METHODS[2:]
        jobs |= {f"{method}-{first}": self._job(method, first) for method in further}
        jobs["attempts"] = Job({f"{method}-{first}" for method in further}, self._attempts)
        jobs |= {
            f"{method}-{seed}": self._job(method, seed) for seed in others for method in further
        }
        jobs["base"] = Job(set(), partial(self._measure, "base", 0, self._base_model))
        for part in self.config.parts:
            jobs[f"part-{part:g}"] = Job(set(), partial(self._part, part))
        return jobs

    def _job(self, method: Method, seed: int) -> Job:
        def do() -> pd.DataFrame:
            tuned = self._sft(seed)
            match method:
                case "dpo":
                    model = self._dpo(tuned, seed)
                case "ppo" | "grpo":
                    model = self._rl(method, tuned, seed)
                case _:
                    model = tuned
            return self._measure(method, seed, model)

        return Job(set() if method == "sft" else {f"sft-{seed}"}, do)

    @property
    def _learned(self) -> Curriculum:
        return _curriculum(tuple(self.config.sizes), self.home, self.usual_home)

    @property
    def _trained(self) -> dict[str, Any]:
        """What all recipes on transformers' trainer are told alike."""
        config = self.config
        return {
            "max_tokens": config.shape.context, "precision": config.precision,
            "device": config.device,
        }  # fmt: skip

    @property
    def _base_model(self) -> Path:
        return self.out / "base" / "model"

    def _record(self) -> None:
        """Write down the options, so that a folder is not gone on with by others.

        Raises:
            InputError: it was begun with others.
        """
        told = self.config.model_dump(mode="json", exclude={"out", "parallel"})
        path = self.out / "pipeline.json"
        if not path.exists():
            self.out.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps(told, indent=1).encode())
        before = json.loads(path.read_text(encoding="utf-8"))
        usual = NanoConfig(out=self.out).model_dump(mode="json")  # of options that are new since
        before = {name: before.get(name, usual[name]) for name in told}
        changed = [name for name in told if told[name] != before[name]]
        if changed:
            raise InputError(
                "the pipeline in this folder was begun with other options", where=path,
                value=", ".join(f"{name}: {before[name]}" for name in changed),
                fix="go on with these, or choose another out",
            )  # fmt: skip

    def _prepared(self) -> Curriculum:
        usual = [manifest(name) for name in (*self.config.sizes, UNSEEN_SUITE)]
        self._say("preparing suites as users have them")
        self._prepare([Wanted(one, one.seed, one.size) for one in usual], self.usual_home)
        self._say("preparing the families to learn")
        wanted = []
        for name, size in self.config.sizes.items():
            whole = load_suite(name, self.usual_home)
            families: tuple[str, ...] = ()
            if made_by_family(whole.manifest):
                families = shortest_families(whole, self.config.families)
            asked = whole.record.size if size is None else size
            wanted.append(Wanted(whole.manifest, whole.record.seed, asked, families))
        self._prepare(wanted, self.home)
        return self._learned

    def _prepare(self, wanted: list[Wanted], home: Path) -> None:
        cores = os.cpu_count() or 1
        done = asyncio.run(
            prepare_all(wanted, home, data=None, parallel=cores, console=self._console)
        )
        for name, failure in done.failures.items():
            raise StoreError("a suite cannot be prepared", where=name, value=failure)

    def _base(self, taught: list[AskedTask]) -> None:
        fresh = self.out / "fresh"
        if not (fresh / "config.json").exists():
            texts, reads = [], self.config.reads
            for suite, task in taught:
                told = shown(task, suite.image(task).description, reads)
                texts += [told, *suite.answer_key(task.task_id).solution]
            parameters = write_fresh(fresh, texts, self.config.shape, 0, reads)
            self._say(f"a fresh model: {parameters:,} parameters")
        data = self._examples("all", ("solved", "wrong", "truncated"), None)
        config = self.config
        base = self.out / "base"
        self._tuned("base", base, fresh, data, config.base_epochs, config.base_rate, seed=0)

    def _sft(self, seed: int) -> Path:
        data = self._examples("solved", ("solved",), 1)
        return self._tuned(
            "sft", self.out / f"seed-{seed}" / "sft", self._base_model, data,
            self.config.sft_epochs, self.config.sft_rate, seed,
        )  # fmt: skip

    def _examples(self, name: str, outcomes: tuple[Any, ...], per_task: int | None) -> Path:
        folder = self.out / "examples" / name
        if not (folder / examples.FILE).exists():
            self._say(f"making examples: {name}")
            examples.main(
                examples.ExamplesConfig(
                    runs=(str(self.out / "teacher"),), out=folder, outcomes=outcomes,
                    per_task=per_task,
                ),
                self.usual_home,  # holds what must not be learned
            )  # fmt: skip
        return folder / examples.FILE

    def _tuned(
        self,
        stage: str,
        out: Path,
        model: Path,
        data: Path,
        epochs: float,
        rate: float,
        seed: int,
        fraction: float = 1.0,
    ) -> Path:
        return self._stage(
            out,
            lambda resume: sft.main(
                sft.SftConfig(
                    model=str(model), out=out, data=data, stage=stage, resume=resume, seed=seed,
                    epochs=epochs, learning_rate=rate, warmup_steps=50, weight_decay=0.01,
                    batch=self.config.batch, save_every=200, train_fraction=fraction,
                    optimiser="muon", **self._trained,
                )
            ),
        )  # fmt: skip

    def _dpo(self, tuned: Path, seed: int) -> Path:
        out = self.out / f"seed-{seed}" / "dpo"
        if not (out / "model").exists():
            played = self.out / "played" / f"sft-{seed}-to-learn"
            tasks = some(self._learned.parts["practised"], self.config.pair_tasks)
            self._say(f"seed {seed}: episodes for preference pairs")
            play_model(
                tuned, seed, self.config.playing, Run(played, tasks, self.config.pair_samples)
            )
            folder = self.out / "pairs" / f"seed-{seed}"
            if not (folder / pairs.FILE).exists():
                pairs.main(
                    pairs.PairsConfig(runs=(str(played),), out=folder, sources=("samples",)),
                    self.usual_home,
                )
        return self._stage(
            out,
            lambda resume: dpo.main(
                dpo.DpoConfig(
                    model=str(tuned), out=out, resume=resume, seed=seed,
                    data=self.out / "pairs" / f"seed-{seed}" / pairs.FILE, epochs=2,
                    learning_rate=self.config.dpo_rate, batch=self.config.batch // 2,
                    **self._trained,
                )
            ),
        )  # fmt: skip

    def _rl(self, method: Method, tuned: Path, seed: int) -> Path:
        out = self.out / f"seed-{seed}" / method
        config = {
            "model": str(tuned), "out": out, "suites": tuple(self.config.sizes),
            "stage": method, "method": method,
            "seed": seed, "steps": self.config.rl_steps, "tasks": self.config.rl_tasks,
            "samples": self.config.rl_samples,
            "learning_rate": self.config.rl_rate,
            "rates": {"model.norm.weight": self.config.sharpening},
            "max_tokens": self.config.max_tokens, "limits": self.config.limits,
            "parallel": PARALLEL, "device": self.config.device, "precision": self.config.precision,
            "update": {
                "aggregation": "token" if method == "ppo" else "sequence",
                "positive_weight": self.config.rl_positive,
                # sharp logits, rounded to bfloat16 by two ways of going through them
                "most_kl": 1e-2 if self.config.precision == "float32" else 5e-2,
            },
        }  # fmt: skip
        return self._stage(
            out,
            lambda resume: rl.main(
                RlConfig.model_validate({**config, "resume": resume}),
                choose=self._learned.is_practised, home=self.home,
            ),
        )  # fmt: skip

    def _part(self, part: float) -> pd.DataFrame:
        """Measure SFT on a part of its examples."""
        seed = self.config.seeds[0]
        mixed = self._mixed(self._examples("solved", ("solved",), 1))
        model = self._tuned(
            "sft", self.out / f"part-{part:g}", self._base_model, mixed, self.config.sft_epochs,
            self.config.sft_rate, seed, part,
        )  # fmt: skip
        tasks = some(self._learned.parts["held-out"], self.config.held_out)
        run = self.out / "played" / f"sft-{seed}-part-{part:g}"
        [played] = play_model(model, seed, self.config.playing, Run(run, tasks))
        self._say(f"sft on {part:.0%} of its examples: {_solved(played):.1%} solved")
        self._rows += [
            _row("sft", seed, "held-out", own, part) for _, own in played.groupby("suite")
        ]
        self._write()
        return played.assign(fraction=part)

    def _mixed(self, solved: Path) -> Path:
        """The examples in the order of their hashes; before, suites follow each other."""
        mixed = solved.with_name("mixed.jsonl")
        if not mixed.exists():
            lines = solved.read_bytes().splitlines(keepends=True)
            lines.sort(key=lambda line: hashlib.sha256(line).digest())
            write_atomically(mixed, b"".join(lines))
        return mixed

    def _attempts(self) -> Recovery:
        """Let a verifier choose among several attempts of the first seed's SFT model."""
        config, seed = self.config, self.config.seeds[0]
        tuned = self.out / f"seed-{seed}" / "sft" / "model"
        graded = [f"{self.out}/played/sft-{seed}-to-learn"]
        graded += [f"{self.out}/seed-{seed}/{method}/rollouts/*" for method in RL_METHODS]
        verifying = {
            "epochs": config.verifier_epochs, "learning_rate": config.verifier_rate,
            "batch": config.batch, **self._trained,
        }  # fmt: skip
        attempts = Attempts(
            self.out, self.usual_home, tuned, tuple(graded), seed, self.config.playing, verifying
        )
        self._say("a verifier, and what it chooses")
        chooser = attempts.trained_verifier()
        tasks = some(self._learned.parts["held-out"], config.attempted)
        rows, found = attempts.played(tasks, config.attempts, chooser)
        self._rows += rows
        self._write()
        return found

    def _stage(self, out: Path, make: Callable[[bool], Path]) -> Path:
        if not (out / "model").exists():
            self._say(f"training {out.relative_to(self.out)}")
            make((out / "training.json").exists())
            free_memory()
        return out / "model"

    def _measure(self, method: Method, seed: int, model: Path) -> pd.DataFrame:
        """Play the tasks that are measured; write all rows so far."""
        config = self.config
        numbers = {"held-out": config.held_out, "held-out-greedy": config.greedy}
        runs = [
            Run(
                self.out / "played" / f"{method}-{seed}-{name}",
                some(self._learned.parts[part], numbers.get(name, config.unseen)),
                temperature=temperature,
            )
            for name, part, temperature in MEASURED
        ]  # fmt: skip
        found = play_model(model, seed, self.config.playing, *runs)
        frames = []
        for (name, *_), played in zip(MEASURED, found, strict=True):
            self._say(
                f"{method}, seed {seed}, {name}: {_solved(played):.1%} of {len(played)} solved"
            )
            self._rows += [_row(method, seed, name, own) for _, own in played.groupby("suite")]
            frames.append(played.assign(method=method, seed=seed, measured=name))
        self._write()
        return pd.concat(frames, ignore_index=True)

    def _write(self) -> None:
        if self._leads:
            write_evaluations(self.out, self._rows)

    def _say(self, what: str) -> None:
        minutes = (time.monotonic() - self._started) / 60
        self._console.print(f"[dim]{minutes:5.1f} min[/dim]  {what}")


@cache
def _curriculum(names: tuple[str, ...], home: Path, usual: Path) -> Curriculum:
    """Read once for all jobs of a process: prepared suites stay as they are."""
    return read_curriculum(names, home, usual)


def _row(
    method: Method, seed: int, measured: str, played: pd.DataFrame, fraction: float = 1.0
) -> EvaluationRow:
    found = success(played)
    return EvaluationRow(
        stage=method, seed=seed, suite=played["suite"].iloc[0], split=measured, n=len(played),
        success=found.value or 0.0, low=found.low, high=found.high, train_fraction=fraction,
    )  # fmt: skip


def _solved(episodes: pd.DataFrame) -> float:
    return float(scored(episodes)["solved"].mean())
