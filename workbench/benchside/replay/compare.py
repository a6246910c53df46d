"""Compares what a cell gave with what it gave again, output by output, each by its type.

`identical` means byte for byte but for execution counts; `equal` that whatever differs is noise of
any two kernels (addresses, folders, durations of cells that measure time, the last shown digit);
`different` all else. Left out on purpose: why they differ, see `causes`.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from benchside.replay.html_table import table_difference, tables
from benchside.replay.text import first_difference, settled, shown
from benchside.task import Frozen
from benchside_kernels.cell import CellResult
from benchside_kernels.output import joined
from benchside_kernels.submission import MIME as SUBMISSION_MIME

Verdict = Literal["identical", "equal", "different"]
Nature = Literal["status", "outputs", "text", "table", "image", "error", "submission", "value"]

PIXEL_TOL = 8  # of 255: anti-aliasing
PIXEL_SHARE = 0.001

Found = tuple[Nature, str, str]
_Output = dict[str, Any]


class CellVerdict(Frozen):
    """The comparison of one cell.

    Args:
        nature: of the first difference; None unless different.
        before, after: the parts that differ, as evidence.
    """

    cell_id: str
    verdict: Verdict
    nature: Nature | None = None
    before: str = ""
    after: str = ""


def compare_cells(before: CellResult, after: CellResult) -> CellVerdict:
    """Compare two results of the same source."""
    if before.status == after.status and _plain(before) == _plain(after):
        return CellVerdict(cell_id=before.cell_id, verdict="identical")
    found = _first(before, after)
    if found is None:
        return CellVerdict(cell_id=before.cell_id, verdict="equal")
    nature, ours, theirs = found
    return CellVerdict(
        cell_id=before.cell_id, verdict="different", nature=nature, before=ours, after=theirs
    )


def compare_all(
    before: Sequence[CellResult], after: Sequence[CellResult]
) -> tuple[CellVerdict, ...]:
    """Compare cells by their ids; a cell that was not run again differs."""
    again = {result.cell_id: result for result in after}
    return tuple(
        compare_cells(result, again[result.cell_id])
        if result.cell_id in again
        else CellVerdict(
            cell_id=result.cell_id, verdict="different", nature="status", before=result.status,
            after="not run: no kernel was left",
        )
        for result in before
    )  # fmt: skip


def _plain(result: CellResult) -> str:
    outputs = [{k: v for k, v in one.items() if k != "execution_count"} for one in result.outputs]
    return json.dumps(outputs, sort_keys=True)


def _first(before: CellResult, after: CellResult) -> Found | None:
    if before.status != after.status:
        return "status", _ended(before), _ended(after)
    if len(before.outputs) != len(after.outputs):
        return "outputs", _listed(before), _listed(after)
    for one, other in zip(before.outputs, after.outputs, strict=True):
        found = _outputs(one, other, before.source)
        if found is not None:
            return found
    return None


def _ended(result: CellResult) -> str:
    errors = [out for out in result.outputs if out["output_type"] == "error"]
    return shown(": ".join([result.status, *(f"{e['ename']}: {e['evalue']}" for e in errors)]))


def _listed(result: CellResult) -> str:
    kinds = ", ".join(out["output_type"] for out in result.outputs)
    return f"{len(result.outputs)} outputs ({kinds})"


def _outputs(before: _Output, after: _Output, source: str) -> Found | None:
    kinds = before["output_type"], after["output_type"]
    if kinds[0] != kinds[1] or before.get("name") != after.get("name"):
        return "outputs", *(
            f"{out['output_type']} {out.get('name', '')}" for out in (before, after)
        )  # type: ignore[return-value]
    if kinds[0] == "stream":
        return _texts("text", before["text"], after["text"], source)
    if kinds[0] == "error":
        texts = [
            "\n".join([f"{out['ename']}: {out['evalue']}", *out["traceback"]])
            for out in (before, after)
        ]
        return _texts("error", texts[0], texts[1], source)
    return _bundles(before["data"], after["data"], source)


def _bundles(before: dict[str, Any], after: dict[str, Any], source: str) -> Found | None:
    if before.keys() != after.keys():
        return "outputs", ", ".join(sorted(before)), ", ".join(sorted(after))
    # a table or a submission says more of what differs than its text does
    for mime in sorted(before, key=lambda mime: (mime != SUBMISSION_MIME, mime != "text/html")):
        found = _bodies(mime, before[mime], after[mime], source)
        if found is not None:
            return found
    return None


def _bodies(mime: str, before: Any, after: Any, source: str) -> Found | None:
    if before == after:
        return None
    if mime == SUBMISSION_MIME or mime.endswith("json"):
        texts = [json.dumps(body, sort_keys=True, ensure_ascii=False) for body in (before, after)]
        nature: Nature = "submission" if mime == SUBMISSION_MIME else "value"
        return _texts(nature, texts[0], texts[1], source)
    if mime in ("image/png", "image/jpeg"):
        return _images(before, after)
    if mime == "text/html" and (ours := tables(before)) and (theirs := tables(after)):
        if len(ours) != len(theirs):
            return "table", f"{len(ours)} tables", f"{len(theirs)} tables"
        for one, other in zip(ours, theirs, strict=True):
            found = table_difference(one, other)
            if found is not None:
                return "table", *found
        return None
    return _texts("text", joined(before), joined(after), source)


def _texts(nature: Nature, before: str, after: str, source: str) -> Found | None:
    found = first_difference(settled(joined(before), source), settled(joined(after), source))
    return None if found is None else (nature, *found)


def _images(before: str, after: str) -> Found | None:
    # imported here: only outputs with pictures need it
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415

    pixels = []
    for body in (before, after):
        try:
            with Image.open(io.BytesIO(base64.b64decode(body))) as image:
                pixels.append(np.asarray(image.convert("RGBA"), dtype=np.int16))  # (H, W, 4)
        except (UnidentifiedImageError, binascii.Error, OSError, ValueError):
            return "image", "not the same bytes", "and no readable image"
    ours, theirs = pixels
    if ours.shape != theirs.shape:
        return "image", *(f"{p.shape[1]} × {p.shape[0]} pixels" for p in pixels)  # type: ignore[return-value]
    share = float((np.abs(ours - theirs).max(axis=2) > PIXEL_TOL).mean())
    if share <= PIXEL_SHARE:
        return None
    return "image", f"{ours.shape[1]} × {ours.shape[0]} pixels", f"{share:.1%} of them differ"
