from pathlib import Path

import pytest

from benchside.library import Suite, prepare


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder of its own, never the user's."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def suite(home: Path) -> Suite:
    """A small real suite."""
    return prepare("power", home, size=40)
