"""The report in a real browser, from disk: people filter, search, sort, compare; scripts sleep."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from benchside.report.page import episode_page
from benchside.report.site import write_report
from benchside.store import RunFolder

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]
HOSTILE = (
    "<p>kept</p><script>document.title = 'taken'</script>"
    "<img src=x onerror=\"document.title = 'taken'\">"
    '<meta http-equiv="refresh" content="0;url=about:blank">'
)


@pytest.fixture(scope="module")
def site(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    write_report(RunFolder(finished_run), folder, Console(quiet=True))
    return folder


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        expect.set_options(timeout=30_000)
        yield page
        browser.close()


def test_search_filter_sort_and_the_address(page: Page, site: Path) -> None:
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto((site / "index.html").as_uri())
    count = page.locator("#count")
    expect(count).to_have_text("12 of 12 episodes")
    page.get_by_label("Search").fill("CONSTANT wrong")
    expect(count).to_have_text("4 of 12 episodes")
    page.get_by_label("Search").fill("")
    page.get_by_label("Policy", exact=True).select_option("reference")
    page.get_by_label("Outcome", exact=True).select_option("solved")
    expect(count).to_have_text("4 of 12 episodes")
    sort = page.get_by_role("button", name="time, s")
    sort.focus()
    page.keyboard.press("Enter")  # longest first
    header = page.locator("th[data-name=duration_s]")
    expect(header).to_have_attribute("aria-sort", "descending")
    column = page.locator("#list tbody tr td:nth-child(10)")
    times = [float(text) for text in column.all_inner_texts()]
    assert times == sorted(times, reverse=True) and len(times) == 4
    address = page.url
    assert "policy=reference" in address and "sort=-duration_s" in address
    page.goto("about:blank")
    page.goto(address)  # a link that somebody sends
    expect(count).to_have_text("4 of 12 episodes")
    expect(header).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name="Clear").click()
    expect(count).to_have_text("12 of 12 episodes")
    assert problems == []


def test_an_episode_and_two_side_by_side(page: Page, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    rows = page.locator("#list tbody tr")
    names = [rows.nth(place).locator("a").inner_text() for place in (0, 1)]
    for place in (0, 1):
        rows.nth(place).get_by_role("checkbox").check()
    page.get_by_role("link", name="Compare the two chosen").click()
    for place, name in enumerate(names):
        side = page.frame_locator("iframe").nth(place)
        expect(side.locator("header code")).to_have_text(name)
        expect(side.get_by_role("heading", name="Grade")).to_be_visible()
        expect(side.locator("pre").first).to_have_css("overflow-wrap", "anywhere")  # it has style
    page.get_by_role("link", name="All episodes").first.click()
    page.locator("#list tbody a").first.click()
    expect(page.locator("header code")).to_have_text(names[0])
    padding = page.locator("pre").first.evaluate("e => getComputedStyle(e).overflowWrap")
    assert padding == "anywhere"  # the style sheet may load, scripts may not
    page.get_by_role("link", name="Other episodes of this task").click()
    expect(page.locator("#count")).to_have_text(re.compile(r"^\d+ of 12"))


def test_what_an_agent_shows_does_not_run(page: Page, site: Path, finished_run: Path) -> None:
    run = RunFolder(finished_run)
    episode = run.episode(next(iter(run.rows())))
    data = {"text/html": HOSTILE}
    output = {"output_type": "display_data", "data": data, "metadata": {}}
    turn = next(turn for turn in episode.turns if turn.result is not None)
    assert turn.result is not None
    shown = replace(
        turn,
        action=turn.action.model_copy(update={"thought": HOSTILE}),
        result=replace(turn.result, outputs=(output,)),
    )
    path = site / "episodes" / "hostile.html"
    path.write_text(episode_page(episode.model_copy(update={"turns": (shown,)})))
    page.goto(path.as_uri())
    expect(page.locator(".shown")).to_have_text("kept")
    page.wait_for_timeout(500)  # a redirection would have happened
    assert page.url == path.as_uri()
    assert page.title().startswith(episode.outcome)


def test_nothing_is_asked_of_the_network(page: Page, site: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "index.html").as_uri())
    page.locator("#list tbody a").first.click()
    assert asked and all(url.startswith(("file:", "data:")) for url in asked)
