"""Failure analysis: why an episode failed, by rules over its cells, outputs and gold."""
