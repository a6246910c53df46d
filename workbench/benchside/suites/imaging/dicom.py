"""Scenes of DICOM files: ellipses and spots, with spacing, rescaling and orientation."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from benchside.suites.imaging import measure
from benchside.suites.imaging.scene import Scene, choice, within
from benchside.task import AnswerSchema

Image = npt.NDArray[np.float64]
SIZE = 64
SLOPE = 0.5
SHOW = "plt.imshow(hounsfield({name!r})[0], cmap='gray')\nplt.show()"


def dicom_bytes(image: Image, seed: str, **tags: Any) -> bytes:
    """Return a DICOM file of an image in Hounsfield units, stored as value = {SLOPE} x + -1024."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[seed])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    data.Modality, data.PatientID = "CT", "generated"
    data.Rows, data.Columns = image.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
    data.RescaleSlope, data.RescaleIntercept = SLOPE, -1024
    for name, value in {"PixelSpacing": [1.0, 1.0], **tags}.items():
        setattr(data, name, value)
    data.PixelData = np.round((image + 1024) / SLOPE).astype("<u2").tobytes()
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def ellipse(centre: tuple[float, float], radii: tuple[float, float]) -> npt.NDArray[np.bool_]:
    """Return a mask, (SIZE, SIZE)."""
    y, x = np.mgrid[:SIZE, :SIZE]
    inside = ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 <= 1
    return np.asarray(inside)


def _noise(rng: np.random.Generator, level: float = 0.0) -> Image:
    # whole units: they are stored without rounding
    return np.asarray(np.round(rng.normal(level, 8, (SIZE, SIZE))), dtype=np.float64)


def _spacing(rng: np.random.Generator) -> list[float]:
    return [round(float(x), 2) for x in rng.uniform(0.4, 1.6, 2)]


def area(rng: np.random.Generator, seed: str) -> Scene:
    """Area of a lesion."""
    spacing = _spacing(rng)
    mask = ellipse(
        (rng.uniform(24, 40), rng.uniform(24, 40)), (rng.uniform(5, 15), rng.uniform(5, 15))
    )
    image = _noise(rng) + 200.0 * mask
    return Scene(
        {"slice.dcm": dicom_bytes(image, seed, PixelSpacing=spacing)},
        "`slice.dcm` is a CT slice with one bright lesion. What is its area in mm²: that of "
        "all pixels "
        "above 100 HU? Mind rescaling and pixel spacing.",
        float(mask.sum()) * spacing[0] * spacing[1],
        measure.area_above,
        ("slice.dcm", 100),
        AnswerSchema(kind="number", unit="mm²"),
        within(0.0, 1e-3),
        (measure.hounsfield,),
        SHOW.format(name="slice.dcm"),
    )


def density(rng: np.random.Generator, seed: str) -> Scene:
    """Mean density in a rectangle."""
    image = _noise(rng, float(rng.integers(-100, 100)))
    top, left = (int(x) for x in rng.integers(5, 30, 2))
    bottom, right = top + int(rng.integers(6, 25)), left + int(rng.integers(6, 25))
    image[top:bottom, left:right] += float(rng.integers(50, 400))
    total = sum(float(image[y, x]) for y in range(top, bottom) for x in range(left, right))
    return Scene(
        {"slice.dcm": dicom_bytes(image, seed)},
        f"What is the mean density in HU of rows {top} to {bottom - 1} and columns {left} to "
        f"{right - 1} (from 0, both included) of the CT slice `slice.dcm`?",
        total / ((bottom - top) * (right - left)),
        measure.mean_in,
        ("slice.dcm", top, left, bottom, right),
        AnswerSchema(kind="number", unit="HU"),
        within(0.05),
        (measure.hounsfield,),
        SHOW.format(name="slice.dcm"),
    )


def window(rng: np.random.Generator, seed: str) -> Scene:
    """Displayed grey level of a pixel."""
    centre, width = int(rng.integers(0, 80)), int(rng.integers(150, 450))
    row, column = (int(x) for x in rng.integers(0, SIZE, 2))
    value = int(centre + rng.uniform(-0.45, 0.45) * width)
    image = _noise(rng, centre)
    image[row, column] = value
    return Scene(
        {"slice.dcm": dicom_bytes(image, seed, WindowCenter=centre, WindowWidth=width)},
        f"Shown with its own window, what grey level between 0 and 255 has the pixel in row "
        f"{row} and "
        f"column {column} (from 0) of `slice.dcm`? Grey rises linearly from 0 at window centre - "
        "width/2 to 255 at centre + width/2. Do not round.",
        255 * (value - centre + width / 2) / width,
        measure.displayed,
        ("slice.dcm", row, column),
        grader=within(0.1),
        uses=(measure.hounsfield,),
        show=SHOW.format(name="slice.dcm"),
    )


