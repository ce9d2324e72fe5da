"""Ways to search that benchmarks/strategies.py and benchmarks/searches.py compare."""

from __future__ import annotations

from dataclasses import dataclass

from nas.api.defaults import RUNGS, rungs
from nas.loop.plan import Plan
from nas.ranking.objectives import Objective, Quality
from nas.strategies import make_strategy
from nas.strategies.strategy import Strategy
from search_spaces import BoundSpace, Budget

EARLY, LATE = (15, 40), (25, 50)
"""Other rungs, in percent of all epochs: the defaults of `nas search` before, `LATE` until there were tables."""


@dataclass(frozen=True)
class Method:
    """Who proposes, by what it is compared and chosen, and what is stopped when."""

    strategy: str
    rungs: tuple[int, ...] = RUNGS
    eta: float = Plan.eta
    grace: int = Plan.grace
    order: Quality = Plan.order

    def plan(self, trials: int, epochs: int, lr: float, seed: int) -> Plan:
        at = rungs(epochs, self.rungs)
        return Plan(trials, epochs, lr, 1, 1, seed, at, self.eta, self.grace, self.order)

    def make(self, space: BoundSpace, budget: Budget, seed: int) -> Strategy:
        return make_strategy(self.strategy, space, budget, seed=seed, objectives=(Objective(self.order),))


BEFORE = "tpe, late rungs, by accuracy"
"""What `nas search` did before."""

METHODS = {
    "surrogate": Method("surrogate"),
    "tpe": Method("tpe"),
    "fast-tpe": Method("fast-tpe"),
    "evolution": Method("evolution"),
    "random": Method("random"),
    "surrogate, by accuracy": Method("surrogate", order="accuracy"),
    "surrogate, early rungs": Method("surrogate", EARLY),
    "surrogate, late rungs": Method("surrogate", LATE, 2.0, 4),
    "tpe, late rungs": Method("tpe", LATE, 2.0, 4),
    BEFORE: Method("tpe", LATE, 2.0, 4, "accuracy"),
    "surrogate, no rungs": Method("surrogate", ()),
    "random, no rungs": Method("random", ()),
}
"""Those through the search's own loop: its default rung, and by loss, where nothing else is said."""
