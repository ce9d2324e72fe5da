"""One training: recipe, data on a device, fit, checkpoints."""
