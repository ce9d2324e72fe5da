"""Drop: zeros in training."""

from dataclasses import dataclass
from typing import Annotated

from einmix.nodes.calls import Call
from einmix.nodes.fields import decimal, one_of
from einmix.nodes.node import Leaf, Step

DROPPATH = '''
class DropPath(nn.Module):
    """Stochastic depth: in training some examples skip the branch that this ends."""

    def __init__(self, share: float):
        super().__init__()
        self.share = share

    def forward(self, x):
        if not self.training:
            return x
        kept = torch.rand([x.shape[0]] + [1] * (x.ndim - 1), device=x.device) >= self.share
        return x * kept / (1 - self.share)
'''


@dataclass(frozen=True)
class Drop(Leaf):
    """Zeros in training, with probability `share`: single elements ("dropout") or the whole example ("droppath").

    The second is stochastic depth (arXiv:1603.09382): it stands at the end of a residual branch.
    """

    kind = "drop"
    words = ("dropout", "droppath")
    usage = "dropout P, droppath P"
    helpers = (DROPPATH,)
    form: Annotated[str, one_of("drop", ("dropout", "droppath"))]
    share: Annotated[float, decimal(0.0, 0.999, "the share that is dropped")]

    def emit(self, step: Step) -> list[Call]:
        return [Call("nn.Dropout" if self.form == "dropout" else "DropPath", (self.share,), elementwise=True)]
