"""A space over given data: counted by arithmetic, listed lazily, sampled uniformly, walked step by step."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache, partial
from itertools import chain, product
from math import log, prod
from random import Random
from typing import Any

from einmix import Architecture
from einmix.algebra.factors import divisors
from search_spaces.blocks.letters import Ask, Bounds, Letter
from search_spaces.blocks.patch import Patch, far, sides
from search_spaces.bound import questions
from search_spaces.bound.assembly import Assembly
from search_spaces.bound.neighbours import places_moved, sizes_moved
from search_spaces.bound.networks import Networks, Skeleton
from search_spaces.bound.proposals import Budget, Proposals
from search_spaces.errors import SpaceError

MAX_TRIES = 100_000
"""Half a second: a budget that is missed so often is met by next to nothing."""


class BoundSpace:
    """A `Space` on inputs of one shape: what every strategy works with.

    Architectures are distinct; those in which no block mixes along one of the spatial axes are left out, unless the
    space is declared to hold them.
    """

    def __init__(self, facts: Mapping[str, Any], assembly: Assembly):
        inputs = assembly.inputs
        self.shape, self.channels, self.classes = dict(inputs.shape), inputs.channels, inputs.classes
        self.name, self.sizes = facts["name"], facts["sizes"]
        self._facts, self._assembly = facts, assembly
        self._proposals = lru_cache(maxsize=4)(self._propose)

    def __reduce__(self) -> tuple[Any, ...]:
        return BoundSpace, (self._facts, self._assembly)

    def facts(self) -> dict[str, Any]:
        """What was declared, as JSON can hold it: name, summary, bias, families, forms, weights and sizes."""
        return {**self._facts, "sizes": {name: list(sizes) for name, sizes in self.sizes.items()}}

    @cached_property
    def networks(self) -> dict[Skeleton, Networks]:
        """The sizes at which the space has networks, each with these."""
        every = (Skeleton(**dict(zip(self.sizes, chosen, strict=True))) for chosen in product(*self.sizes.values()))
        found = {each: self._assembly.networks(each) for each in every if each.fits(self.shape)}
        return {skeleton: networks for skeleton, networks in found.items() if networks.count}

    @property
    def skeletons(self) -> list[Skeleton]:
        """The sizes at which the space has networks."""
        return list(self.networks)

    @cached_property
    def _ordered(self) -> dict[str, list[Any]]:
        """Every size's options from the smallest to the largest: patches by their positions, then their sides."""

        def held(patch: Patch) -> tuple[int, tuple[int, ...]]:
            each = tuple(sides(self.shape, patch).values())
            return prod(each), each

        others = {name: each for name, each in self.sizes.items() if name != "patch"}
        numbers = {name: sorted(each) if isinstance(each[0], int) else list(each) for name, each in others.items()}
        return {"patch": sorted(self.sizes["patch"], key=held)} | numbers

    def grid(self, skeleton: Skeleton) -> dict[str, int]:
        """The sizes of the axes in the blocks (of the first stage): positions, then channels."""
        return skeleton.stage(self.shape, 0).sizes

    def letters(self, skeleton: Skeleton) -> Iterator[Letter]:
        """Everything that the first block at these sizes may hold (its mixer, or all of it), lazily."""
        return self._assembly.networks(skeleton).alphabets[0].enumerate()

    def count(self) -> int:
        """The exact number of architectures, by arithmetic."""
        return sum(networks.count for networks in self.networks.values())

    def bounds(self) -> Bounds:
        """The least and most parameters, and the least and most multiply-accumulates, exact.

        Raises SpaceError where the space is empty.
        """
        found = [networks.bounds for networks in self.networks.values() if networks.bounds]
        if not found:
            raise SpaceError(f"space {self.name!r} holds no network that mixes along all of {' '.join(self.shape)}")
        least, most, fewest, largest = zip(*found, strict=True)
        return Bounds(min(least), max(most), min(fewest), max(largest))

    def check(self, budget: Budget | None) -> None:
        """Raises SpaceError where the space is empty, or none of its sizes can meet the budget."""
        least, most, fewest, largest = self.bounds()
        if budget and not self._possible(budget):
            raise SpaceError(
                f"no architecture of space {self.name!r} has {budget}: "
                f"they have {least:,} to {most:,} parameters and {fewest:,} to {largest:,} MACs"
            )

    def _possible(self, budget: Budget) -> list[Networks]:
        every = self.networks.values()
        return [networks for networks in every if networks.bounds and budget.meets(networks.bounds)]

    def _propose(self, budget: Budget, weighted: bool) -> Proposals:
        return Proposals(self._possible(budget), budget, self._facts["weights"] if weighted else None)

    def sample(self, rng: Random, budget: Budget | None = None, *, weighted: bool = True) -> Architecture:
        """One architecture among all, or among those within the budget: by the space's weights, if any, or uniformly.

        Raises SpaceError where nothing, or next to nothing, is within the budget.
        """
        proposals = self._proposals(budget or Budget(), weighted=weighted)
        if not proposals.total:
            self.check(budget)
        for _ in range(MAX_TRIES if proposals.total else 0):
            if proposed := proposals.draw(rng):
                alphabets = zip(self.networks[proposed.skeleton].alphabets, proposed.keys, strict=True)
                return self.assemble(proposed.skeleton, [alphabet.draw(key, rng) for alphabet, key in alphabets])
        raise SpaceError(f"next to no architecture of space {self.name!r} has {budget}: widen the budget")

    def share(self, budget: Budget, rng: Random, tries: int = 2000) -> float:
        """The estimated share of all architectures that are within the budget."""
        proposals = self._proposals(budget, weighted=False)
        hits = sum(proposals.draw(rng) is not None for _ in range(tries if proposals.total else 0))
        return hits * int(proposals.total) / (tries * max(self.count(), 1))

    def costs(self, rng: Random, number: int) -> list[tuple[int, int]]:
        """Parameters and multiply-accumulates of so many architectures, drawn uniformly whatever the weights."""
        proposals = self._proposals(Budget(), weighted=False)
        drawn = (proposals.any(rng) for _ in range(number if proposals.total else 0))
        return [(each.params, each.macs) for each in drawn]

    def primes(self) -> list[str]:
        """Sizes that are mixed as a whole or not at all, since no patch leaves them a divisor, and what would help.

        >>> from search_spaces import load
        >>> print(*load("local").on({"t": 31}, channels=1, classes=2, width=(8,)).primes())
        axis t=31 has no divisors but 1 and itself, so all of it is mixed or nothing: resized to 28 or 32 it has parts
        """
        found, reason = [], "has no divisors but 1 and itself, so all of it"
        for axis, n in self.shape.items():
            each = [sides(self.shape, patch)[axis] for patch in self.sizes["patch"]]
            if max(n // side for side in each) > 3 and all(len(divisors(n // side)) <= 2 for side in each):
                less, more = _multiples(n, 4 * min(each))
                behind = f" in patches of {min(each)}" * (min(each) > 1)
                found.append(
                    f"axis {axis}={n}{behind} {reason} is mixed or nothing: resized to {less}{more} it has parts"
                )
        for width in self.sizes["width"]:
            if width > 3 and len(divisors(width)) == 2:
                less, more = _multiples(width, 4)
                found.append(f"width {width} {reason} is grouped or nothing: --width {less}{more} has groups")
        return found

    def enumerate(self) -> Iterator[Architecture]:
        """Every architecture once, lazily."""
        for skeleton, networks in self.networks.items():
            for chosen in networks.enumerate():
                yield self.assemble(skeleton, chosen)

    def __contains__(self, arch: Architecture) -> bool:
        read = self.read(arch)
        return read is not None and self._holds(*read)

    def _holds(self, skeleton: Skeleton, letters: Sequence[Letter]) -> bool:
        networks = self.networks[skeleton]
        alphabets = networks.alphabets
        return (
            len(letters) == len(alphabets)
            and all(letter in alphabet for letter, alphabet in zip(letters, alphabets, strict=True))
            and networks.covers(alphabet.mixed(letter) for letter, alphabet in zip(letters, alphabets, strict=True))
        )

    def read(self, arch: Architecture) -> tuple[Skeleton, Sequence[Letter]] | None:
        """The sizes of an architecture made as this space makes them, and its letters; None for any other."""
        return self._assembly.read(arch, self.networks)

    def skeleton(self, arch: Architecture) -> Skeleton | None:
        """The sizes of an architecture made of this space's blocks, whatever their mixers; None for any other."""
        read = self.read(arch)
        return read and read[0]

    def neighbours(self, arch: Architecture) -> list[Architecture]:
        """The architectures of the space one step away, each once.

        A step gives a factor, or a part of one, another role, turns a block into one of another form, or takes the
        next larger or smaller patch, width, depth or ratio (mixers are carried over as far as they fit).
        """
        read = self.read(arch)
        if read is None or not read[1]:
            return []
        skeleton, letters = read
        moved = places_moved(self.networks[skeleton].alphabets, letters)
        resized = sizes_moved(self._ordered, self.networks, skeleton, letters)
        steps = chain(((skeleton, found) for found in moved), resized)
        found = (self.assemble(*step) for step in steps if self._holds(*step))
        return list({each.id: each for each in found if each != arch}.values())

    def choose(self, choose: Ask) -> Architecture:
        """An architecture from the answers to named questions, each with its options: how samplers see the space.

        A question with one option is not asked. The answers can make a network that the space leaves out because it
        never mixes along an axis: ask `in`. Raises SpaceError where the space is empty.
        """
        self.check(None)
        return self.assemble(*questions.choose(self.sizes, self.networks, choose))

    def encode(self, arch: Architecture) -> dict[str, str]:
        """The answers with which `choose` makes an architecture. Raises SpaceError outside the space."""
        read = self.read(arch)
        if read is None or not self._holds(*read):
            raise SpaceError(f"architecture {arch.id} is not in space {self.name!r}")
        return questions.encode(self.sizes, self.networks, *read)

    @property
    def middle(self) -> Skeleton:
        """The sizes of references and default budgets: the patch that leaves nearest to 64 positions, middle ones."""
        ordered = self._ordered.items()
        middles = {name: each[(len(each) - 1) // 2 if isinstance(each[0], int) else 0] for name, each in ordered}
        return Skeleton(**middles | {"patch": min(self.sizes["patch"], key=partial(far, self.shape))})

    def references(self, skeleton: Skeleton) -> dict[str, Architecture]:
        """What a found network has to beat at its own sizes: everything mixed, only channels mixed, small patches.

        The last is missing where no axis has a factor (a prime number of positions).
        """
        positions = {axis: n for axis, n in self.grid(skeleton).items() if axis != "c"}
        references = {
            "full token mixing": self._assembly.uniform(skeleton, lambda n: f"m{n}"),
            "channels only": self.assemble(skeleton, ()),
        }
        if any(_nearest_root(n) > 1 for n in positions.values()):
            local = self._assembly.uniform(skeleton, lambda n: f"s{n // _nearest_root(n)}.m{_nearest_root(n)}")
            references["shared local"] = local
        return references

    def assemble(self, skeleton: Skeleton, letters: Sequence[Letter]) -> Architecture:
        """The network of these letters: a mixer for each block, or a block for each place."""
        return self._assembly.assemble(skeleton, letters)


def _multiples(n: int, of: int) -> tuple[str, str]:
    """The multiples of a number around another one, in words; none below the first."""
    below = n // of * of
    return f"{below} or " * (below > 0), str(below + of)


def _nearest_root(n: int) -> int:
    """The divisor between 1 and n nearest to the root of n, or 1 for a prime."""
    inner = divisors(n)[1:-1]
    return min(inner, key=lambda d: abs(log(d * d / n))) if inner else 1
