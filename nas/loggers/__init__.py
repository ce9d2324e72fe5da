"""Trainings told to others."""
