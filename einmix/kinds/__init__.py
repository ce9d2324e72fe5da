"""The kinds of nodes: one file each, and a place in this list."""

from einmix.kinds.activation import Activation
from einmix.kinds.concat import Concat
from einmix.kinds.conv import Conv
from einmix.kinds.drop import Drop
from einmix.kinds.dynamic import Dynamic
from einmix.kinds.gate import Gate
from einmix.kinds.linear import Linear
from einmix.kinds.mix import Mix
from einmix.kinds.norm import Norm
from einmix.kinds.residual import Residual
from einmix.kinds.reweight import Reweight
from einmix.kinds.shift import Shift
from einmix.kinds.shuffle import Shuffle
from einmix.kinds.split import Split
from einmix.kinds.sum import Sum
from einmix.kinds.unfold import Unfold
from einmix.kinds.wrap import Wrap
from einmix.nodes.node import Node

KINDS: tuple[type[Node], ...] = (
    *(Mix, Linear, Norm, Activation, Drop, Shift, Shuffle, Conv, Unfold, Wrap, Dynamic),
    *(Residual, Sum, Concat, Split, Reweight, Gate),
)
"""In the order in which messages name them."""
