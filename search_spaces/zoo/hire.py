"""Hire-MLP: regions of neighbours along every axis, rolled from block to block so that they meet."""

from einmix import Architecture, Block, Sequence
from einmix.kinds import Activation, Linear, Mix, Norm, Residual, Reweight, Wrap
from einmix.nodes.node import Sizes
from search_spaces.blocks.parts import Inputs, mixer, mlp
from search_spaces.blocks.patch import Grid, Patch
from search_spaces.zoo.member import Member, PerStage
from search_spaces.zoo.pyramids import Level, levels, overlapping, pyramid

ROLLS = ((0, 2), (0, 2), (0, 1, 2), (0, 1))
"""Of every stage how far its blocks roll the positions, in turn."""


def hire_mlp(
    inputs: Inputs, *, patch: Patch = 4, width: PerStage, depth: PerStage, region: PerStage = (4, 3, 3, 2)
) -> Architecture:
    """`region` neighbours along an axis are mixed together with all channels; an axis' end meets its start."""

    def blocks(grid: Grid, level: Level) -> tuple[Block, ...]:
        rolls = ROLLS[level.stage % len(ROLLS)]
        return tuple(_block(grid, level, region, rolls[k % len(rolls)]) for k in range(level.depth))

    def embed(before: Sizes, level: Level) -> Sequence:
        return *overlapping(before, level), Norm("batch"), Activation("relu")

    return pyramid(inputs, levels(patch, width, depth), blocks, embed=embed, head=(Norm("batch"),))


def _block(grid: Grid, level: Level, region: PerStage, roll: int) -> Block:
    axes = [_regions(grid, axis, level, min(level.of(region), n), roll % n) for axis, n in grid.items()]
    mixing = Reweight((*axes, (Linear(level.width),)))
    return Residual((Norm("batch"), mixing, Linear(level.width))), mlp((Norm("batch"),), level.width, 4)


def _regions(grid: Grid, axis: str, level: Level, region: int, roll: int) -> Sequence:
    """An MLP over the positions and channels of every region along an axis, between a roll there and back.

    The nodes are the same in every block of all stages, if need be with a roll by none.
    """
    n, width, half = grid[axis], level.width, level.width // 2
    count, more = -(-n // region), -n % region
    there = mixer(grid, f"m{width}:{half}", {axis: f"s{count}.m{region}:1"}, bias=False)
    back = mixer(grid, f"m{half}:{width}", {axis: f"s{count}.m1:{region}"}, bias=True)
    inner = Mix(there), Norm("batch"), Activation("relu"), Mix(back)
    return Wrap((axis, roll), length=n + more), *inner, Wrap((axis, -roll), length=n)


_SMALL, _LARGE = (64, 128, 320, 512), (96, 192, 384, 768)
MEMBER = Member(
    "hire",
    "regions along every axis mixed with all channels, rolled from block to block",
    "Guo et al., Hire-MLP, 2021 (arXiv:2108.13341)",
    hire_mlp,
    {
        "tiny": {"width": _SMALL, "depth": (2, 2, 4, 2)},
        "small": {"width": _SMALL, "depth": (3, 4, 10, 3)},
        "base": {"width": _SMALL, "depth": (4, 6, 24, 3)},
        "large": {"width": _LARGE, "depth": (4, 6, 24, 3)},
    },
    step=4,
)
