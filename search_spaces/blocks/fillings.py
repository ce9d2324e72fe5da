"""The ways to fill the slots of a form with mixers, counted by what these come to."""

from collections.abc import Iterator, Sequence
from functools import cached_property, reduce
from itertools import product
from random import Random
from typing import NamedTuple

from einmix import Mixer
from einmix.algebra.factor_sets import Urn
from search_spaces.blocks.forms import Form
from search_spaces.blocks.letters import Bounds, CostClass, Extremes, combined, extremes
from search_spaces.blocks.mixers import Mixers


class Total(NamedTuple):
    """The axes that mixers mix together, their parameters and their multiply-accumulates."""

    covered: frozenset[str] = frozenset()
    params: int = 0
    macs: int = 0


class Fillings:
    """The mixers that may fill the slots of a form, one for each, at some width: counted by what they come to."""

    def __init__(self, form: Form, width: int, slots: Sequence[Mixers]):
        self._slots = slots
        self._counted = [list(_spread(form, width, slot)) for slot in slots]
        self._urns: dict[tuple[int, Total], Urn[tuple[CostClass, Total]]] = {}

    @cached_property
    def extremes(self) -> Extremes:
        """How many there are by the axes that they mix, and their bounds."""
        return reduce(combined, map(extremes, self._counted), {frozenset(): (1, Bounds(0, 0, 0, 0))})

    @cached_property
    def totals(self) -> list[dict[Total, int]]:
        """For no slot, the first, the first two…: how many choices come to every total."""
        found: list[dict[Total, int]] = [{Total(): 1}]
        for classes in self._counted:
            following: dict[Total, int] = {}
            for (covered, params, macs), ways in found[-1].items():
                for _, number, more, own_params, own_macs in classes:
                    total = Total(covered | more, params + own_params, macs + own_macs)
                    following[total] = following.get(total, 0) + ways * number
            found.append(following)
        return found

    def _ways(self, slot: int, total: Total) -> dict[tuple[CostClass, Total], int]:
        """By which class in a slot, after which total of those before, this total comes, and how often."""
        covered, params, macs = total
        before, ways = self.totals[slot], {}
        for each, already in product(self._counted[slot], {covered for covered, _, _ in before}):
            source = Total(already, params - each.params, macs - each.macs)
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
            mixers.insert(0, self._slots[slot].draw(each.key, rng))
        return tuple(mixers)


def _spread(form: Form, width: int, slot: Mixers) -> Iterator[CostClass]:
    """The classes of a slot's mixers, with what they cost as the form has them."""
    rng = Random(0)
    for each in slot.classes:
        mixers = form.spread(width, slot.draw(each.key, rng))
        costs = sum(mixer.params for mixer in mixers), sum(mixer.macs for mixer in mixers)
        yield CostClass(each.key, each.number, each.covered, *costs)
