"""The device that a model is trained on: its name, its speed, and what a step takes of it."""

from __future__ import annotations

import gc
import platform
import time

import torch

from benchside_training.local.loading import device_of
from benchside_training.memory_plan import GIB

PEAK_TFLOPS = {
    "A100": 312.0, "A10": 125.0, "A40": 149.7, "L4": 121.0, "L40S": 362.0, "RTX 3090": 71.0,
    "RTX 4090": 165.2, "RTX 5090": 209.5, "H100 PCIe": 756.0, "H100 NVL": 835.0, "H100": 989.4,
    "H200": 989.4, "B200": 2250.0,
}  # fmt: skip
"""Dense bfloat16 multiplications and additions, in 1e12 a second, after NVIDIA's data sheets."""


def device_name(asked: str | None) -> str:
    """Return what a device is called, such as "NVIDIA H100 80GB HBM3".

    Args:
        asked: as a recipe names it; None: an accelerator where there is one.
    """
    device = device_of(asked)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.machine() if device.type == "cpu" else device.type


def peak_tflops(name: str) -> float | None:
    """Return the most that a device does in bfloat16, 1e12 operations a second; None: not known.

    Parts of a GPU (MIG) and those of laptops do less than their name says: they are not known.
    """
    if "MIG" in name or "Laptop" in name:
        return None
    words = f" {name.replace('-', ' ')} "
    known = [one for one in PEAK_TFLOPS if f" {one} " in words]
    return PEAK_TFLOPS[max(known, key=len)] if known else None


def free_memory() -> None:
    """Give back what models that are done with have held of an accelerator's memory.

    They are parts of cycles, and torch keeps what they leave for itself.
    """
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class StepMeter:
    """Seconds and memory of one step after another."""

    def __init__(self, device: torch.device):
        self._device = device
        self.begin()

    def begin(self) -> None:
        """Start a step."""
        self._started = time.monotonic()
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)

    @property
    def seconds(self) -> float:
        """Since the step began."""
        return time.monotonic() - self._started

    @property
    def peak_gib(self) -> float | None:
        """Most memory that tensors have held since then; None where that is not known."""
        if self._device.type != "cuda":
            return None
        return torch.cuda.max_memory_allocated(self._device) / GIB
