"""`Run`: what run folders hold, as pandas DataFrames, read as far as they are sound.

Nothing is refused but a path that holds no run: each unsound part is named among the defects.
"""

from __future__ import annotations

import glob
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import duckdb
import pandas as pd

from benchside.defect import Defect
from benchside.errors import StoreError
from benchside.row_file import readable_rows
from benchside.store import EpisodeRow, RunFolder
from benchside.transcript_tables import CALL_TYPES, CELL_TYPES, TURN_TYPES, TranscriptTables
from benchside.verifier_score import FILE as VERIFIER_SCORES
from benchside.verifier_score import VerifierScore

_EPISODE_TYPES = {
    "reward": "float64", "passed": "boolean", "start_s": "float64", "cpu_s": "float64",
    "peak_mib": "float64", "output_chars": "Int64", "input_tokens": "Int64",
    "output_tokens": "Int64", "requests": "Int64", "cost_usd": "float64",
    "malformed": "Int64",
    "cached_tokens": "Int64", "cache_hits": "Int64",
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One run, or several side by side.

    Args:
        paths: the run folders.
        episodes: one row per finished episode: the columns of `benchside.store.EpisodeRow`, `run`,
            the folder, and `verifier_score`, where a verifier has scored it. Not measured is
            missing, never 0. `transcript` is the full path.

    An episode id is equal in all runs of the same task, policy and sample: `run` and `episode_id`
    together name an episode.
    """

    paths: tuple[Path, ...]
    episodes: pd.DataFrame
    _row_defects: tuple[Defect, ...]

    @property
    def turns(self) -> pd.DataFrame:
        """One row per turn: thought, reasoning, problem, tokens, latency; `cell_id` of its cell."""
        return self._tables.frame(self._tables.turns, TURN_TYPES)

    @property
    def cells(self) -> pd.DataFrame:
        """One row per executed cell: source, status, error, text of its outputs, times."""
        return self._tables.frame(self._tables.cells, CELL_TYPES)

    @property
    def calls(self) -> pd.DataFrame:
        """One row per call that a scaffold made beside an action: step, reply, tokens, cost."""
        return self._tables.frame(self._tables.calls, CALL_TYPES)

    @property
    def defects(self) -> tuple[Defect, ...]:
        """What is not sound in the folders, rows first, then transcripts."""
        return (*self._row_defects, *self._tables.defects)

    def sql(self, query: str) -> pd.DataFrame:
        """Return what a DuckDB query over `episodes`, `turns`, `cells` and `calls` gives."""
        with duckdb.connect() as connection:
            for name in ("episodes", "turns", "cells", "calls"):
                if name in query.lower():  # transcripts are read only where they are asked for
                    connection.register(name, getattr(self, name))
            return connection.execute(query).df()

    @cached_property
    def _tables(self) -> TranscriptTables:
        """The transcripts, read once and when first asked for."""
        tables = TranscriptTables()
        for path in self.paths:
            tables.add_run(path, self.episodes[self.episodes["run"] == str(path)])
        return tables


def load_run(path: str | Path) -> Run:
    """Return a run, or all runs that a pattern such as "runs/*" matches.

    Args:
        path: run folder or glob pattern; what matches and is no run folder is passed over.

    Raises:
        StoreError: there is no run folder.
    """
    paths = [Path(path)]
    if not paths[0].exists() and glob.has_magic(str(path)):
        paths = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 (absolute patterns)
    folders = [folder for folder in map(RunFolder, paths) if _is_run(folder)]
    if not folders:
        raise StoreError(
            "not a run folder: it has neither run.json nor episodes.jsonl", where=path,
            fix="give the folder that `benchside run --out` wrote, or a pattern of such",
        )  # fmt: skip
    defects: list[Defect] = []
    frames = [_episodes(folder, defects) for folder in folders]
    episodes = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    return Run(tuple(folder.path for folder in folders), episodes, tuple(defects))


def _is_run(folder: RunFolder) -> bool:
    return (folder.path / "run.json").is_file() or folder.rows_path.is_file()


def _episodes(folder: RunFolder, defects: list[Defect]) -> pd.DataFrame:
    try:
        folder.config()
    except StoreError as error:
        where = str(folder.path / "run.json")
        defects.append(Defect("damaged run.json", where, f"{error.what}; episodes were read"))
    rows = sound_rows(folder, defects)
    listed = [{"run": str(folder.path), **row.model_dump()} for row in rows]
    frame = pd.DataFrame(listed, columns=["run", *EpisodeRow.model_fields]).astype(_EPISODE_TYPES)
    frame["transcript"] = [str(folder.path / name) for name in frame["transcript"]]
    scored = readable_rows(folder.path / VERIFIER_SCORES, VerifierScore, defects)
    score_of = {row.episode_id: row.score for row in scored}
    frame["verifier_score"] = frame["episode_id"].map(score_of).astype("float64")
    return frame


def sound_rows(folder: RunFolder, defects: list[Defect]) -> list[EpisodeRow]:
    """Return the last row of each episode, as far as rows can be read; the others are named."""
    rows = readable_rows(folder.rows_path, EpisodeRow, defects)
    return list({row.episode_id: row for row in rows}.values())
