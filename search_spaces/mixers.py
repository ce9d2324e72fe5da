"""The mixers that a block of given sizes may have: counted by kind, listed lazily, drawn uniformly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from math import prod
from random import Random

from einmix import FactorSet, Mixer
from einmix.factors import Factors, Profile
from search_spaces.draws import Urn, draw_factors

Kind = tuple[frozenset[int], frozenset[str], int, int]
"""The families that accept a mixer, the spatial axes that it mixes, and the products of its grouped and mixed sizes."""

Bounds = tuple[int, int, int, int]
"""The least and most parameters, the least and most multiply-accumulates an image."""


class Mixers:
    """All mixers of the families on axes of these sizes, the last of them c; `sets` are the axes' factorisations."""

    def __init__(self, sizes: Mapping[str, int], sets: Mapping[str, FactorSet], families: int, *, bias: bool):
        self.sizes, self.sets, self.bias = sizes, sets, bias
        self._before: dict[str, tuple[dict[Kind, int], set[frozenset[int]]]] = {}
        self.kinds: dict[Kind, int] = {(frozenset(range(families)), frozenset(), 1, 1): 1}
        """How many mixers there are of each kind."""
        for axis in reversed(list(sizes)):  # c, the longest, where there is least to combine it with
            self._before[axis] = self.kinds, {families for families, _, _, _ in self.kinds}
            self.kinds = self._extended(axis)
        self._urns: dict[tuple[str, Kind], Urn[tuple[Kind, Profile]]] = {}

    def _extended(self, axis: str) -> dict[Kind, int]:
        """The kinds on one axis more."""
        found: dict[Kind, int] = {}
        profiles = self.sets[axis].profiles(self.sizes[axis])
        for (families, covered, grouped, mixed), count in self.kinds.items():
            covering = covered | {axis} if axis != "c" else covered
            for (accepted, more_grouped, more_mixed), ways in profiles.items():
                if alive := families & accepted:
                    kind = alive, covering if more_mixed > 1 else covered, grouped * more_grouped, mixed * more_mixed
                    found[kind] = found.get(kind, 0) + count * ways
        return found

    def _ways(self, axis: str, kind: Kind) -> dict[tuple[Kind, Profile], int]:
        """From which kinds, by which profiles of the axis, this kind comes, and how often."""
        families, covered, grouped, mixed = kind
        before, accepting = self._before[axis]
        ways: dict[tuple[Kind, Profile], int] = {}
        for profile, count in self.sets[axis].profiles(self.sizes[axis]).items():
            accepted, own_grouped, own_mixed = profile
            covers = own_mixed > 1 and axis != "c"
            if grouped % own_grouped or mixed % own_mixed or covers != (axis in covered):
                continue
            for alive in accepting:
                source = alive, covered - {axis}, grouped // own_grouped, mixed // own_mixed
                if alive & accepted == families and source in before:
                    ways[source, profile] = before[source] * count
        return ways

    def cost(self, kind: Kind) -> tuple[int, int]:
        """Parameters, and multiply-accumulates an image, of one mixer of this kind."""
        _, _, grouped, mixed = kind
        return grouped * mixed * (mixed + self.bias), self._elements * mixed

    @cached_property
    def _elements(self) -> int:
        return prod(self.sizes.values())

    @cached_property
    def coverage(self) -> Counter[frozenset[str]]:
        """How many mixers mix along just these spatial axes."""
        coverage: Counter[frozenset[str]] = Counter()
        for (_, covered, _, _), n in self.kinds.items():
            coverage[covered] += n
        return coverage

    @cached_property
    def extremes(self) -> dict[frozenset[str], Bounds]:
        """The bounds of one mixer, by the spatial axes that it mixes."""
        extremes: dict[frozenset[str], Bounds] = {}
        for kind in self.kinds:
            _, covered, _, _ = kind
            params, macs = self.cost(kind)
            extremes[covered] = wider(extremes.get(covered), (params, params, macs, macs))
        return extremes

    def families(self, mixer: Mixer) -> frozenset[int]:
        """The indices of the families that the mixer belongs to."""
        if mixer.bias != self.bias or list(mixer.inputs.items()) != list(self.sizes.items()):
            return frozenset()
        return frozenset.intersection(*(self.sets[axis].accepting(factors) for axis, factors in mixer.axes))

    def draw(self, kind: Kind, rng: Random) -> Mixer:
        """One of the mixers of this kind, uniformly."""
        axes = []
        for axis, n in self.sizes.items():
            if (axis, kind) not in self._urns:
                self._urns[axis, kind] = Urn(self._ways(axis, kind))
            kind, profile = self._urns[axis, kind].draw(rng)
            axes.append((axis, draw_factors(self.sets[axis], n, profile, rng)))
        return Mixer(tuple(axes), self.bias)

    def enumerate(self, required: frozenset[str] = frozenset()) -> Iterator[Mixer]:
        """Every mixer that mixes along the required axes, once, lazily."""

        def extend(axes: list[str], families: frozenset[int] | None) -> Iterator[tuple[tuple[str, Factors], ...]]:
            if not axes:
                yield ()
                return
            axis, *others = axes
            for factors in self.sets[axis].enumerate(self.sizes[axis]):
                if axis in required and all(factor.role != "m" for factor in factors):
                    continue
                accepted = self.sets[axis].accepting(factors)
                alive = accepted if families is None else families & accepted
                if alive:
                    for rest in extend(others, alive):
                        yield ((axis, factors), *rest)

        for chosen in extend(list(self.sizes), None):
            yield Mixer(chosen, self.bias)


def wider(a: Bounds | None, b: Bounds) -> Bounds:
    """The bounds of both."""
    return b if a is None else (min(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), max(a[3], b[3]))
