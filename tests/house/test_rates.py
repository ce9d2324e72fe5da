"""`benchmarks/rates.py`: its figures are those of small tables worked out by hand, and what is trained stays so."""

from __future__ import annotations

from itertools import product
from math import isnan, log
from pathlib import Path

import numpy as np
import pytest
import rates
from rates import (
    Difference,
    Setting,
    Table,
    at,
    directions,
    epochs_of_search,
    figures,
    interval,
    own,
    spread,
    targets,
    trained,
)

from nas.data.known import load as load_data
from nas.executors.serial import Serial
from nas.training.recipe import Recipe
from search_spaces.mixed import SPACE

# Two rates, two seeds: network by network, rate by rate, seed by seed.
LOSSES = [
    [[0.9, 0.9], [0.5, 0.4]],
    [[0.6, 0.3], [0.7, 0.8]],
    [[0.8, 0.9], [0.3, 0.6]],
]
TESTS = [
    [[0.10, 0.12], [0.50, 0.60]],
    [[0.70, 0.90], [0.30, 0.20]],
    [[0.40, 0.42], [0.80, 0.84]],
]


def table(losses: list = LOSSES, tests: list = TESTS) -> Table:
    """With one epoch that is judged before, in which the order is the other way round."""
    last = np.array(losses)
    return Table((0.01, 0.03), np.stack([1 - last, last], -1), np.array(tests))


def test_the_truth_is_of_the_other_seeds_at_their_own_best_rates() -> None:
    (first, best, truth), (second, other_best, other_truth) = directions(table())
    assert (first, second) == (0, 1)
    assert best.tolist() == other_best.tolist() == [1, 0, 1]
    assert truth.tolist() == [0.60, 0.90, 0.84] and other_truth.tolist() == [0.50, 0.70, 0.80]


def test_a_seeds_own_luck_chooses_nothing_in_what_it_is_held_against() -> None:
    """With three seeds: a rate that is best for seed 0 alone is none of the others' best."""
    losses = [[[0.1, 0.6, 0.6], [0.5, 0.5, 0.5]]]
    tests = [[[0.9, 0.2, 0.2], [0.5, 0.6, 0.8]]]
    found = {seed: (best.tolist(), truth.tolist()) for seed, best, truth in directions(table(losses, tests))}
    assert found[0] == ([1], pytest.approx([0.7]))
    assert found[1] == ([0], pytest.approx([0.55]))  # 0.1 and 0.6, against 0.5 and 0.5


def test_figures_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the second rate seed 0 has losses 0.5, 0.7, 0.3 and seed 1 has 0.4, 0.8, 0.6."""
    monkeypatch.setattr(rates, "TOP", 1)
    found = figures(table(), at(1))
    assert found.accuracy == pytest.approx((0.5 + 0.3 + 0.8 + 0.6 + 0.2 + 0.84) / 6)
    # truths 0.60, 0.90, 0.84 and 0.50, 0.70, 0.80: merits rank 2 1 3 against 1 3 2, then 3 1 2 against 1 2 3
    assert found.spearman[1] == pytest.approx((-0.5 - 0.5) / 2) and found.spearman[0] == -found.spearman[1]
    assert found.hits == 0  # seed 0 has the third ahead, not the second; seed 1 the first, not the third
    assert found.lack == pytest.approx(100 * ((0.90 - 0.84) + (0.80 - 0.50)) / 2)


def test_what_noise_allows_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the others' best rates seed 0 has losses 0.5, 0.6, 0.3, and seed 1 has 0.4, 0.3, 0.6."""
    monkeypatch.setattr(rates, "TOP", 2)
    found = figures(table(), own)
    assert found.accuracy == pytest.approx((0.5 + 0.7 + 0.8 + 0.6 + 0.9 + 0.84) / 6)
    assert found.spearman[1] == pytest.approx((-0.5 - 0.5) / 2)  # 2 1 3 against 1 3 2, then 2 3 1 against 1 2 3
    assert found.hits == 1 and found.lack == pytest.approx(100 * ((0.87 - 0.72) + (0.75 - 0.60)) / 2)


def test_targets_are_a_share_and_a_difference() -> None:
    """All networks are best at the first rate: there everything that noise allows is reached."""
    seeds = np.random.default_rng(0).normal(size=(9, 1, 2)) / 30
    merit = np.arange(9).reshape(-1, 1, 1) / 10 + seeds
    losses = np.concatenate([1 - merit, 3 - merit[::-1]], 1)
    each = table(losses, np.concatenate([merit, merit - 0.02], 1))
    best, worse = targets(each, 0), targets(each, 1)
    assert (best.share, best.points) == (1, 0)
    assert worse.share < 0 and worse.points == pytest.approx(2)
    low, high = interval(each, lambda drawn: targets(drawn, 1).points, times=50)
    assert low == pytest.approx(2) and high == pytest.approx(2)


