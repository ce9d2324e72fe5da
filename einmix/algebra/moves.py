"""Factors one step away, and factors of another length."""

from collections.abc import Iterator
from itertools import product
from math import prod

from einmix.algebra.factors import ROLES, Factor, Factors, canonical, divisors


def moves(factors: Factors) -> list[Factors]:
    """Canonical factors one step away: a factor, or a part of one, takes another role.

    Where it meets a neighbour of that role they merge, so that this is also how factors are split and merged, and how
    a size moves from one to the next. Every move has its reverse.

    >>> sorted(".".join(map(str, moved)) for moved in moves((Factor("m", 2, 2), Factor("s", 2, 2))))
    ['g2.s2', 'm2.g2', 'm4', 's4']
    """
    found: dict[Factors, None] = {}
    for i, (role, size, _) in enumerate(factors):
        for outer, other in product(divisors(size)[:-1], ROLES):
            for part in divisors(size // outer)[1:] if other != role else ():
                parts = _square(role, outer), _square(other, part), _square(role, size // outer // part)
                found[canonical((*factors[:i], *parts, *factors[i + 1 :]))] = None
    return list(found)


def scaled(factors: Factors, new: int, order: int) -> Factors:
    """Factors on an axis of another length: of those that keep their size, the outermost that allows it is scaled.

    With `order` -1 the innermost. Where there is no such factor, all of the axis has the role of the largest.

    >>> ".".join(map(str, scaled((Factor("m", 4, 4), Factor("s", 2, 2)), 14, 1)))
    'm7.s2'
    """
    found = next(stretches(factors, new, order), None)
    if found is not None:
        return found
    role = max(factors, key=lambda factor: factor.size).role if factors else "s"
    return (_square(role, new),)


def stretches(factors: Factors, new: int, order: int = 1) -> Iterator[Factors]:
    """All ways to scale one factor; one that is left with a size of 1 is gone, and its role with it.

    >>> [".".join(map(str, each)) for each in stretches((Factor("m", 2, 2), Factor("s", 4, 4)), 4)]
    ['m1.s4', 'm2.s2']
    """
    old = prod(factor.size for factor in factors)
    if new == old:
        yield factors
        return
    for i in range(len(factors))[::order]:
        role, size, out = factors[i]
        if size == out and size * new % old == 0:
            yield (*factors[:i], _square(role, size * new // old), *factors[i + 1 :])


def _square(role: str, size: int) -> Factor:
    return Factor(role, size, size)
