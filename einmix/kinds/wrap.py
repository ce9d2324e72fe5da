"""Wrap: an axis as a circle, gone along to another length."""

from dataclasses import KW_ONLY, dataclass

from einmix.algebra.factors import written
from einmix.algebra.reach import Reach
from einmix.errors import PatternError
from einmix.nodes.calls import Call, Size
from einmix.nodes.fields import Move
from einmix.nodes.node import Leaf, Sizes, Step, length_of

WRAP = '''
class Wrap(nn.Module):
    """An axis of `b ... c` as a circle: moved by so many positions, then as long as `length`."""

    def __init__(self, axis: int, by: int, length: int):
        super().__init__()
        self.axis, self.by, self.length = axis, by, length

    def forward(self, x):
        index = torch.arange(self.length, device=x.device) - self.by
        return x.index_select(self.axis, index % min(x.shape[self.axis], self.length))
'''


@dataclass(frozen=True)
class Wrap(Leaf):
    """An axis as a circle: moved by so many positions, then gone along to another length, or cut to it. No weights.

    Hire-MLP (arXiv:2108.13341) rolls an axis and fills it up to whole regions so, and back.
    """

    kind = "wrap"
    helpers = (WRAP,)
    move: Move
    _: KW_ONLY
    length: int

    def through(self, sizes: Sizes) -> Sizes:
        axis, by = self.move
        n = length_of(sizes, axis)
        if axis == "c" or abs(by) >= n or self.length > 2 * n:
            raise PatternError(f"{self.text!r} does not fit {written(sizes)}")
        return sizes | {axis: self.length}

    def touched(self, before: Sizes) -> frozenset[str]:
        axis, by = self.move
        return frozenset([axis] if by or self.length != before[axis] else [])

    def reach(self, step: Step) -> Reach:
        axis, by = self.move
        around = min(step.before[axis], self.length)
        return Reach.linked(step.before, {axis: [(i - by) % around for i in range(self.length)]})

    def emit(self, step: Step) -> list[Call]:
        axis, by = self.move
        return [Call("Wrap", (step.place(axis), Size(by, "roll"), Size(self.length, "length")))]
