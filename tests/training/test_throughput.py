"""Throughput and utilisation of trainings, from numbers worked out by hand."""

import io
import json
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from benchside.curves import METRICS, MetricsRow
from benchside.errors import StoreError
from benchside.store import append_line
from benchside_training.accelerator import device_name, peak_tflops
from benchside_training.throughput import show, throughput
from tests.training.tiny import VOCABULARY, tiny_llama


def training(folder: Path, device: str, rows: list[MetricsRow], **config: object) -> None:
    tiny_llama().save_pretrained(folder / "model")
    told = {"asked": {"config": config}, "device": device}
    (folder / "training.json").write_text(json.dumps(told))
    for row in rows:
        append_line(folder / METRICS, row.model_dump_json())


def sft_row(step: int, seconds: float) -> MetricsRow:
    return MetricsRow(
        step=step, stage="sft", seed=0, tokens=300, input_tokens=1000, seconds=seconds,
        peak_gib=1.0 + step,
    )  # fmt: skip


def test_figures_of_steps_after_the_first(tmp_path: Path) -> None:
    steps = [sft_row(0, 50.0), sft_row(1, 2.0), sft_row(2, 4.0)]
    training(tmp_path / "sft", "NVIDIA H100 80GB HBM3", steps)
    (row,) = throughput(str(tmp_path / "*")).to_dict("records")
    parameters = sum(one.numel() for one in tiny_llama().parameters())
    head = VOCABULARY * 16  # tied: it is the embeddings, too
    assert (row["parameters"], row["steps"], row["step_s"]) == (parameters, 3, 3.0)
    assert row["tokens_s"] == pytest.approx((150 + 75) / 2)
    assert row["input_tokens_s"] == pytest.approx((500 + 250) / 2)
    done = 6 * ((parameters - head) * 375 + head * 112.5)
    assert row["mfu"] == pytest.approx(done / 989.4e12)
    assert row["peak_gib"] == 3.0
    assert pd.isna(row["episodes_s"])


def test_of_reinforcement_learning_tokens_are_those_of_the_update(tmp_path: Path) -> None:
    row = MetricsRow(
        step=1, stage="grpo", seed=0, tokens=100, input_tokens=400, seconds=10.0,
        training_seconds=2.0, episodes=64,
    )  # fmt: skip
    first = row.model_copy(update={"step": 0, "seconds": 60.0})
    silent = row.model_copy(update={"step": 2, "tokens": 0, "input_tokens": 0})
    measuring = row.model_copy(update={"step": 3, "seconds": 90.0, "success": 0.5})
    rows = [first, row, silent, measuring]
    training(tmp_path / "rl", "NVIDIA A100-SXM4-80GB", rows, lora={"rank": 4})
    (found,) = throughput(str(tmp_path / "rl")).to_dict("records")
    assert (found["tokens_s"], found["input_tokens_s"], found["episodes_s"]) == (50, 200, 6.4)
    head = VOCABULARY * 16
    done = 4 * ((found["parameters"] - head) * 200 + head * 50)
    assert found["mfu"] == pytest.approx(done / 312e12)


def test_what_is_not_known_is_shown_as_such(tmp_path: Path) -> None:
    training(tmp_path / "sft", "x86_64", [sft_row(0, 2.0)])
    (tmp_path / "sft" / "model" / "config.json").unlink()
    found = throughput(str(tmp_path / "sft"))
    assert pd.isna(found["mfu"][0])
    assert pd.isna(found["parameters"][0])
    said = io.StringIO()
    show(found, Console(file=said, width=200))
    assert [cell.strip() for cell in said.getvalue().splitlines()[3].split("│")[2:-1]] == [
        "x86_64", "-", "1", "2.00", "150", "500", "-", "-", "1.0",
    ]  # fmt: skip
    with pytest.raises(StoreError, match="no training run"):
        throughput(str(tmp_path / "nothing"))


def test_devices_are_told_apart() -> None:
    assert peak_tflops("NVIDIA H100 80GB HBM3") == 989.4
    assert peak_tflops("NVIDIA H100 PCIe") == 756.0
    assert peak_tflops("NVIDIA A100-SXM4-80GB") == 312.0
    assert peak_tflops("NVIDIA A10") == 125.0
    assert peak_tflops("x86_64") is None
    assert peak_tflops("NVIDIA GeForce RTX 4090 Laptop GPU") is None
    assert peak_tflops("NVIDIA H100 80GB HBM3 MIG 1g.10gb") is None
    assert device_name("cpu")
