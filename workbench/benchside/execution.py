"""Runs what was submitted, or checks over it, in a fresh kernel with no gold within reach.

The kernel is of the task's own image, used once, and killed with all that the program has started.
What a program does wrong (hang, crash, flood) is an outcome that fails; what a kernel does wrong is
an error and never a reward. Judging is the grader's matter.
"""

from __future__ import annotations

from pathlib import Path

from benchside.graders.grader import UnreadableError
from benchside.graders.observed import ObservedGrader
from benchside_kernels.backend import KernelMaker
from benchside_kernels.cell import CellResult
from benchside_kernels.image import KernelImage
from benchside_kernels.session import KernelSession
from benchside_kernels.submission import Json

MEMORY_MIB = 2048
MAX_OUTPUT_CHARS = 2_000
SLACK_S = 20.0


async def observe(
    grader: ObservedGrader,
    submission: Json,
    *,
    image: KernelImage,
    maker: KernelMaker,
    hidden: tuple[Path, ...],
    files: tuple[str, ...] = (),
) -> Json:
    """Run a grader's cell on a submission.

    Args:
        hidden: paths that the cell must not read: answer keys and Benchside's own code.
        files: files of the image that the cell reads.

    Returns:
        {"outcomes": [...]}, or {"failed": why}: what `ObservedGrader.judge` compares.

    Raises:
        KernelStartError: no kernel came up.
    """
    try:
        cell = grader.cell(submission)
    except UnreadableError as problem:
        return {"failed": str(problem)}
    session = KernelSession(
        image, files=files, hidden=hidden, memory_mib=MEMORY_MIB, max_output_chars=MAX_OUTPUT_CHARS,
        lease_s=grader.timeout_s + SLACK_S, maker=maker,
    )  # fmt: skip
    async with session:
        result = await session.run(cell, grader.timeout_s)
    if result.submission is None:
        return {"failed": _why(result)}
    return {"outcomes": result.submission.value}


def _why(result: CellResult) -> str:
    errors = [out for out in result.outputs if out["output_type"] == "error"]
    said = f": {errors[-1]['ename']}: {errors[-1]['evalue']}"[:300] if errors else ""
    return f"the submission gave no outcomes ({result.status}{said}) {result.note}".strip()
