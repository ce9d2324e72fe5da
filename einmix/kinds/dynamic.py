"""Dynamic: mixing along an axis by weights that the input generates."""

from dataclasses import KW_ONLY, dataclass
from math import prod
from typing import Annotated

from einmix.algebra.reach import Reach
from einmix.errors import PatternError
from einmix.nodes.calls import Call, Size
from einmix.nodes.fields import integer
from einmix.nodes.node import Cost, Leaf, Sizes, Step, length_of

DYNAMIC = '''
class Dynamic(nn.Module):
    """Mixes the `n` positions on an axis of `b ... c` by a matrix that they generate, one for each segment of c."""

    def __init__(self, axis: int, n: int, c: int, segments: int, reduced: int):
        super().__init__()
        self.axis, self.segments = axis, segments
        self.matrix = nn.Sequential(
            nn.Linear(c, segments * reduced), Rearrange("... n (s r) -> ... s (n r)", s=segments),
            nn.Linear(n * reduced, n * n), Rearrange("... s (i o) -> ... s i o", i=n), nn.Softmax(-2),
        )

    def forward(self, x):
        x = x.movedim(self.axis, -2)
        y = torch.einsum("...isc,...sio->...osc", x.unflatten(-1, (self.segments, -1)), self.matrix(x))
        return y.flatten(-2).movedim(-2, self.axis)
'''


@dataclass(frozen=True)
class Dynamic(Leaf):
    """Mixing along one axis by weights that the input generates, for each segment of the channels its own.

    At every other position `reduced` channels a segment and position are read off, a linear layer makes of all of them
    a square matrix, and a softmax over its inputs mixes with that. Wang et al., "DynaMixer", 2022 (arXiv:2201.12083).
    """

    kind = "dynamic"
    helpers = (DYNAMIC,)
    job = ("dynamic", "by generated weights")
    axis: str
    _: KW_ONLY
    segments: Annotated[int, integer(always=True)] = 8
    reduced: Annotated[int, integer(always=True)] = 2

    def through(self, sizes: Sizes) -> Sizes:
        if self.axis == "c":
            raise PatternError("dynamic mixing is along positions, not c")
        length_of(sizes, self.axis)
        if sizes["c"] % self.segments:
            raise PatternError(f"{sizes['c']} channels do not divide into {self.segments} segments")
        return sizes

    def touched(self, before: Sizes) -> frozenset[str]:
        return frozenset([self.axis] if before[self.axis] > 1 else [])

    def cost(self, sizes: Sizes) -> Cost:
        n, c = sizes[self.axis], sizes["c"]
        read, square = self.segments * self.reduced, n * n
        others = prod(sizes.values()) // (n * c)
        params = (c + 1) * read + (n * self.reduced + 1) * square
        return params, others * (n * c * read + self.segments * n * self.reduced * square + square * c)

    def fan_ins(self, sizes: Sizes) -> tuple[int, ...]:
        return sizes["c"], 1, sizes[self.axis] * self.reduced, 1

    def reach(self, step: Step) -> Reach:
        return Reach.full(step.before, self.axis, "c")

    def emit(self, step: Step) -> list[Call]:
        sizes = step.size(self.axis), step.size("c"), Size(self.segments, "segments")
        return [Call("Dynamic", (step.place(self.axis), *sizes, self.reduced))]
