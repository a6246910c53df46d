"""`KernelRequest`: which kernel is wanted. It travels as JSON to the supervisor."""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchside_kernels.hosts import Host
from benchside_kernels.image import KernelImage, load_image


@dataclass(frozen=True, slots=True)
class KernelRequest:
    """What kernel is wanted; see `KernelSession` for the fields.

    `more_images` are not loaded, but `setup(...)` in a cell may. After `lease_s` the kernel is
    killed, whatever becomes of its owner; None: it lives as long as the owner does. Without `hosts`
    it has no network. `hash_seed` is Python's, which decides the order of sets of texts.
    """

    image: KernelImage | None
    files: tuple[str, ...]
    hidden: tuple[Path, ...]
    seed: int
    memory_mib: int
    max_output_chars: int
    setup_source: str
    more_images: tuple[KernelImage, ...] = ()
    lease_s: float | None = None
    hosts: tuple[Host, ...] = ()
    hash_seed: int = 0

    @property
    def images(self) -> tuple[KernelImage, ...]:
        """All images that the kernel may read; they have one home."""
        return self.more_images if self.image is None else (self.image, *self.more_images)

    @property
    def home(self) -> Path | None:
        """The Benchside home of the images; None where there is no image."""
        return self.images[0].folder.parent.parent if self.images else None

    def as_message(self) -> dict[str, Any]:
        """Return what `from_message` makes an equal request of."""
        images = [str(image.folder) for image in self.images]
        plain = replace(self, image=None, more_images=(), hidden=())
        return {
            **asdict(plain), "image": self.image is not None, "more_images": images,
            "hidden": [str(path) for path in self.hidden],
        }  # fmt: skip

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> KernelRequest:
        """Rebuild a request.

        Raises:
            ImageError: an image is not there any more.
        """
        images = [_image(Path(folder)) for folder in message["more_images"]]
        image = images.pop(0) if message["image"] else None
        parts = {
            "image": image, "more_images": tuple(images), "files": tuple(message["files"]),
            "hidden": tuple(Path(path) for path in message["hidden"]),
            "hosts": tuple(Host(**host) for host in message["hosts"]),
        }  # fmt: skip
        return cls(**{**message, **parts})


@functools.lru_cache(maxsize=256)
def _image(folder: Path) -> KernelImage:
    return load_image(folder.name, folder.parent)
