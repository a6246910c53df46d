"""The library of suites: prepares suites into the home folder and loads them back.

    <home>/suites/<name>/<build>/tasks.jsonl, build.json      what policies may know
    <home>/suites/<name>/current                              the build in use
    <home>/answers/<name>/<build>.jsonl                       what only graders load
    <home>/images/<image>@<hash>/                             what kernels load

A build is identified by manifest, seed, size, families, builder code and data, so that a stale one
is never taken for current. Folders appear whole or not at all.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import hashlib
import importlib
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from pydantic import BaseModel

from benchside import __version__
from benchside.build_record import BuildHashes, BuildRecord, Meter, contents_of
from benchside.errors import (
    BenchsideError,
    DataMissingError,
    InputError,
    IntegrityError,
    StoreError,
    UnpreparedError,
)
from benchside.graders import validate_task
from benchside.manifests import manifest
from benchside.suite import Builder, BuildOptions, SuiteBuild, SuiteManifest
from benchside.task import AnswerKey, ServiceRef, TaskSpec, content_hash
from benchside.task_index import TaskIndex
from benchside.uncollected import uncollected
from benchside_kernels.image import (
    HOME_VARIABLE,
    KernelImage,
    build_image,
    images_folder,
    load_image,
    prepare_font_cache,
)

DATA_VARIABLE = "BENCHSIDE_DATA"
PREPARING = ".preparing-"
NEW_S = 60.0


@dataclass(frozen=True, slots=True)
class Suite:
    """A prepared suite. Tasks are parsed, and answer keys read from disk, when asked for."""

    manifest: SuiteManifest
    record: BuildRecord
    tasks: TaskIndex
    home: Path

    @property
    def name(self) -> str:
        """The suite's name."""
        return self.manifest.name

    def task(self, task_id: str) -> TaskSpec:
        """Return one task; `InputError` if the suite has none of that id."""
        task = self.tasks.find(task_id)
        if task is None:
            raise InputError(
                f"suite {self.name} has no such task", where="task id", value=task_id,
                fix=f"list the tasks: benchside tasks {self.name}",
            )  # fmt: skip
        return task

    @property
    def folder(self) -> Path:
        """Where this build's tasks lie."""
        return build_folder(self.home, self.name, self.record.build)

    def image(self, task: TaskSpec) -> KernelImage:
        """Return the kernel image of a task."""
        return _checked_image(self.record.images[task.image], images_folder(self.home))

    def service_image(self, ref: ServiceRef) -> KernelImage:
        """Return the image whose files a service serves."""
        return _checked_image(self.record.images[ref.image], images_folder(self.home))

    def answer_key(self, task_id: str) -> AnswerKey:
        """Return the gold of a task; only graders and the reference policy ask for it."""
        return self._answers()[task_id]

    def check_answers(self) -> None:
        """Raise `DataMissingError` or `IntegrityError` if the answer keys are not as prepared."""
        self._answers()

    def _answers(self) -> Mapping[str, AnswerKey]:
        path = _answers_path(self.home, self.name, self.record.build)
        return _answer_keys(path, self.record.hashes.answers)


@functools.lru_cache(maxsize=256)
def _checked_image(ref: str, images: Path) -> KernelImage:
    image = load_image(ref, images)
    damaged = image.damaged_files()
    if damaged:
        raise IntegrityError(
            "a kernel image was changed after it was prepared", where=image.folder,
            value=", ".join(damaged), fix="delete that folder and prepare the suite again",
        )  # fmt: skip
    return image


@functools.lru_cache(maxsize=8)
def _answer_keys(path: Path, sha256: str) -> Mapping[str, AnswerKey]:
    _check_hash(path, sha256, path.parent.name)
    keys = (AnswerKey.model_validate_json(line) for line in _lines(path))
    with uncollected():
        return {key.task_id: key for key in keys}


