"""The space `macro`: the blocks themselves are searched, their form, order, norm and mixers, in one stage or two."""

from search_spaces.blocks.forms import FORMS
from search_spaces.space import Space

SPACE = Space(
    "macro",
    "every block chooses its form (gate, branches, shift…), order and mixers; norm, scale and stages with it",
    families=(),
    forms=tuple(FORMS),
    depth=(2, 4),
    ratio=(2, 3, 4, 6),
    stages=(1, 2),
    norm=("layer", "affine", "batch"),
    scale=("none", "0.1"),
    weights=dict.fromkeys(FORMS, 1),
)
