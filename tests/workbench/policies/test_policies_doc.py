"""The page on policies is true: its code runs and its tables name what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchside.policies import POLICY_FORMS, PolicyOptions

PAGE = Path(__file__).parents[3].joinpath("docs/policies.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_code_runs(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    exec(compile(block, "docs/policies.md", "exec"), {})


def test_all_policies_and_options_are_listed() -> None:
    first_column = [row.split("|")[1] for row in PAGE.splitlines() if row.startswith("| `")]
    named = set(re.findall(r"`([^`]+)`", " ".join(first_column)))
    plugged = {"hf:PATH_OR_NAME", "vllm:PATH_OR_NAME", "nano"}  # by entry points
    assert named == {*POLICY_FORMS.values(), *PolicyOptions.model_fields, *plugged}


def test_the_defaults_are_true() -> None:
    options = PolicyOptions()
    for name in ("timeout_s", "max_retries", "backoff_s", "max_concurrent_requests"):
        assert f"| `{name}` | {getattr(options, name):g} |" in PAGE
