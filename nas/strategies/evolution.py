"""Regularised evolution over neighbours in a space."""

from __future__ import annotations

from random import Random

from einmix import Architecture
from nas.ranking.objectives import Objective, best_first, figures, teaches
from nas.runs.result import Result
from nas.strategies.random_search import RandomSearch
from search_spaces import BoundSpace, Budget


class Evolution:
    """The best of a few drawn from the latest has a child, one step away; the oldest die, however good they are.

    Real et al., "Regularized Evolution for Image Classifier Architecture Search", 2019 (arXiv:1802.01548), after a
    uniform start. What was stopped at a rung takes part, behind all that got further; what failed has no children.
    Where no neighbour within the budget is new, a network is drawn uniformly.
    """

    ahead = False
    startup = 10
    population, drawn = 25, 5
    attempts = 5

    def __init__(self, space: BoundSpace, budget: Budget, seed: int, objectives: tuple[Objective, ...]):
        self.space, self.budget, self.objectives = space, budget, objectives
        self.uniform, self.rng = RandomSearch(space, budget, seed), Random(seed)
        self.told: dict[str, tuple[Architecture, tuple[float, ...]]] = {}  # by id: epochs and figures, in their order
        self._left: dict[str, list[Architecture]] = {}  # of those that were parents, the neighbours to come, by id

    def ask(self) -> Architecture | None:
        for _ in range(self.attempts if len(self.told) >= self.startup else 0):
            left = self._neighbours(self.parent())
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

    def parent(self) -> Architecture:
        """The best of a few of those that live."""
        living = list(self.told.values())[-self.population :]
        some = self.rng.sample(living, min(self.drawn, len(living)))
        return some[best_first([reached for _, reached in some])[0]][0]

    def _neighbours(self, parent: Architecture) -> list[Architecture]:
        """Those within the budget that it has not proposed, in random order."""
        if parent.id not in self._left:
            found = [n for n in self.space.neighbours(parent) if self.budget.admits(n.params, n.macs)]
            self.rng.shuffle(found)
            self._left[parent.id] = found
        return self._left[parent.id]
