"""All architectures, one after the other."""

from nas.ranking.objectives import Objective
from nas.strategies.random_search import RandomSearch
from nas.strategies.strategy import affordable
from search_spaces import BoundSpace, Budget


def exhaustive(space: BoundSpace, budget: Budget, seed: int, objectives: tuple[Objective, ...]) -> RandomSearch:
    """Every architecture within the budget, in the order of the space's enumeration: a search that draws none."""
    strategy = RandomSearch(space, budget, seed, objectives)
    strategy.rest = affordable(space, budget)
    return strategy
