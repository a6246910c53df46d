"""Benchside: tasks go into Jupyter kernels, graded notebooks come out."""

__version__ = "0.1.0"

from benchside.runs import Run, load_run

__all__ = ["Run", "__version__", "load_run"]
