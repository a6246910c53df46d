"""Episodes played again on real kernels: fidelity, hidden state, and what is not reproducible."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from benchside.batch import run_batch
from benchside.episode import Episode
from benchside.isolation import hidden_paths
from benchside.library import Suite
from benchside.policies import make_policy
from benchside.policies.scripted import ScriptedPolicy
from benchside.policy import Action, Conversation, FreshKernel, Message
from benchside.protocol import run_cell_action
from benchside.provenance import provenance
from benchside.replay.command import ReplayRequest, replay_target
from benchside.replay.play import kernels_of
from benchside.replay.replay import replay_episode
from benchside.replay.row import FILE, ReplayRow, read_rows
from benchside.rollout import Assignment, run_episode
from benchside.store import RunConfig, RunFolder
from benchside_kernels.backend import KernelMaker
from benchside_kernels.makers import open_kernels


@pytest.fixture
async def maker() -> AsyncIterator[KernelMaker]:
    async with open_kernels() as opened:
        yield opened


async def played(suite: Suite, maker: KernelMaker, *cells: str) -> Episode:
    """An episode of a policy that runs these cells."""
    name = hashlib.sha256("".join(cells).encode()).hexdigest()[:8]

    def script(_: object, turn: int):
        return run_cell_action(cells[turn], turn=turn) if turn < len(cells) else None

    assignment = Assignment(suite, suite.tasks[0], ScriptedPolicy(name, script), 0, 7)
    origin = provenance(7, maker.isolation)
    return await run_episode(assignment, origin, maker=maker, hidden=hidden_paths(suite.home))


async def replayed(suite: Suite, maker: KernelMaker, *cells: str, probe: bool = False) -> ReplayRow:
    episode = await played(suite, maker, *cells, "submit(1)")
    return (await replay_episode(episode, "", suite, maker, probe=probe)).row


async def test_an_episode_without_chance_is_the_same(suite: Suite, maker: KernelMaker) -> None:
    cells = (
        "import numpy as np, pandas as pd\nx = np.random.default_rng(3).normal(size=5)\nx",
        "pd.DataFrame({'a': x})", "print(object())", "1 / 0", "x.sum()",
    )  # fmt: skip
    row = await replayed(suite, maker, *cells)
    assert (row.cells, row.different, row.fidelity) == (6, (), 1.0)
    assert row.equal == 1, "an address"
    assert row.causes is None, "not looked for"
    assert row.hidden_state == ()


PLANTED = [
    ("time", "time.time() in cell-001", True,
     ("import time\nt = time.time()", "print(int(t * 1000))")),
    ("time", "datetime.now() in cell-001", True,
     ("from datetime import datetime\nprint(datetime.now())",)),
    ("time", "'now' in cell-001", True,
     ("import sqlite3\nlite = sqlite3.connect(':memory:')\n"
      "print(lite.execute(\"SELECT strftime('%f', 'now')\").fetchone())",)),
    ("random, unseeded", "np.random.default_rng() in cell-001", True,
     ("import numpy as np\nr = np.random.default_rng()", "print(r.integers(1 << 40))")),
    ("random, unseeded", "uuid.uuid4() in cell-001", True, ("import uuid; print(uuid.uuid4())",)),
    ("random, by the seed", "random.random() in cell-002", False,
     ("import random", "print(random.random())")),
    ("set order", "{…} ({'a', 'b', 'c', 'd', 'e', 'f'}) in cell-001", False,
     ("names = {'a', 'b', 'c', 'd', 'e', 'f'}", "print(list(names))")),
    ("hash seed", "hash() in cell-001", False, ("print(hash('lung'))",)),
    ("not pinned", None, True, ("print(open('/dev/urandom', 'rb').read(8))",)),
]  # fmt: skip


async def test_planted_chance_is_found_and_named(suite: Suite, maker: KernelMaker) -> None:
    rows = await asyncio.gather(
        *(replayed(suite, maker, *cells, probe=True) for *_, cells in PLANTED)
    )
    quiet = await replayed(
        suite, maker, "import datetime, random", "datetime.date(2024, 1, 5)", probe=True
    )
    assert quiet.causes == ()
    for (source, call, differs, cells), row in zip(PLANTED, rows, strict=True):
        assert row.causes is not None
        (cause,) = row.causes
        assert (cause.source, cause.calls) == (source, () if call is None else (call,))
        assert cause.cell_id == f"cell-{len(cells):03d}"
        assert (row.first_divergence is not None) == differs == (row.fidelity != 1.0)


async def test_hidden_state_of_failed_cells_and_restarts(suite: Suite, maker: KernelMaker) -> None:
    row = await replayed(
        suite, maker, "a = 1", "a = 2\n1 / 0", "print(a)", "import os; os._exit(3)",
        "print('a' in globals())", "print('the same')",
    )  # fmt: skip
    assert row.fidelity == 1.0
    assert row.hidden_state == ("cell-003", "cell-005")


@dataclass
class Attempting:
    """Two drafts and an answer, each in a kernel of its own, and one attempt that is given up."""

    name: str = "attempting"
    cells: tuple[str | None, ...] = (
        "open('left', 'w').close()\nx = 1", "submit(x)",
        "import os\nos.path.exists('left'), 'x' in globals()", "x = 2", None,
        "1 / 0", "'x' in globals()", "submit(3)",
    )  # fmt: skip

    async def act(self, conversation: Conversation) -> Action:
        code = self.cells[turn := len(conversation.turns)]
        if code is None:
            told = Message(role="assistant", content="Again.")
            return Action(message=told, asks=FreshKernel(tool="fresh_kernel"))
        last = turn == len(self.cells) - 1
        return run_cell_action(code, turn=turn).model_copy(update={"draft": not last})


async def test_attempts_are_played_in_kernels_of_their_own(
    suite: Suite, maker: KernelMaker
) -> None:
    origin = provenance(7, maker.isolation)
    assignment = Assignment(suite, suite.tasks[0], Attempting(), 0, 7)
    episode = await run_episode(assignment, origin, maker=maker)
    assert episode.submission is not None, episode.failure
    assert [*kernels_of(episode).values()] == [0, 0, 1, 1, 2, 2, 2]
    row = (await replay_episode(episode, "", suite, maker)).row
    assert (row.cells, row.different, row.hidden_state) == (7, (), ())


async def test_a_run_is_replayed_once_and_an_edited_notebook_again(
    suite: Suite, maker: KernelMaker, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    config = RunConfig(suites=(), policies={}, samples=1, seed=0, provenance={})
    policy = make_policy(
        "reference", solutions=lambda task: suite.answer_key(task.task_id).solution
    )
    folder.start(config, resume=False)
    tasks = [Assignment(suite, task, policy, 0, 7) for task in suite.tasks[:3]]
    await run_batch(tasks, folder, provenance(7, maker.isolation), maker=maker, parallel=2)
    console = Console(quiet=True)
    request = ReplayRequest(str(folder.path), 2)
    rows = await replay_target(request, suite.home, console)
    assert [row.fidelity for row in rows] == [1.0] * 3
    assert [row.episode_id for row in rows] == list(folder.rows())

    log = folder.path / FILE
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:2]) + lines[2][:40])  # killed in the middle of the third
    first, second, _ = (folder.transcript_path(row.episode_id) for row in rows)
    written = [path for path in (first, second) if path.stem in "".join(lines[:2])]
    written[0].write_text(written[0].read_text().replace("Submitted: ", "Submitted: 9"))
    rows = await replay_target(request, suite.home, console)
    assert len(rows) == 3
    assert sorted(row.fidelity == 1.0 for row in rows) == [False, True, True]
    (edited,) = (row for row in rows if row.different)
    assert edited.episode_id == written[0].stem
    assert edited.causes == (), "no chance: the notebook is not what was run"
    assert (folder.path / "replays" / written[0].name).exists()
    assert len(read_rows(folder)) == 3

    written[0].write_text("{")
    rows = await replay_target(request, suite.home, console)
    (damaged,) = (row for row in rows if row.error)
    assert "not a readable notebook" in str(damaged.error)
    assert damaged.fidelity is None
