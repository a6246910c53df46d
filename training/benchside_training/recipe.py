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

    Exits with 2 and one message where that is not possible, with 130 after Ctrl-C.
    """
    spec = sys.modules["__main__"].__spec__
    name = "benchside_training" if spec is None else spec.name.removesuffix(".__main__")
    if len(sys.argv) != 2:
        print(f"usage: python -m {name} CONFIG.yaml", file=sys.stderr)
        raise SystemExit(2)
    try:
        main(read_yaml(Path(sys.argv[1]), kind))
    except BenchsideError as error:
        print(f"{name}: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print(f"{name}: interrupted; what was saved is kept, and can be gone on with",
              file=sys.stderr)  # fmt: skip
        raise SystemExit(130) from None
