"""Merging checkpoints of one architecture: weighted sums of their tensors.

    linear            sum of w[i] * model[i], the weights divided by their sum
    task_arithmetic   base + sum of w[i] * (model[i] - base)

Sums are made in float32, tensor by tensor, and stored in the precision of the first model; mergekit
does it where it is installed, to the same result.

Sources: M. Wortsman et al., Model soups (2022); G. Ilharco et al., Editing Models with Task
Arithmetic (2023).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from transformers import AutoConfig, AutoTokenizer

from benchside.errors import InputError
from benchside_training.local.loading import first_line

Method = Literal["linear", "task_arithmetic"]
_INDEX = "model.safetensors.index.json"


class Parents(NamedTuple):
    """Checkpoints that fit together; from `checked`.

    Args:
        base: what task arithmetic measures differences from; None for linear.
    """

    method: Method
    models: tuple[Path, ...]
    base: Path | None

    @property
    def all(self) -> tuple[Path, ...]:
        """The base, where there is one, then the models."""
        return (*((self.base,) if self.base else ()), *self.models)


class _Tensor(NamedTuple):
    file: str
    shape: tuple[int, ...]
    dtype: str


def checked(method: Method, models: Sequence[Path], base: Path | None) -> Parents:
    """Return parents after checking that they can be merged.

    Raises:
        InputError: a folder holds no whole checkpoint, or they differ in architecture or tokenizer.
    """
    if (base is None) == (method == "task_arithmetic"):
        raise InputError(
            f"{method} takes {'no base' if base else 'a base'}", where="base", value=base,
            fix="task_arithmetic needs the model that all were trained from; linear needs none",
        )  # fmt: skip
    parents = Parents(method, tuple(models), base)
    first, *others = parents.all
    tensors, described = _tensors(first), _described(first)
    for other in others:
        found = _tensors(other)
        for name in sorted({*tensors, *found}):
            one, two = tensors.get(name), found.get(name)
            if one is None or two is None or one.shape != two.shape:
                shapes = ["missing" if part is None else part.shape for part in (one, two)]
                raise InputError(
                    f"the models differ in architecture: {name} is {shapes[0]} in {first.name} and "
                    f"{shapes[1]} in {other.name}", where="models", value=str(other),
                    fix="merge checkpoints that were trained from one model",
                )  # fmt: skip
        for field, value in _described(other).items():
            if value != described[field]:
                raise InputError(
                    f"the models differ in {field}", where="models", value=f"{first}, {other}",
                    fix="merge checkpoints that were trained from one model, with its tokenizer",
                )  # fmt: skip
    return parents


def merge(parents: Parents, weights: Sequence[float], out: Path) -> str:
    """Write the merged checkpoint to an empty folder; return what has made it.

    Args:
        weights: one for each model; those of a linear merge are divided by their sum.

    Raises:
        InputError: there is another number of weights, or they are all 0 in a linear merge.
    """
    if len(weights) != len(parents.models):
        raise InputError(
            "there must be a weight for each model", where="weights", value=list(weights),
            fix=f"give {len(parents.models)} weights",
        )  # fmt: skip
    if parents.method == "linear":
        total = sum(weights)
        if abs(total) < 1e-6:
            raise InputError(
                "the weights of a linear merge are divided by their sum, which is 0",
                where="weights", value=list(weights), fix="give weights of another sum",
            )  # fmt: skip
        weights = [weight / total for weight in weights]
    if find_spec("mergekit") is not None:
        return _by_mergekit(parents, weights, out)
    first = parents.all[0]
    shares = list(weights) if parents.base is None else [1 - sum(weights), *weights]
    layouts = [_tensors(one) for one in parents.all]
    for file in sorted({tensor.file for tensor in layouts[0].values()}):
        names = [name for name, tensor in layouts[0].items() if tensor.file == file]
        save_file(_summed(parents.all, layouts, shares, names), out / file, {"format": "pt"})
    for one in first.iterdir():  # configuration, tokenizer, index of the files
        if one.is_file() and one.suffix != ".safetensors" and one.name != "README.md":
            shutil.copyfile(one, out / one.name)
    return "benchside"


def _summed(
    folders: Sequence[Path],
    layouts: Sequence[dict[str, _Tensor]],
    shares: Sequence[float],
    names: Sequence[str],
) -> dict[str, torch.Tensor]:
    """Some tensors, each the weighted sum of all checkpoints'; what is no float is the first's."""
    made = {}
    with ExitStack() as stack:
        opened: dict[Path, Any] = {}

        def tensor(place: int, name: str) -> torch.Tensor:
            path = folders[place] / layouts[place][name].file
            if path not in opened:
                opened[path] = stack.enter_context(safe_open(path, framework="pt"))
            found: torch.Tensor = opened[path].get_tensor(name)
            return found

        for name in names:
            own = tensor(0, name)
            if own.is_floating_point():
                parts = [share * tensor(place, name).float() for place, share in enumerate(shares)]
                own = torch.stack(parts).sum(0).to(own.dtype)
            made[name] = own.contiguous()
    return made


def _by_mergekit(parents: Parents, weights: Sequence[float], out: Path) -> str:
    # imported here: optional
    from mergekit.config import MergeConfiguration  # noqa: PLC0415
    from mergekit.merge import run_merge  # noqa: PLC0415
    from mergekit.options import MergeOptions  # noqa: PLC0415

    dtype = next(iter(_tensors(parents.all[0]).values())).dtype
    asked = {
        "merge_method": parents.method,
        "models": [
            {"model": str(model.resolve()), "parameters": {"weight": weight}}
            for model, weight in zip(parents.models, weights, strict=True)
        ],
        "base_model": None if parents.base is None else str(parents.base.resolve()),
        "parameters": {"normalize": False},
        "dtype": "float32",
        "out_dtype": {"BF16": "bfloat16", "F16": "float16"}.get(dtype, "float32"),
    }
    options = MergeOptions(copy_tokenizer=True, write_model_card=False, quiet=True)
    run_merge(MergeConfiguration.model_validate(asked), str(out), options)
    for one in parents.all[0].glob("*.json*"):  # what mergekit leaves out
        if not (out / one.name).exists() and one.name != _INDEX:
            shutil.copyfile(one, out / one.name)
    return "mergekit"


def _tensors(folder: Path) -> dict[str, _Tensor]:
    """The tensors of a checkpoint by name."""
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    if (folder / "adapter_config.json").is_file() or not files:
        what = "an adapter" if files else "no safetensors"
        raise InputError(
            f"the folder holds {what}: whole checkpoints can be merged", where="models",
            value=str(folder), fix="work adapters into their model first, and save it",
        )  # fmt: skip
    found = {}
    try:
        for file in files:
            with safe_open(file, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118 (no mapping)
                    part = opened.get_slice(name)
                    found[name] = _Tensor(file.name, tuple(part.get_shape()), part.get_dtype())
    except SafetensorError as error:
        raise InputError(
            f"damaged weights: {first_line(error)}", where=file, fix="restore the file"
        ) from None
    return found


def _described(folder: Path) -> dict[str, object]:
    """What must be the same, by the name that an error gives it."""
    try:
        config, tokenizer = (
            AutoConfig.from_pretrained(folder),
            AutoTokenizer.from_pretrained(folder),
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"the model cannot be read: {first_line(error)}", where="models", value=str(folder),
            fix="give a folder with config.json, tokenizer and weights",
        ) from None  # fmt: skip
    told = config.to_dict()
    ignored = ("_name_or_path", "transformers_version", "dtype", "use_cache")
    return {
        "configuration": json.dumps(
            {name: told[name] for name in sorted(told) if name not in ignored}, default=str
        ),
        "tokenizer": tokenizer.get_vocab(),
        "chat template": tokenizer.chat_template,
    }
