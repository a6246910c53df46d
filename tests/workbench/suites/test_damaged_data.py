"""Every loader, on files that are none: a named error, and nothing in the home folder."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from benchside.errors import DataMissingError, InputError, IntegrityError
from benchside.library import prepare
from benchside.manifests import manifests
from benchside.suite import SuiteManifest

BROUGHT = [one for one in manifests().values() if one.data]
CONTENTS = {
    "bytes": b"\x00\xff\xfe\n" * 64,
    "cut off": b'{"id": "a", "text": "b',
    "of another data set": b'{"subject": 1, "drug": "x"}\n',
    "empty": b"",
}


def packed(content: bytes, path: Path) -> bytes:
    """As the file's name says; content that is no text stands for a torn archive."""
    if path.suffix == ".gz" and content != CONTENTS["bytes"]:
        return gzip.compress(content)
    return content


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
@pytest.mark.parametrize("described", BROUGHT, ids=lambda one: one.name)
def test_what_is_no_data_is_refused_and_leaves_nothing(
    described: SuiteManifest, content: bytes, tmp_path: Path
) -> None:
    data, home = tmp_path / "data", tmp_path / "home"
    for file in described.data:
        path = data / file.path.replace("**/", "").replace("*", "1")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed(content, path))
    with pytest.raises((InputError, IntegrityError, DataMissingError)) as found:
        prepare(described.name, home, data=data)
    assert str(data) in str(found.value.where)
    assert found.value.fix
    assert [path for path in home.rglob("*") if path.is_file() and ".lock" not in path.name] == []
    assert list(home.rglob(".preparing-*")) == []
