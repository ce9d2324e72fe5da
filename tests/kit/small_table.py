"""A table of record that is made in seconds."""

from nas.tabular.declared import Declared
from search_spaces.blocks.patch import Sides

SMALL = Declared("digits", Sides([4, 4]), width=2, depth=2, ratio=1, rates=(0.01,), seeds=(0, 1), epochs=2)
NETWORKS = 18
