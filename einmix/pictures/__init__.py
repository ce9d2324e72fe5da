"""A mixer or a network drawn; needs no run."""
