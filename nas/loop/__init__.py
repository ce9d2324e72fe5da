"""Ask, evaluate, tell."""
