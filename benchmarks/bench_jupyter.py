"""Kernels through jupyter_client: start to first reply, cell round trip; stock and Benchside.

    python benchmarks/bench_jupyter.py

The baseline is a cold ipykernel that imports the same modules and loads the same tables, in
the same run. Both are waited for in the same way: by the welcome that ipykernel 7 sends to a client
that listens, since jupyter_client's own `wait_for_ready` adds a fixed 0.2 s.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

from bench_kernels import made_image
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from measure import Timing, repeat

from benchside.kernelspecs import write_kernelspec
from benchside.task_kernel import WARM_MODULES
from benchside_kernels.image import KernelImage
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.startup import HOME_VARIABLE

TIMEOUT_S = 60.0
KERNELSPEC = "benchside-bench"


async def connected(manager: AsyncKernelManager) -> AsyncKernelClient:
    """A client that hears all of a kernel's outputs from here on."""
    client: AsyncKernelClient = manager.client()
    client.start_channels(hb=False)
    message = await client.get_iopub_msg(timeout=TIMEOUT_S)
    while message["msg_type"] != "iopub_welcome":
        message = await client.get_iopub_msg(timeout=TIMEOUT_S)
    return client


async def run(client: AsyncKernelClient, source: str) -> None:
    """Run one cell: until its reply and until the kernel is idle."""
    reply = await client.execute_interactive(
        source, allow_stdin=False, timeout=TIMEOUT_S, output_hook=lambda _: None
    )
    assert reply["content"]["status"] == "ok", reply["content"]


async def started(manager: AsyncKernelManager, first_cell: str) -> float:
    """From the request to the reply to `first_cell` in ms; shutting down is not counted."""
    began = time.perf_counter()
    await manager.start_kernel()
    client = await connected(manager)
    await run(client, first_cell)
    taken = time.perf_counter() - began
    client.stop_channels()
    await manager.shutdown_kernel(now=True)
    return taken * 1e3


async def cells(manager: AsyncKernelManager, name: str, n: int) -> Timing:
    """Round trips of `1 + 1`."""
    await manager.start_kernel()
    client = await connected(manager)
    timing = await repeat(name, n, lambda: run(client, "1 + 1"))
    client.stop_channels()
    await manager.shutdown_kernel(now=True)
    return timing


def stock() -> AsyncKernelManager:
    return AsyncKernelManager(kernel_name="python3", transport="ipc")


def ours(name: str = KERNELSPEC) -> AsyncKernelManager:
    return AsyncKernelManager(kernel_name=name)


async def measure(image: KernelImage, table: Path, once: list[str]) -> None:
    """Print starts and cells of stock kernels, then of ours; `once` are kernelspecs to use once."""
    load = "\n".join([*image.imports, f"labs = pd.read_pickle({str(table)!r})", "labs.shape"])
    cold = Timing(
        "cold ipykernel, imports and data", tuple([await started(stock(), load) for _ in range(6)])
    )
    print(cold.line())
    print((await cells(stock(), "cell `1 + 1`, stock ipykernel", 200)).line())
    if problem := sandbox_problem():
        print(f"sandboxed kernels not measured: {problem}")
        return
    await started(ours(), "labs.shape")  # it starts the zygote, and does not count
    forked = [await started(ours(name), "labs.shape") for name in once]
    print(Timing("sandboxed kernel, forked on request", tuple(forked)).line(cold))
    await started(ours(), "labs.shape")  # the second one: from now on the next one is made ahead
    ahead = [await started(ours(), "labs.shape") for _ in range(60)]
    print(Timing("sandboxed kernel, made ahead", tuple(ahead)).line(cold))
    print((await cells(ours(), "cell `1 + 1`, sandboxed kernel", 400)).line())


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["JUPYTER_PATH"] = str(Path(folder, "share", "jupyter"))
        os.environ[HOME_VARIABLE] = folder
        image = made_image(Path(folder))
        once = [f"{KERNELSPEC}-{seed}" for seed in range(30)]  # each has its seed: none is ahead
        for seed, name in enumerate([*once, KERNELSPEC]):
            write_kernelspec(
                name, name, {"image": image.ref, "modules": [*WARM_MODULES], "seed": seed},
                user=False, prefix=Path(folder),
            )  # fmt: skip
        table = Path(folder, "labs.pkl")
        labs = image.load_variables()["labs"]
        labs.to_pickle(table)
        size_mb = labs.memory_usage().sum() / 1e6
        print(f"table: {size_mb:.0f} MB in memory; cores: {os.cpu_count()}; {image.imports}")
        asyncio.run(measure(image, table, once))


if __name__ == "__main__":
    main()
