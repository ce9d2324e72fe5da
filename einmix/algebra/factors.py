"""Factors of an axis, their roles, and sets of factorisations that are counted, listed and sampled by arithmetic."""

from __future__ import annotations

from functools import cache, lru_cache
from math import isqrt, prod
from typing import Any, NamedTuple

from einmix.errors import PatternError, shown

ROLES = ("s", "g", "m")
"""Shared, grouped, mixed: in this order a factor's maps grow (s < g < m)."""


MAX_SIZE = 2**24
"""Larger axes are refused: they are mistakes or attacks, and divisors are found by trial division."""


class Factor(NamedTuple):
    """One factor of an axis: its role and its size in the input and in the output (they differ only where mixed)."""

    role: str
    size: int
    out: int

    def __str__(self) -> str:
        return f"{self.role}{self.size}" if self.size == self.out else f"{self.role}{self.size}:{self.out}"


Factors = tuple[Factor, ...]


@lru_cache(maxsize=65536)
def canonical(factors: Factors) -> Factors:
    """Factors of size 1 dropped, neighbours of equal role merged.

    >>> ".".join(map(str, canonical((Factor("m", 2, 2), Factor("s", 1, 1), Factor("m", 4, 1)))))
    'm8:2'

    Raises PatternError for factors that an axis cannot have.
    """
    merged: list[Factor] = []
    for factor in factors:
        _check(factor)
        if factor.size == factor.out == 1:
            continue
        if merged and merged[-1].role == factor.role:
            last = merged.pop()
            factor = Factor(factor.role, last.size * factor.size, last.out * factor.out)
        merged.append(factor)
    if max(prod(f.size for f in merged), prod(f.out for f in merged)) > MAX_SIZE:
        raise PatternError(f"{'.'.join(map(str, merged))} is too long", hint=f"an axis is at most {MAX_SIZE} long")
    return tuple(merged)


def _check(factor: Any) -> None:
    """Raises PatternError unless this is a factor with a role and sizes that there are."""
    if not isinstance(factor, Factor):
        raise PatternError(f"{shown(factor)} is no factor", hint='as in Factor("m", 8, 8)')
    role, *sizes = factor
    if role not in ROLES:
        raise PatternError(f"{shown(role)} is no role", hint="s shared, g grouped, m mixed")
    if any(type(size) is not int or not 1 <= size <= MAX_SIZE for size in sizes):
        found = " to ".join(map(shown, sizes))
        raise PatternError(f"a factor cannot lead from size {found}", hint=f"write sizes from 1 to {MAX_SIZE}")
    if role != "m" and factor.size != factor.out:
        raise PatternError(
            f"{factor} changes its size, and only mixed factors can", hint=f"m{factor.size}:{factor.out}"
        )


@cache
def divisors(n: int) -> tuple[int, ...]:
    """All divisors of n > 0, ascending.

    >>> divisors(12)
    (1, 2, 3, 4, 6, 12)

    Raises PatternError for what is no length.
    """
    _check_length(n)
    small = [d for d in range(1, isqrt(n) + 1) if n % d == 0]
    return tuple(small + [n // d for d in reversed(small) if d * d != n])


def _check_length(n: Any) -> None:
    if type(n) is not int or not 1 <= n <= MAX_SIZE:
        raise PatternError(f"an axis cannot have size {shown(n)}", hint=f"write a size from 1 to {MAX_SIZE}")
