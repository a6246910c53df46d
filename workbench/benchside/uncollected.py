"""`uncollected`: make very many objects without a search for garbage among them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Let no garbage be looked for meanwhile: for what is read from a file and kept.

    Otherwise Python goes through all that is there again and again as it grows, which for 100,000
    tasks costs more than to parse them.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
