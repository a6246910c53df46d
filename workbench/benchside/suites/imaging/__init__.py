"""Suite `imaging`: measurements from generated images and signals, and real samples."""

from benchside.suites.imaging.build import build

__all__ = ["build"]
