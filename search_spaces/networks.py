"""The networks of one size: how many there are, what they cost, and which they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product

from einmix import Mixer
from search_spaces.mixers import Bounds, Mixers, wider


@dataclass(frozen=True)
class Macro:
    """The sizes of a network, without its mixers."""

    patch: int
    width: int
    depth: int
    ratio: int


class Networks:
    """Every sequence of `macro.depth` mixers that together mix along all spatial axes longer than 1."""

    def __init__(self, macro: Macro, mixers: Mixers, base: tuple[int, int]):
        self.macro, self.mixers, self.base = macro, mixers, base
        """`base` is what all of them cost without their mixers, in parameters and in multiply-accumulates."""
        self.axes = frozenset(axis for axis, n in mixers.sizes.items() if axis != "c" and n > 1)

    @property
    def subsets(self) -> list[frozenset[str]]:
        """All sets of the axes that have to be mixed."""
        axes = sorted(self.axes)
        return [frozenset(chosen) for k in range(len(axes) + 1) for chosen in combinations(axes, k)]

    def covers(self, covered: Iterable[frozenset[str]]) -> bool:
        """Whether mixers that mix along these axes leave none out."""
        return self.axes <= frozenset[str]().union(*covered)

    @cached_property
    def count(self) -> int:
        """By inclusion and exclusion over the sets of axes that no block mixes."""
        return sum(
            (-1) ** len(missed)
            * sum(n for covered, n in self.mixers.coverage.items() if covered.isdisjoint(missed)) ** self.macro.depth
            for missed in self.subsets
        )

    @cached_property
    def bounds(self) -> Bounds | None:
        """Exact; None where there is no network."""
        return self.sums(self.macro.depth).get(self.axes)

    def sums(self, blocks: int) -> dict[frozenset[str], Bounds]:
        """The bounds of so many mixers and all that is not a mixer, by the axes that they mix along together."""
        params, macs = self.base
        reached: dict[frozenset[str], Bounds] = {frozenset(): (params, params, macs, macs)}
        for _ in range(blocks):
            after: dict[frozenset[str], Bounds] = {}
            for (covered, (a, b, c, d)), (more, (e, f, g, h)) in product(reached.items(), self.mixers.extremes.items()):
                after[covered | more] = wider(after.get(covered | more), (a + e, b + f, c + g, d + h))
            reached = after
        return reached

    def enumerate(self) -> Iterator[tuple[Mixer, ...]]:
        """Every one once, lazily; beginnings that no mixers could complete are left at once."""
        return self._sequences(self.macro.depth, self.axes)

    def _sequences(self, depth: int, missing: frozenset[str]) -> Iterator[tuple[Mixer, ...]]:
        if not any(missing <= union for union in self._unions[depth]):
            return
        if depth == 0:
            yield ()
            return
        for first in self.mixers.enumerate(missing if depth == 1 else frozenset()):
            for rest in self._sequences(depth - 1, missing - first.mixed):
                yield (first, *rest)

    @cached_property
    def _unions(self) -> list[set[frozenset[str]]]:
        """The sets of axes that 0, 1, 2, ... mixers can mix along together."""
        unions = [{frozenset[str]()}]
        for _ in range(self.macro.depth):
            unions.append({a | b for a in unions[-1] for b in self.mixers.coverage})
        return unions
