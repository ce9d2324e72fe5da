"""Strategies: they propose architectures of a space and learn from results; who trains them is not their concern."""

from __future__ import annotations

from nas.errors import NasError, nearest
from nas.ranking.objectives import Objective
from nas.strategies.exhaustive import Exhaustive
from nas.strategies.random_search import RandomSearch
from nas.strategies.strategy import Strategy
from nas.strategies.tpe import Tpe
from search_spaces import BoundSpace, Budget

STRATEGIES = ("tpe", "fast-tpe", "random", "exhaustive")


def make_strategy(
    name: str, space: BoundSpace, budget: Budget, *, seed: int, objectives: tuple[Objective, ...]
) -> Strategy:
    """A strategy by its name. Raises NasError for an unknown one."""
    if name == "tpe":
        return Tpe(space, budget, seed, objectives)
    if name == "fast-tpe":
        from nas.strategies.fast_tpe import FastTpe

        return FastTpe(space, budget, seed, objectives)
    if name == "random":
        return RandomSearch(space, budget, seed)
    if name == "exhaustive":
        return Exhaustive(space, budget, seed)
    raise NasError(f"no strategy {name!r}: {nearest(name, STRATEGIES)}")
