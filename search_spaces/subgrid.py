"""The space `subgrid`: every block mixes positions within subgrids."""

from search_spaces.space import Family, Space

SPACE = Space(
    "subgrid", "every block mixes positions within subgrids", (Family("subgrid", positions="m*.s*", channels="g*.s*"),)
)
