"""The board reads what jobs write, and draws a curve of it."""

import io
import os
from pathlib import Path

from rich.console import Console

from benchside.curves import METRICS, MetricsRow
from benchside_training.nano.board import BARS, WIDTH, Board, curve


def test_a_curve_rises_from_the_lowest_bar_to_the_highest() -> None:
    assert curve([0.0, 0.5, 1.0]) == BARS[0] + BARS[4] + BARS[7]
    assert curve([1.0, 1.0]) == BARS[0] * 2
    many = curve([float(number) for number in range(1000)])
    assert (len(many), many[0], many[-1]) == (WIDTH, BARS[0], BARS[-1])


def test_the_board_shows_the_training_that_writes_now(tmp_path: Path) -> None:
    for stage, reward in (("sft", None), ("grpo", 0.75)):
        folder = tmp_path / "seed-0" / stage
        folder.mkdir(parents=True)
        row = MetricsRow(step=0, stage=stage, seed=0, loss=0.5, reward_mean=reward)
        (folder / METRICS).write_text(f"{row.model_dump_json()}\n" + '{"torn')
    os.utime(tmp_path / "seed-0/sft" / METRICS, (0, 0))
    shown = io.StringIO()
    board = Board(tmp_path, {"seed 0": ("seed-0/*", {"sft": "sft-0"}), "seed 1": ("seed-1/*", {})})
    Console(file=shown, width=120).print(board)
    told = {
        line.split("│")[1].strip(): line for line in shown.getvalue().splitlines() if "│" in line
    }
    assert all(part in told["seed 0"] for part in ("grpo", "0.75", BARS[0]))
    assert BARS[0] not in told["seed 1"]
