"""Benchside: tasks go into Jupyter kernels, graded notebooks come out."""
