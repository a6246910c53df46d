"""Local models: an engine that samples for many episodes at once, and the policy `hf:` on it."""
