"""CycleMLP: channels in turn take one of three neighbours along an axis, then one linear layer over them."""

from einmix import Architecture, Block, Sequence
from einmix.kinds import Linear, Norm, Residual, Reweight, Shift
from search_spaces.blocks.parts import Inputs, mlp
from search_spaces.blocks.patch import Grid, Patch
from search_spaces.zoo.member import Member, PerStage
from search_spaces.zoo.pyramids import Level, levels, overlapping, pyramid


def cycle_mlp(
    inputs: Inputs, *, patch: Patch = 4, width: PerStage, depth: PerStage, ratio: PerStage = 4
) -> Architecture:
    """`ratio` is that of the channel MLP; an axis of one position has no neighbours, and is not shifted."""

    def blocks(grid: Grid, level: Level) -> tuple[Block, ...]:
        width, here = level.width, (Linear(level.width, bias=False),)
        axes = [(*_neighbours(axis, n), Linear(width)) for axis, n in grid.items()]
        mixing = Residual((Norm(), Reweight((*axes, here)), Linear(width)))
        return ((mixing, mlp((Norm(),), width, level.of(ratio))),) * level.depth

    return pyramid(inputs, levels(patch, width, depth), blocks, embed=overlapping)


def _neighbours(axis: str, n: int) -> Sequence:
    """Channels in turn: itself, the next position, the one before."""
    return (Shift(((axis, 0), (axis, -1), (axis, 1)), groups="turns"),) if n > 1 else ()


_SMALL, _LARGE = (64, 128, 320, 512), (96, 192, 384, 768)
MEMBER = Member(
    "cycle",
    "channels in turn from a position and its neighbours, along every axis, then a linear layer",
    "Chen et al., CycleMLP, 2021 (arXiv:2107.10224)",
    cycle_mlp,
    {
        "b1": {"width": _SMALL, "depth": (2, 2, 4, 2)},
        "b2": {"width": _SMALL, "depth": (2, 3, 10, 3)},
        "b3": {"width": _SMALL, "depth": (3, 4, 18, 3), "ratio": (8, 8, 4, 4)},
        "b4": {"width": _SMALL, "depth": (3, 8, 27, 3), "ratio": (8, 8, 4, 4)},
        "b5": {"width": _LARGE, "depth": (3, 4, 24, 3)},
    },
    step=4,
)
