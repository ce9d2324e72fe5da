"""The space `mixed`: every block chooses its family."""

from search_spaces import grouped, local, per_channel, subgrid
from search_spaces.space import Space

SPACE = Space(
    "mixed",
    "every block chooses among grouped, local, subgrid and per_channel",
    tuple(family for module in (grouped, local, subgrid, per_channel) for family in module.SPACE.families),
)