def distance(rng: np.random.Generator, seed: str) -> Scene:
    """Distance of two markers."""
    spacing = _spacing(rng)
    one = rng.integers(6, 26, 2)
    other = np.array([rng.integers(36, 58), rng.integers(6, 58)])
    image = _noise(rng)
    for y, x in (one, other):
        image[y - 1 : y + 2, x - 1 : x + 2] = 900
    step = (one - other) * np.array(spacing)
    return Scene(
        {"slice.dcm": dicom_bytes(image, seed, PixelSpacing=spacing)},
        "Two square markers above 500 HU lie in the CT slice `slice.dcm`. How far apart are their "
        "centres, in mm?",
        float(np.hypot(*step)),
        measure.marker_distance,
        ("slice.dcm", 500),
        AnswerSchema(kind="number", unit="mm"),
        within(0.02),
        (measure.hounsfield,),
        SHOW.format(name="slice.dcm"),
    )


def _series(
    rng: np.random.Generator, seed: str
) -> tuple[dict[str, bytes], list[float], float, str]:
    """Files of a series in no order; the areas in mm², the slice distance, the highest slice."""
    spacing, step = _spacing(rng), round(float(rng.uniform(1, 5)), 1)
    count = int(rng.integers(4, 8))
    names = [f"image{n}.dcm" for n in rng.permutation(count)]
    start = round(float(rng.uniform(-300, 0)), 1)
    files, areas = {}, []
    for k, name in enumerate(names):
        mask = ellipse((32, 32), (rng.uniform(4, 14), rng.uniform(4, 14)))
        place = round(start + k * step, 3)
        files[name] = dicom_bytes(
            _noise(rng) + 200.0 * mask,
            f"{seed} {k}",
            PixelSpacing=spacing,
            SliceThickness=step,
            ImagePositionPatient=[0.0, 0.0, place],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        )
        areas.append(float(mask.sum()) * spacing[0] * spacing[1])
    return dict(sorted(files.items())), areas, step, names[-1]


def volume(rng: np.random.Generator, seed: str) -> Scene:
    """Volume of an organ in a series."""
    files, areas, step, _ = _series(rng, seed)
    return Scene(
        files,
        "The DICOM files are the slices of one CT series, equally far apart. What is the "
        "volume in ml "
        "of all that is above 100 HU: area times slice distance, over all slices?",
        sum(areas) * step / 1000,
        measure.volume_above,
        (list(files), 100),
        AnswerSchema(kind="number", unit="ml"),
        within(0.0, 1e-3),
        (measure.hounsfield,),
        SHOW.format(name=next(iter(files))),
    )


def topmost(rng: np.random.Generator, seed: str) -> Scene:
    """The slice nearest to the head."""
    files, _, _, name = _series(rng, seed)
    schema, grader = choice("file name", *files)
    return Scene(
        files,
        "The DICOM files are the slices of one axial CT series, in no order. Which file is "
        "the slice "
        "nearest to the head?",
        name,
        measure.highest_slice,
        (list(files),),
        schema,
        grader,
        (measure.hounsfield,),
        SHOW.format(name=next(iter(files))),
    )


def side(rng: np.random.Generator, seed: str) -> Scene:
    """Side of the patient with a marker, in images that may be flipped."""
    flipped, right = (bool(x) for x in rng.integers(0, 2, 2))
    image = _noise(rng)
    row, column = (
        int(rng.integers(10, 54)),
        int(rng.integers(40, 58) if right else rng.integers(6, 24)),
    )
    image[row - 2 : row + 3, column - 2 : column + 3] = 800
    schema, grader = choice("side of the patient", "left", "right")
    direction = [-1, 0, 0, 0, 1, 0] if flipped else [1, 0, 0, 0, 1, 0]
    return Scene(
        {
            "slice.dcm": dicom_bytes(
                image, seed, ImageOrientationPatient=direction, ImagePositionPatient=[0.0, 0.0, 0.0]
            )
        },
        "On which side of the patient lies the marker above 500 HU in the axial slice "
        "`slice.dcm`? Mind "
        "the orientation in the header.",
        "left" if right != flipped else "right",
        measure.marker_side,
        ("slice.dcm", 500),
        schema,
        grader,
        (measure.hounsfield,),
        SHOW.format(name="slice.dcm"),
    )
