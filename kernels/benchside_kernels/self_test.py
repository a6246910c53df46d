"""Runs the attacks of `attacks.py` on this machine's kernels, and looks at what they did.

A sibling kernel lives through all of them. Afterwards it must have its variables and files, fresh
kernels must start, and the host's secret files must be as they were.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchside_kernels import sandbox
from benchside_kernels.attacks import PRELUDE, Attack, Targets, attacks
from benchside_kernels.backend import KernelMaker
from benchside_kernels.cell import CellResult
from benchside_kernels.errors import KernelStartError
from benchside_kernels.hosts import Host
from benchside_kernels.image import KernelImage
from benchside_kernels.session import KernelSession

MEMORY_MIB = 512
ATTACK_TIMEOUT_S = 10.0
FLOOD_TIMEOUT_S = 1.5
CLOSE_DEADLINE_S = 10.0
SAID_CHARS = 300

_SIBLING = """
import os, socket
kept = {mark!r}
for name in ("sibling-mark", "/tmp/sibling-mark", "/dev/shm/sibling-mark"):
    open(name, "w").write(kept)
listeners = []
for name in ("\\0sibling-mark", "/tmp/sibling-mark-socket"):
    listeners.append(socket.socket(socket.AF_UNIX))
    listeners[-1].bind(name)
    listeners[-1].listen()
