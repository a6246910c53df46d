"""A person at work: JupyterLab in a real browser, and the Jupyter console, on sandboxed kernels."""

import asyncio
import io
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pexpect
import psutil
import pytest
from PIL import Image

from benchside.kernelspecs import write_kernelspec
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.image import KernelImage
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.session import KernelSession
from benchside_kernels.startup import HOME_VARIABLE

pytest.importorskip("jupyterlab")
pytest.importorskip("playwright")
from playwright.sync_api import Locator, Page, expect, sync_playwright

PROBLEM = sandbox_problem()
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = pytest.mark.skipif(PROBLEM is not None, reason=f"no sandbox here: {PROBLEM}")

MODULES = ["matplotlib.pyplot", "matplotlib_inline.backend_inline"]
TIMEOUT_S = 45.0


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: its address with the token, and the folder it serves."""

    url: str
    folder: Path


@pytest.fixture(scope="module")
def environment(
    home: Path, image: KernelImage, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Variables for a Jupyter that has a kernelspec of ours, and keeps off the user's settings."""
    folder = tmp_path_factory.mktemp("jupyter")
    config: dict[str, Any] = {"image": image.ref, "modules": MODULES}
    write_kernelspec("benchside-ward", "Benchside: ward", config, user=False, prefix=folder)
    folders = {
        "JUPYTER_PATH": folder / "share" / "jupyter",
        **{f"JUPYTER_{kind}_DIR": folder / kind for kind in ("CONFIG", "DATA", "RUNTIME")},
        "IPYTHONDIR": folder / "ipython",
        HOME_VARIABLE: home,
    }
    return {**os.environ, **{name: str(path) for name, path in folders.items()}, "TERM": "xterm"}


