"""A model that acts, and a suite for it."""

from pathlib import Path

import pytest

from benchside.library import prepare
from tests.training.local.small import save_acting


@pytest.fixture(scope="session")
def acting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that runs a cell and submits what it gave."""
    return save_acting(tmp_path_factory.mktemp("acting"))


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("home")
    prepare("power", made, size=4)
    return made
