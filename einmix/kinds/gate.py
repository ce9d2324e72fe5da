"""Gate: half of the channels times what becomes of the other."""

from dataclasses import dataclass

from einmix.algebra.factors import written
from einmix.algebra.reach import Reach
from einmix.errors import PatternError
from einmix.nodes.node import Body, Sizes, Step, part

GATE = '''
class Gate(nn.Module):
    """u * f(v), u and v the halves of the channels"""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.f = nn.Sequential(*layers)

    def forward(self, x):
        u, v = x.chunk(2, -1)
        return u * self.f(v)
'''


@dataclass(frozen=True)
class Gate(Body):
    """u * f(v), u and v the halves of the channels: gMLP's spatial gating unit (arXiv:2105.08050), MAXIM."""

    kind = "gate"
    helpers = (GATE,)
    job = ("gated", "by a gate")

    def enter(self, sizes: Sizes) -> Sizes:
        return part(sizes, 2)

    def leave(self, sizes: Sizes, ends: list[Sizes]) -> Sizes:
        if ends != [part(sizes, 2)]:
            words = f"{written(part(sizes, 2))} meet a branch that ends with {written(ends[0])}"
            raise PatternError(f"in a gate {words}: they must be equal")
        return ends[0]

    def reach(self, step: Step, branches: list[Reach]) -> Reach:
        half = step.after["c"]
        u, v = (Reach.linked(step.before, {"c": range(start, start + half)}) for start in (0, half))
        return u | v.then(branches[0])
