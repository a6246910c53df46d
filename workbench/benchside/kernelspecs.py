"""`benchside kernelspec install`: makes sandboxed kernels appear in JupyterLab and papermill.

A kernelspec names the provisioner that starts the kernel, and the image that it starts with.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from jupyter_client.kernelspec import KernelSpecManager
from pydantic import JsonValue
from rich.console import Console

from benchside.errors import DataMissingError, InputError
from benchside.library import load_suite
from benchside.task_kernel import WARM_MODULES
from benchside_kernels.image import images_folder, load_image
from benchside_kernels.provisioner import NAME
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.startup import home_folder

app = typer.Typer(help="Kernels for Jupyter.", no_args_is_help=True)

_REFUSAL = "Benchside kernels are started by Jupyter's provisioner benchside-provisioner only"


@app.callback()
def _group() -> None:
    """Kernels for Jupyter: sandboxed, with a suite's data."""


@app.command()
def install(
    image: Annotated[
        str | None, typer.Option(help="Prepared image, such as cohorts.lung or cohorts.lung@HASH.")
    ] = None,
    suite: Annotated[
        str | None, typer.Option(help="Suite; notebooks load its images with setup(...).")
    ] = None,
    user: Annotated[bool, typer.Option("--user", help="For this user only.")] = False,
    prefix: Annotated[
        Path | None, typer.Option(help="Environment; default: the one that Benchside is in.")
    ] = None,
) -> None:
    """Install a kernelspec: bare, with an image's data, or for a suite's notebooks."""
    if (image is not None and suite is not None) or (user and prefix is not None):
        raise InputError(
            "at most one of --image and --suite, and one of --user and --prefix", where="options"
        )
    config: dict[str, JsonValue] = {"modules": list(WARM_MODULES)}
    shown = suite
    if image is not None:
        config["image"] = _image_ref(image)
        shown = image.partition("@")[0]
    if suite is not None:
        refs = list(load_suite(suite, home_folder()).record.images.values())
        config |= {"image": refs[0]} if len(refs) == 1 else {"images": list(refs)}
    name = f"benchside-{shown}" if shown else "benchside"
    folder = write_kernelspec(
        name.lower(), f"Benchside: {shown}" if shown else "Benchside", config,
        user=user, prefix=None if user else prefix or Path(sys.prefix),
    )  # fmt: skip
    Console().print(f"installed {name.lower()}: {folder}", soft_wrap=True)
    if problem := sandbox_problem():
        Console(stderr=True).print(f"its kernels will not start here: {problem}", soft_wrap=True)


def write_kernelspec(
    name: str, display_name: str, config: dict[str, JsonValue], *, user: bool, prefix: Path | None
) -> str:
    """Write a kernelspec where Jupyter finds it; return its folder.

    Args:
        config: traits of `BenchsideProvisioner`.
    """
    described = {
        # for clients that know no provisioners: never start this kernel without its sandbox
        "argv": [sys.executable, "-c", f"raise SystemExit({_REFUSAL!r})"],
        "display_name": display_name,
        "language": "python",
        "interrupt_mode": "signal",
        "metadata": {
            "debugger": False,
            "kernel_provisioner": {"provisioner_name": NAME, "config": config},
        },
    }
    with tempfile.TemporaryDirectory() as source:
        Path(source, "kernel.json").write_text(json.dumps(described, indent=1), encoding="utf-8")
        Path(source).chmod(0o755)  # it is copied with its mode
        return str(
            KernelSpecManager().install_kernel_spec(
                source, name, user=user, prefix=None if prefix is None else str(prefix)
            )
        )


def _image_ref(image: str) -> str:
    """Return the reference of a prepared image that is named by reference or name."""
    if "@" in image:
        return load_image(image, images_folder(home_folder())).ref
    suite = image.partition(".")[0]
    images = load_suite(suite, home_folder()).record.images
    if image not in images:
        raise DataMissingError(
            f"suite {suite} has no image {image}", where=suite, fix=f"one of {', '.join(images)}"
        )
    return images[image]
