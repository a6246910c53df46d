"""Errors of training, beside those of `benchside.errors`.

BenchsideError
└── TrainingError         a training went wrong by itself: loss or memory; earlier checkpoints stay
"""

from __future__ import annotations

from benchside.errors import BenchsideError


class TrainingError(BenchsideError):
    """The loss is no number any more, or memory has run out."""
