"""The mixers that a block of given sizes may have: counted by cost, listed lazily, drawn uniformly."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import prod
from random import Random
from typing import NamedTuple

from einmix import Block, FactorSet, Mixer
from einmix.algebra.factor_sets import Profile, Urn
from einmix.algebra.factors import Factors
from einmix.algebra.moves import moves, scaled
from einmix.kinds import Mix
from search_spaces.blocks.letters import Ask, CostClass, Extremes, extremes
from search_spaces.blocks.place import Place, mixes


class MixerKey(NamedTuple):
    """The families that accept a mixer, the spatial axes that it mixes, the products of its grouped and mixed sizes."""

    families: frozenset[int]
    covered: frozenset[str]
    grouped: int
    mixed: int


class Mixers:
    """All mixers of the families on axes of these sizes, the last of them c; `sets` are the axes' factorisations.

    As letters they make blocks of a mixer, then an MLP over channels. What stands in several places, with weights of
    its own in each, costs so many `times` as much.
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        sets: Mapping[str, FactorSet],
        families: Sequence[str],
        *,
        bias: bool,
        times: int = 1,
    ):
        self.sizes, self.sets, self.names, self.bias, self.times = sizes, sets, families, bias, times
        self._before: dict[str, tuple[dict[MixerKey, int], set[frozenset[int]]]] = {}
        self.counts: dict[MixerKey, int] = {MixerKey(frozenset(range(len(families))), frozenset(), 1, 1): 1}
        """How many mixers there are of each class."""
        for axis in reversed(list(sizes)):  # c, the longest, where there is least to combine it with
            self._before[axis] = self.counts, {families for families, _, _, _ in self.counts}
            self.counts = self._extended(axis)
        self._urns: dict[tuple[str, MixerKey], Urn[tuple[MixerKey, Profile]]] = {}

    def _extended(self, axis: str) -> dict[MixerKey, int]:
        """The classes on one axis more."""
        found: dict[MixerKey, int] = {}
        profiles = self.sets[axis].profiles(self.sizes[axis])
        for (families, covered, grouped, mixed), count in self.counts.items():
            covering = covered | {axis} if axis != "c" else covered
            for (accepted, more_grouped, more_mixed), ways in profiles.items():
                if alive := families & accepted:
                    reached = covering if more_mixed > 1 else covered
                    key = MixerKey(alive, reached, grouped * more_grouped, mixed * more_mixed)
                    found[key] = found.get(key, 0) + count * ways
        return found

    def _ways(self, axis: str, key: MixerKey) -> dict[tuple[MixerKey, Profile], int]:
        """From which classes, by which profiles of the axis, this class comes, and how often."""
        families, covered, grouped, mixed = key
        before, accepting = self._before[axis]
        ways: dict[tuple[MixerKey, Profile], int] = {}
        for profile, count in self.sets[axis].profiles(self.sizes[axis]).items():
            accepted, own_grouped, own_mixed = profile
            covers = own_mixed > 1 and axis != "c"
            if grouped % own_grouped or mixed % own_mixed or covers != (axis in covered):
                continue
            for alive in accepting:
                source = MixerKey(alive, covered - {axis}, grouped // own_grouped, mixed // own_mixed)
                if alive & accepted == families and source in before:
                    ways[source, profile] = before[source] * count
        return ways

    @cached_property
    def classes(self) -> list[CostClass]:
        """The classes of mixers, with what each costs and how many there are of it."""
        elements, times = prod(self.sizes.values()), self.times
        return [
            CostClass(
                key,
                n,
                key.covered,
                times * key.grouped * key.mixed * (key.mixed + self.bias),
                times * elements * key.mixed,
            )
            for key, n in self.counts.items()
        ]

    @cached_property
    def extremes(self) -> Extremes:
        """How many mixers there are by the spatial axes that they mix, and their bounds."""
        return extremes(self.classes)

    @cached_property
    def ideas(self) -> dict[str, int]:
        """How many mixers every family has; one of several families counts in each."""
        found: dict[str, int] = {}
        for key, number in self.counts.items():
            for name in self.ideas_of(key):
                found[name] = found.get(name, 0) + number
        return found

    def ideas_of(self, key: MixerKey) -> list[str]:
        """The families of a class of mixers."""
        return [self.names[index] for index in sorted(key.families)]

    def mixed(self, mixer: Mixer) -> frozenset[str]:
        """The axes along which a mixer mixes."""
        return mixer.mixed

    def __contains__(self, mixer: object) -> bool:
        return isinstance(mixer, Mixer) and bool(self.families(mixer))

    def families(self, mixer: Mixer) -> frozenset[int]:
        """The indices of the families that the mixer belongs to."""
        if mixer.bias != self.bias or list(mixer.inputs.items()) != list(self.sizes.items()):
            return frozenset()
        return frozenset.intersection(*(self.sets[axis].accepting(factors) for axis, factors in mixer.axes))

    def choose(self, name: str, ask: Ask) -> Mixer:
        """A family, then every axis factor by factor, outer to inner."""
        possible = frozenset[int]().union(*(families for families, _, _, _ in self.counts))
        family = ask(self._family_question(name), [self.names[i] for i in sorted(possible)])
        axes = []
        for axis, n in self.sizes.items():
            factors: Factors = ()
            while prod(factor.size for factor in factors) < n:
                options = {str(f): f for f in self.sets[axis].options(n, factors, self.names.index(family))}
                factors = (*factors, options[ask(_factor_question(name, family, axis, n, factors), list(options))])
            axes.append((axis, factors))
        return Mixer(tuple(axes), self.bias)

    def encode(self, name: str, mixer: Mixer) -> dict[str, str]:
        """The answers that make a mixer; one of several families is said as one of the first."""
        family = self.names[min(self.families(mixer))]
        answers = {self._family_question(name): family}
        for axis, factors in mixer.axes:
            for i, factor in enumerate(factors):
                answers[_factor_question(name, family, axis, self.sizes[axis], factors[:i])] = str(factor)
        return answers

    def _family_question(self, name: str) -> str:
        return f"{name}.family@{'x'.join(map(str, self.sizes.values()))}"

    def moves(self, mixer: Mixer) -> Iterator[Mixer]:
        """One axis of the mixer moved; what comes out need not be among these mixers."""
        for i, (axis, factors) in enumerate(mixer.axes):
            for moved in moves(factors):
                yield Mixer((*mixer.axes[:i], (axis, moved), *mixer.axes[i + 1 :]), mixer.bias)

    def refitted(self, mixer: Mixer, order: int) -> Iterator[Mixer]:
        """The mixer on these axes, scaled in its outermost factors that allow it (order 1) or its innermost (-1)."""
        if [axis for axis, _ in mixer.axes] == list(self.sizes):
            yield Mixer(tuple((a, scaled(factors, self.sizes[a], order)) for a, factors in mixer.axes), mixer.bias)

    def draw(self, key: MixerKey, rng: Random) -> Mixer:
        """One of the mixers of this class, uniformly."""
        axes = []
        for axis, n in self.sizes.items():
            if (axis, key) not in self._urns:
                self._urns[axis, key] = Urn(self._ways(axis, key))
            key, profile = self._urns[axis, key].draw(rng)
            axes.append((axis, self.sets[axis].sample(n, rng, profile)))
        return Mixer(tuple(axes), self.bias)

    @cached_property
    def first(self) -> Mixer:
        """The first that `enumerate` lists."""
        return next(self.enumerate())

    def enumerate(self, required: frozenset[str] = frozenset()) -> Iterator[Mixer]:
        """Every mixer that mixes along the required axes, once, lazily."""

        def extend(axes: list[str], families: frozenset[int]) -> Iterator[tuple[tuple[str, Factors], ...]]:
            if not axes:
                yield ()
                return
            axis, *others = axes
            for factors in self.sets[axis].enumerate(self.sizes[axis]):
                if axis in required and all(factor.role != "m" for factor in factors):
                    continue
                if alive := families & self.sets[axis].accepting(factors):
                    for rest in extend(others, alive):
                        yield ((axis, factors), *rest)

        for chosen in extend(list(self.sizes), frozenset(range(len(self.names)))):
            yield Mixer(chosen, self.bias)

    def block(self, mixer: Mixer, place: Place) -> Block:
        """The mixer, then the MLP over channels, each in a branch of its own."""
        return place.branch(Mix(mixer)), place.channels

    def rest(self, place: Place) -> Block:
        """The block without its mixer."""
        return place.branch(), place.channels

    def read(self, block: Block, place: Place) -> Mixer | None:
        """The mixer of a block that is made as these are, be it one of them or not."""
        for mixer in (node.mixer for node in mixes(block)):
            if mixer.inputs == mixer.outputs == self.sizes and self.block(mixer, place) == block:
                return mixer
        return None

    def uniform(self, mixer: Mixer) -> Mixer:
        return mixer


def _factor_question(name: str, family: str, axis: str, n: int, before: Factors) -> str:
    return f"{name}.{family}.{axis}={n}.{'.'.join(map(str, before)) or 'first'}"
