"""Split: a branch for each part of the channels."""

from dataclasses import dataclass

from einmix.algebra.reach import Reach
from einmix.nodes.node import Parallel, Sizes, Step, part

SPLIT = '''
class Split(nn.ModuleList):
    """The channels in equal parts, a branch for each."""

    def __init__(self, branches: list[nn.Module]):
        super().__init__(branches)
        self.parts = len(branches)

    def forward(self, x):
        parts = x.chunk(self.parts, -1)
        return torch.cat([f(parts[i]) for i, f in enumerate(self)], -1)
'''


@dataclass(frozen=True)
class Split(Parallel):
    """Channels cut into as many equal parts as there are branches, one for each; what they give is joined again."""

    kind = "split"
    helpers = (SPLIT,)
    job = ("split", "in parts of the channels")
    summed = False

    def enter(self, sizes: Sizes) -> Sizes:
        return part(sizes, len(self.branches))

    def reach(self, step: Step, branches: list[Reach]) -> Reach:
        n = step.before["c"] // len(branches)
        parts = (Reach.linked(step.before, {"c": range(k * n, (k + 1) * n)}) for k in range(len(branches)))
        return super().reach(step, [part.then(branch) for part, branch in zip(parts, branches, strict=True)])
