"""Everything about one live Jupyter kernel; usable without the rest of Benchside."""
