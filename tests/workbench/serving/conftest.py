import pytest

from benchside.engines import local


@pytest.fixture(autouse=True)
def _cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """No modules are loaded ahead: what these tests run needs none."""
    monkeypatch.setattr(local, "WARM_MODULES", ())
