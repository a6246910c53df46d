"""`KernelImage`: the data and imports that a kernel starts with, content-hashed, on disk.

An image is one folder `<images>/<name>@<hash>/`:

    image.json      imports, variables, files, hidden paths, versions and hashes
    variables.pkl   pickle 5 of all variables; their buffers lie in variables.buf
    variables.buf   mapped copy-on-write by each kernel, so that tables cost no copy
    database.sqlite optional; opened read-only as `con`
    files/          optional; copied into the work folder on demand

Only `build_image` writes, only the host calls it, and kernels load what it wrote: the pickle is
never one that an agent could have made.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchside_kernels.errors import ImageError

FORMAT = 1
HOME_VARIABLE = "BENCHSIDE_HOME"
ALIGN = 64
DEFAULT_IMPORTS = ("import numpy as np", "import pandas as pd")


@dataclass(frozen=True, slots=True)
class ImageSource:
    """What an image is made of.

    Args:
        name: readable name, such as "cohorts.lung"; unique within a suite.
        variables: name → object (DataFrames mostly) preloaded into the kernel's namespace.
        database: SQLite file that the kernel opens read-only as `con`.
        files: name → file that tasks may ask for in their work folder.
        imports: import lines run before the first cell.
        hidden: glob patterns relative to site-packages that kernels of this image cannot read,
            such as "lifelines/datasets/*.csv" where a package ships the labels of a held-out set.
        description: markdown shown to policies: which variables there are, with their columns.
    """

    name: str
    variables: Mapping[str, object] = field(default_factory=dict)
    database: Path | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    imports: tuple[str, ...] = DEFAULT_IMPORTS
    hidden: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class KernelImage:
    """A prepared image. `ref` is its name and content hash; the folder is named after it."""

    ref: str
    folder: Path
    imports: tuple[str, ...]
    variables: tuple[str, ...]
    buffers: tuple[tuple[int, int], ...]
    has_database: bool
    files: tuple[str, ...]
    hidden: tuple[str, ...]
    description: str
    versions: dict[str, str]
    hashes: dict[str, str]

    def damaged_files(self) -> list[str]:
        """Return the files that are missing or differ from their recorded sha256."""
        return [
            name for name, sha256 in self.hashes.items()
            if not (self.folder / name).is_file() or _sha256(self.folder / name) != sha256
        ]  # fmt: skip

    def load_variables(self) -> dict[str, Any]:
        """Return fresh variables; their buffers are private, writable views of the mapped file."""
        buffers: list[memoryview] = []
        path = self.folder / "variables.buf"
        if self.buffers:
            with path.open("rb") as file:
                mapped = mmap.mmap(
                    file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE
                )
            view = memoryview(mapped)
            buffers = [view[start : start + size] for start, size in self.buffers]
        loaded = pickle.loads((self.folder / "variables.pkl").read_bytes(), buffers=buffers)
        if not isinstance(loaded, dict):
            raise ImageError(f"image {self.ref}: variables.pkl holds no dict; prepare it again")
        return loaded


def build_image(source: ImageSource, images: Path) -> KernelImage:
    """Write an image below `images` (atomically, once per content) and return it."""
    images.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=images, prefix=".building-") as building:
        folder = Path(building) / "image"
        folder.mkdir()
        ref = _write(source, folder)
        final = images / ref
        if not final.exists():
            try:
                folder.rename(final)
            except OSError:
                if not final.exists():  # else another process has just written the same content
                    raise
    return load_image(ref, images)


def load_image(ref: str, images: Path) -> KernelImage:
    """Read an image's description; the variables themselves are loaded in the kernel.

    Raises:
        ImageError: not prepared here, or of another format.
    """
    folder = images / ref
    try:
        described = json.loads((folder / "image.json").read_text())
    except FileNotFoundError:
        suite = ref.partition("@")[0].partition(".")[0]
        raise ImageError(
            f"kernel image {ref} is not prepared in {images}; run: benchside prepare {suite}"
        ) from None
    except json.JSONDecodeError as error:
        raise ImageError(
            f"{folder / 'image.json'} is damaged ({error}); delete the folder and prepare again"
        ) from None
    if described.pop("format", None) != FORMAT:
        raise ImageError(f"{folder} was made by another version; delete it and prepare again")
    return KernelImage(
        ref=ref,
        folder=folder,
        imports=tuple(described["imports"]),
        variables=tuple(described["variables"]),
        buffers=tuple((start, size) for start, size in described["buffers"]),
        has_database=described["has_database"],
        files=tuple(described["files"]),
        hidden=tuple(described["hidden"]),
        description=described["description"],
        versions=described["versions"],
        hashes=described["hashes"],
    )


def _write(source: ImageSource, folder: Path) -> str:
    """Write all parts into `folder`; return the reference, name@hash."""
    spans: list[tuple[int, int]] = []
    with (folder / "variables.buf").open("wb") as file:

        def keep(buffer: pickle.PickleBuffer) -> None:
            start = -(-file.tell() // ALIGN) * ALIGN
            file.write(b"\0" * (start - file.tell()))
            raw = buffer.raw()
            file.write(raw)
            spans.append((start, raw.nbytes))

        pickled = pickle.dumps(dict(source.variables), protocol=5, buffer_callback=keep)
    (folder / "variables.pkl").write_bytes(pickled)
    if source.database is not None:
        shutil.copyfile(source.database, folder / "database.sqlite")
    for name, path in source.files.items():
        target = folder / "files" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    hashes = {
        str(path.relative_to(folder)): _sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    described = {
        "format": FORMAT,
        "imports": source.imports,
        "variables": list(source.variables),
        "buffers": spans,
        "has_database": source.database is not None,
        "files": list(source.files),
        "hidden": list(source.hidden),
        "description": source.description,
        "versions": _versions(),
        "hashes": hashes,
    }
    text = json.dumps(described, indent=1, sort_keys=True)
    (folder / "image.json").write_text(text)
    return f"{source.name}@{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _versions() -> dict[str, str]:
    """The packages whose objects lie in the pickle; a kernel needs compatible ones."""
    names = [name for name in ("numpy", "pandas") if name in sys.modules]
    found: dict[str, str] = {name: str(sys.modules[name].__version__) for name in names}
    return {"python": ".".join(map(str, sys.version_info[:2])), **found}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def font_cache(home: Path) -> Path:
    """Where kernels find matplotlib's font list; without it each spends seconds to make its own."""
    return home / "cache" / "matplotlib"


def prepare_font_cache(home: Path) -> None:
    """Make matplotlib's font list once, in a process of its own."""
    folder = font_cache(home)
    if any(folder.glob("fontlist-*.json")):
        return
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "MPLCONFIGDIR": str(folder)}
    subprocess.run(
        [sys.executable, "-P", "-c", "import matplotlib.font_manager"],
        env=environment, check=False, timeout=300,  # says why; kernels then make their own
    )  # fmt: skip


def images_folder(home: Path) -> Path:
    """Where images lie below a Benchside home."""
    return home / "images"
