"""How a recipe ends in a terminal."""

import sys
from pathlib import Path

import pytest

from benchside.errors import InputError
from benchside.task import Frozen
from benchside_training.recipe import run_recipe


class Options(Frozen):
    steps: int


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted; what was saved is kept"),
        (InputError("no data", where="data", fix="give some"), 2, "no data"),
    ],
)
def test_an_end_before_the_end_is_one_line(
    raised: BaseException, code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def main(_: Options) -> None:
        raise raised

    path = tmp_path / "options.yaml"
    path.write_text("steps: 3")
    monkeypatch.setattr(sys, "argv", ["recipe", str(path)])
    with pytest.raises(SystemExit) as ended:
        run_recipe(Options, main)
    assert ended.value.code == code
    assert said in capsys.readouterr().err.splitlines()[0]


def test_without_a_file_the_usage_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["recipe"])
    with pytest.raises(SystemExit) as ended:
        run_recipe(Options, print)
    assert ended.value.code == 2
    assert "CONFIG.yaml" in capsys.readouterr().err
