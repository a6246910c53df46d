"""Builder of the suite: goes through designs and wordings, keeps what two routes agree on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from benchside.errors import InputError
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites.power.designs import DESIGNS
from benchside.suites.power.pilots import IMAGE, make_pilots, pilot_image, take_sample
from benchside.suites.power.questions import DISAGREES, Problem, pose
from benchside.suites.power.study import Design, Draw, Question, RejectedError, Wording
from benchside.task import AnswerKey, Split, TaskSpec

DEFAULT_SIZE = 400
PILOT_SHARE = 0.45  # of the tasks of designs that have pilot data; more than a quarter of all
MAX_ATTEMPTS = 200
SPLITS: tuple[Split, ...] = ("train", "train", "train", "valid", "test")  # by place of the wording


def build(options: BuildOptions) -> SuiteBuild:
    """Generate `options.size` tasks from `options.seed`; the same seed gives the same tasks."""
    size = DEFAULT_SIZE if options.size is None else options.size
    if size < 1:
        raise InputError("the suite needs at least one task", where="size", value=size)
    pilots = make_pilots(DESIGNS, options.seed)
    maker = _Maker(options.manifest, options.seed, pilots, cap=max(1, size // 100))
    tasks, keys = [], []
    for index in range(size):
        task, key = maker.make(index)
        tasks.append(task)
        keys.append(key)
    counts = {
        "tasks": size,
        "tasks with pilot data": sum("pilots[" in task.prompt for task in tasks),
        f"dropped: {DISAGREES}": 0,
        **{f"dropped: {reason}": number for reason, number in sorted(maker.dropped.items())},
    }
    return SuiteBuild(tasks, keys, [pilot_image(pilots)], counts)


@dataclass(slots=True)
class _Maker:
    """Makes task after task; remembers prompts and answers, so that neither repeats too often.

    Args:
        cap: how many tasks may have the same answer.
        dropped: reason → number of draws that became no task.
    """

    manifest: SuiteManifest
    seed: int
    pilots: Mapping[str, pd.DataFrame]
    cap: int
    answers: Counter[int | float] = field(default_factory=Counter)
    prompts: set[str] = field(default_factory=set)
    dropped: Counter[str] = field(default_factory=Counter)

    def make(self, index: int) -> tuple[TaskSpec, AnswerKey]:
        """Make the task of a given number; designs, wordings and questions take turns."""
        turn, place = divmod(index, len(DESIGNS))
        design = DESIGNS[place]
        turn, position = divmod(turn, len(design.wordings))
        question = design.questions[(turn + place + position) % len(design.questions)]
        for attempt in range(MAX_ATTEMPTS):
            draw = Draw(np.random.default_rng([self.seed, index, attempt]))
            try:
                problem = self._draw(draw, design, position, question)
            except RejectedError as rejected:
                self.dropped[str(rejected)] += 1
                continue
            self.prompts.add(problem.prompt)
            self.answers[problem.gold] += 1
            return self._task(index, design, position, question, problem)
        raise InputError(
            f"no new {design.name} task after {MAX_ATTEMPTS} attempts",
            where="size",
            value=index,
            fix="ask for fewer tasks",
        )

    def _draw(
        self, draw: Draw, design: Design[Wording], position: int, question: Question
    ) -> Problem:
        wording = design.wordings[position]
        sample = None
        if design.pilot is not None and draw.rng.random() < PILOT_SHARE:
            sample = take_sample(draw, wording.key, self.pilots[wording.key])
        study = design.plan(draw, wording, sample)
        problem = pose(draw, study, question, story=wording.story, style=position, sample=sample)
        if self.answers[problem.gold] >= self.cap:
            raise RejectedError("answer too frequent")
        if problem.prompt in self.prompts:
            raise RejectedError("same prompt")
        return problem

    def _task(
        self, index: int, design: Design[Wording], position: int, question: Question, made: Problem
    ) -> tuple[TaskSpec, AnswerKey]:
        task_id = f"{design.name}.{question}.{self.seed}-{index:05d}"
        task = TaskSpec(
            task_id=task_id,
            suite=self.manifest.name,
            version=self.manifest.version,
            category=f"{design.name}/{question}",
            split=SPLITS[position],
            group=f"{design.name}/{design.wordings[position].key}",
            prompt=made.prompt,
            image=IMAGE,
            answer=made.answer,
            grader=made.grader,
            licence=self.manifest.licence,
            sensitivity=self.manifest.sensitivity,
        )
        return task, AnswerKey(task_id=task_id, value=made.gold, solution=made.solution, ways=2)
