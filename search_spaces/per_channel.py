"""The space `per_channel`: every block mixes any part of an axis, with weights of its own for every channel."""

from search_spaces.space import Family, Space

SPACE = Space(
    "per_channel",
    "every block mixes any part of an axis, with weights of its own for every channel",
    (Family("per_channel", positions="s*.m*.s*", channels="g*"),),
)
