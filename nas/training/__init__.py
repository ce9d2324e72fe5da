"""One training: recipe, fit, checkpoints."""
