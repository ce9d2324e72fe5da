"""What a picture of a mixer shows, as plain facts: sets, weights and rooms of positions, and what one output reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from math import gcd, prod
from string import ascii_lowercase, ascii_uppercase
from typing import Literal, NamedTuple

from einmix.algebra.factors import Factor, Factors
from einmix.algebra.mixer import Mixer

LETTERS = ascii_uppercase + ascii_lowercase

TINTED = 8
"""So many sets all have a tint; of more only those in the room of the example."""

MOST_SLICES = 8
"""So many are drawn along an axis that makes slices."""

MOST: dict[int, tuple[int, ...]] = {0: (), 1: (64,), 2: (32, 32), 3: (16, 16)}
"""So many positions are drawn along the axis of a sequence, the two of a grid, and the last two of more."""

Position = tuple[int, ...]
End = Literal["size", "out"]


class Spot(NamedTuple):
    """To what an index of an axis belongs: its indices of equal `set` are connected, those of equal `weights` alike.

    In one `room` are all that have the same index of the factors left of the first mixed one.
    """

    set: int
    weights: int
    room: int


def spots(factors: Factors, end: End, count: int) -> list[Spot]:
    """Those of the first `count` indices of an axis, of its inputs ("size") or of its outputs ("out").

    >>> [spot.set for spot in spots(Mixer.parse("t=m2.s3").axes[0][1], "size", 6)]
    [0, 1, 2, 0, 1, 2]
    """
    mixed = [number for number, factor in enumerate(factors) if factor.role == "m"]
    first = mixed[0] if mixed else len(factors)
    return [_spot(list(zip(factors, _digits(factors, end, index), strict=True)), first) for index in range(count)]


def _digits(factors: Factors, end: End, index: int) -> list[int]:
    digits = []
    for factor in reversed(factors):
        index, digit = divmod(index, getattr(factor, end))
        digits.append(digit)
    return digits[::-1]


def _spot(digits: list[tuple[Factor, int]], first: int) -> Spot:
    found = [0, 0, 0]
    for number, (factor, digit) in enumerate(digits):
        for kind, counts in enumerate((factor.role != "m", factor.role == "g", number < first)):
            if counts:
                found[kind] = found[kind] * factor.size + digit
    return Spot(*found)


@dataclass(frozen=True)
class Grid:
    """The positions on one side of a mixer, of which the first `shown` of every axis are drawn."""

    lengths: tuple[int, ...]
    shown: tuple[int, ...]
    spots: tuple[tuple[Spot, ...], ...]
    """Of every axis those that are shown."""

    def __iter__(self) -> Iterator[Position]:
        """The shown positions in their order."""
        return product(*map(range, self.shown))

    def set(self, position: Position) -> Position:
        return tuple(axis[index].set for axis, index in zip(self.spots, position, strict=True))

    def weights(self, position: Position) -> Position:
        return tuple(axis[index].weights for axis, index in zip(self.spots, position, strict=True))

    def room(self, position: Position) -> Position:
        return tuple(axis[index].room for axis, index in zip(self.spots, position, strict=True))


def grid_of(lengths: Sequence[int], shown: Sequence[int]) -> Grid:
    """Positions that stand alone, without walls between."""
    return Grid(tuple(lengths), tuple(shown), tuple(tuple(Spot(index, 0, 0) for index in range(n)) for n in shown))


@dataclass(frozen=True)
class Pattern:
    """A mixer as facts to draw, at most `limit` positions along an axis, with letters or without."""

    mixer: Mixer
    limit: int = 64
    lettered: bool = True

    @cached_property
    def most(self) -> tuple[int, ...]:
        """How many positions of every axis are drawn at most."""
        leading = max(len(self.positions) - 2, 0)
        each = MOST_SLICES if leading < 2 else 2 if leading == 2 else 1
        most = (each,) * leading + MOST[min(len(self.positions), 3)]
        return tuple(min(n, self.limit) for n in most)

    @cached_property
    def positions(self) -> tuple[tuple[str, Factors], ...]:
        """The axes but for the channels."""
        return tuple((name, factors) for name, factors in self.mixer.axes if name != "c")

    @cached_property
    def channels(self) -> Factors | None:
        """The factors of the channels; None where the mixer has no such axis."""
        return dict(self.mixer.axes).get("c")

    @cached_property
    def inputs(self) -> Grid:
        return self._grid("size")

    @cached_property
    def outputs(self) -> Grid:
        return self._grid("out")

    def _grid(self, end: End) -> Grid:
        axes = [factors for _, factors in self.positions]
        lengths = tuple(prod(getattr(f, end) for f in factors) for factors in axes)
        shown = tuple(map(min, lengths, self.most))
        return Grid(lengths, shown, tuple(tuple(spots(f, end, n)) for f, n in zip(axes, shown, strict=True)))

    @property
    def square(self) -> bool:
        """Whether there are as many positions after it as before, axis by axis."""
        return self.inputs.lengths == self.outputs.lengths

    @property
    def mixes(self) -> bool:
        """Whether positions exchange anything."""
        return any(factor.role == "m" for _, factors in self.positions for factor in factors)

    @property
    def sets(self) -> int:
        """How many sets of positions there are between which nothing goes."""
        return prod(f.size for _, factors in self.positions for f in factors if f.role != "m")

    @property
    def set_size(self) -> int:
        """How many positions an output reads."""
        return prod(f.size for _, factors in self.positions for f in factors if f.role == "m")

    @cached_property
    def example(self) -> Position:
        """The output that stands for all: off the middle, and on no diagonal."""
        shown = self.outputs.shown
        return tuple(n * (5 if axis and axis == len(shown) - 1 else 3) // 8 for axis, n in enumerate(shown))

    @cached_property
    def read(self) -> frozenset[Position]:
        """The shown inputs that reach the example."""
        wanted = self.outputs.set(self.example)
        return frozenset(position for position in self.inputs if self.inputs.set(position) == wanted)

    @cached_property
    def letters(self) -> dict[Position, str]:
        """A letter a set in the order in which they are met; none where nothing is exchanged, or for too many."""
        if not self.lettered or not self.mixes or self.sets > len(LETTERS):
            return {}
        met = dict.fromkeys([*map(self.inputs.set, self.inputs), *map(self.outputs.set, self.outputs)])
        return dict(zip(met, LETTERS, strict=False))

    @cached_property
    def tints(self) -> dict[Position, int]:
        """The number of a tint for sets beside the example's: for all, else for those in its room, if they are few.

        So what has one colour is one set.
        """
        if not self.mixes:
            return {}
        own, room = self.outputs.set(self.example), self.outputs.room(self.example)
        met: dict[Position, None] = {}
        for grid in (self.inputs, self.outputs):
            for position in grid:
                if self.sets <= TINTED or grid.room(position) == room:
                    met.setdefault(grid.set(position))
        met.pop(own)
        return {found: number for number, found in enumerate(met)} if len(met) <= TINTED else {}

    def place(self, grid: Grid, position: Position) -> int:
        """The number of the weights, of `own_places`, that a position of either side meets."""
        number = 0
        for (_, factors), index in zip(self.positions, grid.weights(position), strict=True):
            number = number * prod(f.size for f in factors if f.role == "g") + index
        return number

    @property
    def own_places(self) -> int:
        """How many places there are with weights of their own."""
        return prod(f.size for _, factors in self.positions for f in factors if f.role == "g")

    @property
    def own_channels(self) -> int:
        """How many channels, or sets of them, there are with weights of their own."""
        return prod(f.size for f in self.channels or () if f.role == "g")

    @property
    def matrix(self) -> tuple[int, int]:
        """Inputs and outputs of each of its weight matrices."""
        mixed = [f for _, factors in self.mixer.axes for f in factors if f.role == "m"]
        return prod(f.size for f in mixed), prod(f.out for f in mixed)


def angle(number: int, count: int) -> float:
    """One of so many angles of strokes in degrees, from upright on: no two alike, those of neighbours far apart.

    >>> [angle(number, 4) for number in range(4)]
    [0.0, 45.0, 90.0, 135.0]
    """
    return number * _step(count) % count * 180 / count


@cache
def _step(count: int) -> int:
    """The nearest number above 0.38 of many with no divisor in common: its multiples go through all of them."""
    least = int(0.38 * count) + 1
    return next(number for number in range(least, count + least) if gcd(number, count) == 1) if count > TINTED else 1
