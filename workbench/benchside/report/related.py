"""`Related`: what a run folder holds beside its episodes; `beside` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchside.episode import Episode
from benchside.failures.finding import Finding


@dataclass(frozen=True, slots=True)
class Related:
    """All by episode id.

    Args:
        findings: of failure analysis; empty where it has found nothing, missing where it was not
            asked.
        replays: the first divergence in words, of episodes with a notebook of their replay.
        children: counterfactuals, each with what it is.
    """

    findings: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    replays: Mapping[str, str] = field(default_factory=dict)
    children: Mapping[str, tuple[Episode, ...]] = field(default_factory=dict)
