"""Scenes of PNG files, as from a microscope: spots, shapes, stripes, stained tissue."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchside.suites.imaging import measure
from benchside.suites.imaging.scene import Scene, choice, whole, within
from benchside.task import AnswerSchema

SIDE = 96
SHOW = "plt.imshow(picture('image.png') / 255, cmap='gray')\nplt.show()"


def png_bytes(pixels: npt.NDArray[np.float64]) -> bytes:
    """Return a PNG, 8 bits a channel."""
    buffer = io.BytesIO()
    Image.fromarray(np.clip(np.round(pixels), 0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def _discs(rng: np.random.Generator, count: int) -> list[npt.NDArray[np.bool_]]:
    """Masks that do not touch, in a grid of cells."""
    y, x = np.mgrid[:SIDE, :SIDE]
    cells = rng.permutation(16)[:count]
    masks = []
    for cell in cells:
        cy, cx = 12 + 24 * (cell // 4), 12 + 24 * (cell % 4)
        cy, cx = cy + rng.uniform(-2, 2), cx + rng.uniform(-2, 2)
        masks.append((y - cy) ** 2 + (x - cx) ** 2 <= rng.uniform(3, 8) ** 2)
    return masks


def _background(rng: np.random.Generator, level: float = 40.0) -> npt.NDArray[np.float64]:
    return np.asarray(np.clip(rng.normal(level, 6, (SIDE, SIDE)), 0, 80))


def count(rng: np.random.Generator, seed: str) -> Scene:
    """Number of cells, without specks."""
    masks = _discs(rng, int(rng.integers(2, 15)))
    image = _background(rng)
    for mask in masks:
        image[mask] = rng.uniform(150, 240)
    image[0, :: int(rng.integers(5, 20))] = 200  # specks of one pixel, at the border
    schema, grader = whole("number of cells")
    return Scene(
        {"image.png": png_bytes(image)},
        "How many cells are in the micrograph `image.png`? A cell is a connected region (by sides) "
        "brighter than 110 of at least 10 pixels.",
        len(masks),
        measure.count_spots,
        ("image.png", 110, 10),
        schema,
        grader,
        (measure.picture,),
        SHOW,
    )


def largest(rng: np.random.Generator, seed: str) -> Scene:
    """Area of the largest cell."""
    masks = _discs(rng, int(rng.integers(3, 12)))
    image = _background(rng)
    for mask in masks:
        image[mask] = rng.uniform(150, 240)
    schema, grader = whole("pixels")
    return Scene(
        {"image.png": png_bytes(image)},
        "How many pixels has the largest connected region (by sides) brighter than 110 in "
        "`image.png`?",
        int(max(mask.sum() for mask in masks)),
        measure.largest_spot,
        ("image.png", 110),
        schema,
        grader,
        (measure.picture,),
        SHOW,
    )


def quadrant(rng: np.random.Generator, seed: str) -> Scene:
    """The brightest quadrant."""
    names = ("top left", "top right", "bottom left", "bottom right")
    place = int(rng.integers(0, 4))
    image = _background(rng, 50)
    half = SIDE // 2
    for k in range(4):
        y, x = half * (k // 2), half * (k % 2)
        image[y : y + half, x : x + half] += 12 if k == place else rng.uniform(0, 8)
    schema, grader = choice("quadrant", *names)
    return Scene(
        {"image.png": png_bytes(image)},
        "Which quadrant of `image.png` has the highest mean grey level?",
        names[place],
        measure.brightest_quadrant,
        ("image.png",),
        schema,
        grader,
        (measure.picture,),
        SHOW,
    )


def stain(rng: np.random.Generator, seed: str) -> Scene:
    """Share of stained tissue."""
    tissue = np.zeros((SIDE, SIDE), bool)
    tissue[8 : 8 + int(rng.integers(40, 80)), 8 : 8 + int(rng.integers(40, 80))] = True
    brown = tissue & (rng.random((SIDE, SIDE)) < rng.uniform(0.1, 0.8))
    image = np.full((SIDE, SIDE, 3), 245.0)
    image[tissue] = (120, 120, 180)
    image[brown] = (150, 90, 60)
    image += rng.integers(-6, 7, image.shape)
    return Scene(
        {"image.png": png_bytes(image)},
        "What percentage of the tissue in the RGB picture `image.png` is stained brown? "
        "Tissue is where "
        "the smallest channel is below 200; brown is tissue where red exceeds blue by more "
        "than 40.",
        100 * float(brown.sum()) / float(tissue.sum()),
        measure.stained_share,
        ("image.png",),
        AnswerSchema(kind="number", unit="%"),
        within(0.05),
        (measure.picture,),
        SHOW,
    )


def stripes(rng: np.random.Generator, seed: str) -> Scene:
    """Period of stripes."""
    period = float(rng.uniform(4, 16))
    x = np.arange(SIDE)
    image = _background(rng, 40) + 60 + 60 * np.sin(2 * np.pi * x / period + rng.uniform(0, 6))
    return Scene(
        {"image.png": png_bytes(image)},
        "`image.png` has vertical stripes whose brightness is a sine wave. What is its period, in "
        "pixels? The answer may be off by 4%.",
        period,
        measure.stripe_period,
        ("image.png",),
        grader=within(0.0, 0.04),
        uses=(measure.picture,),
        show=SHOW,
    )


def shape(rng: np.random.Generator, seed: str) -> Scene:
    """Ratio of the axes of an ellipse that is turned."""
    ratio, minor = float(rng.uniform(1.3, 3.0)), float(rng.uniform(8, 13))
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    image = _background(rng)
    image[(u / (ratio * minor)) ** 2 + (v / minor) ** 2 <= 1] = 200
    return Scene(
        {"image.png": png_bytes(image)},
        "`image.png` shows one bright ellipse (above 110). What is the ratio of its longer to its "
        "shorter axis? The answer may be off by 3%.",
        ratio,
        measure.elongation,
        ("image.png", 110),
        grader=within(0.0, 0.03),
        uses=(measure.picture,),
        show=SHOW,
    )
