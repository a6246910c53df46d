"""Scenes of real samples, read where pydicom and scikit-image have installed them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import skimage.data
from pydicom.data import get_testdata_file

from benchside.suites.imaging import measure
from benchside.suites.imaging.scene import Scene, whole, within

# uncompressed, little-endian, 16 bits
SIZES = {"CT_small.dcm": 128, "MR_small.dcm": 64}


def stored_pixels(name: str) -> list[int]:
    """Return the stored pixels, found by their tag in the raw file, without pydicom."""
    found = get_testdata_file(name)
    assert isinstance(found, str)
    raw = Path(found).read_bytes()
    size = SIZES[name] ** 2 * 2
    start = raw.rindex(b"\xe0\x7f\x10\x00OW\x00\x00" + size.to_bytes(4, "little")) + 12
    return [int(x) for x in np.frombuffer(raw[start : start + size], "<i2")]


def sample(rng: np.random.Generator, seed: str) -> Scene:
    """A statistic of a real CT or MR slice."""
    name = str(rng.choice(sorted(SIZES)))
    what = str(rng.choice(["largest", "mean", "deviation"]))
    pixels = stored_pixels(name)
    mean = sum(pixels) / len(pixels)
    deviation = (sum((x - mean) ** 2 for x in pixels) / len(pixels)) ** 0.5
    gold = {"largest": float(max(pixels)), "mean": mean, "deviation": deviation}[what]
    said = {
        "largest": "largest",
        "mean": "mean",
        "deviation": "population standard deviation of the",
    }
    return Scene(
        {},
        f"What is the {said[what]} stored pixel value (without rescaling) of the sample "
        f"`{name}` that "
        "comes with pydicom (`pydicom.data.get_testdata_file`)?",
        gold,
        measure.sample_statistic,
        (name, what),
        grader=within(0.01),
    )


def coins(rng: np.random.Generator, seed: str) -> Scene:
    """Bright regions in a real picture, counted by flooding from pixel to pixel."""
    threshold, least = int(rng.integers(120, 190)), int(rng.integers(30, 400))
    found = skimage.data.coins()  # type: ignore[no-untyped-call]
    left = {(int(y), int(x)) for y, x in np.argwhere(found > threshold)}
    count = 0
    while left:
        stack, size = [left.pop()], 0
        while stack:
            y, x = stack.pop()
            size += 1
            for near in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if near in left:
                    left.remove(near)
                    stack.append(near)
        count += size >= least
    schema, grader = whole("number of regions")
    return Scene(
        {},
        f"How many connected regions (by sides) brighter than {threshold} with at least "
        f"{least} pixels "
        "has the picture `skimage.data.coins()`?",
        count,
        measure.coin_count,
        (threshold, least),
        schema,
        grader,
    )
