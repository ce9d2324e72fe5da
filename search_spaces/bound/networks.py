"""The sizes of networks, and all networks of one size: how many there are, what they cost, and which they are."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import prod

from search_spaces.blocks.letters import Alphabet, Bounds, Extremes, Letter, combined, wider
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


class Networks:
    """Every sequence of letters, one from each alphabet, that together mix along all of `axes`."""

    def __init__(
        self, skeleton: Skeleton, alphabets: Sequence[Alphabet], axes: frozenset[str], base: tuple[int, int] = (0, 0)
    ):
        self.skeleton, self.alphabets, self.axes, self.base = skeleton, alphabets, axes, base
        """`base` is what all of them cost without their letters, in parameters and in multiply-accumulates."""

    @property
    def subsets(self) -> list[frozenset[str]]:
        """All sets of the axes that have to be mixed."""
        axes = sorted(self.axes)
        return [frozenset(chosen) for k in range(len(axes) + 1) for chosen in combinations(axes, k)]

    def covers(self, covered: Iterable[frozenset[str]]) -> bool:
        """Whether letters that mix along these axes leave none out."""
        return self.axes <= frozenset[str]().union(*covered)

    @cached_property
    def count(self) -> int:
        """By inclusion and exclusion over the sets of axes that no letter mixes."""
        found = [alphabet.extremes.items() for alphabet in self.alphabets]
        return sum(
            (-1) ** len(missed)
            * prod(sum(n for covered, (n, _) in each if covered.isdisjoint(missed)) for each in found)
            for missed in self.subsets
        )

    @cached_property
    def bounds(self) -> Bounds | None:
        """Exact; None where there is no network."""
        return self.sums(self.alphabets).get(self.axes)

    def sums(self, alphabets: Iterable[Alphabet]) -> dict[frozenset[str], Bounds]:
        """The bounds of a letter from each of these and all that is no letter, by the axes that they mix together."""
        params, macs = self.base
        reached: Extremes = {frozenset(): (1, Bounds(params, params, macs, macs))}
        for alphabet in alphabets:
            reached = combined(reached, alphabet.extremes)
        found: dict[frozenset[str], Bounds] = {}
        for covered, (_, bounds) in reached.items():
            found[covered & self.axes] = wider(found.get(covered & self.axes), bounds)
        return found

    def enumerate(self) -> Iterator[tuple[Letter, ...]]:
        """Every one once, lazily; beginnings that no letters could complete are left at once."""
        return self._sequences(0, self.axes)

    def _sequences(self, place: int, missing: frozenset[str]) -> Iterator[tuple[Letter, ...]]:
        if not any(missing <= union for union in self._unions[place]):
            return
        if place == len(self.alphabets):
            yield ()
            return
        alphabet = self.alphabets[place]
        for first in alphabet.enumerate(missing if place == len(self.alphabets) - 1 else frozenset()):
            for rest in self._sequences(place + 1, missing - alphabet.mixed(first)):
                yield (first, *rest)

    @cached_property
    def _unions(self) -> list[set[frozenset[str]]]:
        """The sets of axes that the letters from each place on can mix along together."""
        unions = [{frozenset[str]()}]
        for alphabet in reversed(self.alphabets):
            unions.append({a | b for a in unions[-1] for b in alphabet.extremes})
        return unions[::-1]
