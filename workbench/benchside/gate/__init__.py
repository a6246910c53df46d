"""The gate: what a suite's tasks must pass before they are trusted, on real kernels."""
