"""Vision Permutator and DynaMixer: a branch along every axis and one over channels, then an MLP over channels."""

from collections.abc import Callable
from functools import partial
from typing import Any

from einmix import Architecture, Block, Sequence
from einmix.kinds import Dynamic, Linear, Mix, Norm, Residual, Reweight, Sum
from search_spaces.blocks.parts import Inputs, fitting, mixer, mlp
from search_spaces.blocks.patch import Grid, Patch
from search_spaces.zoo.member import Member, PerStage
from search_spaces.zoo.pyramids import Level, levels, pyramid

Along = Callable[[str, Grid, int], Sequence]
"""The branch along an axis of a grid, at a width."""


def vip(
    inputs: Inputs, *, patch: Patch, width: PerStage, depth: PerStage, segments: int = 0, weighted: bool = True
) -> Architecture:
    """A branch mixes an axis with the channels of a segment; by default as many segments as positions, or nearly so."""

    def along(axis: str, grid: Grid, width: int) -> Sequence:
        count = segments or fitting(width, grid[axis])
        mixed = mixer(grid, f"s{count}.m{width // count}", {axis: f"m{grid[axis]}"}, bias=False)
        return (Mix(mixed),)

    return _permutator(inputs, levels(patch, width, depth), along, weighted=weighted)


def dynamixer(
    inputs: Inputs, *, patch: Patch, width: PerStage, depth: PerStage, segment: int = 0, reduced: int = 2
) -> Architecture:
    """A branch mixes an axis, in segments of `segment` channels (by default 8 segments), `reduced` of each read."""

    def along(axis: str, grid: Grid, width: int) -> Sequence:
        segments = width // segment if segment else fitting(width, 8)
        return Dynamic(axis, segments=segments, reduced=reduced), Linear(width)

    return _permutator(inputs, levels(patch, width, depth), along, weighted=True)


def _permutator(inputs: Inputs, plan: list[Level], along: Along, *, weighted: bool) -> Architecture:
    """Stages of blocks with these branches along the axes, patches of 2 between the stages."""

    def blocks(grid: Grid, level: Level) -> tuple[Block, ...]:
        channels = Mix(mixer(grid, f"m{level.width}", bias=False))
        branches = *(along(axis, grid, level.width) for axis in grid), (channels,)
        fused = Reweight(branches) if weighted else Sum(branches)
        return ((Residual((Norm(), fused, Linear(level.width))), mlp((Norm(),), level.width, 3)),) * level.depth

    return pyramid(inputs, plan, blocks)


SIZES: dict[str, dict[str, Any]] = {
    "small/14": {"patch": 14, "width": 384, "depth": 18},
    "small/7": {"patch": 7, "width": (192, 384), "depth": (4, 14)},
    "medium/7": {"patch": 7, "width": (256, 512), "depth": (7, 17)},
    "large/7": {"patch": 7, "width": (256, 512), "depth": (8, 28)},
}

MEMBER = Member(
    "vip",
    "an axis at a time with the channels of a segment, branches weighted by what is in the image",
    "Hou et al., Vision Permutator, 2021 (arXiv:2106.12368)",
    vip,
    SIZES,
    step=4,
)

SUM = Member(
    "vip-sum",
    "an axis at a time with the channels of a segment, branches summed",
    "Hou et al., Vision Permutator, 2021 (arXiv:2106.12368)",
    partial(vip, weighted=False),
    SIZES,
    step=1,
)

DYNAMIXER = Member(
    "dynamixer",
    "an axis at a time by matrices that the contents generate, branches weighted",
    "Wang et al., DynaMixer, 2022 (arXiv:2201.12083)",
    dynamixer,
    {
        "small": SIZES["small/7"] | {"segment": 24},
        "medium": SIZES["medium/7"] | {"segment": 32},
        "large": SIZES["large/7"] | {"segment": 32, "reduced": 8},
    },
    step=8,
)
