"""Images: equal content gives equal references, damage is named."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchside_kernels.errors import ImageError
from benchside_kernels.image import ImageSource, build_image, load_image


def source(value: float = 1.0) -> ImageSource:
    table = pd.DataFrame({"x": np.full(1_000, value), "name": ["p"] * 1_000})
    return ImageSource("suite.table", variables={"table": table, "limits": {"low": 1}})


def test_the_reference_is_the_content(tmp_path: Path) -> None:
    first = build_image(source(), tmp_path / "a")
    again = build_image(source(), tmp_path / "a")
    elsewhere = build_image(source(), tmp_path / "b")
    other = build_image(source(2.0), tmp_path / "a")
    assert first == again
    assert first.ref == elsewhere.ref != other.ref
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(
        [first.ref, other.ref]
    )


def test_loaded_tables_are_equal_writable_and_private(tmp_path: Path) -> None:
    image = build_image(source(), tmp_path)
    one, two = image.load_variables(), image.load_variables()
    pd.testing.assert_frame_equal(one["table"], source().variables["table"])
    one["table"].loc[:, "x"] = -5.0
    assert two["table"].x.iloc[0] == 1.0
    assert image.load_variables()["table"].x.iloc[0] == 1.0
    assert one["limits"] == {"low": 1}


def test_a_missing_or_damaged_image_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="benchside prepare suite"):
        load_image("suite.table@0000", tmp_path)
    image = build_image(source(), tmp_path)
    (image.folder / "image.json").write_text("{")
    with pytest.raises(ImageError, match="damaged"):
        load_image(image.ref, tmp_path)
    (image.folder / "image.json").write_text('{"format": 0}')
    with pytest.raises(ImageError, match="another version"):
        load_image(image.ref, tmp_path)
