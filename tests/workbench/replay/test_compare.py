"""Cells compared by type: what is noise, and what is not."""

import base64
import io

import pytest
from PIL import Image

from benchside.replay.compare import CellVerdict, compare_cells
from benchside_kernels.cell import CellResult
from benchside_kernels.submission import MIME

HTML = "<table><tr><th></th><th>age</th></tr><tr><th>0</th><td>{}</td></tr></table>"


def cell(output: dict, source: str = "x", status: str = "ok") -> CellResult:
    return CellResult("cell-001", source, status, (output,), 0.1)


def printed(text: str, source: str = "x") -> CellResult:
    return cell({"output_type": "stream", "name": "stdout", "text": text}, source)


def bundle(mime: str, body: object) -> CellResult:
    return cell({"output_type": "display_data", "metadata": {}, "data": {mime: body}})


def picture(colour: int, dots: int = 0, size: int = 100) -> CellResult:
    image = Image.new("L", (size, 100), colour)
    for place in range(dots):
        image.putpixel((place % 100, place // 100), 0)
    file = io.BytesIO()
    image.save(file, "png")
    return bundle("image/png", base64.b64encode(file.getvalue()).decode())


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ("mean 62.88", "mean 62.88", "identical"),
        ("<object at 0x7f01>", "<object at 0x7f02>", "equal"),
        ("/kernel/work a", "/kernel/other a", "equal"),
        ("p = 0.0123456", "p = 0.0123457", "equal"),
        ("p = 1.234567890123", "p = 1.234567890124", "equal"),
        ("x  0.1234567\n", "x 0.12345671\n", "equal"),
        ("p = 0.1", "p = 0.2", "different"),
        ("p = 0.0123", "p = 0.0133", "different"),
        ("n = 4", "n = 5", "different"),
        ("id 12345678", "id 12345679", "different"),
        ("M8140929", "M8140928", "different"),
        ("QT 400 ms", "QT 410 ms", "different"),
        ("['a', 'b']", "['b', 'a']", "different"),
        ("1 2", "1 2 3", "different"),
    ],
)
def test_texts(before: str, after: str, verdict: str) -> None:
    assert compare_cells(printed(before), printed(after)).verdict == verdict


def test_durations_are_noise_where_a_cell_measures_time() -> None:
    source = "%timeit f()"
    found = compare_cells(printed("1.2 ms ± 3 µs", source), printed("9.9 ms ± 1e+03 ns", source))
    assert found.verdict == "equal"


def test_tables_name_the_cell_that_differs() -> None:
    shown = [bundle("text/html", HTML.format(age)) for age in ("62.12345678", "62.12345679", "63")]
    assert compare_cells(shown[0], shown[1]).verdict == "equal"
    found = compare_cells(shown[0], shown[2])
    assert (found.verdict, found.nature) == ("different", "table")
    assert found.after == "column 'age', row '0' (1): 63"
    wide = bundle("text/html", HTML.replace("<td>", "<td>1</td><td>").format(5))
    assert compare_cells(shown[0], wide).after == "2 rows × 3 columns"


def test_pictures_by_their_pixels() -> None:
    assert compare_cells(picture(200), picture(203, dots=5)).verdict == "equal"
    found = compare_cells(picture(200), picture(200, dots=500))
    assert (found.verdict, found.nature, found.after) == (
        "different", "image", "5.0% of them differ",
    )  # fmt: skip
    assert compare_cells(picture(200), picture(200, size=90)).after == "90 × 100 pixels"


def test_submissions_errors_and_endings() -> None:
    values = [bundle(MIME, value) for value in ({"a": 1.0}, {"a": 1.0 + 1e-12}, {"a": 2.0})]
    assert compare_cells(values[0], values[1]).verdict == "equal"
    assert compare_cells(values[0], values[2]).nature == "submission"
    errors = [
        cell(
            {"output_type": "error", "ename": "KeyError", "evalue": name,
             "traceback": [f"Cell In[{n}], line 1\n{name}"]},
            status="error",
        )
        for n, name in ((2, "'a'"), (5, "'a'"), (2, "'b'"))
    ]  # fmt: skip
    assert compare_cells(errors[0], errors[1]).verdict == "equal"
    assert compare_cells(errors[0], errors[2]).nature == "error"
    assert compare_cells(errors[0], printed("a")) == CellVerdict(
        cell_id="cell-001", verdict="different", nature="status", before="error: KeyError: 'a'",
        after="ok",
    )  # fmt: skip
