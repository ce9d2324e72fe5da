"""What the surrogate makes of results that are not whole: stopped trainings, and proposals under way."""

from __future__ import annotations

from random import Random

import pytest
from searches import tiny

from nas.ranking.objectives import parse_objectives
from nas.strategies.surrogate import Surrogate, _Known
from nas.surrogate.ends import Curve, expected_ends
from nas.surrogate.features import features
from search_spaces import Budget


@pytest.fixture
def told() -> Surrogate:
    """Has twenty results whose ends their features tell, and whose first epochs tell little of them."""
    space, rng = tiny("roles", width=(16,), depth=(2,)), Random(0)
    strategy = Surrogate(space, Budget(), 0, parse_objectives("loss"))
    for network in (space.sample(rng) for _ in range(20)):
        described = features(network)
        end = described["positions mixed"] + rng.gauss(0, 0.01)
        curve: Curve = {1: 2 * end + rng.gauss(0, 1), 3: end}
        strategy._told[network.id] = _Known(network, described, (curve,))
    strategy._informed = len(strategy._told)
    return strategy


def bound(strategy: Surrogate, known: _Known) -> float:
    """Of a network, by the scales that are found when it is asked for the first time."""
    strategy.kappa = 10.0
    return float(strategy._bounds([known])[0][0])


def test_what_is_under_way_is_less_uncertain(told: Surrogate):
    network = told.space.sample(Random(99))
    known = _Known(network, features(network))
    before = bound(told, known)
    told._open[network.id] = known
    assert bound(told, known) > before


def test_a_stopped_training_counts_less_than_one_that_came_to_the_same_end(told: Surrogate):
    id, known = next(iter(told._told.items()))
    stopped = known._replace(curves=({1: known.curves[0][1]},))
    others = [each.curves[0] for each in told._told.values() if each is not known]
    (*_, end), _ = expected_ends([*others, stopped.curves[0]])
    told._told[id] = known._replace(curves=({1: known.curves[0][1], 3: float(end)},))
    whole = bound(told, known)
    told._told[id] = stopped
    assert bound(told, known) < whole
