"""A space as a declaration: which families of mixers a block may choose from, and which sizes networks may have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import gcd, log, prod
from typing import TYPE_CHECKING

from einmix import FactorSet, PatternError
from einmix.factors import count_factorizations, divisors
from search_spaces.errors import SpaceError

if TYPE_CHECKING:
    from search_spaces.search_space import SearchSpace

POSITIONS = (16, 256)
"""How many positions the patch sizes of a space that names none leave: 4 x 4 to 16 x 16."""


@dataclass(frozen=True)
class Family:
    """A kind of mixer, by patterns of factors: `positions` for every spatial axis, `channels` for c.

    Patterns are those of `einmix.FactorSet`: roles with `*` for any size, joined by dots, `|` between alternatives.
    `axes` says it for an axis by name instead, as in `axes={"w": "s*"}`.
    """

    name: str
    positions: str
    channels: str
    axes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for pattern in (self.positions, self.channels, *self.axes.values()):
            try:
                FactorSet(pattern)
            except PatternError as error:
                raise SpaceError(f"family {self.name!r}: {error.summary}") from None

    def pattern(self, axis: str) -> str:
        """The pattern for the axis of this name."""
        return self.axes.get(axis, self.channels if axis == "c" else self.positions)


@dataclass(frozen=True)
class Space:
    """What a search may try: in every block a mixer of one of the families, then an MLP over channels.

    Each of patch, width, depth and ratio (of the MLP) lists the sizes to choose from. Without a patch size those are
    taken that leave 16 to 256 positions. `on` binds the declaration to the shape of a data set.

    >>> space = Space("mine", "local mixing, weights per channel", (Family("local", "s*.m*", "g*"),), depth=(2,))
    >>> space.on({"h": 8, "w": 8}, channels=1, classes=10).count()
    578
    """

    name: str
    summary: str
    families: tuple[Family, ...]
    patch: tuple[int, ...] = ()
    width: tuple[int, ...] = (32, 64)
    depth: tuple[int, ...] = (2, 3, 4)
    ratio: tuple[int, ...] = (2,)
    bias: bool = True

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise SpaceError(f"{self.name!r} cannot name a space: lower-case letters, digits and underscores")
        if not self.families or not all(isinstance(family, Family) for family in self.families):
            raise SpaceError(f"space {self.name!r} needs a tuple of at least one Family")
        if len({family.name for family in self.families}) != len(self.families):
            raise SpaceError(f"space {self.name!r} has two families of one name")
        for name in ("patch", "width", "depth", "ratio"):
            sizes = getattr(self, name)
            whole = isinstance(sizes, tuple) and all(type(size) is int and size > 0 for size in sizes)
            if not whole or (not sizes and name != "patch") or len(set(sizes)) != len(sizes):
                raise SpaceError(f"space {self.name!r}: {name} is a tuple of different whole numbers, not {sizes!r}")

    def on(
        self,
        shape: Mapping[str, int],
        *,
        channels: int,
        classes: int,
        patch: Sequence[int] = (),
        width: Sequence[int] = (),
        depth: Sequence[int] = (),
        ratio: Sequence[int] = (),
    ) -> SearchSpace:
        """The space over inputs of this shape (spatial axes by name); sizes given here replace those declared.

        Raises SpaceError where a patch size asked for does not divide an axis.
        """
        from search_spaces.search_space import SearchSpace

        if patch:
            for size in patch:
                _check_patch(size, shape)
        else:
            patch = [size for size in self.patch if all(n % size == 0 for n in shape.values())]
            if self.patch and not patch:
                _check_patch(self.patch[0], shape)
        return SearchSpace(
            self,
            dict(shape),
            channels=channels,
            classes=classes,
            sizes={
                "patch": tuple(patch) or default_patches(shape),
                "width": tuple(width) or self.width,
                "depth": tuple(depth) or self.depth,
                "ratio": tuple(ratio) or self.ratio,
            },
        )


def default_patches(shape: Mapping[str, int]) -> tuple[int, ...]:
    """The patch sizes that leave 16 to 256 positions, but for those that leave none to factor where others do.

    >>> default_patches({"h": 28, "w": 28}), default_patches({"h": 8, "w": 8}), default_patches({"t": 40})
    ((2, 7), (1, 2), (1, 2))
    """
    common = divisors(gcd(*shape.values()))
    fitting = [p for p in common if POSITIONS[0] <= _positions(shape, p) <= POSITIONS[1]]
    if not fitting:
        fitting = [min(common, key=lambda p: abs(log(_positions(shape, p) / 64)))]
    rich = [p for p in fitting if all(count_factorizations(n // p) > 3 for n in shape.values())]
    return tuple(rich or fitting)


def _positions(shape: Mapping[str, int], patch: int) -> int:
    return prod(n // patch for n in shape.values())


def _check_patch(size: int, shape: Mapping[str, int]) -> None:
    for axis, n in shape.items():
        if size < 1 or n % size:
            fitting = ", ".join(map(str, divisors(gcd(*shape.values()))))
            raise SpaceError(f"a patch of {size} does not divide axis {axis}={n}; sizes that divide: {fitting}")
