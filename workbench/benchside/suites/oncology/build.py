"""Builder: generates studies, draws questions about them in turns, drops what does not agree.

A study stands in one split only. A question is kept where its gold is finite, not an obvious
constant, not that of many others, and equal to what its solution finds.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from benchside.errors import InputError
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites.cohorts.builder import obvious
from benchside.suites.oncology import (
    clinical,
    copies,
    expression,
    figures,
    mutations,
    survival,
    variants,
)
from benchside.suites.oncology.check import agrees, solved
from benchside.suites.oncology.question import Maker, Question
from benchside.suites.oncology.study import Study, generate
from benchside.task import AnswerKey, Split, TaskSpec
from benchside_kernels.image import ImageSource
from benchside_kernels.submission import Json, encode

TOPICS = (survival, mutations, variants, copies, expression, clinical, figures)
MAKERS: dict[str, Maker] = {name: maker for topic in TOPICS for name, maker in topic.MAKERS.items()}
PER_STUDY = 3 * len(MAKERS)
SPLITS: tuple[Split, ...] = ("train", "test", "train", "valid", "train")
MAX_SAME = 0.004  # of all tasks with one and the same answer
ATTEMPTS = 30  # draws for one task
PASSES = 3  # categories that are tried for one task, as some studies have nothing to ask in one


def build(options: BuildOptions) -> SuiteBuild:
    """Generate `options.size` tasks; every study is asked each kind of question."""
    size = options.size or 0
    if size < 1:
        raise InputError("the suite needs at least one task", where="size", value=size)
    count = max(len(SPLITS), math.ceil(size / PER_STUDY))
    deck = _Deck(options.manifest, options.seed, max(2, int(size * MAX_SAME)))
    images: list[ImageSource] = []
    for number in range(count):
        study = generate(number, options.seed)
        tables = study.tables()
        image = _image(study, tables)
        images.append(image)
        wanted = size * (number + 1) // count - size * number // count
        deck.ask(number, study, tables, image.name, wanted)
    counts = {
        "tasks": len(deck.tasks),
        "studies": count,
        "categories": len({task.category for task in deck.tasks}),
        "dropped: two ways disagree": 0,
        **{f"dropped: {reason}": n for reason, n in sorted(deck.dropped.items())},
    }
    return SuiteBuild(deck.tasks, deck.keys, images, counts)


def _image(study: Study, tables: dict[str, pd.DataFrame]) -> ImageSource:
    lines = []
    for name, frame in tables.items():
        columns = [f"`{column}`" for column in frame.columns]
        if name in study.matrices:
            columns = [columns[0], f"and one column a sample, such as {columns[1]}"]
        lines.append(f"- `{name}` ({len(frame)} rows): {', '.join(columns)}")
    opening = f"A cohort of {study.tumour.name}, generated in the shape of cBioPortal's files."
    return ImageSource(
        f"oncology.{study.name}", variables=tables,
        description="\n".join([f"{opening} DataFrames:", *lines]),
    )  # fmt: skip


@dataclass(slots=True)
class _Deck:
    """Collects tasks and remembers questions and answers.

    Args:
        cap: how many tasks may have the same answer.
        dropped: reason → number of draws that became no task.
        turn: how many tasks each split has, by which categories take turns.
    """

    manifest: SuiteManifest
    seed: int
    cap: int
    tasks: list[TaskSpec] = field(default_factory=list)
    keys: list[AnswerKey] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    turns: Counter[Split] = field(default_factory=Counter)

    def ask(
        self, number: int, study: Study, tables: dict[str, pd.DataFrame], image: str, wanted: int
    ) -> None:
        """Add tasks about one study, of all categories in turn."""
        split = SPLITS[number % len(SPLITS)]
        kinds = list(MAKERS.items())
        asked: set[str] = set()
        rng = np.random.default_rng([self.seed, number, 43])
        full = len(self.tasks) + wanted
        for _ in range(PASSES * wanted):
            if len(self.tasks) == full:
                break
            category, maker = kinds[self.turns[split] % len(kinds)]
            self.turns[split] += 1
            for _ in range(ATTEMPTS):
                question = maker(rng, study)
                reason = "nothing to ask" if question is None else self._fault(question, asked)
                if question is not None and not reason:
                    reason = self._add(question, category, study, tables, image, split)
                if question is not None and not reason:
                    asked.add(question.ask)
                    break
                self.dropped[reason] += 1

    def _fault(self, question: Question, asked: set[str]) -> str:
        """Why a question cannot be used, or nothing."""
        gold = encode(question.gold)
        if question.ask in asked:
            return "asked before"
        if "$float" in json.dumps(gold) or obvious(gold, question.answer.rel_tol):
            return "infinite or an obvious constant"
        if self.answers[_canonical(gold)] >= self.cap:
            return "answer too frequent"
        return ""

    def _add(
        self, question: Question, category: str, study: Study, tables: dict[str, pd.DataFrame],
        image: str, split: Split,
    ) -> str:  # fmt: skip
        """Add a task where both paths agree; else say that they do not."""
        slug = category.replace("/", ".").replace(" ", "-")
        task_id = f"{slug}.{self.seed}-{len(self.tasks):05d}"
        task = TaskSpec(
            task_id=task_id,
            suite=self.manifest.name,
            version=self.manifest.version,
            category=category,
            split=split,
            group=study.name,
            prompt=f"{question.ask}\n\n{question.answer.words}",
            image=image,
            answer=question.answer.schema,
            grader=question.answer.grader(),
            licence=self.manifest.licence,
            sensitivity=self.manifest.sensitivity,
        )
        gold = encode(question.gold)
        key = AnswerKey(task_id=task_id, value=gold, solution=question.cells, ways=2)
        if not agrees(question, task, key, solved(question, tables)):
            return "two ways disagree"
        self.tasks.append(task)
        self.keys.append(key)
        self.answers[_canonical(gold)] += 1
        return ""


def _canonical(gold: Json) -> str:
    return json.dumps(gold, sort_keys=True)
