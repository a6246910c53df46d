"""Starts wait while memory is short, go on when there is some, and never all wait."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchside_kernels import admission
from benchside_kernels.admission import START_MIB, Admission, machine_memory, memory_stalls


@dataclass
class Machine:
    """A made-up machine of 10 GiB, 819 MiB of which are kept back."""

    available: float = 9_000.0
    stalled: float = 0.0
    running: int = 1
    relieved: int = 0

    def admission(self) -> Admission:
        return Admission(lambda: (10_240.0, self.available), lambda: self.stalled)

    def relieve(self) -> None:
        self.relieved += 1

    async def enter(self, gate: Admission) -> None:
        await gate.enter(lambda: self.running, self.relieve)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "LOOK_EVERY_S", 0.001)


async def test_starts_wait_in_order_until_memory_is_free_again() -> None:
    machine, entered = Machine(available=800.0), []
    gate = machine.admission()

    async def start(number: int) -> None:
        await machine.enter(gate)
        entered.append(number)

    starts = [asyncio.create_task(start(number)) for number in range(4)]
    await asyncio.sleep(0.05)
    assert entered == []
    assert machine.relieved > 0, "stock is given up first"
    machine.available = 9_000.0
    await asyncio.gather(*starts)
    assert entered == [0, 1, 2, 3]


async def test_the_first_kernel_never_waits() -> None:
    machine = Machine(available=0.0, stalled=100.0, running=0)
    gate = machine.admission()
    await asyncio.wait_for(machine.enter(gate), 1)
    assert machine.relieved == 1
    machine.running = 1
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(machine.enter(gate), 0.05)


async def test_a_start_that_gives_up_lets_the_next_one_in() -> None:
    machine = Machine(available=0.0)
    gate = machine.admission()
    waiting = asyncio.create_task(machine.enter(gate))
    behind = asyncio.create_task(machine.enter(gate))
    await asyncio.sleep(0.01)
    waiting.cancel()
    machine.available = 9_000.0
    await asyncio.wait_for(behind, 1)
    assert waiting.cancelled()


async def test_kernels_that_have_just_started_count_before_they_use_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(available=10_240 * admission.RESERVED_SHARE + 3.5 * START_MIB)
    gate = machine.admission()
    for _ in range(3):
        assert gate.problem() is None
        await machine.enter(gate)
    assert "MiB of memory are free" in str(gate.problem())
    monkeypatch.setattr(admission, "SETTLE_S", 0.0)
    assert gate.problem() is None


def test_stalls_hold_starts_back_though_memory_seems_free() -> None:
    machine = Machine(stalled=50.0)
    assert "50% of the last 10 s" in str(machine.admission().problem())
    machine.stalled = 1.0
    assert machine.admission().problem() is None


def test_the_machine_itself_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    total, available = machine_memory()
    assert 0 < available < total
    assert 0 <= memory_stalls() <= 100
    monkeypatch.setattr(Path, "read_text", lambda _: "some avg10=12.34 avg60=0.00\nfull avg10=1.0")
    assert memory_stalls() == 12.34
