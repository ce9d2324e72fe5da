"""Concat: parallel branches, side by side."""

from dataclasses import dataclass

from einmix.nodes.node import Parallel

CONCAT = '''
class Concat(nn.ModuleList):
    """The channels of f(x), g(x), ... one after the other."""

    def forward(self, x):
        return torch.cat([f(x) for f in self], -1)
'''


@dataclass(frozen=True)
class Concat(Parallel):
    """Parallel branches, their channels put one after the other."""

    kind = "concat"
    helpers = (CONCAT,)
    job = ("concatenated", "in branches that are put side by side")
    summed = False
