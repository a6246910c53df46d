"""How a recipe is started: `python -m benchside_training.NAME CONFIG.yaml`.

Each recipe is a module with one config and one `main`; this is what they share in a terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from benchside.errors import BenchsideError
from benchside.manifests import read_yaml
from benchside.task import Frozen

Config = TypeVar("Config", bound=Frozen)


def run_recipe(kind: type[Config], main: Callable[[Config], object]) -> None:
    """Read the config that the command line names, and do what it asks for.

    Exits with 2 and one message where that is not possible.
    """
    name = Path(sys.argv[0]).stem
    if len(sys.argv) != 2:
        print(f"usage: python -m benchside_training.{name} CONFIG.yaml", file=sys.stderr)
        raise SystemExit(2)
    try:
        main(read_yaml(Path(sys.argv[1]), kind))
    except BenchsideError as error:
        print(f"benchside_training.{name}: {error}", file=sys.stderr)
        raise SystemExit(2) from None
