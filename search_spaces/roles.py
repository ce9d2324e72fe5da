"""The space `roles`: the whole algebra: every role for every factor of every axis."""

from search_spaces.space import Family, Space

SPACE = Space(
    "roles",
    "the whole algebra: every role for every factor of every axis",
    (Family("roles", positions="*", channels="*"),),
)
