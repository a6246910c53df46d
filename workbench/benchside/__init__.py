"""Benchside: tasks go into Jupyter kernels, graded notebooks come out."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchside.runs import Run, load_run

__version__ = "0.1.0"

__all__ = ["Run", "__version__", "load_run"]


def __getattr__(name: str) -> Any:
    """Import what takes seconds, pandas and more, when it is first used."""
    if name == "load_environment":  # asked for by verifiers, which is optional
        from benchside.serving import verifiers_env  # noqa: PLC0415

        return verifiers_env.load_environment
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from benchside import runs  # noqa: PLC0415 (slow)

    return getattr(runs, name)
