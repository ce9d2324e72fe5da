"""Sum: parallel branches, summed."""

from dataclasses import dataclass

from einmix.nodes.node import Parallel

SUM = '''
class Sum(nn.ModuleList):
    """f(x) + g(x) + ..."""

    def forward(self, x):
        return torch.stack([f(x) for f in self]).sum(0)
'''


@dataclass(frozen=True)
class Sum(Parallel):
    """Parallel branches, summed; their order says nothing, and they stand in a fixed one."""

    kind = "sum"
    helpers = (SUM,)
    job = ("summed", "in branches that are summed")
    ordered = False
