"""`ResponseCache`: answers of model servers by what was asked; no keys, nor hashes of them.

An optional folder of one file for each answer, named by the hash of format, URL, body and number
of the sample, so that the samples of a task differ. What is kept is the text that the server sent:
from there on, an answer from the cache goes the way of one that has just arrived.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchside.errors import StoreError
from benchside.task import content_hash


@dataclass(frozen=True, slots=True)
class ResponseCache:
    """Answers in a folder, which several processes may share."""

    folder: Path

    async def get(self, key: str) -> str | None:
        """Return the text of an answer; None where there is none."""
        return await asyncio.to_thread(self._get, key)

    async def put(self, key: str, text: str) -> None:
        """Keep the text of an answer, whole or not at all.

        Raises:
            StoreError: it cannot be written.
        """
        await asyncio.to_thread(self._put, key, text)

    def _get(self, key: str) -> str | None:
        try:
            return self._path(key).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def _put(self, key: str, text: str) -> None:
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", dir=path.parent, prefix=".writing-", delete=False
            ) as file:
                file.write(text)
            Path(file.name).replace(path)
        except OSError as error:
            raise StoreError(
                f"an answer cannot be kept: {error.strerror}", where=path.parent,
                fix="free some space or check the folder's rights, or leave `cache` out",
            ) from None  # fmt: skip

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key


def request_key(form: str, url: str, body: dict[str, Any], sample: int, draw: int) -> str:
    """Return the name of a request: equal for equal requests of equal samples."""
    return content_hash([form, url, json.loads(json.dumps(body)), sample, draw])
