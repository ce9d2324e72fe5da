"""Surrogates: what trainings so far say about networks that nobody has trained."""
