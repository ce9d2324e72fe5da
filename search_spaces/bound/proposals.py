"""Limits on the size of a network, and uniform proposals of networks within them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import lcm
from random import Random
from typing import Any, NamedTuple

from einmix.algebra.factor_sets import Urn
from search_spaces.blocks.letters import Alphabet, Bounds, CostClass, wider
from search_spaces.bound.networks import Networks, Skeleton
from search_spaces.errors import SpaceError


@dataclass(frozen=True)
class Budget:
    """Limits on parameters and on multiply-accumulates an image, both ends included. Raises SpaceError if empty."""

    min_params: int = 0
    max_params: int | None = None
    max_macs: int | None = None

    def __post_init__(self) -> None:
        if self.max_params is not None and self.max_params < self.min_params:
            raise SpaceError(f"no network has {self}")

    def admits(self, params: int, macs: int) -> bool:
        return (
            params >= self.min_params
            and (self.max_params is None or params <= self.max_params)
            and (self.max_macs is None or macs <= self.max_macs)
        )

    def meets(self, bounds: Bounds) -> bool:
        """Whether parameters and multiply-accumulates, each alone, can be within the limits."""
        least, most, fewest, _ = bounds
        return most >= self.min_params and self.admits(max(least, self.min_params), fewest)

    def holds(self, bounds: Bounds) -> bool:
        """Whether all that lies within these bounds is within the limits."""
        least, most, fewest, largest = bounds
        return self.admits(least, fewest) and self.admits(most, largest)

    def __str__(self) -> str:
        params = f"at least {self.min_params:,}"
        if self.max_params is not None:
            params = f"{self.min_params:,} to {self.max_params:,}"
        return f"{params} parameters" + (f", at most {self.max_macs:,} MACs" if self.max_macs is not None else "")


class Proposal(NamedTuple):
    """A network before its letters are drawn: its sizes, the cost class of every letter by its key, its own costs."""

    skeleton: Skeleton
    keys: list[Any]
    params: int
    macs: int


class Proposals:
    """Sizes with cost classes of letters, drawn exactly from a set of networks that holds all those within a budget.

    Without `weights` all networks are as likely. With weights of families or forms (1 where none is given) a network's
    chance is as if its sizes were drawn uniformly, then for every block a family or form by its weight, then one of
    its mixers or blocks uniformly, and all of it again until it mixes along all axes and is within the budget.

    Classes that no other blocks could make up for are left out beforehand. What remains is to reject networks whose
    blocks together are outside the budget: a few microseconds each, for no mixer has been drawn yet.
    """

    def __init__(self, networks: Iterable[Networks], budget: Budget, weights: Mapping[str, int] | None = None):
        self._budget, self._weights = budget, weights or {}
        self._networks = {each.skeleton: each for each in networks}
        self._of = cache(self._sequences)
        self._skeletons = Urn({skeleton: self._total(each) for skeleton, each in self._networks.items()})
        self.total = Fraction(self._skeletons.sum, self._skeletons.scale)

    def _total(self, networks: Networks) -> int | Fraction:
        """How many networks remain, or their weight; where all do, there is no need to look at their classes yet."""
        within = not self._weights and networks.bounds and self._budget.holds(networks.bounds)
        return networks.count if within else self._of(networks.skeleton).total

    def _sequences(self, skeleton: Skeleton) -> _Sequences:
        return _Sequences(self._networks[skeleton], self._budget, self._weights)

    def draw(self, rng: Random) -> Proposal | None:
        """A network within the budget; None stands for one that was rejected."""
        found = self.any(rng)
        return found if self._budget.admits(found.params, found.macs) else None

    def any(self, rng: Random) -> Proposal:
        """A network, be it within the budget or not."""
        skeleton = self._skeletons.draw(rng)
        chosen = self._of(skeleton).draw(rng)
        params, macs = self._networks[skeleton].base
        for each in chosen:
            params, macs = params + each.params, macs + each.macs
        return Proposal(skeleton, [each.key for each in chosen], params, macs)


class _Sequences:
    """Classes in sequences that together mix along all axes, by their networks' weight: each class within a budget."""

    def __init__(self, networks: Networks, budget: Budget, weights: Mapping[str, int]):
        self._classes: list[dict[frozenset[str], Urn[CostClass]]] = []  # by place, and axes mixed
        known: dict[int, dict[frozenset[str], Urn[CostClass]]] = {}  # places with one alphabet are alike
        scale = 1  # whole numbers stand for so many times a network's weight
        for place, alphabet in enumerate(networks.alphabets):
            chances, part = _chances(alphabet, weights)
            scale *= part
            if id(alphabet) not in known:
                known[id(alphabet)] = _affordable(networks, place, budget, chances)
            self._classes.append(known[id(alphabet)])
        self._steps: list[dict[frozenset[str], Urn[frozenset[str]]]] = []  # by place, and axes mixed so far
        ways = {covered: int(networks.covers([covered])) for covered in networks.subsets}
        for classes in reversed(self._classes):
            step = {
                covered: Urn({more: urn.sum * ways[(covered | more) & networks.axes] for more, urn in classes.items()})
                for covered in ways
            }
            self._steps.insert(0, step)
            ways = {covered: urn.sum for covered, urn in step.items()}
        self._axes, self.total = networks.axes, Fraction(ways[frozenset()], scale)

    def draw(self, rng: Random) -> list[CostClass]:
        covered, chosen = frozenset[str](), []
        for step, classes in zip(self._steps, self._classes, strict=True):
            more = step[covered].draw(rng)
            covered = (covered | more) & self._axes
            chosen.append(classes[more].draw(rng))
        return chosen


def _affordable(
    networks: Networks, place: int, budget: Budget, chances: Mapping[str, int]
) -> dict[frozenset[str], Urn[CostClass]]:
    """The classes of letters at a place that others make up for: together they mix all axes and meet the budget."""
    alphabet = networks.alphabets[place]
    others = networks.sums([*networks.alphabets[:place], *networks.alphabets[place + 1 :]])
    rests: dict[frozenset[str], Bounds | None] = {}
    for covered in alphabet.extremes:
        rests[covered] = None
        for more, bounds in others.items():
            if networks.covers((covered, more)):
                rests[covered] = wider(rests[covered], bounds)
    classes: dict[frozenset[str], dict[CostClass, int]] = {}
    for each in alphabet.classes:
        if rest := rests[each.covered]:
            (a, b, c, d), params, macs = rest, each.params, each.macs
            if budget.meets(Bounds(a + params, b + params, c + macs, d + macs)):
                chance = sum(chances[name] for name in alphabet.ideas_of(each.key)) if chances else 1
                classes.setdefault(each.covered, {})[each] = each.number * chance
    return {covered: Urn(members) for covered, members in classes.items()}


def _chances(alphabet: Alphabet, weights: Mapping[str, int]) -> tuple[dict[str, int], int]:
    """For every family or form how likely each of its letters is where it is drawn first, in parts of a number."""
    if not weights:
        return {}, 1
    heavy = {name: weights.get(name, 1) for name in alphabet.ideas}
    common = lcm(*alphabet.ideas.values())
    chances = {name: weight * (common // alphabet.ideas[name]) for name, weight in heavy.items()}
    return chances, common * sum(heavy.values())
