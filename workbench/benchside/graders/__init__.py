"""Graders: typed comparison of a submission with its answer key, outside the kernel."""
