"""Unfold: windows of positions put into the channels."""

from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from einmix.algebra.reach import Inputs, Reach
from einmix.nodes.calls import Call
from einmix.nodes.fields import integer, whole
from einmix.nodes.node import Sizes, Step
from einmix.nodes.windows import Windowed

UNFOLD = '''
class Unfold(nn.Module):
    """`b ... c` -> `b ... (c k)`: windows of positions put into the channels, with zeros around the edge."""

    def __init__(self, kernel: int, stride: int = 1, pad: int = 0):
        super().__init__()
        self.kernel, self.stride, self.pad = kernel, stride, pad

    def forward(self, x):
        x = nn.functional.pad(x, [0, 0] + [self.pad, self.pad] * (x.ndim - 2))
        for axis in range(1, x.ndim - 1):
            x = x.unfold(axis, self.kernel, self.stride)
        return x.flatten(x.ndim // 2)
'''


@dataclass(frozen=True)
class Unfold(Windowed):
    """Every window of positions put into the channels (`c` outermost), zeros around the edge: no weights."""

    kind = "unfold"
    helpers = (UNFOLD,)
    job = ("unfolded", "by windows")
    kernel: Annotated[int, integer(1, 1024)]
    _: KW_ONLY
    stride: Annotated[int, integer(1, 1024)] = 1
    pad: Annotated[int, integer(0, 1024)] = 0

    def through(self, sizes: Sizes) -> Sizes:
        after = super().through(sizes)
        return after | {"c": whole(sizes["c"] * self.kernel ** (len(sizes) - 1), "channels of windows")}

    def reach(self, step: Step) -> Reach:
        """An upper bound, exact once a linear layer has mixed its channels."""
        places = step.after["c"] // step.before["c"]
        channels: Inputs = [c // places for c in range(step.after["c"])]
        return Reach.linked(step.before, self.seen(step) | {"c": channels})

    def emit(self, step: Step) -> list[Call]:
        options = [("stride", self.stride)] * (self.stride != 1) + [("pad", self.pad)] * bool(self.pad)
        return [Call("Unfold", (self.kernel,), tuple(options))]
