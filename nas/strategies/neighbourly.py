"""What strategies share that go from networks they know to those one step away."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from einmix import Architecture
from nas.ranking.objectives import Objective, dominates, figures, teaches
from nas.runs.result import Result
from nas.strategies.random_search import RandomSearch
from search_spaces import BoundSpace, Budget

Told = tuple[Architecture, tuple[float, ...]]
"""A network with the epoch that it got to and its figures there, the larger the better."""


class Neighbourly:
    """Proposes a network one step from one of its `parents`, chosen at random, after a uniform start.

    Where no parent has a neighbour within the budget that is new, one is drawn uniformly. Networks that failed are no
    parents. All is rebuilt from results, in their order.
    """

    ahead = False
    startup = 10

    def __init__(self, space: BoundSpace, budget: Budget, seed: int, objectives: tuple[Objective, ...]):
        self.space, self.budget, self.objectives = space, budget, objectives
        self.uniform, self.rng = RandomSearch(space, budget, seed), Random(seed)
        self.told: dict[str, Told] = {}  # by id, in the order of results
        self._left: dict[str, list[Architecture]] = {}  # of those that were parents, the neighbours to come, by id

    def parents(self) -> Iterable[Architecture]:
        """Networks whose neighbours are proposed, the first one first. It is asked anew for every proposal."""
        raise NotImplementedError

    def ask(self) -> Architecture | None:
        if len(self.told) >= self.startup:
            for parent in self.parents():
                left = self._neighbours(parent)
                while left:
                    architecture = left.pop()
                    if self.uniform.take(architecture):
                        return architecture
        return self.uniform.ask()

    def expect(self, architecture: Architecture) -> None:
        self.uniform.expect(architecture)

    def tell(self, architecture: Architecture, result: Result) -> None:
        self.uniform.tell(architecture, result)
        if result.score is not None and result.state != "failed" and teaches(result, self.objectives):
            reached = float(result.score.epoch), *figures(result, result.score, self.objectives)
            self.told[architecture.id] = architecture, reached

    def ranked(self, among: Iterable[Told]) -> list[Told]:
        """The best first: those that got furthest, then by the objective; of several by how many are better in all."""
        every = list(among)
        if len(self.objectives) == 1:
            return sorted(every, key=lambda each: each[1], reverse=True)
        return sorted(every, key=lambda each: sum(dominates(other, each[1]) for _, other in every))

    def _neighbours(self, parent: Architecture) -> list[Architecture]:
        """Those within the budget that it has not proposed, in random order."""
        if parent.id not in self._left:
            found = [n for n in self.space.neighbours(parent) if self.budget.admits(n.params, n.macs)]
            self.rng.shuffle(found)
            self._left[parent.id] = found
        return self._left[parent.id]
