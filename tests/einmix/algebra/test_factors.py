"""Factorisations: counted, listed and drawn by arithmetic, against plain enumeration."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, product
from math import prod
from random import Random
from time import perf_counter
from typing import Any

import pytest

from einmix import Factor, FactorSet, PatternError, count_factorizations
from einmix.algebra.factor_sets import Profile, Urn
from einmix.algebra.factors import Factors, canonical, divisors
from einmix.errors import shown

EVERY = FactorSet("*")


def ordered_factorisations(n: int) -> list[tuple[int, ...]]:
    return (
        [()]
        if n == 1
        else [(d, *rest) for d in range(2, n + 1) if n % d == 0 for rest in ordered_factorisations(n // d)]
    )


def all_canonical(n: int) -> set[tuple[Factor, ...]]:
    """Every way to factor n with neighbours of different role."""
    return {
        tuple(Factor(role, size, size) for role, size in zip(roles, sizes, strict=True))
        for sizes in ordered_factorisations(n)
        for roles in product("sgm", repeat=len(sizes))
        if all(a != b for a, b in pairwise(roles))
    }


def matches(pattern: str, factors: tuple[Factor, ...]) -> bool:
    """Whether some sizes for the stars of some alternative give these factors, after they are made canonical."""
    n = prod(f.size for f in factors)
    for alternative in pattern.split("|"):
        if alternative.strip() == "*":
            return True
        terms = [(term[0], term[1:]) for term in alternative.strip().split(".")]
        choices = [[d for d in range(1, n + 1) if n % d == 0] if size == "*" else [int(size)] for _, size in terms]
        for sizes in product(*choices):
            written = tuple(Factor(role, size, size) for (role, _), size in zip(terms, sizes, strict=True))
            if prod(sizes) == n and canonical(written) == factors:
                return True
    return False


GOLDEN = {1: 1, 2: 3, 3: 3, 4: 9, 6: 15, 8: 27, 9: 9, 12: 63, 16: 81, 24: 243, 32: 243, 64: 729}

PATTERNS = [
    ("*",),
    ("m*",),
    ("s*",),
    ("m*.s*",),
    ("s*.m*",),
    ("m*.s*", "s*.m*"),
    ("g*.s*", "g*"),
    ("g*.m*.s*",),
    ("m2.s*",),
    ("g4.s*",),
    ("s*.m4.s*",),
    ("m*.s2|s2.m*",),
    ("m*.m2.s*",),
    ("s*.g*.s*.m*",),
    ("m2.m3", "s6 | *"),
    ("s1.g1.m*",),
    ("g*.s2.g*",),
    ("m8|m4.s2",),
]


@pytest.mark.parametrize(("n", "count"), GOLDEN.items())
def test_golden_counts(n: int, count: int) -> None:
    assert count_factorizations(n) == count


@pytest.mark.parametrize("n", range(1, 49))
def test_count_is_the_formula(n: int) -> None:
    """F(N) = sum over k of f_k(N) * 3 * 2^(k-1), where f_k counts ordered factorisations into k factors > 1."""
    lengths = Counter(map(len, ordered_factorisations(n)))
    assert count_factorizations(n) == sum(f * 3 * 2 ** (k - 1) if k else f for k, f in lengths.items())


@pytest.mark.parametrize("power", range(7))
@pytest.mark.parametrize("prime", [2, 3, 5])
def test_prime_powers(prime: int, power: int) -> None:
    assert count_factorizations(prime**power) == 3**power


@pytest.mark.parametrize("patterns", PATTERNS, ids=" or ".join)
@pytest.mark.parametrize("n", [1, 2, 4, 6, 8, 12, pytest.param(24, marks=pytest.mark.slow)])
def test_sets_are_the_matching_factorisations(patterns: tuple[str, ...], n: int) -> None:
    chosen = FactorSet(*patterns)
    expected = {f: frozenset(i for i, p in enumerate(patterns) if matches(p, f)) for f in all_canonical(n)}
    listed = list(chosen.enumerate(n))
    assert len(listed) == len(set(listed)), "an element is listed twice"
    assert set(listed) == {factors for factors, accepted in expected.items() if accepted}
    assert chosen.count(n) == len(listed)
    assert all(chosen.accepting(factors) == accepted for factors, accepted in expected.items())


def profile_of(chosen: FactorSet, factors: Factors) -> Profile:
    grouped, mixed = (prod(f.size for f in factors if f.role == role) for role in "gm")
    return Profile(chosen.accepting(factors), grouped, mixed)


@pytest.mark.parametrize("patterns", PATTERNS, ids=" or ".join)
@pytest.mark.parametrize("n", [1, 6, 8, 12])
def test_profiles_count_by_accepting_patterns_and_products(patterns: tuple[str, ...], n: int) -> None:
    chosen = FactorSet(*patterns)
    assert chosen.profiles(n) == Counter(profile_of(chosen, factors) for factors in chosen.enumerate(n))


@pytest.mark.parametrize("patterns", PATTERNS, ids=" or ".join)
def test_options_are_what_continues_to_a_match(patterns: tuple[str, ...]) -> None:
    n, chosen = 12, FactorSet(*patterns)
    for index, pattern in enumerate(patterns):
        matching = [factors for factors in all_canonical(n) if matches(pattern, factors)]
        for before in {factors[:k] for factors in matching for k in range(len(factors) + 1)}:
            following = {f[len(before)] for f in matching if f[: len(before)] == before and len(f) > len(before)}
            assert set(chosen.options(n, before, index)) == following


def chi_square(counts: Counter, cells: int) -> float:
    expected = counts.total() / cells
    return sum((counts[cell] - expected) ** 2 / expected for cell in counts) + (cells - len(counts)) * expected


@pytest.mark.parametrize("patterns", [("*",), ("m*.s*", "s*.m*"), ("g*.s*|s*.g*", "m*.g*")], ids=" or ".join)
def test_sampling_is_uniform(patterns: tuple[str, ...]) -> None:
    n, rng, chosen = 12, Random(0), FactorSet(*patterns)
    cells = chosen.count(n)
    counts = Counter(chosen.sample(n, rng) for _ in range(200 * cells))
    assert set(counts) == set(chosen.enumerate(n))
    # mean of chi-square is its degrees of freedom, its standard deviation the root of twice that
    assert chi_square(counts, cells) < cells + 4 * (2 * cells) ** 0.5


def test_the_chi_square_notices_a_lopsided_sample() -> None:
    rng, listed = Random(0), list(EVERY.enumerate(12))
    counts = Counter(rng.choice(listed[: len(listed) // 2] + listed) for _ in range(200 * len(listed)))
    assert chi_square(counts, len(listed)) > len(listed) + 4 * (2 * len(listed)) ** 0.5


@pytest.mark.parametrize("patterns", [("*",), ("m*.s*", "s*.m*"), ("g*.s*|s*.g*", "m*.g*")], ids=" or ".join)
def test_sampling_of_a_profile_is_uniform(patterns: tuple[str, ...]) -> None:
    n, rng, chosen = 12, Random(1), FactorSet(*patterns)
    for profile, cells in chosen.profiles(n).items():
        counts = Counter(chosen.sample(n, rng, profile) for _ in range(200 * cells))
        alike = {f for f in chosen.enumerate(n) if profile_of(chosen, f) == profile}
        assert set(counts) == alike and len(alike) == cells
        assert chi_square(counts, cells) < cells + 4 * (2 * cells) ** 0.5


def test_sampling_from_nothing_says_what_was_asked() -> None:
    with pytest.raises(ValueError, match=r"no factorisation of 9 matches m2\.s\*"):
        FactorSet("m2.s*").sample(9, Random(0))


def test_large_axes_cost_no_enumeration() -> None:
    start, rng = perf_counter(), Random(0)
    assert count_factorizations(2**24) == 3**24
    assert [prod(f.size for f in EVERY.sample(n, rng)) for n in (384, 4096, 2**24)] == [384, 4096, 2**24]
    assert prod(f.size for f in next(EVERY.enumerate(2**24))) == 2**24
    assert perf_counter() - start < 5


def test_not_square_factors_match_no_pattern() -> None:
    assert EVERY.accepting((Factor("m", 4, 2),)) == frozenset()


@pytest.mark.parametrize("n", range(1, 100))
def test_divisors(n: int) -> None:
    assert divisors(n) == tuple(d for d in range(1, n + 1) if n % d == 0)


def test_an_urn_is_exact_for_weights_beyond_floats() -> None:
    urn = Urn({"none": 0, "rare": 1, "often": 10**400})
    assert {urn.draw(Random(seed)) for seed in range(20)} == {"often"}
    few = Urn({"a": 0, "b": 1, "c": 3})
    assert Counter(few.draw(Random(seed)) for seed in range(4000))["b"] == pytest.approx(1000, abs=110)


@pytest.mark.parametrize(
    "pattern", ["", "m", "x4", "m*s*", "m0", "m-1", "m04", "*.s*", "m4.", "m4||s4", "m4 .s2", "M4"]
)
def test_bad_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(PatternError) as error:
        FactorSet(pattern)
    fact, hint = str(error.value).splitlines()
    assert fact.endswith("is no pattern of factors")
    assert hint == "  write roles s, g, m with a size or *, joined by dots, as in 'm*.s*' or 'g4.s*'; * alone for all"


@pytest.mark.parametrize("pattern", ["m" + "9" * 5000, "m16777217", "s4096.m4097", "m*.g9999999999999"])
def test_sizes_that_no_axis_has_are_refused(pattern: str) -> None:
    with pytest.raises(PatternError, match="has an impossible size") as error:
        FactorSet("s*", pattern)
    assert len(error.value.summary) < 200


@pytest.mark.parametrize("pattern", [4, None, ["m*"], b"m*"])
def test_patterns_are_texts(pattern: Any) -> None:
    with pytest.raises(PatternError, match="patterns of factors are texts, not"):
        FactorSet(pattern)


@pytest.mark.parametrize("n", [0, -4, True, 4.0, "4", 2**24 + 1, 10**5000], ids=shown)
def test_what_is_no_length_has_no_factorisations(n: Any) -> None:
    for ask in (EVERY.count, count_factorizations, lambda n: list(EVERY.enumerate(n))):
        with pytest.raises(PatternError, match="an axis cannot have size"):
            ask(n)
    if n not in (1, 4):  # of what equals a length, the divisors may be known already
        with pytest.raises(PatternError, match="an axis cannot have size"):
            divisors(n)
