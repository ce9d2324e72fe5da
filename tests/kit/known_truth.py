"""Trainings of networks whose true accuracy is known, on examples that are hard for all or for one."""

from __future__ import annotations

from functools import cache
from math import sqrt

import numpy as np
from scipy.optimize import brentq
from scipy.stats import multivariate_normal, norm

BASE, EXAMPLES, PAIR = 0.96, 0.70, 0.10  # accuracy; shares of the variance that an example has, and for one network


@cache
def seed_share(std: float) -> float:
    """The share of the variance that gives accuracies such a standard deviation between seeds, at `BASE`."""
    h = norm.ppf(BASE)

    def off(v: float) -> float:
        return float(multivariate_normal.cdf([h, h], cov=[[1, v], [v, 1]])) - BASE**2 - std**2

    return float(brentq(off, 1e-7, 0.19, xtol=1e-7))


class Examples:
    """Examples, with how hard each of them is, for all networks and for each."""

    def __init__(self, random: np.random.Generator, m: int, v: float) -> None:
        self.random, self.m, self.v = random, m, v
        self.hard = sqrt(EXAMPLES) * random.standard_normal(m)
        self.own: dict[int, np.ndarray] = {}

    def right(self, network: int, accuracy: float, n: int) -> np.ndarray:
        """What `n` trainings of a network are right on, `n m`; the same network whenever it is asked for."""
        own = self.own.setdefault(network, sqrt(PAIR) * self.random.standard_normal(self.m))
        luck = sqrt(self.v) * self.random.standard_normal((n, 1))
        chance = sqrt(1 - EXAMPLES - PAIR - self.v) * self.random.standard_normal((n, self.m))
        return norm.ppf(accuracy) + self.hard + own + luck + chance > 0
