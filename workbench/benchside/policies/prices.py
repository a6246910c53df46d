"""`PriceList`: what models cost, from a file that the user keeps; Benchside knows no prices itself.

    openai:gpt-5*:
      input: 1.25       # US dollars per million tokens
      output: 10
      cached: 0.125     # of input that the provider reads from its cache; default: as input
      written: 1.25     # of input that it writes to its cache; default: as input

Names are those of models' policies and may hold `*` and `?`; the first that matches counts. Each
model of a scaffold has its own.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import Field, RootModel

from benchside.manifests import read_yaml
from benchside.policies.options import PolicyOptions
from benchside.task import Frozen


class Price(Frozen):
    """US dollars per million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached: float | None = Field(None, ge=0)
    written: float | None = Field(None, ge=0)


class PriceList(RootModel[dict[str, Price]]):
    """Prices by names of policies."""

    def priced(self, policy: str, options: PolicyOptions) -> PolicyOptions:
        """Return a model's options with prices of the list, where they have none of their own."""
        name = policy.removeprefix("blind:")
        names = (policy, name, f"openai:{name}")  # "blind:MODEL" is an openai one
        found = next(
            (price for pattern, price in self.root.items() if _matches(pattern, names)), None
        )
        if found is None or options.prices != (None, None):
            return options
        return options.model_copy(
            update={
                "usd_per_million_input_tokens": found.input,
                "usd_per_million_output_tokens": found.output,
                "usd_per_million_cached_tokens": found.cached,
                "usd_per_million_written_tokens": found.written,
            }
        )


def read_prices(path: Path) -> PriceList:
    """Read a price list; `InputError` names file, field, value and fix."""
    return read_yaml(path, PriceList)


def _matches(pattern: str, names: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)
