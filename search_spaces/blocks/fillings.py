"""The ways to fill the slots of a form with mixers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from itertools import product
from random import Random

from einmix import Block, Factor, FactorSet, Mixer, Node
from einmix.kinds import Mix
from search_spaces.blocks.draws import Urn
from search_spaces.blocks.forms import FORMS, Form
from search_spaces.blocks.mixers import Mixers
from search_spaces.blocks.place import Place
from search_spaces.bound.networks import Bounds, Counted, combined, extremes


@dataclass(frozen=True)
class Filled:
    """What stands in one block: a form, whether the MLP over channels comes first, and the mixers of the form."""

    form: str
    first: bool
    mixers: tuple[Mixer, ...]

    def block(self, place: Place) -> Block:
        return FORMS[self.form].block(place, self.mixers, first=self.first)

    def __str__(self) -> str:
        """In a few words, for tables."""
        words = [self.form, *(str(mixer).removesuffix(" +b") for mixer in self.mixers)]
        return ("channels first, " if self.first else "") + " ".join(words)


Total = tuple[frozenset[str], int, int]
"""The axes that mixers mix together, their parameters and their multiply-accumulates."""


Kind = tuple[str, Total]
"""Blocks that cost the same: a form, and what fills its slots."""


class Fillings:
    """The mixers that may fill the slots of a form, one for each, at some width: counted by what they come to."""

    def __init__(self, form: Form, width: int, slots: Sequence[Mixers]):
        self._slots = slots
        self._counted = [list(_spread(form, width, slot)) for slot in slots]
        self._urns: dict[tuple[int, Total], Urn[tuple[Counted, Total]]] = {}

    @cached_property
    def extremes(self) -> dict[frozenset[str], tuple[int, Bounds]]:
        """How many there are by the axes that they mix, and their bounds."""
        return reduce(combined, map(extremes, self._counted), {frozenset(): (1, (0, 0, 0, 0))})

    @cached_property
    def totals(self) -> list[dict[Total, int]]:
        """For no slot, the first, the first two…: how many choices come to every total."""
        found: list[dict[Total, int]] = [{(frozenset(), 0, 0): 1}]
        for kinds in self._counted:
            following: dict[Total, int] = {}
            for (covered, params, macs), ways in found[-1].items():
                for _, number, more, own_params, own_macs in kinds:
                    total = covered | more, params + own_params, macs + own_macs
                    following[total] = following.get(total, 0) + ways * number
            found.append(following)
        return found

    def _ways(self, slot: int, total: Total) -> dict[tuple[Counted, Total], int]:
        """By which kind in a slot, after which total of those before, this total comes, and how often."""
        covered, params, macs = total
        before, ways = self.totals[slot], {}
        for each, already in product(self._counted[slot], {covered for covered, _, _ in before}):
            source = already, params - each.params, macs - each.macs
            if already | each.covered == covered and source in before:
                ways[each, source] = before[source] * each.number
        return ways

    def draw(self, total: Total, rng: Random) -> tuple[Mixer, ...]:
        """Mixers that come to this, uniformly."""
        mixers: list[Mixer] = []
        for slot in reversed(range(len(self._slots))):
            if (slot, total) not in self._urns:
                self._urns[slot, total] = Urn(self._ways(slot, total))
            each, total = self._urns[slot, total].draw(rng)
            mixers.insert(0, self._slots[slot].draw(each.kind, rng))
        return tuple(mixers)


@lru_cache(maxsize=1024)
def _mixers(grid: tuple[tuple[str, int], ...], width: int, patterns: tuple[tuple[str, str], ...]) -> Mixers:
    """The mixers of a slot; places that differ in other things share them."""
    sets = {axis: FactorSet(pattern) for axis, pattern in patterns}
    return Mixers(dict(grid) | {"c": width}, sets, ("any",), bias=True)


@lru_cache(maxsize=4096)
def _filled(name: str, width: int, slots: tuple[Mixers, ...]) -> Fillings:
    """Places that share the slots of a form share what fills them."""
    return Fillings(FORMS[name], width, slots)


def _spread(form: Form, width: int, slot: Mixers) -> Iterator[Counted]:
    """The kinds of a slot's mixers, with what they cost as the form has them."""
    rng = Random(0)
    for each in slot.kinds:
        mixers = form.spread(width, slot.draw(each.kind, rng))
        costs = sum(mixer.params for mixer in mixers), sum(mixer.macs for mixer in mixers)
        yield Counted(each.kind, each.number, each.covered, *costs)


def _products(slots: Sequence[Mixers]) -> Iterator[tuple[Mixer, ...]]:
    """Every choice of a mixer for each slot, lazily."""
    if not slots:
        yield ()
        return
    for first in slots[0].enumerate():
        for rest in _products(slots[1:]):
            yield (first, *rest)


def _within(slot: Mixers, block: Block) -> list[Mixer]:
    """The mixers of a slot that a block may have been made of: its own, with a bias, or before they were expanded."""
    found: dict[Mixer, None] = {}
    for node in _mixes(block):
        square = ((axis, tuple(Factor(f.role, f.size, f.size) for f in factors)) for axis, factors in node.mixer.axes)
        for each in (node.mixer, Mixer(node.mixer.axes, True), Mixer(tuple(square), True)):
            if each in slot:
                found[each] = None
    return list(found)


def _mixes(nodes: Iterable[Node]) -> Iterator[Mix]:
    for node in nodes:
        if isinstance(node, Mix):
            yield node
        for branch in getattr(node, "branches", ()):
            yield from _mixes(branch)
