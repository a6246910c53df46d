"""Episodes against a model server that misbehaves; none may be lost, doubled or scored 0 for it.

    python benchmarks/chaos_server.py --episodes 1000

The server answers most requests with a fault of its choice: 429 with Retry-After, 5xx, silence,
a closed connection, a body that is cut or drips, broken JSON, another content type, an empty reply.
The model behind it always knows what to do, so each episode that is not solved is the server's
fault. Run and resumed until all is done; prints what was asked and what came of it.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import itertools
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from rich.console import Console

from benchside.commands import RunRequest, run_suites
from benchside.episode import UNSCORED
from benchside.evaluation import Evaluation
from benchside.library import prepare
from benchside.store import EpisodeRow

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.workbench import chat_server
from tests.workbench.chat_server import ChatServer, Request, Step, call, status

FAULTS = {
    "429": status(429, "slow down", retry_after="0.01"),
    "500": status(500, "broken"),
    "503": status(503, "overloaded"),
    "dropped": chat_server.DROP,
    "closed": Step(manner="close"),
    "silent": chat_server.SILENT,
    "dripping": chat_server.DRIP,
    "broken JSON": chat_server.BROKEN_JSON,
    "HTML": chat_server.HTML,
    "no choices": chat_server.NO_CHOICES,
    "no message": chat_server.NO_MESSAGE,
}
MAX_ROUNDS = 20


class ChaosServer(ChatServer):
    """Answers with a fault, or else works on the task: looks at it, then submits 1.

    Args:
        faulty: share of requests that meet a fault.
    """

    def __init__(self, faulty: float, seed: int):
        super().__init__(call(("run_cell", {"code": "x = 1"})))
        self.faulty = faulty
        self.spared = 0  # requests: the check before a run is for people, and ends it
        self.met: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._faults = itertools.cycle(FAULTS)

    def chosen(self, request: Request) -> Step:
        """The answer to a request."""
        if len(self.requests) >= self.spared and self._random.random() < self.faulty:
            name = next(self._faults)
            self.met[name] += 1
            return FAULTS[name]
        self.met["sound"] += 1
        begun = any(message["role"] == "tool" for message in request.body["messages"])
        return call(("submit", {"value": 1})) if begun else self.script[0]


async def chaos(
    home: Path, out: Path, episodes: int, faulty: float, parallel: int, seed: int = 0
) -> tuple[list[EpisodeRow], Counter[str], int]:
    """Run so many episodes; return all rows ever written, what the server did, and the rounds."""
    tasks = min(episodes, 40)
    suite = prepare("power", home, size=40)
    assert len(suite.tasks) >= tasks
    with ChaosServer(faulty, seed) as server:
        policy = {
            "policy": "openai:m", "base_url": server.url, "timeout_s": 0.5, "backoff_s": 0.005,
            "max_retries": 8, "max_downtime_s": 60,
        }  # fmt: skip
        asked = Evaluation.model_validate(
            {
                "suites": [{"name": "power", "limit": tasks}], "policies": [policy],
                "samples": episodes // tasks, "parallel": parallel,
            }
        )  # fmt: skip
        rounds = 0
        while rounds < MAX_ROUNDS:
            rounds += 1
            server.spared = len(server.requests) + 1
            request = RunRequest(asked, out, resume=rounds > 1)
            folder = await run_suites(request, home, Console(file=io.StringIO()))
            if not any(row.outcome in UNSCORED for row in folder.rows().values()):
                break
        return list(folder.all_rows()), server.met, rounds


def verify(rows: list[EpisodeRow], out: Path, episodes: int) -> None:
    """Fail where an episode was lost, doubled, or scored for the server's fault."""
    scored = [row for row in rows if row.outcome not in UNSCORED]
    ids = Counter(row.episode_id for row in scored)
    assert len(ids) == episodes, f"{episodes - len(ids)} episodes are lost"
    assert max(ids.values()) == 1, "an episode was scored twice"
    ended = Counter((row.end_reason, row.turns) for row in scored)
    assert set(ended) == {("submitted", 2)}, f"ended by the server's fault: {ended}"
    assert len(list((out / "episodes").glob("*.ipynb"))) == episodes


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--episodes", type=int, default=1000, help="a multiple of 40")
    parser.add_argument("--faulty", type=float, default=0.5)
    parser.add_argument("--parallel", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home, out = Path(scratch) / "home", Path(scratch) / "run"
        started = time.monotonic()
        rows, met, rounds = asyncio.run(
            chaos(home, out, asked.episodes, asked.faulty, asked.parallel, asked.seed)
        )
        took_s = time.monotonic() - started
        verify(rows, out, asked.episodes)
        assert set(met) == {*FAULTS, "sound"}, "not every fault was met"
        unscored = sum(row.outcome in UNSCORED for row in rows)
        print(
            f"{asked.episodes} episodes in {took_s:.0f} s and {rounds} runs: none lost or doubled"
        )
        print(f"none scored for the server's fault; {unscored} left unscored and run again")
        print(f"{met.total():,} requests: " + ", ".join(f"{n} {c:,}" for n, c in met.most_common()))


if __name__ == "__main__":
    main()