def prepare(
    name: str, home: Path, *, data: Path | None = None, seed: int | None = None,
    size: int | None = None, families: tuple[str, ...] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Suite:  # fmt: skip
    """Build a suite into the home folder (again, if it is there) and make that build current.

    Args:
        data: the user's data folder, for suites that need one.
        seed, size: of generated suites; the manifest's by default.
        families: of which alone tasks are made; see `BuildOptions`.
        say: told what is going on, a line at a time.

    Raises:
        DataMissingError, IntegrityError, InputError, StoreError: as the message says; nothing is
            left behind.
    """
    described = manifest(name)
    families = tuple(sorted({*families}))
    if families and not made_by_family(described):
        raise InputError(
            f"suite {name} is only made whole", where="--family", value=", ".join(families),
            fix="leave it out",
        )  # fmt: skip
    seed = described.seed if seed is None else seed
    size = described.size if size is None else size
    meter = Meter()
    hashes = _check_data(described, data)
    recipe = _recipe(described, seed, size, families)
    build = content_hash({"recipe": recipe, "data": dict(hashes)})[:16]
    say(f"building the tasks of {name}")
    with _files_of(home), _scratch(home) as scratch:
        options = BuildOptions(described, data, Path(scratch), seed, size, families)
        built = _builder(described)(options)
        _check_build(described, built, families)
        say(f"writing {len(built.images)} kernel images")
        images = {
            source.name: build_image(source, images_folder(home)).ref for source in built.images
        }
        prepare_font_cache(home)
        record = BuildRecord(
            build=build, recipe=recipe, seed=seed, size=size, families=families, data=hashes,
            images=images, hashes=BuildHashes(tasks="", answers=""), counts=built.counts,
            contents=contents_of(built), cost=meter.cost(),
        )  # fmt: skip
        _write_build(home, name, record, built, Path(scratch))
    return load_suite(name, home)


def made_by_family(described: SuiteManifest) -> bool:
    """Return whether a suite can be prepared with some of its families only."""
    return bool(getattr(_builder_module(described), "BY_FAMILY", False))


def load_suite(name: str, home: Path, *, build: str | None = None) -> Suite:
    """Load a prepared suite.

    Args:
        build: a certain build, such as the one of an old run; the current one by default.

    Raises:
        DataMissingError: not prepared, or prepared by another version or from another recipe.
        IntegrityError: the files on disk were changed.
        StoreError: they cannot be read.
    """
    record = load_record(name, home, build=build)
    path = build_folder(home, name, record.build) / "tasks.jsonl"
    _check_hash(path, record.hashes.tasks, name)
    return Suite(manifest(name), record, TaskIndex(path), home.absolute())


def load_record(name: str, home: Path, *, build: str | None = None) -> BuildRecord:
    """Load what is known of a prepared suite, without its tasks.

    Args:
        build: a certain build; the current one by default.

    Raises:
        DataMissingError: not prepared, or prepared by another version or from another recipe;
            `UnpreparedError` where it may be prepared as it comes.
    """
    described = manifest(name)
    folder = home / "suites" / name
    pointer = folder / "current"
    with _files_of(home):
        prepared = build is not None or pointer.exists()
    if not prepared:
        raise UnpreparedError(
            f"suite {name} is not prepared", where=folder,
            fix=f"{_command(described)}\n{described.how_to_get}".strip(),
        )  # fmt: skip
    chosen = folder
    try:
        chosen = folder / (build or pointer.read_text(encoding="utf-8").strip())
        record = BuildRecord.model_validate_json((chosen / "build.json").read_bytes())
    except (OSError, ValueError):
        raise DataMissingError(
            f"this build of suite {name} is missing or damaged",
            where=chosen,
            fix=_command(described),
        ) from None
    if build is None and record.recipe != _recipe(
        described, record.seed, record.size, record.families
    ):
        command = _command(described, record)
        kind = UnpreparedError if command == _command(described) else DataMissingError
        raise kind(
            f"suite {name} was prepared by another version of Benchside", where=chosen, fix=command
        )
    return record


def open_suite(name: str, home: Path, say: Callable[[str], None] = lambda _: None) -> Suite:
    """Load a suite; an embedded one that is not prepared yet, or is stale, is prepared first.

    Raises:
        DataMissingError: as `load_suite` does, where only the user can prepare it: it needs data,
            or a build with a seed, size or families of their choice is stale, or is damaged.
    """
    try:
        return load_suite(name, home)
    except UnpreparedError:
        if manifest(name).data:
            raise
        say(f"preparing suite {name} (once)")
        return prepare(name, home, say=say)


def _command(described: SuiteManifest, record: BuildRecord | None = None) -> str:
    """Return how to prepare a suite, with a build's options where they are not the suite's own."""
    told = [f"benchside prepare {described.name}"]
    if described.data:
        told.append("--data FOLDER")
    if record is not None:
        for option, own, usual in (
            ("seed", record.seed, described.seed), ("size", record.size, described.size)
        ):  # fmt: skip
            if own not in (usual, None):
                told.append(f"--{option} {own}")
        told += [f"--family {family}" for family in record.families]
    return " ".join(told)


@contextmanager
def _files_of(place: Path) -> Iterator[None]:
    """Work with files that Benchside keeps; a full disk or a lacking right is one clear message."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise StoreError(
            "the disk is full" if full else f"cannot read or write: {error.strerror or error}",
            where=error.filename or place,
            fix=f"{'free some space' if full else 'check the rights there'}, "
            f"or set {HOME_VARIABLE} to another folder",
        ) from None


@contextmanager
def _scratch(home: Path) -> Iterator[str]:
    """A folder beside the finished builds, so that they can be renamed into place.

    Each is locked by its process; what nobody has locked was left by one that was killed.
    """
    home.mkdir(parents=True, exist_ok=True)
    for left in home.glob(f"{PREPARING}*"):
        with suppress(OSError), _locked(left):
            if time.time() - left.stat().st_mtime > NEW_S:  # else perhaps about to be locked
                shutil.rmtree(left)
    with tempfile.TemporaryDirectory(dir=home, prefix=PREPARING) as folder, _locked(Path(folder)):
        yield folder


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder; `BlockingIOError` if another process does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _builder(described: SuiteManifest) -> Builder:
    module = _builder_module(described)
    build: Builder | None = getattr(module, "build", None)
    if build is None:
        raise InputError(
            "the builder module has no function `build`", where=f"suite {described.name}: builder",
            value=described.builder, fix="define build(options: BuildOptions) -> SuiteBuild there",
        )  # fmt: skip
    return build


def _builder_module(described: SuiteManifest) -> ModuleType:
    try:
        return importlib.import_module(described.builder)
    except ModuleNotFoundError as error:
        raise InputError(
            f"the builder cannot be imported: {error}", where=f"suite {described.name}: builder",
            value=described.builder, fix="name a module that is installed",
        ) from None  # fmt: skip


def _recipe(
    described: SuiteManifest, seed: int, size: int | None, families: tuple[str, ...]
) -> str:
    """Hash of all that a build depends on besides the user's data.

    A builder may name further modules whose code its tasks depend on in `USES`.
    """
    module = _builder_module(described)
    used: tuple[ModuleType, ...] = getattr(module, "USES", ())
    sources = [source for one in (module, *used) for source in _sources(one)]
    code = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    versions = {name: importlib.import_module(name).__version__ for name in ("numpy", "pandas")}
    return content_hash(
        {
            "manifest": described.model_dump(mode="json"), "seed": seed, "size": size,
            "code": code, "benchside": __version__, "versions": versions,
            **({"families": [*families]} if families else {}),
        }
    )  # fmt: skip


def _sources(module: ModuleType) -> list[Path]:
    """The files of a module; of a package, those of the packages in it too."""
    file = Path(str(module.__file__))
    return sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]


def _check_data(described: SuiteManifest, data: Path | None) -> dict[str, str]:
    """Check that no file is missing or another than tested; return the hashes of those there."""
    if not described.data:
        return {}
    if data is None:
        raise DataMissingError(
            f"suite {described.name} needs data that Benchside may not ship",
            fix=f"benchside prepare {described.name} --data FOLDER (or set {DATA_VARIABLE})\n"
            f"{described.how_to_get}",
        )
    hashes = {}
    for file in described.data:
        path = file.find(data)
        if path is None and file.optional:
            continue
        if path is None:
            raise DataMissingError(
                f"a data file of suite {described.name} is missing", where=data / file.path,
                fix=described.how_to_get,
            )  # fmt: skip
        hashes[file.path] = _sha256(path)
        for other in file.find_all(data)[1:]:
            hashes[str(other.relative_to(data))] = _sha256(other)
        if file.sha256 not in (None, hashes[file.path]):
            raise IntegrityError(
                f"not the file that suite {described.name} was made for (its sha256 differs)",
                where=path, value=hashes[file.path],
                fix=f"get the one with sha256 {file.sha256}\n{described.how_to_get}",
            )  # fmt: skip
    return hashes


def _check_build(described: SuiteManifest, built: SuiteBuild, families: tuple[str, ...]) -> None:
    """Check what no single task can tell: ids, keys, images; and each task by its grader."""
    empty = {*families} - {task.group for task in built.tasks}
    if empty:
        raise InputError(
            "no task of this family could be made", where="--family", value=min(empty),
            fix="leave it out, or ask for more tasks by --size",
        )  # fmt: skip
    keys = {key.task_id: key for key in built.keys}
    images = {source.name for source in built.images}
    counted = Counter(task.task_id for task in built.tasks)
    for task in built.tasks:
        problem = (
            "two tasks have this id" if counted[task.task_id] > 1
            else "the task has no answer key" if task.task_id not in keys
            else f"there is no image {task.image}" if task.image not in images
            else "there is no image of a service"
            if any(ref.image not in images for ref in task.services)
            else f"its suite is {task.suite} {task.version}"
            if (task.suite, task.version) != (described.name, described.version)
            else None
        )  # fmt: skip
        if problem:
            raise BenchsideError(
                f"the builder of {described.name} is wrong: {problem}", where="task id",
                value=task.task_id, fix=f"correct {described.builder}",
            )  # fmt: skip
        validate_task(task, keys[task.task_id])


def _write_build(
    home: Path, name: str, record: BuildRecord, built: SuiteBuild, scratch: Path
) -> None:
    """Write tasks, answers and record; each file or folder is renamed into place when whole."""
    folder = scratch / "build"
    folder.mkdir()
    answers = scratch / "answers.jsonl"
    answers.touch(mode=0o600)
    _write_lines(folder / "tasks.jsonl", built.tasks)
    _write_lines(answers, built.keys)
    hashes = BuildHashes(tasks=_sha256(folder / "tasks.jsonl"), answers=_sha256(answers))
    complete = record.model_copy(update={"hashes": hashes})
    (folder / "build.json").write_text(complete.model_dump_json(indent=1))
    final = build_folder(home, name, record.build)
    answers_path = _answers_path(home, name, record.build)
    (home / "answers").mkdir(mode=0o700, exist_ok=True)
    answers_path.parent.mkdir(mode=0o700, exist_ok=True)
    final.parent.mkdir(parents=True, exist_ok=True)
    if final.exists():
        shutil.rmtree(final)
    answers.replace(answers_path)
    folder.rename(final)
    pointer = scratch / "current"
    pointer.write_text(record.build)
    pointer.replace(final.parent / "current")


def _write_lines(path: Path, models: Sequence[BaseModel]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(model.model_dump_json() + "\n" for model in models)


def _lines(path: Path) -> Iterator[str]:
    """Lines by "\\n" alone: a prompt may hold other characters that `splitlines` splits at."""
    with path.open(encoding="utf-8", newline="\n") as file:
        yield from file


def build_folder(home: Path, name: str, build: str) -> Path:
    """Return where a build of a suite lies."""
    return home / "suites" / name / build


def _answers_path(home: Path, name: str, build: str) -> Path:
    return home / "answers" / name / f"{build}.jsonl"


def _check_hash(path: Path, sha256: str, suite: str) -> None:
    fix = f"benchside prepare {suite}"
    with _files_of(path):
        if not path.exists():
            raise DataMissingError(f"a file of suite {suite} is missing", where=path, fix=fix)
        if _sha256(path) != sha256:
            raise IntegrityError("the file was changed after it was prepared", where=path, fix=fix)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
