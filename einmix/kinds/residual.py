"""Residual: x + f(x)."""

from dataclasses import dataclass

from einmix.algebra.factors import written
from einmix.algebra.reach import Reach
from einmix.errors import PatternError
from einmix.nodes.node import Body, Sizes, Step

RESIDUAL = '''
class Residual(nn.Module):
    """x + f(x)"""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.f = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.f(x)
'''


@dataclass(frozen=True)
class Residual(Body):
    """x + f(x); f is a sequence."""

    kind = "residual"
    helpers = (RESIDUAL,)
    plain = True

    def leave(self, sizes: Sizes, ends: list[Sizes]) -> Sizes:
        if ends != [sizes]:
            words = f"starts with {written(sizes)} and ends with {written(ends[0])}"
            raise PatternError(f"a residual branch {words}: they must be equal")
        return sizes

    def reach(self, step: Step, branches: list[Reach]) -> Reach:
        return branches[0] | Reach.linked(step.before)
