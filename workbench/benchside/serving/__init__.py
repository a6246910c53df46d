"""Benchside's episodes for other frameworks: each acts from outside, by the rollout's own rules."""
