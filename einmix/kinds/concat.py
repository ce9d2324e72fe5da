"""Concat: parallel branches, side by side."""

from dataclasses import dataclass

from einmix.algebra.reach import Reach
from einmix.nodes.node import Parallel, Sizes, Step

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

    def leave(self, sizes: Sizes, ends: list[Sizes]) -> Sizes:
        return self.side_by_side(sizes, ends)

    def reach(self, step: Step, branches: list[Reach]) -> Reach:
        return self.joined(branches)
