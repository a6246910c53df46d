"""The designs of the suite, in the order in which tasks go through them."""

from __future__ import annotations

from typing import Any

from benchside.suites.power.designs.association import CORRELATION
from benchside.suites.power.designs.clusters import CLUSTER_MEANS, CLUSTER_PROPORTIONS
from benchside.suites.power.designs.margins import (
    BIOEQUIVALENCE,
    EQUIVALENCE_MEANS,
    NONINFERIORITY_MEANS,
    NONINFERIORITY_PROPORTIONS,
)
from benchside.suites.power.designs.means import ANOVA, ONE_SAMPLE_T, PAIRED_T, TWO_SAMPLE_T
from benchside.suites.power.designs.proportions import MCNEMAR, ONE_PROPORTION, TWO_PROPORTIONS
from benchside.suites.power.designs.survival import COX, LOG_RANK
from benchside.suites.power.study import Design

DESIGNS: tuple[Design[Any], ...] = (
    ONE_SAMPLE_T,
    TWO_SAMPLE_T,
    PAIRED_T,
    ANOVA,
    ONE_PROPORTION,
    TWO_PROPORTIONS,
    MCNEMAR,
    CORRELATION,
    LOG_RANK,
    COX,
    NONINFERIORITY_MEANS,
    NONINFERIORITY_PROPORTIONS,
    EQUIVALENCE_MEANS,
    BIOEQUIVALENCE,
    CLUSTER_MEANS,
    CLUSTER_PROPORTIONS,
)