def test_an_interval_is_of_networks_drawn_again() -> None:
    each = table(np.zeros((100, 2, 2)), np.repeat([0.0, 1.0], 50)[:, None, None] * np.ones((1, 2, 2)))
    low, high = interval(each, lambda drawn: float(drawn.tests.mean()))
    assert (low, high) == pytest.approx((0.5 - 1.96 * 0.05, 0.5 + 1.96 * 0.05), abs=0.015)


def bowls(*lowest: list[float]) -> Table:
    """Losses that are parabolas over four rates, which are lowest at these steps: a list a seed, a number a network."""
    steps = np.arange(4).reshape(1, -1, 1)
    losses = (steps - np.array(lowest).T[:, None]) ** 2
    return Table(tuple(0.01 * 3**k for k in range(4)), losses[..., None], np.zeros_like(losses))


def test_the_spread_of_best_rates() -> None:
    found = spread(bowls([1.0, 2.2, 1.2, 0.8], [1.0, 2.2, 1.2, 0.8]))
    assert found.best == pytest.approx(log(0.01) / log(3) + np.array([1.0, 2.2, 1.2, 0.8]), abs=0.05)  # two digits
    assert found.std == pytest.approx(np.std([1.0, 2.2, 1.2, 0.8]), abs=0.03)
    assert found.true == pytest.approx(np.std([1.0, 2.2, 1.2, 0.8], ddof=1), abs=0.03)
    assert (found.common, found.share) == (0.03, 0.75)


def test_what_seeds_differ_in_is_no_spread_of_networks() -> None:
    found = spread(bowls([1.0, 2.0, 1.0, 2.0], [1.0, 1.0, 2.0, 2.0]))
    assert found.true == 0 < found.std
    assert isnan(spread(bowls([1.0, 2.0])).true)


def test_epochs_of_a_search_by_hand() -> None:
    """Four go on in any case; then who is among the better half at a rung."""
    curves = [{1: 0.5, 2: 0.5}] * 4 + [{1: 0.4, 2: 0.9}, {1: 0.6, 2: 0.4}, {1: 0.7, 2: 0.7}]
    assert epochs_of_search(curves, (1, 2), 4) == 4 * 4 + 1 + 2 + 4
    assert epochs_of_search(curves, (), 4) == 7 * 4


def test_a_difference_is_paired_by_network() -> None:
    found = Difference.of(
        np.array([[1.0, 3.0], [5.0, 5.0], [0.0, 2.0]]), np.array([[2.0, 4.0], [7.0, 7.0], [4.0, 4.0]])
    )
    assert (found.mean, found.error) == pytest.approx((2, 1 / 3**0.5))  # 1, 2 and 3


def test_networks_are_of_one_band_and_the_first_are_the_same() -> None:
    setting = Setting.of("digits", "none")
    few, more = setting.networks(3), setting.networks(5)
    assert few == more[:3] and len({network.id for network in more}) == 5
    most = setting.space.references(setting.space.middle)["full token mixing"].params
    assert all(0.9 * most - 1 <= network.params <= most for network in more)
    assert Setting.of("digits", "fan-in").recipe.scaling == "fan-in"


def test_families_of_a_network() -> None:
    space = Setting.of("digits", "none").space
    full = space.references(space.middle)["full token mixing"]
    assert rates.shares_of(full.mixers) == [1, 1, 1, 0]  # one matrix for all channels is no weight per channel


@pytest.mark.slow
def test_what_was_trained_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "LocalWorkers", lambda make, workers, preload: Serial(make))
    dataset = load_data("digits", data_dir=Path(), seed=0, limit=60)
    space = SPACE.on(dataset.shape, channels=1, classes=10, patch=(2,), width=(8,), depth=(2,))
    setting = Setting(dataset, space, Recipe(epochs=2, batch=60))
    networks = setting.networks(6)

    def run(number: int, seeds: int) -> rates.Trained:
        with setting.open(tmp_path, "x") as folder:
            return trained(setting, folder, networks[:number], seeds, 2)

    first = run(5, 2)
    lines = (tmp_path / "x" / "results.jsonl").read_text().splitlines()
    assert len(lines) == len(first.swept) + 5 * 2 * len({*rates.RATES, first.lr})
    again = run(5, 2)
    assert (tmp_path / "x" / "results.jsonl").read_text().splitlines() == lines and again.lr == first.lr
    everything = [first.table(rates.RATES), again.table(rates.RATES)]
    assert np.array_equal(everything[0].losses, everything[1].losses) and np.isfinite(everything[0].losses).all()
    assert run(6, 2).table(rates.RATES).tests[:5].tolist() == everything[0].tests.tolist()
    said = "\n".join(rates.report(again))
    assert rates.said_of_difference(first, again)[-1] == "| 0.135 | +0.00 ± 0.00 | +0.0000 ± 0.0000 |"
    assert said.count("| ") > 20 and "as a search finds it" in said and "steps of a factor of 3" in said
    assert {(job.seed, job.lr) for job in again.results} == set(product(range(2), {*rates.RATES, first.lr}))
