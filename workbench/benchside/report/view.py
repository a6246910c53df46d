"""A run's site from memory, while the run goes on: `benchside view`.

Pages are made when they are asked for. Only this machine is served, and only under its own name: a
page from elsewhere could otherwise read the run through a name that it has pointed here.
"""

from __future__ import annotations

import hashlib
import re
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from benchside.errors import InputError, StoreError
from benchside.report.beside import read_related
from benchside.report.page import episode_page
from benchside.report.related import Related
from benchside.report.summary import ASSETS, asset, episode_list, index_page
from benchside.runs import sound_rows
from benchside.store import COUNTERFACTUALS, EpisodeRow, RunFolder
from benchside.transcript import read_transcript

TYPES = {
    "css": "text/css",
    "js": "text/javascript",
    "html": "text/html",
    "json": "application/json",
}
PAGE = re.compile(r"/(episodes|replays|counterfactuals)/([0-9a-f]{16})\.html")


@dataclass(slots=True)
class LiveRun:
    """A run folder whose list of episodes is read again once it has changed."""

    folder: RunFolder
    _prompts: dict[str, str] = field(default_factory=dict)
    _seen: tuple[int, int] = (-1, -1)
    _rows: list[EpisodeRow] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def rows(self) -> list[EpisodeRow]:
        """Return all finished episodes that can be read."""
        with self._lock:
            return self._read()

    def listed(self) -> str:
        """Return the list of episodes as JSON."""
        with self._lock:
            rows = self._read()
            for row in rows:
                if row.task_hash not in self._prompts:
                    self._prompts[row.task_hash] = self._prompt(row)
            return episode_list(rows, self._prompts, self.known())

    def known(self) -> Related:
        """Return what stands beside the episodes by now."""
        return read_related(self.folder, [])

    def _read(self) -> list[EpisodeRow]:
        try:
            found = self.folder.rows_path.stat()
        except FileNotFoundError:
            return []
        seen = (found.st_size, found.st_mtime_ns)
        if seen != self._seen:
            self._rows, self._seen = sound_rows(self.folder, []), seen
        return self._rows

    def _prompt(self, row: EpisodeRow) -> str:
        try:
            return self.folder.episode(row.episode_id).task.prompt
        except StoreError:
            return ""  # the row is listed all the same; its page says what is wrong


class Handler(BaseHTTPRequestHandler):
    """Answers GET requests for the site of `run`."""

    run: LiveRun
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with a page, an asset or the list."""
        host = self.headers.get("Host", "").rpartition(":")[0]
        if host not in ("127.0.0.1", "localhost"):
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, "ask for http://127.0.0.1")
            return
        path = self.path.partition("?")[0]
        path = "/index.html" if path == "/" else path
        try:
            content = self._content(path)
        except StoreError as error:
            self.send_error(HTTPStatus.NOT_FOUND, error.what.replace("\n", " "))
            return
        if content is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self._answer(content.encode(), TYPES[path.rpartition(".")[2]])

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: people look at the browser."""

    def _content(self, path: str) -> str | None:
        folder = self.run.folder
        if path == "/index.html":
            return index_page(folder.path.name, folder.config(), self.run.rows(), self.run.known())
        if path == "/episodes.json":
            return self.run.listed()
        if path[1:] in ASSETS:
            return asset(path[1:])
        if named := PAGE.fullmatch(path):
            place = folder.path / named[1]
            if named[1] == COUNTERFACTUALS:  # a run folder of its own
                place /= "episodes"
            episode = read_transcript(place / f"{named[2]}.ipynb")
            return episode_page(episode, self.run.known() if named[1] == "episodes" else None)
        return None

    def _answer(self, content: bytes, kind: str) -> None:
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        same = self.headers.get("If-None-Match") == tag
        self.send_response(HTTPStatus.NOT_MODIFIED if same else HTTPStatus.OK)
        self.send_header("ETag", tag)
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", "0" if same else str(len(content)))
        self.end_headers()
        if not same:
            self.wfile.write(content)


def live_server(folder: RunFolder, port: int) -> ThreadingHTTPServer:
    """Return a server for this machine only; `port` 0 takes any that is free.

    Raises:
        StoreError: not a run folder.
        InputError: the port is taken.
    """
    folder.config()
    handler = type("RunHandler", (Handler,), {"run": LiveRun(folder)})
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise InputError(
            f"cannot listen: {error.strerror}", where="--port", value=port,
            fix="choose another port, or 0 for any that is free",
        ) from None  # fmt: skip
