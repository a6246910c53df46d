"""Posing: from templates to verified, balanced tasks with their answer keys.

A question is kept only where both ways to its answer agree, where its answer is neither empty nor
given too often already, and where its words are new. Yes and no are kept even in each family.
Families are dealt out to splits within their category, and patients are dealt out too: a question
about one patient takes a patient of its split.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.random import Generator

from benchside.errors import InputError
from benchside.hospital.questions.form import Value, agree, canonical, from_rows, key
from benchside.hospital.questions.template import Asked, Family
from benchside.hospital.questions.unanswerable import CATEGORY as UNANSWERABLE
from benchside.hospital.questions.view import Array
from benchside.suite import SuiteManifest
from benchside.task import AnswerKey, Split, TaskSpec

# The families of a category take these in turn, so that three families already reach every split.
SPLITS: tuple[Split, ...] = (
    "test", "train", "valid", "train", "train", "train", "test", "train", "valid", "train",
)  # fmt: skip
SHARES: dict[Split, float] = {"train": 0.6, "valid": 0.2, "test": 0.2}  # of the patients
MAX_SAME = 0.004  # of all tasks with one and the same answer, but for yes and no
MAX_SET = 15
UNANSWERABLE_SHARE = 0.06
ATTEMPTS = 12  # draws per task that a family may be short of
ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Brief:
    """What a suite says around each question.

    Args:
        opening: what data there are.
        conventions: how to read the questions.
        image: name of the kernel image.
    """

    opening: str
    conventions: str
    image: str


@dataclass(frozen=True, slots=True)
class Posed:
    """The tasks of a suite with their keys, and counts of what was left out."""

    tasks: list[TaskSpec]
    keys: list[AnswerKey]
    counts: dict[str, int]


class Dealt(Protocol):
    """What is dealt out to splits."""

    @property
    def family(self) -> str:
        """All questions of a family stay in one split."""

    @property
    def category(self) -> str:
        """Families are dealt out within their category."""


def pose(
    view: Asked, templates: Sequence[Family[Any, Any]], brief: Brief, manifest: SuiteManifest, *,
    size: int, seed: int, families: Collection[str] = (),
) -> Posed:  # fmt: skip
    """Draw tasks in turn from all families until there are `size`, or nothing new can be drawn.

    Args:
        families: that are drawn from, an equal share of `size` each; all where empty.

    Raises:
        InputError: a family is not known.
    """
    unknown = sorted({*families} - {template.family for template in templates})
    if unknown:
        raise InputError(
            f"suite {manifest.name} has no such family", where="--family", value=unknown[0],
            fix="take one of: " + ", ".join(sorted(template.family for template in templates)),
        )  # fmt: skip
    splits = split_families(templates, seed)
    pools = split_patients(view.patients, seed)
    maker = _Maker(view, brief, manifest, seed, max(2, int(size * MAX_SAME)))
    hidden = int(size * UNANSWERABLE_SHARE)
    for unanswerable, wanted in ((False, size - hidden), (True, hidden)):
        every = [one for one in templates if (one.category == UNANSWERABLE) == unanswerable]
        drawn = [one for one in every if not families or one.family in families]
        share = -(-wanted // max(1, len(every)))
        target = len(maker.tasks) + (share * len(drawn) if families else wanted)
        for round_number in range(ROUNDS):
            missing = target - len(maker.tasks)
            if missing <= 0 or not drawn:
                break
            quota = -(-missing // len(drawn))
            productive = []
            for template in drawn:
                rng = _generator(seed, template.family, round_number)
                split = splits[template.family]
                pool = view.patients if template.level == "all" else pools[split]
                made = maker.fill(template, split, pool, rng, min(quota, target - len(maker.tasks)))
                if made * 4 > quota:  # the others are nearly exhausted
                    productive.append(template)
            drawn = productive
    counts = {
        "tasks": len(maker.tasks),
        "families": len({task.group for task in maker.tasks}),
        "unanswerable": sum(key.value is None for key in maker.keys),
        "dropped: two ways disagree": 0,
        **{f"dropped: {reason}": number for reason, number in sorted(maker.dropped.items())},
    }
    return Posed(maker.tasks, maker.keys, counts)


def split_families(templates: Iterable[Dealt], seed: int) -> dict[str, Split]:
    """Family → split; each category deals its shuffled families out in turn."""
    families: defaultdict[str, list[str]] = defaultdict(list)
    for template in templates:
        families[template.category].append(template.family)
    splits: dict[str, Split] = {}
    for category, members in sorted(families.items()):
        order = _generator(seed, category, 0).permutation(len(members))
        for turn, position in enumerate(order):
            splits[sorted(members)[position]] = SPLITS[turn % len(SPLITS)]
    return splits


def split_patients(patients: Array, seed: int) -> dict[Split, Array]:
    """Split → its patients; no patient is in two."""
    order = _generator(seed, "patients", 0).permutation(len(patients))
    edges = np.cumsum([int(share * len(patients)) for share in SHARES.values()])[:-1]
    parts = np.split(np.sort(patients)[order], edges)
    return dict(zip(SHARES, parts, strict=True))


def _generator(seed: int, name: str, number: int) -> Generator:
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng([seed, number, *digest[:8]])


@dataclass(slots=True)
class _Maker:
    """Makes tasks and remembers words and answers.

    Args:
        cap: how many tasks may have the same answer.
        dropped: reason → number of draws that became no task.
    """

    view: Asked
    brief: Brief
    manifest: SuiteManifest
    seed: int
    cap: int
    tasks: list[TaskSpec] = field(default_factory=list)
    keys: list[AnswerKey] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    yes: Counter[str] = field(default_factory=Counter)
    questions: set[str] = field(default_factory=set)
    numbers: Counter[str] = field(default_factory=Counter)

    def fill(
        self, template: Family[Any, Any], split: Split, pool: Array, rng: Generator, quota: int
    ) -> int:
        """Add up to `quota` tasks of a family; returns how many."""
        made = 0
        for _ in range(quota * ATTEMPTS):
            if made == quota:
                break
            request = template.draw(rng, self.view, pool)
            if request is None:
                self.dropped["nothing to ask"] += 1
                continue
            style = int(rng.integers(1_000_000))
            text = worded(template, request, self.view, style)
            if text in self.questions:
                self.dropped["same question"] += 1
                continue
            if self._add(template, request, split, text):
                made += 1
        return made

    def _add(self, template: Family[Any, Any], request: Any, split: Split, text: str) -> bool:
        if template.category == UNANSWERABLE:
            self._keep(template, request, split, text, None, "")
            return True
        value = template.answer(request, self.view)
        reason = self._fault(template, value)
        if reason:
            self.dropped[reason] += 1
            return False
        sql = template.sql(request, self.view)
        rows = self.view.con.execute(sql).fetchall()
        if not agree(template.form, from_rows(template.form, rows), value):
            self.dropped["two ways disagree"] += 1
            return False
        self._keep(template, request, split, text, value, sql)
        return True

    def _fault(self, template: Family[Any, Any], value: Value) -> str:
        """Why an answer cannot be used, or nothing."""
        if value is None:
            return "no single answer"
        if isinstance(value, bool):
            lead = self.yes[template.family]
            return "yes and no even" if lead * (1 if value else -1) > 0 else ""
        if isinstance(value, frozenset) and not 1 <= len(value) <= MAX_SET:
            return "empty or long set"
        if self.answers[canonical(template.form, value)] >= self.cap:
            return "answer too frequent"
        return ""

    def _keep(
        self,
        template: Family[Any, Any],
        request: Any,
        split: Split,
        text: str,
        value: Value,
        sql: str,
    ) -> None:
        form = template.form
        self.questions.add(text)
        if isinstance(value, bool):
            self.yes[template.family] += 1 if value else -1
        elif value is not None:
            self.answers[canonical(form, value)] += 1
        family = template.family.replace("/", ".").replace(" ", "-")
        task_id = f"{family}.{self.seed}-{self.numbers[family]:04d}"
        self.numbers[family] += 1
        schema = form.schema(template.unit(request, self.view))
        self.tasks.append(
            TaskSpec(
                task_id=task_id,
                suite=self.manifest.name,
                version=self.manifest.version,
                category=template.category,
                split=split,
                group=template.family,
                prompt=f"{self.brief.opening}\n\nQuestion: {text}\n\n{self.brief.conventions}\n\n"
                f"Submit {form.asks}; submit(None) if the data cannot answer the question.",
                image=self.brief.image,
                answer=schema,
                grader=form.grader,
                licence=self.manifest.licence,
                sensitivity=self.manifest.sensitivity,
            )
        )
        if value is None:
            key_ = AnswerKey(task_id=task_id, value=None, solution=("submit(None)",), vacuous=True)
        else:
            query = f'rows = con.execute("""\n{sql}\n""").fetchall()\nrows[:10]'
            key_ = AnswerKey(
                task_id=task_id, value=key(form, value), ways=2,
                solution=(query, f"submit({form.take})"),
            )  # fmt: skip
        self.keys.append(key_)


def worded(template: Family[Any, Any], request: Any, view: Asked, style: int) -> str:
    """The question in words."""
    wording = template.wordings[style % len(template.wordings)]
    text = wording.format(**template.slots(request, view, style // 7))
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r" ([?,:]|\.(?=\s|$))", r"\1", text)
    text = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)
    return text[0].upper() + text[1:]
