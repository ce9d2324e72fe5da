"""A space over given data: counted by arithmetic, listed lazily, sampled uniformly, walked step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain, product
from math import log, prod
from random import Random

from einmix import Activation, Architecture, Block, FactorSet, Linear, Mix, Mixer, Norm, Residual, Stage
from einmix.factors import divisors
from search_spaces import choices
from search_spaces.budget import Budget, Proposals
from search_spaces.choices import Chooser
from search_spaces.errors import SpaceError
from search_spaces.mixers import Bounds, Mixers
from search_spaces.moves import macro_moves, mixer_moves
from search_spaces.networks import Macro, Networks
from search_spaces.space import SIZES, Space

MAX_TRIES = 100_000
"""Half a second: a budget that is missed so often is met by next to nothing."""


class SearchSpace:
    """A `Space` on inputs of one shape: what every strategy works with.

    Architectures are distinct; those in which no block mixes along one of the spatial axes are left out.
    """

    def __init__(self, space: Space, shape: Mapping[str, int], *, channels: int, classes: int):
        self.space, self.shape, self.channels, self.classes = space, dict(shape), channels, classes
        self.sizes: dict[str, tuple[int, ...]] = {name: getattr(space, name) for name in SIZES}
        self._sets = {axis: FactorSet(*(f.pattern(axis) for f in space.families)) for axis in (*shape, "c")}
        self._mixers: dict[tuple[int, ...], Mixers] = {}
        self._networks: dict[Macro, Networks] = {}
        self._proposals = lru_cache(maxsize=4)(self._propose)

    @cached_property
    def macros(self) -> list[Macro]:
        """The sizes at which the space has networks."""
        every = (Macro(*chosen) for chosen in product(*self.sizes.values()))
        return [macro for macro in every if self.networks(macro).count]

    def grid(self, macro: Macro) -> dict[str, int]:
        """The sizes of the axes in the blocks: positions, then channels."""
        return {axis: n // macro.patch for axis, n in self.shape.items()} | {"c": macro.width}

    def networks(self, macro: Macro) -> Networks:
        """What there is at these sizes."""
        if macro not in self._networks:
            grid = self.grid(macro)
            key = tuple(grid.values())
            if key not in self._mixers:
                self._mixers[key] = Mixers(grid, self._sets, len(self.space.families), bias=self.space.bias)
            without = self.assemble(macro, [])
            base = without.params + 2 * macro.width * macro.depth, without.macs  # every mixer has a norm before it
            self._networks[macro] = Networks(macro, self._mixers[key], base)
        return self._networks[macro]

    def mixers(self, macro: Macro) -> Iterator[Mixer]:
        """Every mixer that a block of these sizes may have, lazily."""
        return self.networks(macro).mixers.enumerate()

    def count(self) -> int:
        """The exact number of architectures, by arithmetic."""
        return sum(self.networks(macro).count for macro in self.macros)

    def bounds(self) -> Bounds:
        """The least and most parameters, and the least and most multiply-accumulates, exact.

        Raises SpaceError where the space is empty.
        """
        found = [bounds for macro in self.macros if (bounds := self.networks(macro).bounds)]
        if not found:
            raise SpaceError(
                f"space {self.space.name!r} holds no network that mixes along all of {' '.join(self.shape)}"
            )
        least, most, fewest, largest = zip(*found, strict=True)
        return min(least), max(most), min(fewest), max(largest)

    def check(self, budget: Budget | None) -> None:
        """Raises SpaceError where the space is empty, or none of its sizes can meet the budget."""
        least, most, fewest, largest = self.bounds()
        if budget and not self._possible(budget):
            raise SpaceError(
                f"no architecture of space {self.space.name!r} has {budget}: "
                f"they have {least:,} to {most:,} parameters and {fewest:,} to {largest:,} MACs"
            )

    def _possible(self, budget: Budget) -> list[Networks]:
        every = map(self.networks, self.macros)
        return [networks for networks in every if networks.bounds and budget.meets(networks.bounds)]

    def _propose(self, budget: Budget) -> Proposals:
        return Proposals(self._possible(budget), budget)

    def sample(self, rng: Random, budget: Budget | None = None) -> Architecture:
        """One architecture, uniformly among all, or among those within the budget.

        Raises SpaceError where nothing, or next to nothing, is within the budget.
        """
        proposals = self._proposals(budget or Budget())
        if not proposals.total:
            self.check(budget)
        for _ in range(MAX_TRIES if proposals.total else 0):
            if proposed := proposals.draw(rng):
                macro, kinds = proposed
                mixers = self.networks(macro).mixers
                return self.assemble(macro, [mixers.draw(kind, rng) for kind in kinds])
        raise SpaceError(f"next to no architecture of space {self.space.name!r} has {budget}: widen the budget")

    def share(self, budget: Budget, rng: Random, tries: int = 2000) -> float:
        """The estimated share of all architectures that are within the budget."""
        proposals = self._proposals(budget)
        hits = sum(proposals.draw(rng) is not None for _ in range(tries if proposals.total else 0))
        return hits * proposals.total / (tries * max(self.count(), 1))

    def enumerate(self) -> Iterator[Architecture]:
        """Every architecture once, lazily."""
        for macro in self.macros:
            for chosen in self.networks(macro).enumerate():
                yield self.assemble(macro, chosen)

    def __contains__(self, arch: Architecture) -> bool:
        macro = self.macro(arch)
        return macro is not None and self._holds(macro, arch.mixers)

    def _holds(self, macro: Macro, mixers: Sequence[Mixer]) -> bool:
        networks = self.networks(macro)
        return (
            len(mixers) == macro.depth
            and all(networks.mixers.families(mixer) for mixer in mixers)
            and networks.covers(mixer.mixed for mixer in mixers)
        )

    def macro(self, arch: Architecture) -> Macro | None:
        """The sizes of an architecture made of this space's blocks, whatever their mixers; None for any other."""
        grid = arch.grids[0]
        leaves = (leaf.node for part in arch.parts if part.role == "block" for s in part.steps for leaf in s.leaves())
        hidden = next((node.out for node in leaves if isinstance(node, Linear)), 0)
        axis = next(iter(self.shape))
        if axis not in grid or any(mixer.inputs != grid or mixer.outputs != grid for mixer in arch.mixers):
            return None
        macro = Macro(self.shape[axis] // grid[axis], grid["c"], len(arch.stages[0].blocks), hidden // grid["c"])
        return macro if macro in self.macros and self.assemble(macro, arch.mixers) == arch else None

    def neighbours(self, arch: Architecture) -> list[Architecture]:
        """The architectures of the space one step away, each once.

        A step gives a factor, or a part of one, another role, or takes the next larger or smaller patch, width, depth
        or ratio (mixers are carried over as far as they fit).
        """
        macro = self.macro(arch)
        if macro is None:
            return []
        steps = chain(((macro, moved) for moved in mixer_moves(arch.mixers)), macro_moves(self, macro, arch.mixers))
        found = (self.assemble(*step) for step in steps if self._holds(*step))
        return list({each.id: each for each in found}.values())

    def choose(self, choose: Chooser) -> Architecture:
        """An architecture from the answers to named questions, each with its options: how samplers see the space.

        A question with one option is not asked. The answers can make a network that the space leaves out because it
        never mixes along an axis: ask `in`. Raises SpaceError where the space is empty.
        """
        self.check(None)
        return choices.choose(self, choose)

    def encode(self, arch: Architecture) -> dict[str, str]:
        """The answers that make an architecture; `decode` takes them back. Raises SpaceError outside the space."""
        macro = self.macro(arch)
        if macro is None or arch not in self:
            raise SpaceError(f"architecture {arch.id} is not in space {self.space.name!r}")
        return choices.encode(self, macro, arch.mixers)

    def decode(self, answers: Mapping[str, str]) -> Architecture:
        """The architecture that `encode` was given. Raises SpaceError where an answer is missing or is no option."""

        def answer(name: str, options: Sequence[str]) -> str:
            if answers.get(name) not in options:
                raise SpaceError(f"{name} is one of {', '.join(options)}, not {answers.get(name)!r}")
            return answers[name]

        return self.choose(answer)

    @property
    def middle(self) -> Macro:
        """The sizes that references and default budgets are taken at: nearest to 64 positions, then the middle ones."""
        patch = min(self.sizes["patch"], key=lambda p: abs(log(prod(n // p for n in self.shape.values()) / 64)))
        middles = {name: sorted(sizes)[(len(sizes) - 1) // 2] for name, sizes in self.sizes.items()}
        return Macro(**middles | {"patch": patch})

    def references(self, macro: Macro) -> dict[str, Architecture]:
        """What a found network has to beat at its own sizes: everything mixed, only channels mixed, small patches.

        The last is missing where no axis has a factor (a prime number of positions).
        """
        positions = {axis: n for axis, n in self.grid(macro).items() if axis != "c"}
        small = {axis: _nearest_root(n) for axis, n in positions.items()}

        def same(terms: Mapping[str, str]) -> Architecture:
            text = " ".join(f"{axis}={term}" for axis, term in terms.items())
            mixer = Mixer.parse(f"{text} c=s{macro.width}" + " +b" * self.space.bias)
            return self.assemble(macro, [mixer] * macro.depth)

        references = {
            "full token mixing": same({axis: f"m{n}" for axis, n in positions.items()}),
            "channels only": self.assemble(macro, []),
        }
        if any(k > 1 for k in small.values()):
            references["shared local"] = same(
                {axis: f"s{n // small[axis]}.m{small[axis]}" for axis, n in positions.items()}
            )
        return references

    def assemble(self, macro: Macro, mixers: Sequence[Mixer]) -> Architecture:
        """The network of these mixers; without any, its blocks have their channel MLP alone."""
        mlp = Residual((Norm(), Linear(macro.width * macro.ratio), Activation(), Linear(macro.width)))
        blocks: list[Block] = [(Residual((Norm(), Mix(mixer))), mlp) for mixer in mixers] or [(mlp,)] * macro.depth
        embed = " ".join(
            [f"{axis}=s{n // macro.patch}.m{macro.patch}:1" for axis, n in self.shape.items()]
            + [f"c=m{self.channels}:{macro.width}", "+b"]
        )
        inputs = (*self.shape.items(), ("c", self.channels))
        return Architecture(inputs, (Stage((Mix(Mixer.parse(embed)),), tuple(blocks)),), self.classes)


def _nearest_root(n: int) -> int:
    """The divisor between 1 and n nearest to the root of n, or 1 for a prime."""
    inner = divisors(n)[1:-1]
    return min(inner, key=lambda d: abs(log(d * d / n))) if inner else 1
