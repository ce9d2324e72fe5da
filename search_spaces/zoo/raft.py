"""RaftMLP: positions along one axis mixed together with a raft of channels, axis by axis."""

from functools import reduce

from einmix import Architecture, Block, Sequence
from einmix.kinds import Activation, Concat, Linear, Mix, Norm, Residual, Unfold
from einmix.nodes.node import Sizes
from search_spaces.blocks.parts import Inputs, fitting, mixer, mlp
from search_spaces.blocks.patch import Grid, Patch, patch_grid
from search_spaces.zoo.member import Member, PerStage
from search_spaces.zoo.pyramids import Level, cut, levels, positions, pyramid


def raft_mlp(
    inputs: Inputs, *, patch: Patch = 4, width: PerStage, depth: PerStage, raft: int = 2, original: bool = False
) -> Architecture:
    """`raft` channels are mixed together; `original` adds the block's input after every axis, as a known write-up does.

    Published is x + V(x) = y, then y + H(y); the write-up has x + H(y).
    """

    def blocks(grid: Grid, level: Level) -> tuple[Block, ...]:
        axes = [_mixing(grid, axis, level.width, fitting(level.width, raft)) for axis in grid]
        if original:
            axes = [reduce(lambda inner, outer: (Residual(inner), *outer), axes)]
        return ((*map(Residual, axes), mlp((Norm(),), level.width, 4)),) * level.depth

    return pyramid(inputs, levels(patch, width, depth), blocks, embed=_embed)


def _embed(before: Sizes, level: Level) -> Sequence:
    """Windows of one and of two patches side by side; of several stages the last one has plain patches."""
    patch_grid(positions(before), level.patch)
    if not isinstance(level.patch, int) or level.patch % 2 or (level.last and not level.alone):
        return cut(before, level)
    one = Unfold(level.patch, stride=level.patch)
    two = Unfold(2 * level.patch, stride=level.patch, pad=level.patch // 2)
    return Concat(((one,), (two,))), Linear(level.width)


def _mixing(grid: Grid, axis: str, width: int, raft: int) -> Sequence:
    """An MLP over one axis and `raft` channels, with twice as many hidden positions."""
    n, channels = grid[axis], f"m{raft}.s{width // raft}"
    there = mixer(grid, channels, {axis: f"m{n}:{2 * n}"}, bias=True)
    back = mixer(grid, channels, {axis: f"m{2 * n}:{n}"}, bias=True)
    return Norm(), Mix(there), Activation(), Mix(back)


_DEPTH = (2, 2, 6, 2)
MEMBER = Member(
    "raft",
    "along every axis in turn, an MLP over its positions and a few channels; patches at two scales",
    "Tatsunami and Taki, RaftMLP, 2021 (arXiv:2108.04384)",
    raft_mlp,
    {
        "s": {"width": (64, 128, 256, 512), "depth": _DEPTH},
        "m": {"width": (96, 192, 384, 768), "depth": _DEPTH},
        "l": {"width": (128, 192, 512, 1024), "depth": _DEPTH},
    },
)
