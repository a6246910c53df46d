"""The report of a run of 5,000 episodes: time to write it, to open it, and to search it.

    python benchmarks/bench_report.py --episodes 5000

Real episodes of `power`, each listed many times. The baselines are reading the transcripts, and the
report of the 200 episodes that they are made of. Opening and searching need Chromium. Ends with 1
where half of the times miss the goal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from measure import Timing
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console

from benchside.commands import RunRequest, run_suites
from benchside.evaluation import Evaluation
from benchside.library import prepare
from benchside.report.site import Report, write_report
from benchside.store import RunFolder
from benchside.transcript import read_transcript

TASKS = 100  # by two policies, so 200 episodes
OPENED = 10
OPEN_GOAL_MS, SEARCH_GOAL_MS = 2_000, 200
SEARCHES = ("power", "reference solved", "log-rank", "00012", "constant wrong means", "nothing")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
QUIET = Console(quiet=True)


def played(scratch: Path) -> RunFolder:
    """A run of 200 episodes."""
    prepare("power", scratch / "home", size=TASKS)
    asked = {"suites": ["power"], "policies": ["reference", "constant"], "parallel": 2}
    request = RunRequest(Evaluation.model_validate(asked), scratch / "small")
    return asyncio.run(run_suites(request, scratch / "home", QUIET))


def multiplied(run: RunFolder, path: Path, episodes: int) -> RunFolder:
    """A run folder that lists the episodes of a run again and again, each with its transcript."""
    (path / "episodes").mkdir(parents=True)
    shutil.copy(run.path / "run.json", path)
    rows = [json.loads(line) for line in run.rows_path.read_text().splitlines()]
    listed = []
    for number, row in enumerate(islice(cycle(rows), episodes)):
        name = f"{number:016x}"
        transcript = f"episodes/{name}.ipynb"
        shutil.copy(run.path / row["transcript"], path / transcript)
        listed.append(row | {"episode_id": name, "sample": number, "transcript": transcript})
    made = RunFolder(path)
    made.rows_path.write_text("".join(json.dumps(row) + "\n" for row in listed))
    return made


def written(run: RunFolder, site: Path) -> tuple[Report, float]:
    """Write a report; return it, and the milliseconds an episode."""
    started = time.perf_counter()
    report = write_report(run, site, QUIET)
    return report, (time.perf_counter() - started) * 1e3 / report.episodes


def opened_ms(browser: Browser, report: Report) -> float:
    """Time until the list of a report says how many it shows."""
    page = browser.new_page()
    started = time.perf_counter()
    page.goto(report.index.as_uri())
    page.get_by_text(f"{report.episodes:,} of {report.episodes:,} episodes").wait_for()
    taken = time.perf_counter() - started
    page.close()
    return 1e3 * taken


def search_ms(page: Page, words: str) -> float:
    """Time from a key to the new list being laid out, in the browser's own clock."""
    taken: float = page.evaluate(
        """words => new Promise((done) => {
            const box = document.getElementById("q");
            box.value = words;
            const started = performance.now();
            const seen = new MutationObserver(() => {
                seen.disconnect();
                document.getElementById("list").getBoundingClientRect();
                done(performance.now() - started);
            });
            const told = document.getElementById("count");
            seen.observe(told, { childList: true, characterData: true, subtree: true });
            box.dispatchEvent(new Event("input"));
        })""",
        words,
    )
    return taken


def searched_ms(browser: Browser, report: Report) -> list[float]:
    """Times of some searches in a report."""
    page = browser.new_page()
    page.goto(report.index.as_uri())
    page.get_by_text(f"of {report.episodes:,} episodes").wait_for()
    times = [search_ms(page, words) for words in SEARCHES * 5]
    page.close()
    return times


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--episodes", type=int, default=5_000)
    episodes = parser.parse_args().episodes
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        small = played(scratch)
        large = multiplied(small, scratch / "large", episodes)
        reading = []
        for path in (small.path / "episodes").glob("*.ipynb"):
            started = time.perf_counter()
            read_transcript(path)
            reading.append(1e3 * (time.perf_counter() - started))
        few = [written(small, scratch / f"site-{number}") for number in range(3)]
        report, taken = written(large, scratch / "site")
        files = [path for path in (scratch / "site").rglob("*") if path.is_file()]
        print(Timing("a transcript read, on one core", tuple(reading)).line())
        print(Timing(f"written, each of {few[0][0].episodes}", tuple(one for _, one in few)).line())
        print(
            f"written, each of {report.episodes:,}: n=1 report, {taken:.2f} ms, "
            f"{taken * report.episodes / 1e3:.1f} s in all, "
            f"{sum(path.stat().st_size for path in files) / 2**20:.0f} MiB"
        )
        found = [] if CHROMIUM is None else looked_at(few[0][0], report)
    print(f"load {os.getloadavg()[0]:.1f}")
    missed = [f"{one.name}: {one.p50:.0f} ms" for one, goal_ms in found if one.p50 > goal_ms]
    if CHROMIUM is None:
        print("opening and searching: not measured, there is no Chromium")
    elif missed:
        sys.exit(f"missed: {'; '.join(missed)}")


def looked_at(small: Report, large: Report) -> list[tuple[Timing, int]]:
    """Open and search both reports by turns; print, and return the large one's times and goals."""
    opened: dict[int, list[float]] = {small.episodes: [], large.episodes: []}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        opened_ms(browser, small)  # the browser's own start
        for _ in range(OPENED):
            for report in (small, large):
                opened[report.episodes].append(opened_ms(browser, report))
        searched = {one.episodes: searched_ms(browser, one) for one in (small, large)}
        browser.close()
    found = []
    for name, times, goal_ms in (
        ("opened", opened, OPEN_GOAL_MS), ("searched", searched, SEARCH_GOAL_MS)
    ):  # fmt: skip
        few, many = (
            Timing(f"{name}, {report.episodes:,} episodes", tuple(times[report.episodes]))
            for report in (small, large)
        )
        print(few.line())
        print(f"{many.line(few)}, goal {goal_ms:,} ms")
        found.append((many, goal_ms))
    return found


if __name__ == "__main__":
    main()
