"""The space `local`: every block mixes positions within patches."""

from search_spaces.space import Family, Space

SPACE = Space(
    "local", "every block mixes positions within patches", (Family("local", positions="s*.m*", channels="g*.s*"),)
)
