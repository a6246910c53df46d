"""What runs inside a kernel: `setup` makes a task's data available, `submit` sends the answer out.

The same call works in an episode's kernel and in a person's JupyterLab, so that a transcript's
set-up cell runs in both.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from IPython.core.getipython import get_ipython
from IPython.display import display
from platformdirs import user_cache_path

from benchside_kernels.errors import ImageError
from benchside_kernels.image import (
    HOME_VARIABLE,
    KernelImage,
    font_cache,
    images_folder,
    load_image,
)
from benchside_kernels.submission import MAX_SUBMISSION_CHARS, MIME, encode


def home_folder() -> Path:
    """Return the folder of all prepared data: `$BENCHSIDE_HOME` or the user's cache folder."""
    return Path(os.environ.get(HOME_VARIABLE) or user_cache_path("benchside")).absolute()


def setup(image: str | None = None, *, files: Sequence[str] = (), seed: int = 0) -> None:
    """Load an image's imports and variables into this kernel, together with `submit`.

    Args:
        image: reference of a prepared image, such as "cohorts.lung@0123456789abcdef"; None for a
            kernel without data.
        files: files of the image that are copied into the current folder.
        seed: seed of `random` and of numpy's global generator.

    Raises:
        ImageError: the image is not prepared here, or cannot be read by these package versions.
    """
    shell = get_ipython()
    if shell is None:
        raise ImageError("setup() belongs in a Jupyter kernel; there is none here")
    fill(shell.user_ns, image, files=files, seed=seed)


def fill(
    namespace: dict[str, object],
    image: str | None,
    *,
    files: Sequence[str] = (),
    seed: int = 0,
    preloaded: bool = False,
) -> None:
    """Do what `setup` does, in a given namespace; `preloaded` if it has the variables already."""
    if image is not None:
        found = load_image(image, images_folder(home_folder()))
        if not preloaded:
            _load(found, namespace)
        _open(found, files, namespace)
    namespace["submit"] = _Submit()
    reseed(seed)


def reseed(seed: int) -> None:
    """Seed `random` and, where it is loaded, numpy's global generator."""
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)


def _load(image: KernelImage, namespace: dict[str, object]) -> None:
    for line in image.imports:
        exec(line, namespace)
    here = ".".join(map(str, sys.version_info[:2]))
    if image.versions["python"] != here:
        warnings.warn(
            f"image {image.ref} was made on Python {image.versions['python']}, "
            f"this is {here}: results may differ",
            stacklevel=3,
        )
    namespace.update(image.load_variables())


def _open(image: KernelImage, files: Sequence[str], namespace: dict[str, object]) -> None:
    """What a fork must not share: the database connection, and files of its own."""
    if image.has_database:
        uri = (image.folder / "database.sqlite").as_uri()
        # immutable: no locks and no journal, since nobody may write there
        namespace["con"] = sqlite3.connect(
            f"{uri}?mode=ro&immutable=1", uri=True, check_same_thread=False
        )
    for name in files:
        target = Path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image.folder / "files" / name, target)


def take_font_list(home: Path) -> None:
    """Copy matplotlib's font list to where this process looks for it, unless it has read it."""
    target = Path(os.environ["MPLCONFIGDIR"])
    if "matplotlib.font_manager" not in sys.modules:
        target.mkdir(parents=True, exist_ok=True)
        for path in font_cache(home).glob("fontlist-*.json"):
            shutil.copyfile(path, target / path.name)


class _Submit:
    """`submit(value)`: sends the answer once; a second call raises."""

    __name__ = "submit"

    def __init__(self) -> None:
        self._done = False

    def __call__(self, value: object) -> None:
        """Submit the answer to the task; this ends the episode."""
        if self._done:
            raise RuntimeError("submit() was already called; an answer cannot be changed")
        encoded = encode(value)
        try:
            size = len(json.dumps(encoded, ensure_ascii=False).encode())
        except UnicodeEncodeError:
            raise ValueError(
                "the submission holds a lone surrogate, which is no valid text"
            ) from None
        if size > MAX_SUBMISSION_CHARS:
            raise ValueError(
                f"the submission has {size:,} characters as JSON; the limit is "
                f"{MAX_SUBMISSION_CHARS:,}: submit the answer, not the data"
            )
        try:
            shown = repr(value)
        except Exception as error:  # the value's own code: its answer is encoded already
            shown = f"{type(value).__name__} (its repr raised {type(error).__name__})"
        text = shown if len(shown) <= 500 else f"{shown[:400]} … ({len(shown):,} characters)"
        self._done = True
        display({MIME: encoded, "text/plain": f"Submitted: {text}"}, raw=True)

    def __repr__(self) -> str:
        return "submit(value): submit the answer to the task, once"
