"""Strategies: they propose architectures of a space and learn from results; who trains them is not their concern."""

from collections.abc import Callable

from nas.errors import NasError, nearest
from nas.ranking.objectives import Objective
from nas.strategies.evolution import Evolution
from nas.strategies.fast_tpe import FastTpe
from nas.strategies.random_search import RandomSearch, exhaustive
from nas.strategies.strategy import Strategy
from nas.strategies.surrogate import Surrogate
from nas.strategies.tpe import Tpe
from search_spaces import BoundSpace, Budget

STRATEGIES: dict[str, Callable[[BoundSpace, Budget, int, tuple[Objective, ...]], Strategy]] = {
    "surrogate": Surrogate,
    "tpe": Tpe,
    "fast-tpe": FastTpe,
    "evolution": Evolution,
    "random": RandomSearch,
    "exhaustive": exhaustive,
}
"""By name; each is made for a space and a budget, with a seed and the objectives."""


def make_strategy(
    name: str, space: BoundSpace, budget: Budget, *, seed: int, objectives: tuple[Objective, ...]
) -> Strategy:
    """A strategy by its name. Raises NasError for an unknown one."""
    if name not in STRATEGIES:
        raise NasError(f"no strategy {name!r}: {nearest(name, STRATEGIES)}")
    return STRATEGIES[name](space, budget, seed, objectives)
