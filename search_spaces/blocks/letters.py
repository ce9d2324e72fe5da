"""Letters: what one place of a network may hold, counted by what it costs and by the axes along which it mixes."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import product
from random import Random
from typing import Any, NamedTuple, Protocol

from einmix import Block, Mixer
from search_spaces.blocks.place import Place

Letter = Any
"""What may stand at one place of a network: a mixer, or a whole block."""

Ask = Callable[[str, Sequence[str]], str]
"""Answers a named question with one of its options; a name always comes with the same options."""


class Bounds(NamedTuple):
    """The least and most parameters, the least and most multiply-accumulates an image."""

    min_params: int
    max_params: int
    min_macs: int
    max_macs: int


Extremes = Mapping[frozenset[str], tuple[int, Bounds]]
"""By the axes that letters mix how many there are, and their bounds."""


class CostClass(NamedTuple):
    """So many letters that cost the same, each, and mix along the same axes; by its key an alphabet knows them."""

    key: Any
    number: int
    covered: frozenset[str]
    params: int
    macs: int


class Alphabet(Protocol):
    """What one place of a network may hold: letters, counted by cost, listed lazily, drawn uniformly, made into blocks.

    `ideas` are its families or forms, each with the number of letters that it has; `ideas_of` names those of a class.
    """

    @property
    def classes(self) -> Sequence[CostClass]: ...

    @property
    def extremes(self) -> Extremes: ...

    @property
    def ideas(self) -> Mapping[str, int]: ...

    def ideas_of(self, key: Any) -> Collection[str]: ...

    def mixed(self, letter: Letter) -> frozenset[str]: ...

    def draw(self, key: Any, rng: Random) -> Letter: ...

    def enumerate(self, required: frozenset[str] = frozenset()) -> Iterator[Letter]: ...

    def choose(self, name: str, ask: Ask) -> Letter: ...

    def encode(self, name: str, letter: Letter) -> dict[str, str]: ...

    def moves(self, letter: Letter) -> Iterator[Letter]: ...

    def refitted(self, letter: Letter, order: int) -> Iterator[Letter]: ...

    def __contains__(self, letter: object) -> bool: ...

    def block(self, letter: Letter, place: Place) -> Block:
        """The block of a letter."""

    def rest(self, place: Place) -> Block:
        """What blocks have beside what the letters' costs hold."""

    def read(self, block: Block, place: Place) -> Letter | None:
        """The letter that makes this block, if one does."""

    def uniform(self, mixer: Mixer) -> Letter:
        """The letter of a block that has this mixer and nothing else that mixes positions."""


def extremes(classes: Iterable[CostClass]) -> Extremes:
    """How many letters there are by the axes that they mix, and their bounds."""
    found: dict[frozenset[str], tuple[int, Bounds]] = {}
    for _, number, covered, params, macs in classes:
        found[covered] = either(found.get(covered), (number, Bounds(params, params, macs, macs)))
    return found


def combined(first: Extremes, second: Extremes) -> Extremes:
    """The same of every pair of what these count."""
    found: dict[frozenset[str], tuple[int, Bounds]] = {}
    for (covered, (n, (a, b, c, d))), (more, (m, (e, f, g, h))) in product(first.items(), second.items()):
        found[covered | more] = either(found.get(covered | more), (n * m, Bounds(a + e, b + f, c + g, d + h)))
    return found


def either(first: tuple[int, Bounds] | None, second: tuple[int, Bounds]) -> tuple[int, Bounds]:
    """Both counts together, and the bounds of both."""
    return second if first is None else (first[0] + second[0], wider(first[1], second[1]))


def wider(a: Bounds | None, b: Bounds) -> Bounds:
    """The bounds of both."""
    return b if a is None else Bounds(min(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), max(a[3], b[3]))
