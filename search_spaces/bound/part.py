"""Some networks of a space, as a space of their own."""

from collections.abc import Iterable, Iterator
from random import Random
from statistics import fmean
from typing import Any

from einmix import Architecture
from search_spaces.blocks.letters import Bounds
from search_spaces.bound.proposals import Budget
from search_spaces.bound.space import BoundSpace
from search_spaces.errors import SpaceError


class Part(BoundSpace):
    """These networks of a space, drawn uniformly. `choose` makes others of the whole space, too: ask `in`, as always.

    Raises SpaceError where there are none, or one is of another space.
    """

    def __init__(self, whole: BoundSpace, networks: Iterable[Architecture]):
        super().__init__(whole._facts, whole._assembly)
        self._members = {network.id: network for network in networks}
        if strange := [network.id for network in self._members.values() if network not in whole]:
            raise SpaceError(f"network {strange[0]} is not in space {whole.name!r}")
        if not self._members:
            raise SpaceError(f"a part of space {whole.name!r} needs networks")

    def __reduce__(self) -> tuple[Any, ...]:
        return Part, (BoundSpace(self._facts, self._assembly), [*self._members.values()])

    def count(self) -> int:
        return len(self._members)

    def bounds(self) -> Bounds:
        params, macs = zip(*((each.params, each.macs) for each in self.enumerate()), strict=True)
        return Bounds(min(params), max(params), min(macs), max(macs))

    def sample(self, rng: Random, budget: Budget | None = None, *, weighted: bool = True) -> Architecture:
        self.check(budget)
        return rng.choice(
            [each for each in self.enumerate() if budget is None or budget.admits(each.params, each.macs)]
        )

    def check(self, budget: Budget | None) -> None:
        if budget is not None and not any(budget.admits(each.params, each.macs) for each in self.enumerate()):
            raise SpaceError(f"no architecture of space {self.name!r} has {budget}")

    def share(self, budget: Budget, rng: Random, tries: int = 2000) -> float:
        """Exact: nothing is drawn."""
        return fmean(budget.admits(each.params, each.macs) for each in self.enumerate())

    def costs(self, rng: Random, number: int) -> list[tuple[int, int]]:
        return [(each.params, each.macs) for each in rng.choices([*self.enumerate()], k=number)]

    def enumerate(self) -> Iterator[Architecture]:
        return iter(self._members.values())

    def __contains__(self, arch: Architecture) -> bool:
        return arch.id in self._members

    def neighbours(self, arch: Architecture) -> list[Architecture]:
        return [each for each in super().neighbours(arch) if each in self]
