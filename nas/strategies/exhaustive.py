"""All architectures, one after the other."""

from __future__ import annotations

from einmix import Architecture
from nas.ranking.objectives import Objective
from nas.runs.result import Result
from nas.strategies.strategy import affordable
from search_spaces import BoundSpace, Budget


class Exhaustive:
    """Every architecture within the budget, in the order of the space's enumeration."""

    ahead = True

    def __init__(self, space: BoundSpace, budget: Budget, seed: int, objectives: tuple[Objective, ...]):
        space.check(budget)
        self._rest = affordable(space, budget)
        self._known: set[str] = set()

    def ask(self) -> Architecture | None:
        return next((architecture for architecture in self._rest if architecture.id not in self._known), None)

    def expect(self, architecture: Architecture) -> None:
        self._known.add(architecture.id)

    def tell(self, architecture: Architecture, result: Result) -> None:
        self.expect(architecture)
