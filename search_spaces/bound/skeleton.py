"""The sizes of a network, and where its blocks stand on inputs of some shape."""

from collections.abc import Mapping
from dataclasses import dataclass

from search_spaces.blocks.patch import Patch, sides
from search_spaces.blocks.place import Place


@dataclass(frozen=True)
class Skeleton:
    """The sizes of a network, and what is alike in all its blocks, without what stands in each of them."""

    patch: Patch
    width: int
    depth: int
    ratio: int
    stages: int = 1
    norm: str = "layer"
    scale: str = "none"

    def fits(self, shape: Mapping[str, int]) -> bool:
        """Whether patches, and the patches that later stages merge, divide the axes, and every stage has a block."""
        each, last = sides(shape, self.patch), 2 ** (self.stages - 1)
        return self.depth >= self.stages and all(n % (each[axis] * last) == 0 for axis, n in shape.items())

    @property
    def depths(self) -> list[int]:
        """How many blocks each stage has: alike, the last ones more."""
        share, more = divmod(self.depth, self.stages)
        return [share + (stage >= self.stages - more) for stage in range(self.stages)]

    def stage(self, shape: Mapping[str, int], stage: int) -> Place:
        """Where the blocks of a stage stand: each has half as many positions an axis and twice the channels."""
        each = sides(shape, self.patch)
        grid = tuple((axis, n // (each[axis] * 2**stage)) for axis, n in shape.items())
        return Place(grid, self.width * 2**stage, self.ratio, self.norm, self.scale)

    def places(self, shape: Mapping[str, int]) -> list[Place]:
        """Where every block stands."""
        stages = ([self.stage(shape, stage)] * depth for stage, depth in enumerate(self.depths))
        return [place for stage in stages for place in stage]
