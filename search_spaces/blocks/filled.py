"""The blocks that a place in a network may hold: counted by cost, listed lazily, drawn uniformly."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, reduce
from itertools import product
from random import Random
from typing import NamedTuple

from einmix import Block, Factor, FactorSet, Mixer, Node
from einmix.algebra.factor_sets import Urn
from einmix.kinds import Mix
from einmix.nodes.node import steps
from search_spaces.blocks.forms import FORMS, Form
from search_spaces.blocks.letters import Ask, Bounds, CostClass, Extremes, combined, either, extremes
from search_spaces.blocks.mixers import Mixers
from search_spaces.blocks.place import Place, mixes

ORDERS = "tokens first", "channels first"


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


class FilledKey(NamedTuple):
    """What blocks that cost the same have in common: a form, and what fills its slots."""

    form: str
    total: Total


class FilledForms:
    """All blocks of these forms at a place."""

    def __init__(self, place: Place, forms: Sequence[str]):
        self.place, self.forms = place, forms
        self.slots: dict[str, list[Mixers]] = {}
        for name in forms:
            slots = FORMS[name].slots(place)
            found = [_slot(place.grid, width, tuple(patterns.items())) for width, patterns in slots or ()]
            if slots is not None and all(slot.classes for slot in found):
                self.slots[name] = found

    @property
    def variants(self) -> Iterator[tuple[Form, bool]]:
        """The forms, each with the orders of its parts."""
        for name in self.slots:
            for first in FORMS[name].orders:
                yield FORMS[name], first

    @cached_property
    def classes(self) -> list[CostClass]:
        """The classes of blocks, with what each costs and how many there are of it."""
        found = []
        for name, fillings in self._fillings.items():
            orders, moved, (params, macs) = len(FORMS[name].orders), self._covered(name), self._bases[name]
            for total, number in fillings.totals[-1].items():
                covered, costs = moved | total.covered, (params + total.params, macs + total.macs)
                found.append(CostClass(FilledKey(name, total), orders * number, covered, *costs))
        return found

    @cached_property
    def extremes(self) -> Extremes:
        """How many blocks there are by the axes that they mix, and their bounds: without listing their classes."""
        found: dict[frozenset[str], tuple[int, Bounds]] = {}
        for name, fillings in self._fillings.items():
            params, macs = self._bases[name]
            alone = {self._covered(name): (len(FORMS[name].orders), Bounds(params, params, macs, macs))}
            for covered, each in combined(alone, fillings.extremes).items():
                found[covered] = either(found.get(covered), each)
        return found

    @cached_property
    def ideas(self) -> dict[str, int]:
        """How many blocks every form has, both orders of its parts counted."""
        ways = {name: sum(fillings.totals[-1].values()) for name, fillings in self._fillings.items()}
        return {name: len(FORMS[name].orders) * number for name, number in ways.items()}

    def ideas_of(self, key: FilledKey) -> list[str]:
        """The form of a class of blocks."""
        return [key.form]

    def _covered(self, name: str) -> frozenset[str]:
        """The axes along which a form moves something, whatever its mixers do."""
        return frozenset(self.place.long if FORMS[name].covers else ())

    def mixed(self, filled: Filled) -> frozenset[str]:
        """The spatial axes along which a block moves anything."""
        return self._covered(filled.form).union(*(mixer.mixed for mixer in filled.mixers)) - {"c"}

    @cached_property
    def _fillings(self) -> dict[str, Fillings]:
        """For every form what may fill its slots."""
        return {name: _filling(name, self.place.width, tuple(slots)) for name, slots in self.slots.items()}

    @cached_property
    def _bases(self) -> dict[str, tuple[int, int]]:
        """What the forms cost beside their mixers, whichever these are: parameters and multiply-accumulates."""
        found = {}
        for name, slots in self.slots.items():
            mixers = tuple(slot.first for slot in slots)
            costs = [step.cost for step in steps(FORMS[name].block(self.place, mixers, first=False), self.place.sizes)]
            inner = [each for mixer in mixers for each in FORMS[name].spread(self.place.width, mixer)]
            params = sum(params for params, _ in costs) - sum(mixer.params for mixer in inner)
            found[name] = params, sum(macs for _, macs in costs) - sum(mixer.macs for mixer in inner)
        return found

    def draw(self, key: FilledKey, rng: Random) -> Filled:
        """One of the blocks of this class, uniformly."""
        first = FORMS[key.form].channels and rng.random() < 0.5
        return Filled(key.form, first, self._fillings[key.form].draw(key.total, rng))

    def enumerate(self, required: frozenset[str] = frozenset()) -> Iterator[Filled]:
        """Every block that moves something along the required axes, once, lazily."""
        for form, first in self.variants:
            for found in _products(self.slots[form.name]):
                filled = Filled(form.name, first, found)
                if required <= self.mixed(filled):
                    yield filled

    def __contains__(self, filled: object) -> bool:
        if not isinstance(filled, Filled) or filled.form not in self.slots:
            return False
        slots = self.slots[filled.form]
        return (
            filled.first in FORMS[filled.form].orders
            and len(slots) == len(filled.mixers)
            and all(mixer in slot for mixer, slot in zip(filled.mixers, slots, strict=True))
        )

    def block(self, filled: Filled, place: Place) -> Block:
        return filled.block(place)

    def rest(self, place: Place) -> Block:
        """Nothing: the costs of blocks are those of all that they hold."""
        return ()

    def uniform(self, mixer: Mixer) -> Filled:
        return Filled("linear", False, (mixer,))

    def read(self, block: Block, place: Place) -> Filled | None:
        """The form with its mixers that makes this block, if one does."""
        for name, first in self._outlines.get(_outline(block), ()):
            for found in product(*(_within(slot, block) for slot in self.slots[name])):
                filled = Filled(name, first, found)
                if filled.block(place) == block:
                    return filled
        return None

    @cached_property
    def _outlines(self) -> dict[object, list[tuple[str, bool]]]:
        """What blocks of a form and an order have in common, but for their mixers."""
        found: dict[object, list[tuple[str, bool]]] = {}
        for form, first in self.variants:
            mixers = tuple(slot.first for slot in self.slots[form.name])
            block = form.block(self.place, mixers, first=first)
            found.setdefault(_outline(block), []).append((form.name, first))
        return found

    def choose(self, name: str, ask: Ask) -> Filled:
        """A form, the order of its parts, then its mixers factor by factor."""
        where = self._where(name)
        form = FORMS[ask(self._form_question(where), list(self.slots))]
        first = form.channels and ask(f"{where}.{form.name}.order", ORDERS) == ORDERS[1]
        slots = self.slots[form.name]
        mixers = (slot.choose(f"{where}.{form.name}{number}", ask) for number, slot in enumerate(slots))
        return Filled(form.name, first, tuple(mixers))

    def encode(self, name: str, filled: Filled) -> dict[str, str]:
        """The answers that make a block."""
        where = self._where(name)
        answers = {self._form_question(where): filled.form, f"{where}.{filled.form}.order": ORDERS[filled.first]}
        for number, (slot, mixer) in enumerate(zip(self.slots[filled.form], filled.mixers, strict=True)):
            answers |= slot.encode(f"{where}.{filled.form}{number}", mixer)
        return answers

    def _where(self, name: str) -> str:
        return f"{name}@{'x'.join(str(n) for _, n in self.place.grid)}"

    def _form_question(self, where: str) -> str:
        return f"{where}.form" if len(self.slots) == len(self.forms) else f"{where}.form@{'/'.join(self.slots)}"

    def moves(self, filled: Filled) -> Iterator[Filled]:
        """Blocks one step away: a mixer moved, the order turned, or another form with the mixers as far as they fit."""
        for number, slot in enumerate(self.slots[filled.form]):
            for moved in slot.moves(filled.mixers[number]):
                yield replace(filled, mixers=(*filled.mixers[:number], moved, *filled.mixers[number + 1 :]))
        if FORMS[filled.form].channels:
            yield replace(filled, first=not filled.first)
        for name in self.slots:
            if name != filled.form:
                yield from self._as(name, filled)

    def refitted(self, filled: Filled, order: int) -> Iterator[Filled]:
        """The block at this place, its mixers scaled as `Mixers.refitted` does."""
        if filled.form in self.slots and len(self.slots[filled.form]) == len(filled.mixers):
            slots = zip(self.slots[filled.form], filled.mixers, strict=True)
            for found in product(*(slot.refitted(mixer, order) for slot, mixer in slots)):
                yield replace(filled, mixers=found)

    def _as(self, name: str, filled: Filled) -> Iterator[Filled]:
        """Another form, its slots filled with the mixers that fit them, and else with the first that does."""
        found = []
        for slot in self.slots[name]:
            fitting = (each for mixer in filled.mixers for each in slot.refitted(mixer, 1) if each in slot)
            found.append(next(fitting, slot.first))
        yield Filled(name, filled.first and FORMS[name].channels, tuple(found))


def _outline(nodes: Iterable[Node]) -> object:
    """Nodes without their mixers; the order of branches, which the mixers decide in a sum, does not count."""
    found = []
    for node in nodes:
        branches = sorted((_outline(branch) for branch in getattr(node, "branches", ())), key=repr)
        found.append((node.kind, tuple(branches)) if branches or isinstance(node, Mix) else node)
    return tuple(found)


@lru_cache(maxsize=1024)
def _slot(grid: tuple[tuple[str, int], ...], width: int, patterns: tuple[tuple[str, str], ...]) -> Mixers:
    """The mixers of a slot; places that differ in other things share them."""
    sets = {axis: FactorSet(pattern) for axis, pattern in patterns}
    return Mixers(dict(grid) | {"c": width}, sets, ("any",), bias=True)


@lru_cache(maxsize=4096)
def _filling(name: str, width: int, slots: tuple[Mixers, ...]) -> Fillings:
    """Places that share the slots of a form share what fills them."""
    return Fillings(FORMS[name], width, slots)


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
    for node in mixes(block):
        square = ((axis, tuple(Factor(f.role, f.size, f.size) for f in factors)) for axis, factors in node.mixer.axes)
        for each in (node.mixer, Mixer(node.mixer.axes, True), Mixer(tuple(square), True)):
            if each in slot:
                found[each] = None
    return list(found)
