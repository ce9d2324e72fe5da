"""Where a block stands, and which patterns its mixers may have there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from einmix import Block, Mixer, Node, Sequence
from einmix.algebra.factors import divisors
from einmix.kinds import Norm, Residual
from search_spaces.blocks.parts import affine, mlp

MOST_AXES = 3
"""torch has its convolutions and batch norms for as many axes of positions."""


Slot = tuple[int, Mapping[str, str]]
"""What a mixer of a block may be: its channels, and for every axis a pattern of factors (`einmix.FactorSet`)."""


Pattern = Callable[[int], str]
"""The pattern of factors for an axis of this length."""


def grids(n: int) -> str:
    """All of an axis mixed, or a subgrid of it; never nothing.

    >>> grids(8), grids(1)
    ('m2.s*|m4.s*|m8.s*', 's*')
    """
    return "|".join(f"m{d}.s*" for d in divisors(n)[1:]) or "s*"


def local(n: int) -> str:
    """All of an axis mixed, or patches of it; never nothing."""
    return "|".join(f"s*.m{d}" for d in divisors(n)[1:]) or "s*"


def mixing(n: int) -> str:
    """All of an axis mixed, a subgrid of it, or patches of it."""
    return f"{grids(n)}|{local(n)}"


def anything(n: int) -> str:
    """The same, or nothing."""
    return f"s*|{mixing(n)}"


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
    def long(self) -> list[str]:
        """The axes along which something can be mixed."""
        return [axis for axis, n in self.grid if n > 1]

    @property
    def before(self) -> Sequence:
        """What stands at the beginning of every branch, and of the head."""
        return (affine(self.positions, self.width) if self.norm == "affine" else Norm(self.norm),)

    def branch(self, *nodes: Node) -> Residual:
        """Norm, these, and LayerScale where the network has one, in a residual."""
        after = [affine(self.positions, self.width, bias=False, start=self.scale)] if self.scale != "none" else []
        return Residual((*self.before, *nodes, *after))

    @property
    def channels(self) -> Residual:
        """The MLP over channels."""
        return self.branch(*mlp((), self.width, self.ratio).body)


Slots = Callable[[Place], list[Slot] | None]


Branches = Callable[[Place, tuple[Mixer, ...]], Block]


Spread = Callable[[int, Mixer], tuple[Mixer, ...]]
