"""Every attack is contained: as this user, and as an ordinary one where we are root."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

import benchside
import benchside_kernels
from benchside_kernels.attacks import PRELUDE, Attack, Targets, attacks
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.image import KernelImage
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.self_test import AttackOutcome, self_test
from benchside_kernels.session import KernelSession

NOBODY = 65534
NOT_NEEDED = (
    "torch*",
    "nvidia*",
    "triton*",
    "transformers*",
    "ray*",
    "mypy*",
    "test",
    "__pycache__",
)


@pytest.fixture(autouse=True)
def _sandbox() -> None:
    if problem := sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")


def escaped(outcomes: list[AttackOutcome]) -> list[AttackOutcome]:
    return [outcome for outcome in outcomes if not outcome.contained]


async def test_all_attacks_are_contained(image: KernelImage) -> None:
    async with ForkedKernels() as maker:
        outcomes = await self_test(maker, image)
    assert not escaped(outcomes)
    assert len(outcomes) >= 40
    after = [outcome.name for outcome in outcomes if outcome.area == "afterwards"]
    assert after == ["sibling unaffected", "fresh kernels start", "host files as they were"]


async def test_an_attack_that_succeeds_is_told(tmp_path: Path) -> None:
    """The judges see through: what a kernel may do is an escape where it is aimed at."""
    open_file = Path(os.__file__)
    targets = Targets((str(open_file),), (2,), (), 1, 16, deadly=False)
    aimed: dict[str, Attack] = {attack.name: attack for attack in attacks(targets)}
    async with ForkedKernels() as maker, KernelSession(maker=maker) as session:
        await session.run(PRELUDE)
        for name, contained in {
            "gold, answer keys and grading code": False,  # a file of Python's can be read
            "signals to others": False,  # process 2 is the kernel itself
            "memory": False,  # 16 MiB are allowed, the limit is 4 GiB
            "TCP and UDP": True,
        }.items():
            result = await session.run(aimed[name].source)
            assert aimed[name].contained(result) is contained, (name, result.outputs)


@pytest.fixture(scope="module")
def readable_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of Python and its packages (by hard links) that an ordinary user can execute."""
    if os.geteuid() != 0:
        pytest.skip("the tests run as an ordinary user already")
    if shutil.which("setpriv") is None:
        pytest.skip("no setpriv to become an ordinary user")
    folder = Path(sys.prefix).resolve().parent / f".bs-readable-{os.getpid()}"
    try:
        folder.mkdir(mode=0o755)
    except OSError as error:
        pytest.skip(f"no place for a Python that an ordinary user can execute: {error}")
    try:
        yield copy_environment(folder)
    finally:
        shutil.rmtree(folder)


def copy_environment(folder: Path) -> Path:
    """Copy the base Python and the environment into `folder`; return its interpreter."""
    base, version = Path(sys.base_prefix).resolve(), f"python{sysconfig.get_python_version()}"
    environment = folder / "environment"
    packages = environment / "lib" / version / "site-packages"
    copies = {
        base / "bin": (folder / "base" / "bin", ()),
        base / "lib": (folder / "base" / "lib", ("site-packages",)),
        Path(sysconfig.get_path("purelib")): (packages, ("benchside*", "_*.pth", "*.egg-link")),
    }
    for source, (target, left_out) in copies.items():
        shutil.copytree(
            source, target, symlinks=True, copy_function=link_or_copy, dirs_exist_ok=True,
            ignore=shutil.ignore_patterns(*NOT_NEEDED, *left_out),
        )  # fmt: skip
    for package in (benchside, benchside_kernels):
        own = packages / package.__name__
        shutil.copytree(package.__path__[0], own, ignore=shutil.ignore_patterns("__pycache__"))
        subprocess.run(["chmod", "-R", "a+rX", str(own)], check=True)
    (environment / "pyvenv.cfg").write_text(f"home = {folder / 'base' / 'bin'}\n")
    (environment / "bin").mkdir()
    (environment / "bin" / "python").symlink_to(folder / "base" / "bin" / version)
    return environment / "bin" / "python"


def link_or_copy(source: str, target: str) -> str:
    """Hard links cost no space; a file on another disk is copied."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
    return target


@pytest.mark.timeout(300)
def test_all_attacks_are_contained_for_an_ordinary_user(
    readable_python: Path,
) -> None:
    home = readable_python.parents[2] / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    ids = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    program = "from benchside.cli import main; main()"
    folders = dict.fromkeys(("HOME", "BENCHSIDE_HOME", "TMPDIR"), str(home))
    done = subprocess.run(
        ["setpriv", *ids, str(readable_python), "-c", program, "doctor", "--json"],
        capture_output=True, text=True, check=False, timeout=280, cwd="/",
        env={"PATH": os.defpath, **folders},
    )  # fmt: skip
    if re.search(r"Permission denied|can't open|No module named", done.stderr):
        pytest.skip(f"an ordinary user cannot run this Python: {done.stderr[-300:]}")
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert found["level"] == "sandbox", found["problem"]
    assert [attack for attack in found["attacks"] if not attack["contained"]] == []
    assert done.returncode == 0
