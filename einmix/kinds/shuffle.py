"""Shuffle: channels in another order."""

from dataclasses import dataclass

from einmix.algebra.reach import Reach
from einmix.errors import PatternError
from einmix.nodes.calls import Call, Size
from einmix.nodes.node import Leaf, Sizes, Step


@dataclass(frozen=True)
class Shuffle(Leaf):
    """The channels as `(a b)` put in the order `(b a)`, a of them `groups`: no weights."""

    kind = "shuffle"
    groups: int

    def through(self, sizes: Sizes) -> Sizes:
        if sizes["c"] % self.groups:
            raise PatternError(f"{sizes['c']} channels do not divide into {self.groups} groups")
        return sizes

    def touched(self, before: Sizes) -> frozenset[str]:
        return frozenset("c")

    def reach(self, step: Step) -> Reach:
        width = step.before["c"]
        each = width // self.groups
        return Reach.linked(step.before, {"c": [c for first in range(each) for c in range(first, width, each)]})

    def emit(self, step: Step) -> list[Call]:
        axes = " ".join(axis for axis in step.before if axis != "c")
        outer, inner = [name for name in ("c1", "c2", "c3", "c4", "c5", "c6") if name not in step.before][:2]
        pattern = f"b {axes} ({outer} {inner}) -> b {axes} ({inner} {outer})"
        return [Call("Rearrange", (pattern,), ((outer, Size(self.groups, "groups")),))]
