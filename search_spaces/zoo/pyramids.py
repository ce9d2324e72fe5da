"""Pyramids: stages of which each has fewer positions than the one before it, and mostly more channels."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from einmix import Architecture, Block, Sequence, Stage
from einmix.kinds import Conv
from einmix.networks.architecture import HEAD
from einmix.nodes.node import Sizes, steps
from search_spaces.blocks.parts import Inputs, patches
from search_spaces.blocks.patch import Grid, Patch
from search_spaces.errors import SpaceError
from search_spaces.zoo.member import PerStage, network


@dataclass(frozen=True)
class Level:
    """A stage before anything stands in it: its number, whether it is the last, its patch, channels and blocks."""

    stage: int
    last: bool
    patch: Patch
    width: int
    depth: int

    @property
    def alone(self) -> bool:
        """Whether there is no other stage."""
        return self.last and self.stage == 0

    @property
    def side(self) -> int:
        """The patch's side where windows have to have one for all axes. Raises SpaceError where it has several."""
        if isinstance(self.patch, int):
            return self.patch
        raise SpaceError(f"windows have one size for all axes, not {self.patch}")

    def of(self, values: PerStage) -> int:
        """This stage's of several values, or the one for all; what lies beyond the last has the last."""
        return values[min(self.stage, len(values) - 1)] if isinstance(values, tuple) else values


def levels(patch: Patch, width: PerStage, depth: PerStage) -> list[Level]:
    """The first stage cuts its input into patches of `patch` positions an axis, every other one into patches of 2.

    Raises SpaceError unless there is one width and one depth a stage.
    """
    widths, depths = (value if isinstance(value, tuple) else (value,) for value in (width, depth))
    if len(widths) != len(depths):
        raise SpaceError(f"{len(widths)} widths and {len(depths)} depths: one of each a stage is expected")
    last = len(widths) - 1
    return [Level(k, k == last, 2 if k else patch, *size) for k, size in enumerate(zip(widths, depths, strict=True))]


def positions(sizes: Sizes) -> Grid:
    """Sizes without the channels."""
    return {axis: n for axis, n in sizes.items() if axis != "c"}


def cut(before: Sizes, level: Level, *, bias: bool = True) -> Sequence:
    """Patches that do not overlap."""
    return (patches(positions(before), level.patch, before["c"], level.width, bias=bias),)


def overlapping(before: Sizes, level: Level) -> Sequence:
    """Windows of nearly two patches, as PVT v2 (arXiv:2106.13797) has them; where there is one stage, plain patches."""
    if level.alone:
        return cut(before, level)
    side = level.side
    return (Conv(2 * side - 1, out=level.width, stride=side, pad=side // 2),)


def pyramid(
    inputs: Inputs,
    plan: Iterable[Level],
    blocks: Callable[[Grid, Level], tuple[Block, ...]],
    *,
    embed: Callable[[Sizes, Level], Sequence] = cut,
    head: Sequence = HEAD,
) -> Architecture:
    """Of every stage the embedding from the sizes before it, then the blocks at the grid that this leads to."""
    before, found = {**inputs.shape, "c": inputs.channels}, []
    for level in plan:
        nodes = embed(before, level)
        before = steps(nodes, before)[-1].after
        found.append(Stage(nodes, blocks(positions(before), level)))
    return network(inputs, *found, head=head)
