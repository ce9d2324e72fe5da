"""Some networks of a small space, as a space of their own."""

from collections.abc import Callable, Iterator
from random import Random

from einmix import Architecture
from search_spaces.blocks.letters import Bounds
from search_spaces.bound.proposals import Budget
from search_spaces.bound.space import BoundSpace
from search_spaces.errors import SpaceError


class Part(BoundSpace):
    """The networks of a space that `keep` says yes to: all are listed at once, and drawn uniformly.

    `choose` answers for the whole space: ask `in`, as always. Raises SpaceError where nothing is kept.
    """

    def __init__(self, whole: BoundSpace, keep: Callable[[Architecture], bool]):
        super().__init__(whole._facts, whole._assembly)
        self._members = {network.id: network for network in whole.enumerate() if keep(network)}
        if not self._members:
            raise SpaceError(f"no network of space {whole.name!r} is kept")

    def count(self) -> int:
        return len(self._members)

    def bounds(self) -> Bounds:
        params, macs = zip(*((each.params, each.macs) for each in self.enumerate()), strict=True)
        return Bounds(min(params), max(params), min(macs), max(macs))

    def sample(self, rng: Random, budget: Budget | None = None, *, weighted: bool = True) -> Architecture:
        within = [each for each in self.enumerate() if budget is None or budget.admits(each.params, each.macs)]
        if not within:
            raise SpaceError(f"no architecture of space {self.name!r} has {budget}")
        return rng.choice(within)

    def enumerate(self) -> Iterator[Architecture]:
        return iter(self._members.values())

    def __contains__(self, arch: Architecture) -> bool:
        return arch.id in self._members

    def neighbours(self, arch: Architecture) -> list[Architecture]:
        return [each for each in super().neighbours(arch) if each in self]
