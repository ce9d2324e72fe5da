"""Figures drawn: plain SVG, which needs no script and no library."""
