"""Noise and what it allows: exact cases, and estimates on simulated trainings whose truth is known."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from known_truth import BASE, Examples, seed_share
from scipy.stats import spearmanr

from nas.audit.noise import noise, pair_noise, reliability, spearman_of
from nas.claims.contrasts import Judged


def test_noise_of_trainings_by_hand():
    one = Judged.of(np.array([[1, 1, 1, 0], [1, 1, 0, 1], [1, 1, 1, 1]], bool))  # accuracies 3/4, 3/4, 1
    two = Judged.of(np.array([[1, 0, 1, 0], [1, 0, 1, 0], [1, 0, 1, 0]], bool))
    found = noise([one, two])
    assert found is not None and (found.m, found.df) == (4, 4)
    assert found.total == pytest.approx(sqrt((np.var([0.75, 0.75, 1], ddof=1) + 0) / 2))
    assert noise([one]) is None and noise([]) is None


def test_examples_leave_one_of_them_at_least_and_of_one_network_nothing_is_said():
    random = np.random.default_rng(0)
    equal = [Judged.of(random.random((5, 100)) < 0.9) for _ in range(3)]  # all is chance
    found = [each for pair in ((0, 1), (0, 2), (1, 2)) if (each := noise([equal[i] for i in pair]))]
    assert min(each.examples for each in found if each.examples is not None) == 0.01
    alone = noise(equal[:1])
    assert alone is not None and alone.examples is None


@pytest.mark.parametrize(("std", "share"), [(0.003, 0.95), (0.008, 0.95), (0.016, 0.86)])
def test_the_noise_between_seeds_is_in_its_interval(std, share):
    """In 95% of simulated finals, within three Monte Carlo errors; in fewer where seeds vary by half of all errors."""
    random, v, runs, held, found = np.random.default_rng(1), seed_share(std), 300, 0, []
    for _ in range(runs):
        judge = Examples(random, 288, v)
        each = noise([Judged.of(judge.right(i, BASE, 5)) for i in range(6)])
        assert each is not None
        held += each.low <= std <= each.high
        found.append(each.seeds**2)
    assert held / runs >= share - 3 * sqrt(0.05 * 0.95 / runs)
    assert sqrt(np.mean(found)) == pytest.approx(std, abs=0.002)


def test_the_noise_of_examples_is_that_of_differences_over_new_examples():
    random, v = np.random.default_rng(2), seed_share(0.003)
    told, truly = [], []
    for _ in range(200):
        judge = Examples(random, 288, v)
        finals = [Judged.of(judge.right(i, BASE, 5)) for i in range(4)]
        found = noise(finals)
        assert found is not None
        assert found.examples is not None
        told.append(found.examples**2)
        many = Examples(random, 288, v)
        truly.append(many.right(0, BASE, 200).mean() - many.right(1, BASE, 200).mean())
    assert sqrt(np.mean(told)) == pytest.approx(np.std(truly), rel=0.2)


def test_pair_noise_is_that_of_all_pairs():
    p = np.random.default_rng(0).random((7, 30))
    pairs = [np.var(p[i] - p[j], ddof=1) for i in range(7) for j in range(i)]
    assert pair_noise(list(p)) == pytest.approx(np.mean(pairs) / 2)


def test_reliability_is_the_square_of_the_correlation_with_the_truth():
    random, std, spread, networks = np.random.default_rng(3), 0.005, 0.015, 48
    v, told, truly, repeated = seed_share(std), [], [], []
    for _ in range(100):
        truth = np.clip(BASE + spread * random.standard_normal(networks), 0.8, 0.995)
        once, again = (
            [Judged.of(part.right(i, mu, 1)).shares for i, mu in enumerate(truth)]
            for part in (Examples(random, 288, v), Examples(random, 288, v))
        )
        told.append(reliability_of(once, std) or 0.0)
        x, y = ([each.mean() for each in shares] for shares in (once, again))
        truly.append(np.corrcoef(truth, x)[0, 1] ** 2)
        repeated.append(spearmanr(x, y).statistic)
    assert np.mean(told) == pytest.approx(np.mean(truly), abs=0.05)
    assert spearman_of(float(np.mean(told))) == pytest.approx(np.mean(repeated), abs=0.05)


def test_where_the_spread_is_noise_there_is_no_reliability():
    random, v = np.random.default_rng(4), seed_share(0.008)
    told = []
    for _ in range(50):
        part = Examples(random, 288, v)
        told.append(reliability_of([part.right(i, BASE, 1)[0] for i in range(32)], 0.008))
    assert sum(each is None for each in told) >= 15  # in half of them, by chance
    assert all(each is None or each < 0.6 for each in told)
    assert (reliability(2.0, 1.0, 15), reliability(2.0, 1.0, 16), reliability(0.0, 0.0, 16)) == (None, 0.5, None)


def reliability_of(shares: list[np.ndarray], std: float) -> float | None:
    noise = pair_noise(shares) / shares[0].size + std**2
    return reliability(float(np.var([each.mean() for each in shares], ddof=1)), noise, len(shares))
