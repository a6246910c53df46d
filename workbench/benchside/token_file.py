"""The tokens of an episode in a file beside its notebook: `ID.ipynb` has `ID.tokens.npz`.

Arrays over all turns, one after another: `context_ids` (C) int32, `sampled_ids` (S) int32,
`logprobs` (S) float32, `versions` (S) int32, and for each turn `context_lengths` (turns) int32 and
`sampled_lengths` (turns) int32, -1 where the turn has no tokens, and `restarted` (turns) bool.
Episodes of policies without tokens have no such file.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from benchside.errors import StoreError
from benchside.policy import Tokens

_NONE = -1


def tokens_path(notebook: Path) -> Path:
    """Return where the tokens of a notebook's episode are."""
    return notebook.with_suffix(".tokens.npz")


def write_tokens(turns: Sequence[Tokens | None], path: Path) -> None:
    """Write the tokens of an episode's turns atomically; without any, no file is left."""
    given = [tokens for tokens in turns if tokens is not None]
    if not given:
        path.unlink(missing_ok=True)
        return
    temporary = path.with_name(f".writing-{path.name}")
    with temporary.open("wb") as file:
        np.savez_compressed(
            file,
            context_ids=_joined([tokens.context_ids for tokens in given], np.int32),
            sampled_ids=_joined([tokens.sampled_ids for tokens in given], np.int32),
            logprobs=_joined([tokens.logprobs for tokens in given], np.float32),
            versions=_joined([tokens.versions for tokens in given], np.int32),
            context_lengths=_lengths([t.context_ids if t else None for t in turns]),
            sampled_lengths=_lengths([t.sampled_ids if t else None for t in turns]),
            restarted=np.array([t is not None and t.restarted for t in turns]),
        )
    temporary.replace(path)


def read_tokens(path: Path, turns: int) -> list[Tokens | None] | None:
    """Return the tokens of each turn; None where there is no file.

    Raises:
        StoreError: the file is damaged or of another episode.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = _split({name: arrays[name] for name in arrays.files})
        if len(found) != turns:
            raise ValueError(f"it has {len(found)} turns, the notebook {turns}")
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, ValidationError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise StoreError(
            f"damaged tokens: {first}", where=path,
            fix="restore the file; without it, the episode can be read, but not trained on",
        ) from None  # fmt: skip
    return found


def _split(arrays: dict[str, np.ndarray]) -> list[Tokens | None]:
    context, sampled = 0, 0
    found: list[Tokens | None] = []
    lengths = zip(arrays["context_lengths"], arrays["sampled_lengths"], strict=True)
    for number, (given, drawn) in enumerate(lengths):
        if given == _NONE:
            found.append(None)
            continue
        own = slice(sampled, sampled + drawn)
        found.append(
            Tokens(
                context_ids=arrays["context_ids"][context : context + given].tolist(),
                sampled_ids=arrays["sampled_ids"][own].tolist(),
                logprobs=arrays["logprobs"][own].tolist(),
                versions=arrays["versions"][own].tolist(),
                restarted=bool(arrays["restarted"][number]),
            )
        )
        context, sampled = context + given, sampled + drawn
    if (context, sampled) != (len(arrays["context_ids"]), len(arrays["sampled_ids"])):
        raise ValueError("the lengths of its turns do not add up")
    return found


def _joined(parts: Sequence[Sequence[float]], dtype: type[np.number]) -> np.ndarray:
    return np.concatenate([np.asarray(part, dtype) for part in parts])


def _lengths(parts: Sequence[Sequence[int] | None]) -> np.ndarray:
    return np.array([_NONE if part is None else len(part) for part in parts], np.int32)
