"""Reweight: parallel branches, summed with weights that the input says."""

from dataclasses import KW_ONLY, dataclass

from einmix.algebra.reach import Reach
from einmix.nodes.calls import Call, Size, one
from einmix.nodes.fields import whole
from einmix.nodes.node import Cost, Parallel, Sizes, Step

REWEIGHT = '''
class Reweight(nn.Module):
    """The sum of branches, each weighted by channel: a softmax over the branches of an MLP of their pooled sum."""

    def __init__(self, c: int, hidden: int, *branches: nn.Module):
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.weigh = nn.Sequential(nn.Linear(c, hidden), nn.GELU(), nn.Linear(hidden, c * len(branches)))

    def forward(self, x):
        ys = [f(x) for f in self.branches]
        pooled = torch.stack([y.flatten(1, -2).mean(1) for y in ys]).sum(0)
        weights = self.weigh(pooled).reshape([x.shape[0]] + [1] * (x.ndim - 2) + [-1, len(ys)]).softmax(-1)
        return torch.stack([y * w for y, w in zip(ys, weights.unbind(-1))]).sum(0)
'''


@dataclass(frozen=True)
class Reweight(Parallel):
    """Parallel branches, summed with weights by channel: a softmax over branches of an MLP of their pooled sum.

    The MLP has a hidden layer of a `ratio`-th of the channels. Split attention (arXiv:2004.08955), as in the weighted
    Vision Permutator (arXiv:2106.12368), Hire-MLP and DynaMixer.
    """

    kind = "reweight"
    helpers = (REWEIGHT,)
    job = ("reweighted", "in branches that are weighted and summed")
    ordered = False
    _: KW_ONLY
    ratio: int = 4

    def leave(self, sizes: Sizes, ends: list[Sizes]) -> Sizes:
        after = super().leave(sizes, ends)
        whole(self.hidden(after["c"]), "hidden channels")
        return after

    def hidden(self, width: int) -> int:
        """The channels of the MLP's hidden layer."""
        return width // self.ratio

    def cost(self, sizes: Sizes) -> Cost:
        """That of the MLP."""
        k, c = len(self.branches), sizes["c"]
        hidden = self.hidden(c)
        return (c + 1) * hidden + (hidden + 1) * c * k, c * hidden * (1 + k)

    def fan_ins(self, sizes: Sizes) -> tuple[int, ...]:
        return sizes["c"], 1, self.hidden(sizes["c"]), 1

    def reach(self, step: Step, branches: list[Reach]) -> Reach:
        """Every weight depends on the mean over all positions."""
        means = Reach.linked(step.before, {axis: [range(n)] * step.after[axis] for axis, n in step.before.items()})
        return super().reach(step, [*branches, means])

    def emit(self, step: Step, branches: list[list[Call]]) -> list[Call]:
        width = step.after["c"]
        sizes = Size(width, "c"), Size(self.hidden(width), "hidden")
        return [Call("Reweight", (*sizes, *map(one, branches)))]
