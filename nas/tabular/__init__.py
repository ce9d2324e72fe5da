"""The tabular benchmark: every network of a small space, trained and kept, and searches replayed on it."""
