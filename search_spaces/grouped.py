"""The space `grouped`: every block mixes all positions, with weights per group of channels."""

from search_spaces.space import Family, Space

SPACE = Space(
    "grouped",
    "every block mixes all positions, with weights per group of channels",
    (Family("grouped", positions="m*", channels="g*.s*"),),
)
