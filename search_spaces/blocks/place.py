"""Where a block stands, and what is alike in all blocks of a network."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from einmix import Node, Sequence
from einmix.kinds import Mix, Norm, Residual
from search_spaces.blocks.parts import affine, mlp

MOST_AXES = 3
"""torch has its convolutions and batch norms for as many axes of positions."""


@dataclass(frozen=True)
class Place:
    """Where a block stands: the grid and the channels there, and what is alike in all blocks of a network."""

    grid: tuple[tuple[str, int], ...]
    width: int
    ratio: int
    norm: str = "layer"
    scale: str = "none"

    @property
    def positions(self) -> dict[str, int]:
        return dict(self.grid)

    @property
    def sizes(self) -> dict[str, int]:
        """Positions, then channels."""
        return {**self.positions, "c": self.width}

    @property
    def long(self) -> list[str]:
        """The axes along which something can be mixed."""
        return [axis for axis, n in self.grid if n > 1]

    @cached_property
    def before(self) -> Sequence:
        """What stands at the beginning of every branch, and of the head."""
        return (affine(self.positions, self.width) if self.norm == "affine" else Norm(self.norm),)

    def branch(self, *nodes: Node) -> Residual:
        """Norm, these, and LayerScale where the network has one, in a residual."""
        after = [affine(self.positions, self.width, bias=False, start=self.scale)] if self.scale != "none" else []
        return Residual((*self.before, *nodes, *after))

    @cached_property
    def channels(self) -> Residual:
        """The MLP over channels."""
        return self.branch(*mlp((), self.width, self.ratio).body)


def mixes(nodes: Iterable[Node]) -> Iterator[Mix]:
    """All that mix among nodes and in their branches."""
    for node in nodes:
        if isinstance(node, Mix):
            yield node
        for branch in getattr(node, "branches", ()):
            yield from mixes(branch)
