"""Exact draws: keys by their weights, and factorisations by their profile."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from math import lcm
from random import Random
from typing import Generic, TypeVar

from einmix import Factor, FactorSet
from einmix.algebra.factor_sets import Profile, State
from einmix.algebra.factors import Factors

T = TypeVar("T")


class Urn(Generic[T]):
    """Keys drawn with a chance in proportion to their weights, exactly: whole numbers of any size, or fractions."""

    def __init__(self, weights: Mapping[T, int | Fraction]):
        scale = lcm(*(weight.denominator for weight in weights.values()))
        whole = (weight.numerator * (scale // weight.denominator) for weight in weights.values())
        self._keys, self._cumulative = list(weights), list(accumulate(whole))
        self.sum = self._cumulative[-1] if weights else 0
        """Of the weights as whole numbers; `total` is that of the weights as they were given."""
        self.total = Fraction(self.sum, scale)

    def draw(self, rng: Random) -> T:
        return self._keys[bisect(self._cumulative, rng.randrange(self.sum))]


def draw_factors(chosen: FactorSet, n: int, profile: Profile, rng: Random) -> Factors:
    """One of the factorisations of n that have this profile, uniformly."""
    state, last = chosen._start, ""
    factors: Factors = ()
    while n > 1:
        factor, state = _next(chosen, state, n, last, profile).draw(rng)
        n, last, factors = n // factor.size, factor.role, (*factors, factor)
        profile = _without(factor, profile)
    return factors


@lru_cache(maxsize=2**16)
def _next(chosen: FactorSet, state: State, rest: int, last: str, profile: Profile) -> Urn[tuple[Factor, State]]:
    """The factors that can come next, by the number of ways to go on from each."""
    return Urn(
        {
            (factor, following): chosen._count(following, rest // factor.size, factor.role)[_without(factor, profile)]
            for factor, following in chosen._moves(state, rest, last)
        }
    )


def _without(factor: Factor, profile: Profile) -> Profile:
    """What the later factors have to make up; a product that this factor does not divide becomes 0, which none do."""
    accepted, grouped, mixed = profile
    role, size, _ = factor
    if role == "g":
        return accepted, 0 if grouped % size else grouped // size, mixed
    if role == "m":
        return accepted, grouped, 0 if mixed % size else mixed // size
    return profile
