"""Norm: a mean of zero and a variance of one, then a scale and a shift for every channel."""

from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from einmix.algebra.reach import Reach
from einmix.nodes.calls import Call
from einmix.nodes.fields import decimal, one_of
from einmix.nodes.layout import CHANNELS_FIRST, one_to_three
from einmix.nodes.node import Cost, Leaf, Sizes, Step


@dataclass(frozen=True)
class Norm(Leaf):
    """A norm with scale and shift a channel: "layer" over the channels, "batch", or "group" over the whole example."""

    kind = "norm"
    helpers = (CHANNELS_FIRST,)
    plain = True
    form: Annotated[str, one_of("norm", ("layer", "batch", "group"))] = "layer"
    _: KW_ONLY
    eps: Annotated[float, decimal(1e-12, 1.0)] = 1e-5

    def through(self, sizes: Sizes) -> Sizes:
        if self.form == "batch":
            one_to_three("a batch norm", sizes, "norm or norm group")
        return sizes

    def cost(self, sizes: Sizes) -> Cost:
        return 2 * sizes["c"], 0

    def fan_ins(self, sizes: Sizes) -> tuple[int, ...]:
        return 1, 1

    def reach(self, step: Step) -> Reach:
        axes = {"layer": ["c"], "batch": [], "group": list(step.before)}[self.form]
        return Reach.full(step.before, *axes)

    def emit(self, step: Step) -> list[Call]:
        eps = () if self.eps == 1e-5 else (("eps", self.eps),)
        width = step.size("c")
        if self.form == "layer":
            return [Call("nn.LayerNorm", (width,), eps)]
        if self.form == "group":
            return [Call("ChannelsFirst", (Call("nn.GroupNorm", (1, width), eps),))]
        return [Call("ChannelsFirst", (Call(f"nn.BatchNorm{len(step.before) - 1}d", (width,), eps),))]
