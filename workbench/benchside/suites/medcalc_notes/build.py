"""Builder of the suite: draws patients, writes notes, keeps what both paths agree on."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import JsonValue

import benchside.calculators
from benchside.calculators import CALCULATORS, Answer, Calculator, CalculatorError
from benchside.errors import InputError
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites.medcalc_notes.balance import REL_TOL, Balance
from benchside.suites.medcalc_notes.notes import STYLES, write_note
from benchside.suites.medcalc_notes.patients import Patient, draw_patient
from benchside.suites.medcalc_notes.questions import FRAMES, asked, question
from benchside.suites.medcalc_notes.solution import reader_cell, second_path, submit_cell
from benchside.task import AnswerKey, AnswerKind, AnswerSchema, GraderRef, Split, TaskSpec
from benchside_kernels.image import ImageSource

DEFAULT_SIZE = 1100
MAX_ATTEMPTS = 400
PATIENCE = 12  # attempts at a rare answer
CANDIDATES = 16  # drawn for a task; the one whose answer is rarest is taken
MAX_CONSTANT_SHARE = 0.01
NARROW = 14  # a score with fewer possible values than this takes every fourth turn only
LIBRARY_SHARE = 4  # every fourth task has the calculators as a module
SMALLEST = 0.1  # smaller numbers would leave next to no tolerance
AGREEMENT = 1e-4
SPLITS: tuple[Split, ...] = ("train", "train", "train", "valid", "test")  # by style
NOTES = "medcalc_notes.notes"
WITH_CALCULATORS = "medcalc_notes.notes-with-calculators"
LIBRARY = Path(benchside.calculators.__file__).parent
LIBRARY_FILES = {f"calculators/{path.name}": path for path in sorted(LIBRARY.glob("*.py"))}
DESCRIPTIONS: dict[AnswerKind, str] = {
    "number": "a number",
    "integer": "a whole number",
    "date": "a date, such as datetime.date(2023, 8, 31) or '2023-08-31'",
    "duration": "weeks and days, such as [4, 3], '4 weeks 3 days' or a timedelta",
}
MODULE = (
    "The module `calculators` in the work folder has the 55 calculators: "
    "`calculators.calculator(key).inputs` tells what one takes, `calculators.CALCULATORS` names "
    "them, and `calculators.compute('anion-gap', sodium=140, chloride=(100, 'mmol/L'), "
    "bicarbonate=20)` computes one."
)


def build(options: BuildOptions) -> SuiteBuild:
    """Generate `options.size` tasks from `options.seed`; the same seed gives the same tasks.

    Raises:
        InputError: the size is too small.
    """
    size = DEFAULT_SIZE if options.size is None else options.size
    if size < 1:
        raise InputError("the suite needs at least one task", where="size", value=size)
    maker = _Maker(options.manifest, options.seed, Balance(math.ceil(MAX_CONSTANT_SHARE * size)))
    order = _order(size)
    made = [maker.make(place, calculator) for place, calculator in enumerate(order)]
    tasks, keys = [task for task, _ in made], [key for _, key in made]
    constant, solved = maker.balance.best()
    counts = {
        "tasks": size,
        "calculators": len(set(order)),
        "tasks with the calculators as a module": sum(bool(task.files) for task in tasks),
        f"solved by the best constant ({constant})": solved,
        **dict(sorted(maker.dropped.items())),
    }
    return SuiteBuild(tasks, keys, maker.images(), counts)


def _order(size: int) -> list[Calculator]:
    """The calculator of each task, in turns; narrow scores take every fourth turn only."""
    order: list[Calculator] = []
    for turn in range(4 * size):
        for calculator in CALCULATORS.values():
            if turn % 4 == 0 or _choices(calculator) is None:
                order.append(calculator)
        if len(order) >= size:
            break
    return order[:size]


def _choices(calculator: Calculator) -> tuple[int, ...] | None:
    """The values of a narrow score, of which a guess may be right."""
    low, high = calculator.output.low, calculator.output.high
    if low is None or high is None or high - low + 1 >= NARROW:
        return None
    return tuple(range(low, high + 1))


@dataclass(frozen=True, slots=True)
class _Draft:
    patient: Patient
    note: str
    gold: Answer


@dataclass(slots=True)
class _Maker:
    """Makes task after task; remembers answers, so that none becomes too frequent."""

    manifest: SuiteManifest
    seed: int
    balance: Balance
    notes: dict[str, dict[str, str]] = field(
        default_factory=lambda: {NOTES: {}, WITH_CALCULATORS: {}}
    )
    turns: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    def make(self, place: int, calculator: Calculator) -> tuple[TaskSpec, AnswerKey]:
        """Make one task; styles, frames and images take turns within a calculator."""
        turn = self.turns[calculator.key]
        self.turns[calculator.key] += 1
        style = turn % len(STYLES)
        rng = np.random.default_rng([self.seed, place])
        draft = self._draft(calculator, style, rng)
        exact = _is_exact(calculator)
        self.balance.add(draft.gold, exact=exact)
        with_library = (turn + calculator.number) % LIBRARY_SHARE == 0
        image = WITH_CALCULATORS if with_library else NOTES
        suffix = ".with-calculators" if with_library else ""
        task_id = f"{calculator.key}.{self.seed}-{place:05d}{suffix}"
        self.notes[image][task_id] = draft.note
        kind = calculator.output.kind
        answer = AnswerSchema(
            kind=kind,
            description=DESCRIPTIONS[kind] + ("" if exact else "; it may differ by 5%"),
            unit=calculator.output.unit or None,
            choices=_choices(calculator),
        )
        frame = (turn // len(STYLES)) % len(FRAMES)
        task = TaskSpec(
            task_id=task_id,
            suite=self.manifest.name,
            version=self.manifest.version,
            category=calculator.key,
            split=SPLITS[style],
            group=f"{calculator.key}/{STYLES[style]}",
            prompt=_prompt(task_id, draft, question(draft.patient, frame), answer, with_library),
            image=image,
            files=tuple(LIBRARY_FILES) if with_library else (),
            answer=answer,
            grader=_grader(calculator),
            licence=self.manifest.licence,
            sensitivity=self.manifest.sensitivity,
        )
        latest = draft.patient.rule == "latest"
        solution = (
            reader_cell(calculator, with_library=with_library),
            submit_cell(task_id, latest=latest, asked=asked(draft.patient)),
        )
        return task, AnswerKey(task_id=task_id, value=_json(draft.gold), solution=solution, ways=2)

    def images(self) -> list[ImageSource]:
        """One image of notes with, one without the calculators; one without notes is left out."""
        text = "`notes`: dict from task id (str) to the text of that patient note."
        files = {NOTES: {}, WITH_CALCULATORS: LIBRARY_FILES}
        more = {NOTES: "", WITH_CALCULATORS: f" {MODULE}"}
        return [
            ImageSource(
                name=name, variables={"notes": notes}, files=files[name],
                description=text + more[name],
            )
            for name, notes in self.notes.items() if notes
        ]  # fmt: skip

    def _draft(self, calculator: Calculator, style: int, rng: np.random.Generator) -> _Draft:
        """Return a patient whose answer is rare so far, and who is read back as was written.

        Where all answers that were drawn are too frequent, the rarest of them is taken and counted.

        Raises:
            InputError: both paths never agreed.
        """
        exact = _is_exact(calculator)
        rarest: tuple[Patient, Answer] | None = None
        for attempt in range(MAX_ATTEMPTS):
            drawn = [self._draw(calculator, rng) for _ in range(CANDIDATES)]
            found = [pair for pair in (*drawn, rarest) if pair is not None]
            if not found:
                continue
            rarest = min(found, key=lambda pair: self.balance.load(pair[1], exact=exact))
            patient, gold = rarest
            if self.balance.load(gold, exact=exact) >= self.balance.cap:
                self.dropped["dropped: the answer is too frequent"] += len(found) - 1
                if attempt < PATIENCE:
                    continue
                self.dropped["answers above the share of one constant"] += 1
            note = write_note(patient, style, rng)
            if _agree(gold, self._read(patient, note), exact):
                return _Draft(patient, note, gold)
            self.dropped["dropped: the second path disagrees"] += 1
            rarest = None
        raise InputError(
            f"no {calculator.key} task on which both paths agree in {MAX_ATTEMPTS} attempts",
            where="seed", value=self.seed, fix="report this seed and size",
        )  # fmt: skip

    def _draw(
        self, calculator: Calculator, rng: np.random.Generator
    ) -> tuple[Patient, Answer] | None:
        patient = draw_patient(calculator, rng)
        try:
            gold = calculator.compute(**patient.values)
        except CalculatorError as error:
            self.dropped[f"dropped: {type(error).__name__}"] += 1
            return None
        if isinstance(gold, float) and not _is_exact(calculator) and abs(gold) < SMALLEST:
            self.dropped["dropped: the answer is too close to 0"] += 1
            return None
        return patient, gold

    def _read(self, patient: Patient, note: str) -> Answer | None:
        """The answer of the second path; None where the note does not yield it."""
        answer = second_path(patient.calculator)
        try:
            return answer(note, patient.rule == "latest", **asked(patient))
        except (KeyError, TypeError, ValueError, ArithmeticError):
            return None


def _is_exact(calculator: Calculator) -> bool:
    """Whether the answer has to be met exactly: all but numbers with decimals."""
    return calculator.output.kind != "number" or calculator.output.decimals == 1


def _grader(calculator: Calculator) -> GraderRef:
    kind = calculator.output.kind
    params: dict[str, JsonValue] = {}
    if kind == "number":
        params = {"abs_tol": 0.01} if _is_exact(calculator) else {"rel_tol": REL_TOL}
    elif kind == "duration":
        params = {"units": ["weeks", "days"]}
    return GraderRef(name=kind, params=params)


def _prompt(
    task_id: str, draft: _Draft, asked_for: str, answer: AnswerSchema, with_library: bool
) -> str:
    unit = f" The unit is {answer.unit}." if answer.unit else ""
    module = f"\n\n{MODULE}" if with_library else ""
    return (
        f"Patient note (the same text is `notes[{task_id!r}]` in the kernel):\n\n{draft.note}\n\n"
        f"Question: {asked_for}\n\nSubmit {answer.description}.{unit}{module}"
    )


def _agree(gold: Answer, other: Answer | None, exact: bool) -> bool:
    if isinstance(gold, float) and isinstance(other, (int, float)):
        tolerance = 0.0 if exact else AGREEMENT * abs(gold) + 0.0006  # gold has three decimals
        return abs(gold - other) <= tolerance
    return gold == other


def _json(gold: Answer) -> JsonValue:
    match gold:
        case dt.timedelta():
            return {"$duration_s": gold.total_seconds()}
        case dt.date():
            return {"$date": gold.isoformat()}
    return gold
