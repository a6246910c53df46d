"""The `cohorts` suite: questions of clinical statistics over real, packaged data sets."""

from benchside.suites.cohorts.builder import build

__all__ = ["build"]