"""
_SIBLING_CHECK = """
names = ("sibling-mark", "/tmp/sibling-mark", "/dev/shm/sibling-mark")
print(kept, *(open(name).read() for name in names), sep="")
"""


@dataclass(frozen=True, slots=True)
class AttackOutcome:
    """What became of one attack: `said` is the evidence, in the attacker's or the host's words."""

    area: str
    name: str
    contained: bool
    said: str
    duration_s: float


async def self_test(
    maker: KernelMaker, image: KernelImage | None = None, *, hidden: Sequence[Path] = ()
) -> list[AttackOutcome]:
    """Attack this maker's kernels and return what was contained.

    Args:
        image: what the kernels start with; its hidden files are attacked too.
        hidden: further paths that kernels must not read.

    Raises:
        KernelStartError: no kernel could be started to begin with.
    """
    with _stage() as stage:
        mark = secrets.token_hex(8)
        tester = _Tester(maker, image, (*hidden, stage.folder))
        async with tester.session() as sibling:
            prepared = await sibling.run(_SIBLING.format(mark=mark))
            if prepared.status != "ok":
                raise KernelStartError(f"the self-test's sibling failed: {_evidence(prepared)}")
            aimed = attacks(tester.targets(stage))
            if maker.isolation.level != "sandbox":
                aimed = [attack for attack in aimed if not attack.hosts]
            outcomes = [await tester.attack(attack) for attack in aimed]
            outcomes.append(await _after("sibling unaffected", sibling, _SIBLING_CHECK, mark * 4))
        with contextlib.suppress(KernelStartError):
            async with tester.session() as fresh:
                outcomes.append(await _after("fresh kernels start", fresh, "print(6 * 7)", "42"))
        if not outcomes or outcomes[-1].name != "fresh kernels start":
            outcomes.append(AttackOutcome("afterwards", "fresh kernels start", False, "none", 0.0))
        outcomes.append(
            AttackOutcome("afterwards", "host files as they were", stage.intact(), "compared", 0.0)
        )
        return outcomes


@dataclass(frozen=True, slots=True)
class _Stage:
    """What the host puts up to be attacked."""

    folder: Path
    gold: Path
    answer: str
    tcp_port: int
    sockets: tuple[str, ...]

    def intact(self) -> bool:
        """True if the gold file is as it was and nobody could leave a file beside it."""
        names = {path.name for path in self.folder.iterdir()}
        stray = Path(tempfile.gettempdir(), "sibling-mark-pickle").exists()
        return self.gold.read_text() == self.answer and names == {"gold.json", "s"} and not stray


@contextlib.contextmanager
def _stage() -> Iterator[_Stage]:
    with tempfile.TemporaryDirectory(prefix="bs-gold-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        gold, answer = folder / "gold.json", secrets.token_hex(16)
        gold.write_text(answer)
        abstract = f"bs-self-test-{secrets.token_hex(8)}"
        for address in (str(folder / "s"), f"\0{abstract}"):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(address)
            listener.listen()
        tcp = stack.enter_context(socket.socket())
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        sockets = (str(folder / "s"), f"@{abstract}", "@sibling-mark", "/tmp/sibling-mark-socket")
        yield _Stage(folder, gold, answer, tcp.getsockname()[1], sockets)


class _Tester:
    def __init__(
        self, maker: KernelMaker, image: KernelImage | None, hidden: Sequence[Path]
    ) -> None:
        self._maker, self._image, self._hidden = maker, image, tuple(hidden)

    def session(self, hosts: Sequence[Host] = ()) -> KernelSession:
        return KernelSession(
            self._image, hidden=self._hidden, hosts=hosts, maker=self._maker, memory_mib=MEMORY_MIB
        )

    def targets(self, stage: _Stage) -> Targets:
        """All that there is to attack; to be called while the sibling is alive."""
        packaged = sandbox.packaged_files(self._image.hidden) if self._image else []
        found = [path for path in (*packaged, *self._hidden) if path.exists()]
        files = [next(_files(path), path) for path in found]
        return Targets(
            secrets=(str(stage.gold), *map(str, files)),
            pids=(os.getpid(), *_below(os.getpid())),
            sockets=stage.sockets,
            tcp_port=stage.tcp_port,
            memory_mib=MEMORY_MIB,
            deadly=self._maker.isolation.level == "sandbox",
        )

    async def attack(self, attack: Attack) -> AttackOutcome:
        started = time.monotonic()
        session = self.session(attack.hosts)
        try:
            async with session:
                await session.run(PRELUDE)
                flood = attack.name.startswith("output")
                result = await session.run(
                    attack.source, FLOOD_TIMEOUT_S if flood else ATTACK_TIMEOUT_S
                )
                closing = time.monotonic()
        except KernelStartError as error:
            duration = time.monotonic() - started
            return AttackOutcome(attack.area, attack.name, False, str(error), duration)
        contained, said = attack.contained(result), _evidence(result)
        if time.monotonic() - closing > CLOSE_DEADLINE_S:
            contained, said = False, f"the host was held up at the end; {said}"
        return AttackOutcome(attack.area, attack.name, contained, said, time.monotonic() - started)


async def _after(name: str, session: KernelSession, source: str, expected: str) -> AttackOutcome:
    started = time.monotonic()
    result = await session.run(source, timeout_s=ATTACK_TIMEOUT_S)
    text = "".join(str(output.get("text", "")) for output in result.outputs).strip()
    said = "as it was" if text == expected else _evidence(result)
    return AttackOutcome("afterwards", name, text == expected, said, time.monotonic() - started)


def _evidence(result: CellResult) -> str:
    """One line for people: what the cell printed or raised, or how it ended."""
    texts = [str(output.get("text", "")) for output in result.outputs]
    errors = [f"{o['ename']}: {o['evalue']}" for o in result.outputs if "ename" in o]
    said = " ".join(" ".join([*texts, *errors]).split())
    kept = said if len(said) <= SAID_CHARS else f"{said[:SAID_CHARS]} …"
    return " ".join(part for part in (result.status, result.note, kept) if part)


def _files(path: Path) -> Iterator[Path]:
    return (found for found in path.rglob("*") if found.is_file())


def _below(root: int) -> list[int]:
    """All processes below `root`: zygotes, kernels and what these have started."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, queue = [], [root]
    while queue:
        found += (more := children.get(queue.pop(), []))
        queue += more
    return found
