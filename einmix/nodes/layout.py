"""The order of axes: nodes have `b ... c`, some layers of torch want `b c ...`."""

from einmix.algebra.factors import written
from einmix.errors import PatternError


def layout(sizes: dict[str, int], *, first: bool = False) -> str:
    """`b h w c`, or `b c h w`."""
    axes = [axis for axis in sizes if axis != "c"]
    return " ".join(["b", "c", *axes] if first else ["b", *axes, "c"])


def one_to_three(what: str, sizes: dict[str, int], instead: str) -> None:
    """torch has its convolutions and batch norms for 1, 2 and 3 axes of positions. Raises PatternError for others."""
    if not 1 <= len(sizes) - 1 <= 3:
        raise PatternError(f"{what} stands on 1 to 3 axes and c, not on {written(sizes)}", hint=f"write {instead}")


CHANNELS_FIRST = '''
class ChannelsFirst(nn.Sequential):
    """Layers for `b c ...`, used on `b ... c`."""

    def forward(self, x):
        x = x.movedim(-1, 1)
        for layer in self:
            x = layer(x)
        return x.movedim(1, -1)
'''
"""The helper of torch's layers; neighbours get it together."""
