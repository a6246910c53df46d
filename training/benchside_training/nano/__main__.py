"""`python -m benchside_training.nano NANO.yaml`: the nano policy from scratch."""

from __future__ import annotations

from rich.console import Console

from benchside_training.nano.config import NanoConfig
from benchside_training.nano.jobs import side_by_side
from benchside_training.nano.pipeline import Nano
from benchside_training.nano.results import write_results
from benchside_training.recipe import run_recipe


def main(config: NanoConfig) -> None:
    """Run the pipeline and print its closing table."""
    console = Console()
    nano = Nano(config, console)
    measured = nano.run(lambda: side_by_side(config, console))
    write_results(measured, config.out, console)


if __name__ == "__main__":
    run_recipe(NanoConfig, main)