@pytest.fixture(scope="module")
def lab(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A server of JupyterLab on a folder of its own."""
    served, log = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("log") / "lab"
    token = secrets.token_hex(16)
    with (
        log.open("wb") as stream,
        subprocess.Popen(
            [
                sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0",
                f"--ServerApp.root_dir={served}", "--LabApp.news_url=None",
            ],
            env={**environment, "JUPYTER_TOKEN": token},
            cwd=served, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
        ) as process,
    ):  # fmt: skip
        try:
            port = until(lambda: re.search(r"http://127\.0\.0\.1:(\d+)/", log.read_text()))[1]
            yield Lab(f"http://127.0.0.1:{port}/lab?token={token}", served)
        finally:
            process.terminate()
            process.wait(TIMEOUT_S)
    assert "Traceback" not in log.read_text()


@pytest.fixture
def page(lab: Lab) -> Iterator[Page]:
    """The launcher of JupyterLab, as it greets a new user."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(TIMEOUT_S * 1e3)
        expect.set_options(timeout=TIMEOUT_S * 1e3)
        page.goto(lab.url)
        yield page
        page.screenshot(path=lab.folder.parent / "last.png")  # to see why a test has failed
        browser.close()


class Notebook:
    """The notebook that is open in the browser."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.cells = page.locator(".jp-Notebook:visible .jp-CodeCell")
        self.idle()

    def idle(self) -> None:
        """Wait until there is a kernel, and it has nothing to do."""
        self.page.locator("#jp-main-statusbar").get_by_text("Benchside: ward | Idle").wait_for()

    def enter(self, source: str) -> Locator:
        """Run `source` in the last cell by Shift+Enter; return the cell at once."""
        number = self.cells.count() - 1
        cell = self.cells.nth(number)
        cell.locator(".cm-content").click()
        self.page.keyboard.insert_text(source)
        self.page.keyboard.press("Shift+Enter")
        return cell

    def run(self, source: str, count: int) -> Locator:
        """Run `source`, wait until the cell has its execution count; return its outputs."""
        cell = self.enter(source)
        expect(cell.locator(".jp-InputPrompt")).to_have_text(f"[{count}]:")
        return cell.locator(".jp-OutputArea-output")

    def press(self, command: str) -> None:
        """Press a button of the notebook's toolbar."""
        self.page.locator(f'.jp-Toolbar:visible [data-command="notebook:{command}"]').click()

    def choose(self, menu: str, item: str) -> None:
        """Choose an item of a menu."""
        self.page.get_by_role("menuitem", name=menu, exact=True).click()
        self.page.get_by_role("menuitem", name=item).click()


def until(found: Callable[[], Any]) -> Any:
    """Return the first true value of `found`."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


def mentioned(mark: str) -> bool:
    """Whether a process has `mark` among its arguments."""
    return any(mark in (p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"]))


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH")
def test_a_new_user_works_in_jupyterlab(lab: Lab, page: Page, tmp_path: Path) -> None:
    page.locator('.jp-LauncherCard[title="Benchside: ward"]').first.click()
    notebook = Notebook(page)
    expect(notebook.run("kept = 41; len(patients)", 1)).to_have_text("70")
    expect(notebook.run("patients.head(2)", 2).locator("table")).to_contain_text("21.0")

    plot = notebook.run(
        "import matplotlib.pyplot as plt\nplt.plot(patients.age, color='red', lw=9);", 3
    ).locator("img")
    expect(plot).to_be_visible()
    page.screenshot(path=tmp_path / "plot.png")
    pixels = Image.open(io.BytesIO(plot.screenshot())).convert("RGB")
    red = sum(n for n, colour in pixels.getcolors(1 << 24) or () if colour == (255, 0, 0))
    assert red > 1000

    asking = notebook.enter("input('name? ') + '!'")
    asking.locator("input.jp-Stdin-input").fill("Ada")
    page.keyboard.press("Enter")
    expect(asking.locator(".jp-OutputArea-output").last).to_have_text("'Ada!'")

    endless = notebook.enter("print('runs', flush=True)\nwhile True: pass")
    expect(endless.locator(".jp-OutputArea-output").first).to_have_text("runs")
    notebook.press("interrupt-kernel")
    expect(endless.locator(".jp-OutputArea-output").last).to_contain_text("KeyboardInterrupt")
    expect(notebook.run("kept + 1", 6)).to_have_text("42")
    page.screenshot(path=tmp_path / "interrupted.png")

    slider = notebook.run(
        "import ipywidgets\nslider, label = ipywidgets.IntSlider(value=3), ipywidgets.Label()\n"
        "def changed(change): label.value = f'twice is {2 * change.new}'\n"
        "slider.observe(changed, 'value'); ipywidgets.VBox([slider, label])", 7,
    )  # fmt: skip
    slider.locator(".noUi-handle").press("ArrowRight")
    expect(slider).to_contain_text("twice is 8")
    page.screenshot(path=tmp_path / "widget.png")

    mark = str(uuid.uuid4())
    start = f"import subprocess; p = subprocess.Popen(['sh', '-c', 'sleep 600; :', '{mark}'])"
    notebook.run(start, 8)
    assert mentioned(mark)
    notebook.press("restart-kernel")
    page.locator(".jp-Dialog .jp-mod-accept").click()
    until(lambda: not mentioned(mark))
    notebook.idle()
    expect(notebook.run("kept", 1).last).to_contain_text("NameError")
    expect(notebook.run("patients.shape", 2)).to_have_text("(70, 2)")
    notebook.run(start, 3)
    assert mentioned(mark)
    page.screenshot(path=tmp_path / "restarted.png")

    page.keyboard.press("Control+s")
    page.locator(".jp-Dialog .jp-mod-accept").click()  # the name may stay
    file = lab.folder / "Untitled.ipynb"
    until(lambda: mark in file.read_text())
    saved = nbformat.read(file, as_version=4)
    nbformat.validate(saved)
    assert saved.metadata.kernelspec.name == "benchside-ward"
    assert saved.cells[2].outputs[0].data["image/png"].startswith("iVBOR")

    notebook.choose("Kernel", "Shut Down Kernel")
    until(lambda: not mentioned(mark))


class Console:
    """`jupyter console` in a terminal."""

    def __init__(self, environment: dict[str, str], *options: str) -> None:
        jupyter = str(Path(sys.executable).with_name("jupyter"))
        self.terminal = pexpect.spawn(
            jupyter, ["console", *options], encoding="utf-8", timeout=TIMEOUT_S,
            dimensions=(50, 120), env=environment,
        )  # fmt: skip
        self.terminal.expect(r"In \[")

    def enter(self, source: str, expected: str) -> None:
        """Type a cell; wait for what is expected, in order, and for the next prompt."""
        self.terminal.send(f"{source}\r")
        self.terminal.expect(expected)
        self.terminal.expect(r"In \[")

    def end(self, keys: str, farewell: str) -> None:
        """Leave it, and wait until it has ended in good order."""
        self.terminal.send(keys)
        self.terminal.expect(farewell)
        self.terminal.expect(pexpect.EOF)
        self.terminal.close()
        assert self.terminal.exitstatus == 0


@pytest.mark.slow
def test_the_console_runs_and_interrupts(environment: dict[str, str]) -> None:
    console = Console(environment, "--kernel=benchside-ward")
    console.enter("len(patients)", r"Out\[.*70")
    console.terminal.send("print('ru' + 'ns'); __import__('time').sleep(60)\r")
    console.terminal.expect("runs")
    console.terminal.sendintr()
    console.terminal.expect("KeyboardInterrupt")
    console.terminal.expect(r"In \[")
    console.enter("6 * 7", r"Out\[.*42")
    console.end("exit\r", "Shutting down kernel")


@pytest.mark.slow
async def test_the_console_steps_into_a_session(
    environment: dict[str, str], image: KernelImage
) -> None:
    async with (
        ForkedKernels(tuple(MODULES)) as maker,
        KernelSession(image, maker=maker) as session,
    ):
        await session.run("found = patients.age.max()")
        file = await session.attach()

        def look(expected: str) -> None:
            console = Console(environment, "--existing", str(file))
            console.enter("found", expected)
            console.enter("found = 'changed'; 6 * 7", r"Out\[.*42")
            console.terminal.sendeof()
            console.terminal.expect("really want to exit")
            console.end("y\r", "keeping kernel alive")

        await asyncio.to_thread(look, r"Out\[.*89\.0")
        await asyncio.to_thread(look, r"Out\[.*'changed'")
        assert session.alive
