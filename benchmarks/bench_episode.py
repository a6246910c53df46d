"""A ten-step episode, in a forked kernel and by one script per step.

    python benchmarks/bench_episode.py

The baselines run each step as `python file.py` with the same imports, reading the same tables, as
script-per-step systems do: once waiting for the end of the process, once looking for it every
second. They do not repeat earlier steps to get their variables back, which favours them.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench_kernels import IMPORTS, made_image
from measure import Timing, repeat

from benchside_kernels.forked import ForkedKernels
from benchside_kernels.image import KernelImage
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.session import KernelSession

POLL_S = 1.0
STEPS = (
    "labs.shape",
    "labs.head()",
    "labs.iloc[:50_000].valuenum.describe()",
    "labs.iloc[:50_000].isna().sum()",
    "few = labs.iloc[:50_000]; few.groupby('itemid').valuenum.mean().nlargest(3)",
    "few = labs.iloc[:50_000]; (few.valuenum > few.ref_high).mean()",
    "labs.iloc[:50_000].subject_id.nunique()",
    "labs.iloc[:20_000].sort_values('charttime').tail(3)",
    "labs.iloc[:50_000]['flags'].value_counts()",
    "float(labs.rate.mean())",
)


def modules() -> tuple[str, ...]:
    """What a cell imports by `IMPORTS`."""
    return tuple(line.split()[1] for line in IMPORTS)


async def main() -> None:
    if problem := sandbox_problem():
        print(f"not measured: {problem}")
        return
    with tempfile.TemporaryDirectory() as folder:
        image = await asyncio.to_thread(made_image, Path(folder))
        tables = Path(folder, "labs.pkl")
        image.load_variables()["labs"].to_pickle(tables)
        async with ForkedKernels(modules()) as maker:
            name = "ten-step episode, forked kernel"
            forked = await repeat(name, 30, lambda: episode(image, maker))
        scripts = await repeat(
            "ten-step episode, `python file.py` per step",
            3,
            lambda: by_scripts(Path(folder), tables),
        )
        polled = await repeat(
            "the same, looked at once a second", 2, lambda: by_scripts(Path(folder), tables, POLL_S)
        )
        print(scripts.line())
        print(polled.line())
        print(forked.line(scripts))
        print(ratio(forked, polled))


def ratio(forked: Timing, polled: Timing) -> str:
    """The other ratio."""
    return f"against looking once a second: {polled.p50 / forked.p50:.1f}x faster"


async def episode(image: KernelImage, maker: ForkedKernels) -> None:
    """Start, ten cells, close."""
    async with KernelSession(image, maker=maker) as session:
        for step in STEPS:
            result = await session.run(step)
            assert result.status == "ok", result.outputs


async def by_scripts(folder: Path, tables: Path, poll_s: float | None = None) -> None:
    """Run each step as a script of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for step in STEPS:
        *before, last = step.split("; ")
        lines = [*IMPORTS, f"labs = pd.read_pickle({str(tables)!r})", *before, f"print({last})"]
        script = folder / "file.py"
        script.write_text("\n".join(lines))
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(script), stdout=subprocess.PIPE, env=environment
        )
        while poll_s is not None and process.returncode is None:  # noqa: ASYNC110 (measured)
            await asyncio.sleep(poll_s)
        output, _ = await process.communicate()
        assert output
        assert process.returncode == 0


if __name__ == "__main__":
    asyncio.run(main())
