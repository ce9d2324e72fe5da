"""AS-MLP: runs of channels shifted by different distances along an axis, then one linear layer over them."""

from einmix import Architecture, Block, Sequence
from einmix.kinds import Activation, Linear, Norm, Residual, Shift, Sum, Unfold
from einmix.nodes.node import Sizes
from search_spaces.blocks.parts import Inputs, mlp
from search_spaces.blocks.patch import Grid, Patch, patch_grid
from search_spaces.zoo.member import Member, PerStage
from search_spaces.zoo.pyramids import Level, cut, levels, positions, pyramid

NORM = Norm("group")


def as_mlp(inputs: Inputs, *, patch: Patch = 4, width: PerStage, depth: PerStage, shift: int = 5) -> Architecture:
    """`shift` runs of channels, moved by -2 to 2 positions where there are 5; fewer with few positions or channels."""

    def blocks(grid: Grid, level: Level) -> tuple[Block, ...]:
        width = level.width
        most = {axis: min(shift // 2, n - 1, (width - 1) // 2) for axis, n in grid.items()}
        axes = [(*_shifted(axis, by), Linear(width), Activation()) for axis, by in most.items()]
        moved = (Sum(tuple(axes)),) if len(axes) > 1 else axes[0]
        body = NORM, Linear(width), NORM, Activation(), *moved, NORM, Linear(width)
        return ((Residual(body), mlp((NORM,), width, 4)),) * level.depth

    return pyramid(inputs, levels(patch, width, depth), blocks, embed=_embed, head=(NORM,))


def _embed(before: Sizes, level: Level) -> Sequence:
    """Patches; of those of a stage before, a norm over all their channels comes first."""
    patch_grid(positions(before), level.patch)
    if level.stage == 0:
        return *cut(before, level), NORM
    return Unfold(level.side, stride=level.side), NORM, Linear(level.width, bias=False)


def _shifted(axis: str, most: int) -> Sequence:
    return (Shift(tuple((axis, by) for by in range(-most, most + 1))),) if most else ()


MEMBER = Member(
    "as",
    "runs of channels shifted along every axis by different distances, then a linear layer",
    "Lian et al., AS-MLP, 2021 (arXiv:2107.08391)",
    as_mlp,
    {
        "tiny": {"width": (96, 192, 384, 768), "depth": (2, 2, 6, 2)},
        "small": {"width": (96, 192, 384, 768), "depth": (2, 2, 18, 2)},
        "base": {"width": (128, 256, 512, 1024), "depth": (2, 2, 18, 2)},
    },
    step=4,
)
