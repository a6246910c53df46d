"""Each cell of corpus.ipy on forked and on stock kernels: docs/front_ends.md has what differs."""

import asyncio
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchside_kernels.backend import KernelMaker
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.session import KernelSession
from benchside_kernels.stock import StockKernels
from benchside_kernels.volatile import steady

CORPUS = Path(__file__).with_name("corpus.ipy")
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "front_ends.md"


@dataclass(frozen=True)
class Cell:
    """A cell of the corpus."""

    name: str
    source: str


def corpus() -> list[Cell]:
    parts = re.split(r"^# %% (.*)\n", CORPUS.read_text(), flags=re.MULTILINE)[1:]
    return [Cell(*pair) for pair in zip(parts[::2], parts[1::2], strict=True)]


async def outcomes(maker: KernelMaker) -> dict[str, str]:
    """Cell name → its normalised status and outputs; a cell that ends the kernel gets a new one."""
    seen = {}
    async with KernelSession(maker=maker) as session:
        for cell in corpus():
            result = await session.run(cell.source, timeout_s=100)
            seen[cell.name] = f"{result.status} {json.dumps(normal(result.outputs), indent=1)}"
            if not session.alive:
                await session.restart()
    return seen


def normal(value: Any) -> Any:
    """Replace what differs between any two kernels."""
    match value:
        case str():
            return steady(value, times=True)
        case dict():
            return {
                key: key if key.startswith("image/") else
                "\n".join(map(normal, ["\n".join(body)])) if key == "traceback" else normal(body)
                for key, body in value.items()
            }  # fmt: skip
        case list() | tuple():
            return [normal(item) for item in value]
    return value


def documented() -> set[str]:
    """Names of cells in the first column of the document's table."""
    rows = re.findall(r"^\| (`.*?) \|", DOCUMENT.read_text(), re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


@pytest.mark.timeout(400)
async def test_front_ends_differ_only_where_documented() -> None:
    if problem := sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")
    async with ForkedKernels() as forked:
        stock_says, forked_says = await asyncio.gather(outcomes(StockKernels()), outcomes(forked))
    different = {name for name in stock_says if stock_says[name] != forked_says[name]}
    unexpected = [
        f"{name}\nstock: {stock_says[name]}\nforked: {forked_says[name]}"
        for name in sorted(different - documented())
    ]
    assert not unexpected, "\n\n".join(unexpected)
    assert documented() <= different, f"these agree by now: {documented() - different}"


def test_the_corpus_is_large_and_its_names_are_unique() -> None:
    names = [cell.name for cell in corpus()]
    assert len(names) >= 200
    assert len(names) == len(set(names))
