"""Factors one step away and of another length: by example, and all of them on small axes."""

from collections.abc import Iterable

import pytest

from einmix import Factor, Mixer, enumerate_mixers
from einmix.algebra.moves import moves, scaled


def texts(found: Iterable[tuple[Factor, ...]]) -> set[str]:
    return {".".join(map(str, factors)) for factors in found}


def factors_of(text: str) -> tuple[Factor, ...]:
    return Mixer.parse(f"x={text}").axes[0][1]


def test_moves_by_example() -> None:
    assert texts(moves(factors_of("m8"))) == {
        *("s8", "g8", "s2.m4", "g2.m4", "s4.m2", "g4.m2", "m2.s4", "m2.g4", "m4.s2", "m4.g2"),
        *("m2.s2.m2", "m2.g2.m2"),
    }
    assert texts(moves(factors_of("m2.s2.m2"))) >= {"m8", "m2.g2.m2", "s4.m2", "g2.s2.m2", "m2.s4"}
    assert moves(()) == []


@pytest.mark.parametrize("n", [1, 2, 4, 6, 8, 12, 24])
def test_every_move_has_its_reverse_and_all_are_connected(n: int) -> None:
    every = {mixer.axes[0][1] for mixer in enumerate_mixers(x=n)}
    for factors in every:
        found = moves(factors)
        assert len(set(found)) == len(found) and factors not in found
        assert set(found) <= every
        assert all(factors in moves(moved) for moved in found)
    seen = ahead = {factors_of(f"s{n}")}
    while ahead:
        ahead = {moved for factors in ahead for moved in moves(factors)} - seen
        seen = seen | ahead
    assert seen == every


def test_an_axis_that_no_factor_fits_is_all_in_the_role_of_its_largest() -> None:
    """Wherever that stands: inside, outside, in between."""
    for text, role in (("s2.m3", "m"), ("m3.s2", "m"), ("g2.m3.s5", "s"), ("m2.g7.s3", "g")):
        factors = factors_of(text)
        assert scaled(factors, 11, 1) == scaled(factors, 11, -1) == (Factor(role, 11, 11),)
