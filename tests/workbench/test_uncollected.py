"""Garbage is not looked for while much is made, and again afterwards, whatever happened."""

import gc

import pytest

from benchside.uncollected import uncollected


def test_garbage_is_looked_for_again_afterwards() -> None:
    assert gc.isenabled()
    with pytest.raises(ValueError, match="torn"), uncollected():
        assert not gc.isenabled()
        raise ValueError("torn")
    assert gc.isenabled()


def test_whoever_had_turned_it_off_finds_it_off() -> None:
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
