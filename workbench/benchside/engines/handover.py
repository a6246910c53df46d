"""Handing transcripts over: nodes leave them under the name of their lease, the driver takes them.

Only the driver puts a transcript where its row says that it is, and appends rows. So a node that
was given up, and goes on all the same, cannot touch what another one has done since.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from pathlib import Path
from typing import Protocol

import fsspec

from benchside.episode import Episode
from benchside.errors import InputError, StoreError
from benchside.store import EpisodeRow, RunFolder, row_of, write_atomically
from benchside.token_file import tokens_path
from benchside.transcript import write_transcript

INCOMING = "incoming"
MIRRORED = ("run.json", "episodes.jsonl")


class Handover(Protocol):
    """A place that driver and nodes reach. It pickles."""

    def mark(self) -> str:
        """Called by the driver at the start: leave a mark; return its name."""
        ...

    def sees(self, mark: str) -> bool:
        """Called by a node: whether it sees the driver's mark."""
        ...

    def leave(self, lease: str, episode: Episode) -> EpisodeRow:
        """Called by a node: leave the transcript of an episode; return the episode's row."""
        ...

    def take(self, lease: str, row: EpisodeRow) -> None:
        """Called by the driver: put a transcript that was left where its row says that it is."""
        ...

    def close(self) -> None:
        """Called by the driver at the end: delete what nobody has taken, and the mark."""
        ...


class SharedFolder:
    """The run folder itself, on a file system that all nodes share under the same path."""

    def __init__(self, folder: Path) -> None:
        self._run = RunFolder(folder)
        self._incoming = folder / INCOMING

    def mark(self) -> str:
        """Leave an empty file."""
        self.close()
        self._incoming.mkdir(parents=True, exist_ok=True)
        name = f"mark-{uuid.uuid4().hex}"
        (self._incoming / name).touch()
        return name

    def sees(self, mark: str) -> bool:
        """True where the folder is the same one."""
        return (self._incoming / mark).exists()

    def leave(self, lease: str, episode: Episode) -> EpisodeRow:
        """Write the transcript, through to the disk."""
        return row_of(episode, write_transcript(episode, self._path(lease)))

    def take(self, lease: str, row: EpisodeRow) -> None:
        """Rename it, its tokens first."""
        left, place = self._path(lease), self._run.transcript_path(row.episode_id)
        if tokens_path(left).exists():
            tokens_path(left).replace(tokens_path(place))
        else:
            tokens_path(place).unlink(missing_ok=True)  # of an attempt before
        left.replace(place)

    def close(self) -> None:
        """Delete the folder of what comes in."""
        for left in self._incoming.glob("*"):
            left.unlink(missing_ok=True)
        if self._incoming.exists():
            self._incoming.rmdir()

    def _path(self, lease: str) -> Path:
        return self._incoming / f"{lease}.ipynb"


class ObjectStore:
    """Any store that fsspec knows by its URL; the run folder is the driver's own.

    The driver fetches each transcript into its folder before the row is appended. `mirror` copies
    rows and `run.json`, so that the store holds the whole run, but for what was finished since.

    Args:
        url: such as "s3://bucket/run"; credentials are those of each node's environment.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self._run = RunFolder(folder)
        try:
            self._files, self._root = fsspec.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise InputError(
                f"the store cannot be used: {error}", where="--store", value=url,
                fix="give a URL that fsspec knows, and install the package that it needs for it",
            ) from None  # fmt: skip

    def mark(self) -> str:
        """Leave a small object."""
        self._clear()
        name = f"mark-{uuid.uuid4().hex}"
        self._write(f"{INCOMING}/{name}", b"-")
        return name

    def sees(self, mark: str) -> bool:
        """True where the store is the same one."""
        self._files.invalidate_cache()
        return bool(self._files.exists(self._at(f"{INCOMING}/{mark}")))

    def leave(self, lease: str, episode: Episode) -> EpisodeRow:
        """Write the transcript and its tokens into the store."""
        with tempfile.TemporaryDirectory() as scratch:
            notebook = Path(scratch) / f"{lease}.ipynb"
            row = row_of(episode, write_transcript(episode, notebook))
            for file in sorted(Path(scratch).iterdir()):
                self._write(f"{INCOMING}/{file.name}", file.read_bytes())
        return row

    def take(self, lease: str, row: EpisodeRow) -> None:
        """Copy it into the run folder, then move it to its place in the store; tokens first."""
        place = Path(row.transcript)
        tokens_path(self._run.path / place).unlink(missing_ok=True)  # of an attempt before
        for name in (tokens_path(place), place):
            left = self._at(f"{INCOMING}/{lease}{name.name.removeprefix(place.stem)}")
            if name == place or self._files.exists(left):
                content = self._files.cat_file(left)
                write_atomically(self._run.path / name, content)
                self._write(str(name), content)
                self._files.rm_file(left)

    def close(self) -> None:
        """Delete what nobody has taken; copy the last rows."""
        self.mirror()
        self._clear()

    def _clear(self) -> None:
        if self._files.exists(self._at(INCOMING)):
            self._files.rm(self._at(INCOMING), recursive=True)

    def mirror(self) -> None:
        """Copy rows and `run.json` into the store."""
        for name in MIRRORED:
            if (self._run.path / name).exists():
                self._write(name, (self._run.path / name).read_bytes())

    def begin(self, *, resume: bool) -> None:
        """Copy the store's run into an empty run folder, to go on with it.

        Raises:
            InputError: the store holds a run and `resume` is not set.
        """
        known = self._files.exists(self._at("run.json"))
        if known and not resume:
            raise InputError(
                "the store holds a run already", where="--store", value=self.url,
                fix="go on with --resume, or choose another URL",
            )  # fmt: skip
        if known and not (self._run.path / "run.json").exists():
            (self._run.path / "episodes").mkdir(parents=True, exist_ok=True)
            for name in ("turns", "interrupted"):
                (self._run.path / name).mkdir(exist_ok=True)
            for path in self._files.find(self._at("episodes")):
                name = f"episodes/{path.rpartition('/')[2]}"
                write_atomically(self._run.path / name, self._files.cat_file(path))
            for name in reversed(MIRRORED):  # run.json last: with it, the folder is a run
                if self._files.exists(self._at(name)):
                    write_atomically(self._run.path / name, self._files.cat_file(self._at(name)))

    def _at(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def _write(self, name: str, content: bytes) -> None:
        """Write an object whole or not at all, as far as the store's own writes are atomic."""
        path = self._at(name)
        try:
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(path, content)
        except OSError as error:
            raise StoreError(
                f"the store cannot be written: {error}", where=f"{self.url}: {name}",
                fix=f"check the rights and space of {os.uname().nodename} there, then --resume",
            ) from None  # fmt: skip


def open_handover(store: str | None, folder: Path, *, resume: bool) -> SharedFolder | ObjectStore:
    """Return the store of a URL, or the run folder itself where there is none."""
    if store is None:
        return SharedFolder(folder.resolve())
    found = ObjectStore(store, folder.resolve())
    found.begin(resume=resume)
    return found
