"""Whether the learning rate decides an order: networks at the search's rate over seeds, and at others with one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

Merits = Mapping[str, tuple[float, float]]
"""By a network's id what sorts it, the larger the better (`nas.ranking.objectives.merit`)."""

FEWEST_SEEDS = 3
FEWEST_NETWORKS = 3


@dataclass(frozen=True)
class RateOrders:
    """Kendall's tau of orders of `networks`, in the mean with those of other seeds at the search's rate.

    `seeds` has it by seed at that rate, `rates` by other rate, of one training a network. `p` is how probable it is
    that a rate would come out as it did, were it but another seed: how many seeds did no better, and it itself.
    """

    networks: int
    seeds: Mapping[int, float]
    rates: Mapping[float, float]

    @property
    def typical(self) -> float:
        return fmean(self.seeds.values())

    def p(self, lr: float) -> float:
        return (1 + sum(tau <= self.rates[lr] for tau in self.seeds.values())) / (1 + len(self.seeds))


def rate_orders(by_seed: Mapping[int, Merits], at: Mapping[float, tuple[int, Merits]]) -> RateOrders | None:
    """From the merits of networks by seed at the search's rate, and `at` other rates with one of the seeds each.

    It is about the networks of which all is known; None where these or the seeds are too few.
    """
    known = [each.keys() for each in (*by_seed.values(), *(each for _, each in at.values()))]
    ids = sorted(set.intersection(*map(set, known))) if known else []
    if len(by_seed) < FEWEST_SEEDS or len(ids) < FEWEST_NETWORKS or not at:
        return None

    def agrees(seed: int, merits: Merits) -> float:
        return fmean(tau(merits, other, ids) for each, other in by_seed.items() if each != seed)

    seeds = {seed: agrees(seed, merits) for seed, merits in by_seed.items()}
    return RateOrders(len(ids), seeds, {lr: agrees(seed, merits) for lr, (seed, merits) in sorted(at.items())})


def tau(one: Merits, other: Merits, ids: list[str]) -> float:
    """Kendall's tau-a: the share of pairs in the same order, less that of pairs in opposite ones.

    >>> tau({"a": (1, 0), "b": (2, 0), "c": (3, 0)}, {"a": (1, 0), "b": (3, 0), "c": (2, 0)}, ["a", "b", "c"])
    0.3333333333333333
    """

    def way(merits: Merits, a: str, b: str) -> int:
        return (merits[a] > merits[b]) - (merits[a] < merits[b])

    return fmean(way(one, a, b) * way(other, a, b) for a, b in combinations(ids, 2))
