"""The networks of one size: how many there are, what they cost, and which they are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from math import prod
from random import Random
from typing import Any, NamedTuple, Protocol

from search_spaces.blocks.parts import Patch

Bounds = tuple[int, int, int, int]
"""The least and most parameters, the least and most multiply-accumulates an image."""


Letter = Any
"""What may stand at one place of a network: a mixer, or a whole block."""


class Counted(NamedTuple):
    """So many letters that cost the same, each, and mix along the same axes."""

    kind: Any
    number: int
    covered: frozenset[str]
    params: int
    macs: int


class Alphabet(Protocol):
    """What one place of a network may hold: letters, counted by kind, listed lazily, drawn uniformly.

    `ideas` are its families or forms, each with the number of letters that it has; `ideas_of` names those of a kind.
    """

    @property
    def kinds(self) -> Sequence[Counted]: ...

    @property
    def extremes(self) -> Mapping[frozenset[str], tuple[int, Bounds]]: ...

    @property
    def ideas(self) -> Mapping[str, int]: ...

    def ideas_of(self, kind: Any) -> Collection[str]: ...

    def mixed(self, letter: Letter) -> frozenset[str]: ...

    def draw(self, kind: Any, rng: Random) -> Letter: ...

    def enumerate(self, required: frozenset[str] = frozenset()) -> Iterator[Letter]: ...

    def choose(self, name: str, ask: Callable[[str, Sequence[str]], str]) -> Letter: ...

    def encode(self, name: str, letter: Letter) -> dict[str, str]: ...

    def moves(self, letter: Letter) -> Iterator[Letter]: ...

    def refitted(self, letter: Letter, order: int) -> Iterator[Letter]: ...

    def __contains__(self, letter: object) -> bool: ...


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
        reached = {frozenset[str](): (1, (params, params, macs, macs))}
        for alphabet in alphabets:
            reached = combined(reached, alphabet.extremes)
        return {covered & self.axes: bounds for covered, (_, bounds) in reached.items()}

    def others(self, place: int) -> dict[frozenset[str], Bounds]:
        """The same for all places but this one."""
        return self.sums([*self.alphabets[:place], *self.alphabets[place + 1 :]])

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


def extremes(kinds: Iterable[Counted]) -> dict[frozenset[str], tuple[int, Bounds]]:
    """How many letters there are by the axes that they mix, and their bounds."""
    found: dict[frozenset[str], tuple[int, Bounds]] = {}
    for _, number, covered, params, macs in kinds:
        found[covered] = either(found.get(covered), (number, (params, params, macs, macs)))
    return found


def combined(
    first: Mapping[frozenset[str], tuple[int, Bounds]], second: Mapping[frozenset[str], tuple[int, Bounds]]
) -> dict[frozenset[str], tuple[int, Bounds]]:
    """The same of every pair of what these count."""
    found: dict[frozenset[str], tuple[int, Bounds]] = {}
    for (covered, (n, (a, b, c, d))), (more, (m, (e, f, g, h))) in product(first.items(), second.items()):
        found[covered | more] = either(found.get(covered | more), (n * m, (a + e, b + f, c + g, d + h)))
    return found


def either(first: tuple[int, Bounds] | None, second: tuple[int, Bounds]) -> tuple[int, Bounds]:
    """Both counts together, and the bounds of both."""
    return second if first is None else (first[0] + second[0], wider(first[1], second[1]))


def wider(a: Bounds | None, b: Bounds) -> Bounds:
    """The bounds of both."""
    return b if a is None else (min(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), max(a[3], b[3]))
