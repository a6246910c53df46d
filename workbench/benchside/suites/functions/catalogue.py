"""All exercises, by category."""

from __future__ import annotations

from benchside.suites.functions.alignments import alignments
from benchside.suites.functions.exercise import Exercise
from benchside.suites.functions.formats import formats
from benchside.suites.functions.genomic_intervals import genomic_intervals
from benchside.suites.functions.inference import inference
from benchside.suites.functions.networks import networks
from benchside.suites.functions.phylogeny import phylogeny
from benchside.suites.functions.populations import populations
from benchside.suites.functions.sequences import sequences
from benchside.suites.functions.structures import structures

CATEGORIES = (
    sequences, alignments, phylogeny, formats, inference, structures, genomic_intervals, networks,
    populations,
)  # fmt: skip
EXERCISES: tuple[Exercise, ...] = tuple(one for group in CATEGORIES for one in group.all)
