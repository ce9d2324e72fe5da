"""What the surrogate makes of results that are not whole: stopped trainings, and proposals under way."""

from __future__ import annotations

from dataclasses import replace
from math import log
from random import Random

import pytest
from searches import result_of, tiny

from nas.ranking.objectives import parse_objectives
from nas.runs.job import Score
from nas.runs.own import Metric
from nas.strategies.surrogate import Surrogate, _curve, _Known
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


def test_the_order_in_which_objectives_are_named_changes_nothing():
    asked = []
    for names in ("loss,macs", "macs,loss"):
        space = tiny("roles", width=(16,), depth=(2,))
        strategy, proposed = Surrogate(space, Budget(), 0, parse_objectives(names)), []
        for _ in range(20):
            network = strategy.ask()
            assert network is not None
            proposed.append(network.id)
            strategy.tell(network, result_of(network, 0.5, loss=features(network)["positions mixed"]))
        asked.append(proposed)
    assert asked[0] == asked[1]


def test_what_networks_cost_is_known_whatever_failed(told: Surrogate):
    told = Surrogate(told.space, Budget(), 0, parse_objectives("loss,macs"))
    rng = Random(1)
    for n, network in enumerate(told.space.sample(rng) for _ in range(20)):
        told.tell(
            network, result_of(network, None, "failed") if n % 3 == 0 else result_of(network, 0.5, loss=0.5 + n / 100)
        )
    pool = [_Known(each, features(each)) for each in (told.space.sample(rng) for _ in range(5))]
    _, macs = told._bounds(pool)
    assert macs == pytest.approx([log(known.architecture.macs) for known in pool])


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_figures_of_an_own_metric_keep_their_order_below_zero_and_beyond_one(better: str):
    metric = Metric("mine", better=better)  # type: ignore[arg-type]
    (objective,) = parse_objectives("accuracy", metric)
    network = tiny("roles").sample(Random(0))
    figures = [-300.0, -5.0, -0.2, 0.01, 0.4, 0.9, 1.5, 40.0]
    scored = (replace(result_of(network, 0.5), scores=(Score(3, 0.5, metric.kept(each)),)) for each in figures)
    told = [_curve(objective, result)[3] for result in scored]
    assert told == sorted(told, reverse=better == "higher") and len({*told}) == len(told)
