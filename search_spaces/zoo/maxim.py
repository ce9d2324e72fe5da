"""MAXIM's multi-axis gMLP as a classifier: half of the channels gated by a grid of positions, half by a block."""

from einmix import Architecture, Block
from einmix.kinds import Norm, Residual
from search_spaces.blocks.parts import Inputs, fitting, mixer, mlp, multi_axis
from search_spaces.blocks.patch import Grid, Patch
from search_spaces.zoo.member import Member, PerStage
from search_spaces.zoo.pyramids import Level, levels, pyramid


def maxim(
    inputs: Inputs, *, patch: Patch = 4, width: PerStage, depth: PerStage, grid: int = 4, block: int = 4, ratio: int = 1
) -> Architecture:
    """`grid` and `block` are positions an axis, where they divide it; MAXIM's squeeze-and-excite is left out.

    `ratio` is that of the MLP over channels, as in MAXIM's bottleneck.
    """

    def blocks(sizes: Grid, level: Level) -> tuple[Block, ...]:
        width, apart, near = level.width, _fitting(sizes, grid), _fitting(sizes, block)
        far = mixer(sizes, f"s{width}", {axis: f"m{k}.s{sizes[axis] // k}" for axis, k in apart.items()}, bias=True)
        local = mixer(sizes, f"s{width}", {axis: f"s{sizes[axis] // k}.m{k}" for axis, k in near.items()}, bias=True)
        multi = Residual((Norm(), *multi_axis(width, (far, local))))
        return ((multi, mlp((Norm(),), width, ratio)),) * level.depth

    return pyramid(inputs, levels(patch, width, depth), blocks)


def _fitting(sizes: Grid, most: int) -> Grid:
    """Of every axis the largest divisor up to `most`, or all of it where that is 1."""
    found = {axis: fitting(n, most) for axis, n in sizes.items()}
    return {axis: k if k > 1 else sizes[axis] for axis, k in found.items()}


MEMBER = Member(
    "maxim",
    "half of the channels gated by a grid over the positions, half by blocks of neighbours",
    "Tu et al., MAXIM, 2022 (arXiv:2201.02973): its bottleneck blocks as a classifier, without squeeze-and-excite",
    maxim,
)
