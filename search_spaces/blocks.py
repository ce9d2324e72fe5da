"""The blocks that a place in a network may hold: counted by kind, listed lazily, drawn uniformly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import product
from math import prod
from random import Random
from typing import Any

from einmix import Block, Factor, FactorSet, Mix, Mixer, Node
from einmix.nodes import steps
from search_spaces.forms import FORMS, Form, Place
from search_spaces.mixers import Ask, Mixers
from search_spaces.networks import Bounds, Counted, combined, either, extremes

Cost = tuple[int, int]
ORDERS = "tokens first", "channels first"


@dataclass(frozen=True)
class Choice:
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


Kind = tuple[str, tuple[Any, ...]]
"""Blocks that cost the same: a form, and for each of its slots a kind of mixer."""


class Blocks:
    """All blocks of these forms at a place."""

    def __init__(self, place: Place, forms: Sequence[str]):
        self.place = place
        self.slots: dict[str, list[Mixers]] = {}
        for name in forms:
            slots = FORMS[name].slots(place)
            found = [_mixers(place.grid, width, tuple(patterns.items())) for width, patterns in slots or ()]
            if slots is not None and all(slot.kinds for slot in found):
                self.slots[name] = found

    @property
    def variants(self) -> Iterator[tuple[Form, bool]]:
        """The forms, each with the orders of its parts."""
        for name in self.slots:
            for first in (False, True) if FORMS[name].channels else (False,):
                yield FORMS[name], first

    @cached_property
    def kinds(self) -> list[Counted]:
        """The kinds of blocks, with what each costs and how many there are of it."""
        found: list[Counted] = []
        for name, slots in self._counted.items():
            orders, base, covers = (2 if FORMS[name].channels else 1), self._bases[name], self._covered(name)
            for chosen in product(*slots):
                params, macs = (
                    base[0] + sum(each.params for each in chosen),
                    base[1] + sum(each.macs for each in chosen),
                )
                covered = covers.union(*(each.covered for each in chosen))
                kind = name, tuple(each.kind for each in chosen)
                found.append(Counted(kind, orders * prod(each.number for each in chosen), covered, params, macs))
        return found

    @cached_property
    def extremes(self) -> dict[frozenset[str], tuple[int, Bounds]]:
        """How many blocks there are by the axes that they mix, and their bounds: without listing their kinds."""
        total: dict[frozenset[str], tuple[int, Bounds]] = {}
        for name, slots in self._counted.items():
            params, macs = self._bases[name]
            orders = 2 if FORMS[name].channels else 1
            found = {self._covered(name): (orders, (params, params, macs, macs))}
            for slot in slots:
                found = combined(found, extremes(slot))
            for covered, each in found.items():
                total[covered] = either(total.get(covered), each)
        return total

    def _covered(self, name: str) -> frozenset[str]:
        """The axes along which a form moves something, whatever its mixers do."""
        return frozenset(self.place.long if FORMS[name].covers else ())

    def mixed(self, choice: Choice) -> frozenset[str]:
        """The spatial axes along which a block moves anything."""
        return self._covered(choice.form).union(*(mixer.mixed for mixer in choice.mixers)) - {"c"}

    @cached_property
    def _counted(self) -> dict[str, list[tuple[Counted, ...]]]:
        """For every form and slot its kinds of mixers, with what they cost as the form has them."""
        return {name: [_spread(name, self.place.width, slot) for slot in slots] for name, slots in self.slots.items()}

    @cached_property
    def _bases(self) -> dict[str, Cost]:
        """What the forms cost beside their mixers, whichever these are."""
        found = {}
        for name, slots in self.slots.items():
            mixers = tuple(next(slot.enumerate()) for slot in slots)
            block = steps(
                Choice(name, False, mixers).block(self.place), dict(self.place.grid) | {"c": self.place.width}
            )
            costs = [step.cost for step in block]
            inner = [each for mixer in mixers for each in FORMS[name].spread(self.place.width, mixer)]
            params = sum(params for params, _ in costs) - sum(mixer.params for mixer in inner)
            found[name] = params, sum(macs for _, macs in costs) - sum(mixer.macs for mixer in inner)
        return found

    def draw(self, kind: Kind, rng: Random) -> Choice:
        """One of the blocks of this kind, uniformly."""
        name, mixers = kind
        first = FORMS[name].channels and rng.random() < 0.5
        return Choice(name, first, tuple(slot.draw(k, rng) for slot, k in zip(self.slots[name], mixers, strict=True)))

    def enumerate(self, required: frozenset[str] = frozenset()) -> Iterator[Choice]:
        """Every block that moves something along the required axes, once, lazily."""
        for form, first in self.variants:
            for found in _products(self.slots[form.name]):
                choice = Choice(form.name, first, found)
                if required <= self.mixed(choice):
                    yield choice

    def __contains__(self, choice: object) -> bool:
        if not isinstance(choice, Choice) or choice.form not in self.slots:
            return False
        slots = self.slots[choice.form]
        return (
            (not choice.first or FORMS[choice.form].channels)
            and len(slots) == len(choice.mixers)
            and all(mixer in slot for mixer, slot in zip(choice.mixers, slots, strict=True))
        )

    def read(self, block: Block) -> Choice | None:
        """The choice that makes this block, if one does."""
        for name, first in self._skeletons.get(_skeleton(block), ()):
            for found in product(*(_within(slot, block) for slot in self.slots[name])):
                choice = Choice(name, first, found)
                if choice.block(self.place) == block:
                    return choice
        return None

    @cached_property
    def _skeletons(self) -> dict[object, list[tuple[str, bool]]]:
        """What blocks of a form and an order have in common, but for their mixers."""
        found: dict[object, list[tuple[str, bool]]] = {}
        for form, first in self.variants:
            mixers = tuple(next(slot.enumerate()) for slot in self.slots[form.name])
            block = Choice(form.name, first, mixers).block(self.place)
            found.setdefault(_skeleton(block), []).append((form.name, first))
        return found

    def choose(self, name: str, ask: Ask) -> Choice:
        """A form, the order of its parts, then its mixers factor by factor."""
        where = f"{name}@{'x'.join(str(n) for _, n in self.place.grid)}"
        form = FORMS[ask(f"{where}.form", list(self.slots))]
        first = form.channels and ask(f"{where}.{form.name}.order", ORDERS) == ORDERS[1]
        slots = self.slots[form.name]
        mixers = (slot.choose(f"{where}.{form.name}{number}", ask) for number, slot in enumerate(slots))
        return Choice(form.name, first, tuple(mixers))

    def encode(self, name: str, choice: Choice) -> dict[str, str]:
        """The answers that make a block."""
        where = f"{name}@{'x'.join(str(n) for _, n in self.place.grid)}"
        answers = {f"{where}.form": choice.form, f"{where}.{choice.form}.order": ORDERS[choice.first]}
        for number, (slot, mixer) in enumerate(zip(self.slots[choice.form], choice.mixers, strict=True)):
            answers |= slot.encode(f"{where}.{choice.form}{number}", mixer)
        return answers

    def moves(self, choice: Choice) -> Iterator[Choice]:
        """Blocks one step away: a mixer moved, the order turned, or another form with the mixers as far as they fit."""
        for number, slot in enumerate(self.slots[choice.form]):
            for moved in slot.moves(choice.mixers[number]):
                yield replace(choice, mixers=(*choice.mixers[:number], moved, *choice.mixers[number + 1 :]))
        if FORMS[choice.form].channels:
            yield replace(choice, first=not choice.first)
        for name in self.slots:
            if name != choice.form:
                yield from self._as(name, choice)

    def refitted(self, choice: Choice, order: int) -> Iterator[Choice]:
        """The block at this place, its mixers scaled as `Mixers.refitted` does."""
        if choice.form in self.slots and len(self.slots[choice.form]) == len(choice.mixers):
            slots = zip(self.slots[choice.form], choice.mixers, strict=True)
            for found in product(*(slot.refitted(mixer, order) for slot, mixer in slots)):
                yield replace(choice, mixers=found)

    def _as(self, name: str, choice: Choice) -> Iterator[Choice]:
        """Another form, its slots filled with the mixers that fit them, and else with the first that does."""
        found = []
        for slot in self.slots[name]:
            fitting = (each for mixer in choice.mixers for each in slot.refitted(mixer, 1) if each in slot)
            found.append(next(fitting, None) or next(slot.enumerate()))
        yield Choice(name, choice.first and FORMS[name].channels, tuple(found))


@lru_cache(maxsize=1024)
def _mixers(grid: tuple[tuple[str, int], ...], width: int, patterns: tuple[tuple[str, str], ...]) -> Mixers:
    """The mixers of a slot; places that differ in other things share them."""
    sets = {axis: FactorSet(pattern) for axis, pattern in patterns}
    return Mixers(dict(grid) | {"c": width}, sets, ("any",), bias=True)


@lru_cache(maxsize=4096)
def _spread(name: str, width: int, slot: Mixers) -> tuple[Counted, ...]:
    """The kinds of a slot's mixers, with what they cost as the form has them; places that share a slot share these."""
    rng, found = Random(0), []
    for each in slot.kinds:
        mixers = FORMS[name].spread(width, slot.draw(each.kind, rng))
        costs = sum(mixer.params for mixer in mixers), sum(mixer.macs for mixer in mixers)
        found.append(Counted(each.kind, each.number, each.covered, *costs))
    return tuple(found)


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


def _skeleton(nodes: Iterable[Node]) -> object:
    """Nodes without their mixers; the order of branches, which the mixers decide in a sum, does not count."""
    found = []
    for node in nodes:
        branches = sorted((_skeleton(branch) for branch in getattr(node, "branches", ())), key=repr)
        found.append((node.kind, tuple(branches)) if branches or isinstance(node, Mix) else node)
    return tuple(found)


def _mixes(nodes: Iterable[Node]) -> Iterator[Mix]:
    for node in nodes:
        if isinstance(node, Mix):
            yield node
        for branch in getattr(node, "branches", ()):
            yield from _mixes(branch)
