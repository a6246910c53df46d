"""A suite: a set of tasks from one source, with its manifest, images and answer keys.

A builder (one module per suite below `benchside.suites`) turns a source into a `SuiteBuild`;
`prepare` writes it to `<home>/suites/<name>/`, `<home>/answers/<name>/` and `<home>/images/`, and
`load_suite` reads it back. Answer keys lie apart from the tasks, in a folder that no kernel sees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchside.errors import DataMissingError
from benchside.task import AnswerKey, Frozen, Sensitivity, TaskSpec
from benchside_kernels.image import ImageSource


class DataFile(Frozen):
    """A file that the user has to bring, relative to the data folder.

    Args:
        path: may hold the wildcards of `Path.glob`; of several matches the first by name counts.
        alternatives: other places or packings of the same file; the first that is there counts.
        sha256: of the version that was tested; another one is refused unless None.
        optional: True where the builder can do without; it says itself what it lacks.
        every: True where all files that match are read, not only the first.
    """

    path: str
    alternatives: tuple[str, ...] = ()
    sha256: str | None = None
    optional: bool = False
    every: bool = False

    def find(self, data: Path) -> Path | None:
        """Return the file in a data folder, None if it is not there."""
        return next(iter(self.find_all(data)), None)

    def find_all(self, data: Path) -> list[Path]:
        """Return the files that count: one, all that match where `every` is set, or none."""
        for place in (self.path, *self.alternatives):
            found = sorted(path for path in data.glob(place) if path.is_file())
            if found:
                return found if self.every else found[:1]
        return []


class SuiteManifest(Frozen):
    """`task_specs/<name>/suite.yaml`.

    Args:
        name, version: the version changes whenever any task does.
        title, description: for people.
        source, url, licence: where the tasks and data come from and under which terms.
        builder: module that has `build(options) -> SuiteBuild`.
        data: files the user brings; empty for embedded suites.
        how_to_get: instruction shown when a data file is missing.
        seed: default seed of generated suites.
        size: default number of tasks of suites that can be generated at any size.
        full_size: the same for `benchside prepare --full`: at least that of the published set which
            the suite stands in for; None where it is always whole.
    """

    name: str
    version: str
    title: str
    description: str
    source: str
    url: str
    licence: str
    builder: str
    sensitivity: Sensitivity = "open"
    data: tuple[DataFile, ...] = ()
    how_to_get: str = ""
    seed: int = 0
    size: int | None = None
    full_size: int | None = None


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What a builder gets.

    Args:
        data: the user's data folder (checked: all files of the manifest are there); None for
            embedded suites.
        scratch: an empty folder for intermediate files; deleted afterwards.
        size: number of tasks wanted; None where the source sets it.
        families: template families (`group`) of which alone tasks are wanted: of each an equal
            share of `size` among all families, with answers as often repeated as among `size`
            tasks; all families where empty. Only builders with `BY_FAMILY = True` are given any.
    """

    manifest: SuiteManifest
    data: Path | None
    scratch: Path
    seed: int
    size: int | None
    families: tuple[str, ...] = ()

    @property
    def data_folder(self) -> Path:
        """The user's data folder; `DataMissingError` without one."""
        if self.data is None:
            raise DataMissingError(
                f"{self.manifest.name} needs a data folder",
                fix=self.manifest.how_to_get or "set BENCHSIDE_DATA to the folder that holds it",
            )
        return self.data


@dataclass(frozen=True, slots=True)
class SuiteBuild:
    """What a builder gives: tasks (whose `image` is the name of one of the images), keys, images.

    Args:
        counts: facts for people, such as how many items were left out and why.
    """

    tasks: list[TaskSpec]
    keys: list[AnswerKey]
    images: list[ImageSource]
    counts: dict[str, int] = field(default_factory=dict)


Builder = Callable[[BuildOptions], SuiteBuild]
