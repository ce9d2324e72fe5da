"""Drawing networks of a space that lie within a budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import lcm
from random import Random
from typing import Any

from search_spaces.blocks.draws import Urn
from search_spaces.bound.budget import Budget
from search_spaces.bound.networks import Alphabet, Bounds, Counted, Networks, Skeleton, wider


class Proposals:
    """Sizes with kinds of mixers, drawn exactly from a set of networks that holds all those within a budget.

    Without `weights` all networks are as likely. With weights of families or forms (1 where none is given) a network's
    chance is as if its sizes were drawn uniformly, then for every block a family or form by its weight, then one of
    its mixers or blocks uniformly, and all of it again until it mixes along all axes and is within the budget.

    Kinds that no other blocks could make up for are left out beforehand. What remains is to reject networks whose
    blocks together are outside the budget: a few microseconds each, for no mixer has been drawn yet.
    """

    def __init__(self, networks: Iterable[Networks], budget: Budget, weights: Mapping[str, int] | None = None):
        self._budget, self._weights = budget, weights or {}
        self._networks = {each.skeleton: each for each in networks}
        self._sequences: dict[Skeleton, _Sequences] = {}
        self._skeletons = Urn({skeleton: self._total(each) for skeleton, each in self._networks.items()})
        self.total = self._skeletons.total

    def _total(self, networks: Networks) -> int | Fraction:
        """How many networks remain, or their weight; where all do, there is no need to look at their kinds yet."""
        within = not self._weights and networks.bounds and self._budget.holds(networks.bounds)
        return networks.count if within else self._of(networks.skeleton).total

    def _of(self, skeleton: Skeleton) -> _Sequences:
        if skeleton not in self._sequences:
            self._sequences[skeleton] = _Sequences(self._networks[skeleton], self._budget, self._weights)
        return self._sequences[skeleton]

    def draw(self, rng: Random) -> tuple[Skeleton, list[Any]] | None:
        """A network within the budget; None stands for one that was rejected."""
        skeleton, kinds, costs = self._any(rng)
        return (skeleton, kinds) if self._budget.admits(*costs) else None

    def costs(self, rng: Random) -> tuple[int, int]:
        """Parameters and multiply-accumulates of a network, be it within the budget or not."""
        return self._any(rng)[-1]

    def _any(self, rng: Random) -> tuple[Skeleton, list[Any], tuple[int, int]]:
        skeleton = self._skeletons.draw(rng)
        chosen = self._of(skeleton).draw(rng)
        params, macs = self._networks[skeleton].base
        for each in chosen:
            params, macs = params + each.params, macs + each.macs
        return skeleton, [each.kind for each in chosen], (params, macs)


class _Sequences:
    """Sequences of kinds that together mix along all axes, by their networks' weight: each kind within a budget."""

    def __init__(self, networks: Networks, budget: Budget, weights: Mapping[str, int]):
        self._kinds: list[dict[frozenset[str], Urn[Counted]]] = []  # by place, and axes mixed
        known: dict[int, dict[frozenset[str], Urn[Counted]]] = {}  # places with one alphabet are alike
        scale = 1  # whole numbers stand for so many times a network's weight
        for place, alphabet in enumerate(networks.alphabets):
            chances, part = _chances(alphabet, weights)
            scale *= part
            if id(alphabet) not in known:
                known[id(alphabet)] = _affordable(networks, place, budget, chances)
            self._kinds.append(known[id(alphabet)])
        self._steps: list[dict[frozenset[str], Urn[frozenset[str]]]] = []  # by place, and axes mixed so far
        ways = {covered: int(networks.covers([covered])) for covered in networks.subsets}
        for kinds in reversed(self._kinds):
            step = {
                covered: Urn({more: urn.sum * ways[(covered | more) & networks.axes] for more, urn in kinds.items()})
                for covered in ways
            }
            self._steps.insert(0, step)
            ways = {covered: urn.sum for covered, urn in step.items()}
        self._axes, self.total = networks.axes, Fraction(ways[frozenset()], scale)

    def draw(self, rng: Random) -> list[Counted]:
        covered, chosen = frozenset[str](), []
        for step, kinds in zip(self._steps, self._kinds, strict=True):
            more = step[covered].draw(rng)
            covered = (covered | more) & self._axes
            chosen.append(kinds[more].draw(rng))
        return chosen


def _affordable(
    networks: Networks, place: int, budget: Budget, chances: Mapping[str, int]
) -> dict[frozenset[str], Urn[Counted]]:
    """The kinds of letters at a place that others make up for: together they mix all axes and meet the budget."""
    alphabet, others = networks.alphabets[place], networks.others(place)
    rests: dict[frozenset[str], Bounds | None] = {}
    for covered in alphabet.extremes:
        rests[covered] = None
        for more, bounds in others.items():
            if networks.covers((covered, more)):
                rests[covered] = wider(rests[covered], bounds)
    kinds: dict[frozenset[str], dict[Counted, int]] = {}
    for each in alphabet.kinds:
        if rest := rests[each.covered]:
            (a, b, c, d), params, macs = rest, each.params, each.macs
            if budget.meets((a + params, b + params, c + macs, d + macs)):
                chance = sum(chances[name] for name in alphabet.ideas_of(each.kind)) if chances else 1
                kinds.setdefault(each.covered, {})[each] = each.number * chance
    return {covered: Urn(members) for covered, members in kinds.items()}


def _chances(alphabet: Alphabet, weights: Mapping[str, int]) -> tuple[dict[str, int], int]:
    """For every family or form how likely each of its letters is where it is drawn first, in parts of a number."""
    if not weights:
        return {}, 1
    heavy = {name: weights.get(name, 1) for name in alphabet.ideas}
    common = lcm(*alphabet.ideas.values())
    return {name: weight * (common // alphabet.ideas[name]) for name, weight in heavy.items()}, common * sum(
        heavy.values()
    )
