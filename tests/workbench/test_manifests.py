"""Manifests as they are found: one is read without the others."""

import shutil
from pathlib import Path

import pytest

from benchside import manifests
from benchside.errors import InputError


def test_a_manifest_is_read_without_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = manifests._task_specs() / "power"
    for name in ("power", "copied", "broken"):
        shutil.copytree(original, tmp_path / name)
    (tmp_path / "broken" / "suite.yaml").write_text("name: [")
    monkeypatch.setattr(manifests, "_task_specs", lambda: tmp_path)
    assert manifests.manifest("power").name == "power"
    with pytest.raises(InputError, match="not valid YAML"):
        manifests.manifest("broken")
    with pytest.raises(InputError, match="differs from its folder's") as error:
        manifests.manifest("copied")
    assert error.value.fix == "call it copied"
    with pytest.raises(InputError, match="unknown suite"):
        manifests.manifest("powr")
