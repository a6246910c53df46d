"""Sharing a run: what may leave the machine, and what is taken out first."""
