"""Probes: submissions made from a task's gold that must pass, or must fail, its grader."""

from benchside.graders.probes.probe import Probe, check_probes, probes

__all__ = ["Probe", "check_probes", "probes"]
