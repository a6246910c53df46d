"""The page on scaffolds is true: its code runs and its table names all there are."""

import re
from pathlib import Path

import pytest

from benchside.policies import SCAFFOLD_FORMS

PAGE = Path(__file__).parents[3].joinpath("docs/scaffolds.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL))
def test_the_code_runs(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    exec(compile(block, "docs/scaffolds.md", "exec"), {})


def test_all_scaffolds_are_listed() -> None:
    rows = [row.split("|")[1].strip() for row in PAGE.splitlines() if row.startswith("| `")]
    assert rows == [f"`{form}`" for form in SCAFFOLD_FORMS.values()]
