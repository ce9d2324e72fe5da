"""Sets of factorisations: counted, listed, drawn."""

from __future__ import annotations

import re
from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import accumulate
from math import lcm, prod
from random import Random
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from einmix.algebra.factors import MAX_SIZE, ROLES, Factor, Factors, check_length, divisors
from einmix.errors import PatternError, shown

if TYPE_CHECKING:
    from fractions import Fraction

T = TypeVar("T")


class Urn(Generic[T]):
    """Keys drawn with a chance in proportion to their weights, exactly: whole numbers of any size, or fractions."""

    def __init__(self, weights: Mapping[T, int | Fraction]):
        self.scale = lcm(*(weight.denominator for weight in weights.values()))
        whole = (weight.numerator * (self.scale // weight.denominator) for weight in weights.values())
        self._keys, self._cumulative = list(weights), list(accumulate(whole))
        self.sum = self._cumulative[-1] if weights else 0
        """Of the weights as whole numbers: each `scale` times as large as it was given."""

    def draw(self, rng: Random) -> T:
        return self._keys[bisect(self._cumulative, rng.randrange(self.sum))]


def count_factorizations(n: int) -> int:
    """F(n): the number of canonical role factorisations of a square axis of length n.

    >>> [count_factorizations(n) for n in (1, 4, 6, 8, 12)]
    [1, 9, 15, 27, 63]
    """
    return EVERY.count(n)


State = frozenset[tuple[int, int, int]]
"""Where in which alternative of which pattern a factorisation can stand, read from the outside in."""


class Profile(NamedTuple):
    """The patterns that accept a factorisation, and the products of its grouped and of its mixed sizes."""

    accepted: frozenset[int]
    grouped: int
    mixed: int

    def without(self, factor: Factor) -> Profile:
        """What the later factors have to make up; a product that this one does not divide becomes 0, which none do."""
        accepted, grouped, mixed = self
        role, size, _ = factor
        if role == "g":
            return Profile(accepted, 0 if grouped % size else grouped // size, mixed)
        if role == "m":
            return Profile(accepted, grouped, 0 if mixed % size else mixed // size)
        return self


_TERM = re.compile(r"([sgm])(\*|[1-9][0-9]*)")


class FactorSet:
    """The factorisations of an axis that match at least one of several patterns, each counted once.

    A pattern is a list of terms, outer to inner, joined by dots: a role and a size, or `*` for any size from 1 up;
    `|` separates alternatives; `*` alone matches every factorisation.

    >>> subgrid = FactorSet("m*.s*")
    >>> subgrid.count(8), [".".join(map(str, f)) for f in subgrid.enumerate(8)]
    (4, ['s8', 'm8', 'm4.s2', 'm2.s4'])

    All that is asked is answered by one recursion over divisors: what can stand first, and how many ways are left.
    """

    def __init__(self, *patterns: str):
        if not all(isinstance(pattern, str) for pattern in patterns):
            found = ", ".join(map(shown, patterns))
            raise PatternError(f"patterns of factors are texts, not {found}", hint="as in 'm*.s*'")
        self.patterns = patterns
        self._alternatives = tuple(tuple(map(_terms, pattern.split("|"))) for pattern in patterns)
        self._start: State = frozenset((p, a, 0) for p, alts in enumerate(self._alternatives) for a in range(len(alts)))
        self._profiles: dict[tuple[State, int, str], Counter[Profile]] = {}
        self._steps: dict[tuple[State, str, int], State] = {}
        self._urns: dict[tuple[State, int, str, Profile], Urn[tuple[Factor, State]]] = {}
        self._options: dict[tuple[State, int, str, int], list[Factor]] = {}

    def profiles(self, n: int) -> Counter[Profile]:
        """How many factorisations of n there are of each profile. Raises PatternError for what is no length."""
        check_length(n)
        return self._count(self._start, n, "")

    def count(self, n: int) -> int:
        """How many factorisations of n match.

        >>> FactorSet("m*.s*", "s*.m*").count(8)
        6
        """
        return self.profiles(n).total()

    def accepting(self, factors: Factors) -> frozenset[int]:
        """The indices of the patterns that match canonical factors (none where the axis is not square)."""
        state = self._start
        for role, size, out in factors:
            if size != out:
                return frozenset()
            state = self._step(state, role, size)
        return self._finals(state)

    def enumerate(self, n: int) -> Iterator[Factors]:
        """All that match, lazily, each once."""
        check_length(n)
        yield from self._enumerate(self._start, n, "")

    def sample(self, n: int, rng: Random, profile: Profile | None = None) -> Factors:
        """One of the factorisations of n, uniformly: of all, or of those that have this profile (there has to be one).

        Raises PatternError where there is none.
        """
        if profile is None:
            profiles = self.profiles(n)
            if not profiles:
                raise PatternError(f"no factorisation of {n} matches {' or '.join(self.patterns)}")
            profile = Urn(profiles).draw(rng)
        state, last = self._start, ""
        factors: Factors = ()
        while n > 1:
            factor, state = self._next(state, n, last, profile).draw(rng)
            n, last, profile, factors = n // factor.size, factor.role, profile.without(factor), (*factors, factor)
        return factors

    def options(self, n: int, before: Factors, pattern: int) -> list[Factor]:
        """The factors that can follow `before` in a factorisation of n that this pattern matches."""
        state, rest = self._start, n
        for role, size, _ in before:
            state, rest = self._step(state, role, size), rest // size
        key = state, rest, before[-1].role if before else "", pattern
        if key not in self._options:
            self._options[key] = [
                factor
                for factor, following in self._moves(*key[:3])
                if any(pattern in each[0] for each in self._count(following, rest // factor.size, factor.role))
            ]
        return self._options[key]

    def _moves(self, state: State, rest: int, last: str) -> Iterator[tuple[Factor, State]]:
        for size in divisors(rest)[1:]:
            for role in ROLES:
                if role != last and (following := self._step(state, role, size)):
                    yield Factor(role, size, size), following

    def _count(self, state: State, rest: int, last: str) -> Counter[Profile]:
        key = state, rest, last
        if key not in self._profiles:
            counts: Counter[Profile] = Counter()
            if rest == 1:
                if accepted := self._finals(state):
                    counts[Profile(accepted, 1, 1)] = 1
            else:
                for (role, size, _), following in self._moves(state, rest, last):
                    for (accepted, grouped, mixed), ways in self._count(following, rest // size, role).items():
                        product = grouped * (size if role == "g" else 1), mixed * (size if role == "m" else 1)
                        counts[Profile(accepted, *product)] += ways
            self._profiles[key] = counts
        return self._profiles[key]

    def _next(self, state: State, rest: int, last: str, profile: Profile) -> Urn[tuple[Factor, State]]:
        """The factors that can come next, by the number of ways to go on from each."""
        key = state, rest, last, profile
        if key not in self._urns:
            self._urns[key] = Urn(
                {
                    (factor, after): self._count(after, rest // factor.size, factor.role)[profile.without(factor)]
                    for factor, after in self._moves(state, rest, last)
                }
            )
        return self._urns[key]

    def _enumerate(self, state: State, rest: int, last: str) -> Iterator[Factors]:
        if rest == 1:
            if self._finals(state):
                yield ()
            return
        # whole axes before parts of them, shared before mixed: it then reads as a list from the simplest on
        moves = sorted(self._moves(state, rest, last), key=lambda move: (-move[0].size, ROLES.index(move[0].role)))
        for factor, following in moves:
            if self._count(following, rest // factor.size, factor.role):
                for tail in self._enumerate(following, rest // factor.size, factor.role):
                    yield (factor, *tail)

    def _step(self, state: State, role: str, size: int) -> State:
        key = state, role, size
        if key not in self._steps:
            self._steps[key] = frozenset(
                (pattern, alternative, end)
                for pattern, alternative, position in state
                for end in _ends(self._alternatives[pattern][alternative], position, role, size)
            )
        return self._steps[key]

    def _finals(self, state: State) -> frozenset[int]:
        return frozenset(
            pattern
            for pattern, alternative, position in state
            if all(size in (0, 1) for _, size in self._alternatives[pattern][alternative][position:])
        )


Terms = tuple[tuple[str, int], ...]
"""Roles with their sizes; 0 stands for any size. No terms and the marker `_ANYTHING` stand for every factorisation."""

_ANYTHING: Terms = (("*", 0),)


def _terms(alternative: str) -> Terms:
    alternative = alternative.strip()
    if alternative == "*":
        return _ANYTHING
    found = [_TERM.fullmatch(term) for term in alternative.split(".")]
    if not all(found):
        raise PatternError(
            f"{alternative[:80]!r} is no pattern of factors",
            hint="write roles s, g, m with a size or *, joined by dots, as in 'm*.s*' or 'g4.s*'; * alone for all",
        )
    terms = tuple((match[1], 0 if match[2] == "*" else int(match[2][:10])) for match in found if match)
    if prod(size or 1 for _, size in terms) > MAX_SIZE:
        raise PatternError(f"{alternative[:80]!r} has an impossible size", hint=f"write sizes from 1 to {MAX_SIZE}")
    return terms


def _ends(terms: Terms, position: int, role: str, size: int) -> Iterator[int]:
    """Where a reader of `terms` can stand after one more canonical factor of this role and size."""
    if terms is _ANYTHING:
        yield 0
        return
    fixed, free, taken = 1, False, False
    for end, (term_role, term_size) in enumerate(terms[position:], start=position + 1):
        if term_role == role:
            fixed, free, taken = fixed * max(term_size, 1), free or not term_size, True
        elif term_size > 1:
            return
        if taken and (size % fixed == 0 if free else size == fixed):
            yield end


EVERY = FactorSet("*")
