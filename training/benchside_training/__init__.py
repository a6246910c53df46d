"""Training on transcripts. Recipes land here; nothing in `benchside` imports this package."""
