"""What one mixer is: roles of factors, order, reach, EinMix patterns."""
