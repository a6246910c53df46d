"""The project's own promises: packaging, rooms, light imports, documents that run."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
INSTALLED = PROJECT["dependencies"] + EXTRAS["train"] + EXTRAS["dev"]

NAMES_AT_CONDA = {
    "duckdb": "python-duckdb",
    "playwright": "playwright-python",
    "ray": "ray-core",
    "tables": "pytables",
    "torch": "pytorch",
}


def specs(lines: list[str]) -> dict[str, str]:
    """Name (normalised) → version specifier."""
    parted = (re.match(r"([A-Za-z0-9._-]+)(.*)", line) for line in lines)
    return {m[1].lower().replace("_", "-"): m[2] for m in parted if m}


def test_conda_environment_and_pyproject_agree() -> None:
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    listed = specs([line for line in conda if isinstance(line, str)])
    assert listed.pop("python") == PROJECT["requires-python"]
    del listed["pip"]
    for name, at_conda in NAMES_AT_CONDA.items():
        listed[name] = listed.pop(at_conda)
    assert listed == specs(INSTALLED)


def test_constraints_pin_every_dependency_and_torch() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = specs([line for line in lines if not line.startswith("#")])
    assert pinned["torch"] == "==2.13.0"
    assert set(specs(INSTALLED)) <= set(pinned)


@pytest.mark.parametrize("room", ["kernels", "workbench", "training", "tests"])
def test_import_roots_are_no_packages(room: str) -> None:
    assert (ROOT / room).is_dir()
    assert not (ROOT / room / "__init__.py").exists()


def test_importing_benchside_is_light() -> None:
    heavy = {"torch", "transformers", "ray", "matplotlib", "papermill", "sklearn", "lifelines"}
    code = "import sys, benchside, benchside.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & heavy


def test_libraries_for_training_report_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_DISABLE_TELEMETRY", raising=False)
    code = (
        "import benchside_training; from huggingface_hub import constants;"
        "print(constants.HF_HUB_DISABLE_TELEMETRY)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


DOCUMENTS = [
    f"docs/{name}.md"
    for name in (
        "kernels", "jupyter", "runs", "isolation", "suites", "calculators", "fhir", "statistics",
        "hospital", "evaluate", "curves", "local_models",
    )
]  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documented_code_runs(name: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        done = subprocess.run(
            [sys.executable, "-W", "error::SyntaxWarning", "-c", block],
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def test_documented_commands_exist() -> None:
    texts = [
        (ROOT / name).read_text()
        for name in (
            "README.md",
            *DOCUMENTS,
            "docs/policies.md",
            "docs/sharing.md",
            "docs/replay.md",
            "docs/failures.md",
            "docs/scale.md",
            "docs/reports.md",
            "docs/serving.md",
        )
    ]
    shell = re.findall(r"^benchside (\w+)", "\n".join(texts), re.MULTILINE)
    targets = re.findall(r"^make ([\w-]+)", "\n".join(texts), re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-c", "from benchside.cli import main; main()", "--help"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert shell
    for verb in set(shell):
        assert verb in done.stdout
    makefile = (ROOT / "Makefile").read_text()
    for target in set(targets):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_readme_opens_with_the_two_commands_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text()
    first = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert first
    assert [line.split("#")[0].strip() for line in first[1].splitlines()] == [
        "make demo",
        "make test",
    ]
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / link).exists(), link
