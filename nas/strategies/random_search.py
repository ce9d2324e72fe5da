"""Architectures drawn uniformly, none twice, or all of them listed."""

from collections.abc import Iterator
from random import Random

from einmix import Architecture
from nas.ranking.objectives import Objective
from nas.runs.result import Result
from search_spaces import BoundSpace, Budget, SpaceError

LISTABLE = 2_000_000
"""Spaces up to this size are searched to the last architecture; in larger ones nobody gets there."""

REPEATS = 200
"""So many known architectures drawn in a row make a strategy list what is left of a space that can be listed."""

LAST_REPEATS = 2_000
"""So many, in a space too large to be listed, mean that next to nothing is left of the budget."""


class RandomSearch:
    """Uniform over the architectures within the budget, without repetition: the baseline that others have to beat.

    When the results of an earlier session are told, it proposes what that session would have proposed next.
    """

    ahead = True

    def __init__(self, space: BoundSpace, budget: Budget, seed: int, objectives: tuple[Objective, ...] = ()):
        space.check(budget)
        self.space, self.budget, self.rng = space, budget, Random(seed)
        self._listable = space.count() <= LISTABLE
        self.known: set[str] = set()  # ids of all that was proposed or told
        self._replayed: set[str] = set()  # of these, those that an earlier session drew and this one has yet to draw
        self.rest: Iterator[Architecture] | None = None  # listed, once drawing leads nowhere

    def ask(self) -> Architecture | None:
        if self.rest is None:
            if found := self._draw():
                return found
            self.rest = _affordable(self.space, self.budget) if self._listable else iter(())
        return next((architecture for architecture in self.rest if self.take(architecture)), None)

    def _draw(self) -> Architecture | None:
        """A new architecture; None when so many known ones came in a row that drawing leads nowhere."""
        repeats = 0
        while repeats < (REPEATS if self._listable else LAST_REPEATS):
            try:
                architecture = self.space.sample(self.rng, self.budget)
            except SpaceError:  # next to nothing is within the budget
                if self._listable or self.known:
                    return None
                raise
            if self.take(architecture):
                return architecture
            repeats = 0 if architecture.id in self._replayed else repeats + 1
            self._replayed.discard(architecture.id)
        return None

    def expect(self, architecture: Architecture) -> None:
        if self.take(architecture):
            self._replayed.add(architecture.id)

    def tell(self, architecture: Architecture, result: Result) -> None:
        self.expect(architecture)

    def take(self, architecture: Architecture) -> bool:
        """Marks an architecture as known; whether it is new."""
        new = architecture.id not in self.known
        self.known.add(architecture.id)
        return new


def exhaustive(space: BoundSpace, budget: Budget, seed: int, objectives: tuple[Objective, ...]) -> RandomSearch:
    """Every architecture within the budget, in the order of the space's enumeration: a search that draws none."""
    strategy = RandomSearch(space, budget, seed, objectives)
    strategy.rest = _affordable(space, budget)
    return strategy


def _affordable(space: BoundSpace, budget: Budget) -> Iterator[Architecture]:
    """Every architecture within the budget, lazily."""
    return (architecture for architecture in space.enumerate() if budget.admits(architecture.params, architecture.macs))
