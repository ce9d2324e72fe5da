"""One-step moves on the factors of an axis."""

from __future__ import annotations

from collections.abc import Iterator

from einmix.factors import ROLES, Factor, Factors, canonical, divisors


def moves(factors: Factors) -> list[Factors]:
    """Canonical factors one step away: a role changed, a factor split, two merged, a size moved between two.

    Every move has its reverse.

    >>> sorted(".".join(map(str, moved)) for moved in moves((Factor("m", 2, 2), Factor("s", 2, 2))))
    ['g2.s2', 'm2.g2', 'm4', 's4']
    """
    return list(dict.fromkeys(_moves(factors)))


def _moves(factors: Factors) -> Iterator[Factors]:
    for i, (role, size, _) in enumerate(factors):
        before, after = factors[:i], factors[i + 1 :]
        for other in ROLES:
            if other != role:
                yield canonical((*before, _square(other, size), *after))
                for part in divisors(size)[1:-1]:
                    yield canonical((*before, _square(role, size // part), _square(other, part), *after))
                    yield canonical((*before, _square(other, part), _square(role, size // part), *after))
    for i in range(len(factors) - 1):
        a, b = factors[i], factors[i + 1]
        before, after = factors[:i], factors[i + 2 :]
        for role in {a.role, b.role}:
            yield canonical((*before, _square(role, a.size * b.size), *after))
        for part in divisors(a.size)[1:-1]:
            yield canonical((*before, _square(a.role, a.size // part), _square(b.role, b.size * part), *after))
        for part in divisors(b.size)[1:-1]:
            yield canonical((*before, _square(a.role, a.size * part), _square(b.role, b.size // part), *after))


def _square(role: str, size: int) -> Factor:
    return Factor(role, size, size)
