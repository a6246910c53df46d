"""The report of a run of 5,000 episodes: time to write it, to open it, and to search it.

Real episodes of `power`, each listed many times. Opening and searching need Chromium.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from measure import Timing
from playwright.sync_api import Page, sync_playwright
from rich.console import Console

from benchside.commands import RunRequest, run_suites
from benchside.evaluation import Evaluation
from benchside.library import prepare
from benchside.report.site import write_report
from benchside.store import RunFolder
from benchside.transcript import read_transcript

EPISODES = 5_000
PAGES = 200
SEARCHES = ("power", "reference solved", "log-rank", "00012", "constant wrong means", "nothing")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
QUIET = Console(quiet=True)


def run_of_5000(scratch: Path) -> RunFolder:
    """A run folder of 5,000 rows and transcripts, made of 200 episodes."""
    prepare("power", scratch / "home", size=100)
    asked = {"suites": ["power"], "policies": ["reference", "constant"], "parallel": 2}
    request = RunRequest(Evaluation.model_validate(asked), scratch / "run")
    run = asyncio.run(run_suites(request, scratch / "home", QUIET))
    rows = [json.loads(line) for line in run.rows_path.read_text().splitlines()]
    listed = []
    for number, row in enumerate(islice(cycle(rows), EPISODES)):
        name = f"{number:016x}"
        transcript = f"episodes/{name}.ipynb"
        shutil.copy(run.path / row["transcript"], run.path / transcript)
        listed.append(row | {"episode_id": name, "sample": number, "transcript": transcript})
    run.rows_path.write_text("".join(json.dumps(row) + "\n" for row in listed))
    return run


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


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        run = run_of_5000(scratch)
        started = time.perf_counter()
        for path in islice((run.path / "episodes").glob("*.ipynb"), PAGES):
            read_transcript(path)
        floor = (time.perf_counter() - started) / PAGES * EPISODES
        started = time.perf_counter()
        report = write_report(run, scratch / "site", QUIET)
        taken = time.perf_counter() - started
        size = sum(path.stat().st_size for path in (scratch / "site").rglob("*.*")) / 2**20
        print(f"written: n={report.episodes} pages in {taken:.1f} s, {size:.0f} MiB; to read the "
              f"transcripts alone, on one core: {floor:.1f} s")  # fmt: skip
        if CHROMIUM is None:
            print("opening and searching: not measured, there is no Chromium")
            return
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else []
            )
            opened = []
            for _ in range(10):
                page = browser.new_page()
                started = time.perf_counter()
                page.goto(report.index.as_uri())
                page.get_by_text(f"{EPISODES:,} of {EPISODES:,} episodes").wait_for()
                opened.append(time.perf_counter() - started)
                page.close()
            page = browser.new_page()
            page.goto(report.index.as_uri())
            searched = [search_ms(page, words) for words in SEARCHES * 5]
            browser.close()
        print(Timing("opened (goal 2,000 ms)", tuple(1e3 * one for one in opened)).line())
        print(Timing("searched (goal 200 ms)", tuple(searched)).line())


if __name__ == "__main__":
    main()
