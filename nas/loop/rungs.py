"""Asynchronous successive halving."""

from bisect import bisect_right, insort
from collections import defaultdict
from math import ceil

from nas.ranking.objectives import Quality, merit
from nas.runs.job import Score


class Rungs:
    """Asynchronous successive halving: at a rung a candidate goes on if it is among the best 1/eta seen there.

    Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2020. The first few at a rung always go on.
    """

    def __init__(self, eta: float, by: Quality = "accuracy", grace: int = 4):
        self.eta, self.by, self.grace = eta, by, grace
        self._seen: dict[int, list[tuple[float, float]]] = defaultdict(list)  # by epoch, in ascending order

    def see(self, score: Score) -> bool:
        """Notes a score; whether its candidate goes on."""
        mine, seen = merit(score, self.by), self._seen[score.epoch]
        insort(seen, mine)
        better = len(seen) - bisect_right(seen, mine)
        return len(seen) <= self.grace or better < ceil(len(seen) / self.eta)
