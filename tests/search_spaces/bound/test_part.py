"""Some networks of a space are a space of their own."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from searches import tiny

from search_spaces import Budget, SpaceError
from search_spaces.bound.part import Part

WHOLE = tiny("local", depth=(1, 2))


def test_it_holds_what_is_kept_and_nothing_else():
    part = Part(WHOLE, (each for each in WHOLE.enumerate() if int(each.id, 16) % 3 == 0))
    kept = {each for each in WHOLE.enumerate() if int(each.id, 16) % 3 == 0}
    assert set(part.enumerate()) == kept and part.count() == len(kept) > 10
    assert all((each in part) == (each in kept) for each in WHOLE.enumerate())
    for each in sorted(kept, key=lambda each: each.id)[:40]:
        assert set(part.neighbours(each)) == set(WHOLE.neighbours(each)) & kept
    assert part.bounds()[:2] == (min(each.params for each in kept), max(each.params for each in kept))
    assert part.bounds()[2:] == (min(each.macs for each in kept), max(each.macs for each in kept))


def test_draws_are_of_those_within_the_budget():
    part, rng = Part(WHOLE, (each for each in WHOLE.enumerate() if int(each.id, 16) % 3 == 0)), Random(0)
    budget = Budget(max_params=sorted(each.params for each in part.enumerate())[8])
    within = {each.id for each in part.enumerate() if each.params <= budget.max_params}
    drawn = Counter(part.sample(rng, budget).id for _ in range(100 * len(within)))
    assert drawn.keys() == within and min(drawn.values()) > 50
    with pytest.raises(SpaceError, match="no architecture of space 'local' has"):
        part.sample(rng, Budget(max_params=1))


def test_budgets_are_checked_and_costs_drawn_among_what_is_kept():
    part, rng = Part(WHOLE, sorted(WHOLE.enumerate(), key=lambda each: each.params)[:20]), Random(0)
    most, least = part.bounds().max_params, part.bounds().min_params
    outside = Budget(min_params=most + 1)
    WHOLE.check(outside)
    with pytest.raises(SpaceError, match="no architecture of space 'local' has"):
        part.check(outside)
    part.check(Budget(max_params=least))
    assert part.share(outside, rng) == 0 and part.share(Budget(), rng) == 1
    half = Budget(max_params=sorted(each.params for each in part.enumerate())[9])
    assert part.share(half, rng) == sum(each.params <= half.max_params for each in part.enumerate()) / 20
    assert set(part.costs(rng, 400)) == {(each.params, each.macs) for each in part.enumerate()}


def test_nothing_is_no_space_and_what_is_strange_no_part():
    with pytest.raises(SpaceError, match="a part of space 'local' needs networks"):
        Part(WHOLE, [])
    strange = WHOLE.sample(Random(0))
    with pytest.raises(SpaceError, match="is not in space 'local'"):
        Part(tiny("local", width=(4,)), [strange])
