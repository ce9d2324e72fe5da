"""Conv: a convolution over positions."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from math import prod
from typing import Annotated, Any, Self

from einmix.algebra.reach import Reach
from einmix.nodes.calls import Call
from einmix.nodes.fields import integer
from einmix.nodes.layout import CHANNELS_FIRST, one_to_three
from einmix.nodes.node import Cost, Sizes, Step
from einmix.nodes.windows import Windowed


@dataclass(frozen=True)
class Conv(Windowed):
    """A convolution over positions, the counterpart of mixing: depthwise, or to `out` channels where that is not 0."""

    kind = "conv"
    helpers = (CHANNELS_FIRST,)
    job = ("convolved", "by a convolution")
    kernel: Annotated[int, integer(1, 1024)]
    _: KW_ONLY
    out: Annotated[int, integer(0)] = 0
    stride: Annotated[int, integer(1, 1024)] = 1
    pad: Annotated[int, integer(0, 1024)] = 0
    bias: bool = True

    def through(self, sizes: Sizes) -> Sizes:
        one_to_three("a convolution", sizes, "a mixer, or unfold and linear")
        return super().through(sizes) | {"c": self.out or sizes["c"]}

    def touched(self, before: Sizes) -> frozenset[str]:
        return super().touched(before) | frozenset("c" * bool(self.out))

    def cost(self, sizes: Sizes) -> Cost:
        after, (each, *_) = self.through(sizes), self.fan_ins(sizes)
        return (each + self.bias) * after["c"], each * prod(after.values())

    def fan_ins(self, sizes: Sizes) -> tuple[int, ...]:
        return self.kernel ** (len(sizes) - 1) * (sizes["c"] if self.out else 1), *(1,) * self.bias

    def reach(self, step: Step) -> Reach:
        channels = {"c": [range(step.before["c"])] * self.out} if self.out else {}
        return Reach.linked(step.before, self.seen(step) | channels)

    def emit(self, step: Step) -> list[Call]:
        width, out = step.size("c"), step.given(step.after["c"])
        options: list[tuple[str, Any]] = [("stride", self.stride)] * (self.stride != 1)
        options += [("padding", self.pad)] * bool(self.pad)
        options += [("groups", width)] * (not self.out) + [("bias", False)] * (not self.bias)
        name = f"nn.Conv{len(step.before) - 1}d"
        return [Call("ChannelsFirst", (Call(name, (width, out, self.kernel), tuple(options)),))]

    def resized(self, channels: Callable[[int], int]) -> Self:
        return replace(self, out=channels(self.out)) if self.out else self
