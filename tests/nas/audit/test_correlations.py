"""Correlations with the end where most were stopped on the way: estimates on made-up candidates of known truth."""

from __future__ import annotations

from math import nan, sqrt

import numpy as np
import pytest
from scipy.stats import spearmanr

from nas.audit import correlations
from nas.audit.correlations import bands_of, chain, correlation, normal_scores, of_figures
from nas.audit.noise import spearman_of
from nas.loop.plan import Rungs
from nas.runs.job import Score

COVARIANCE = np.array([[1, 0.75, 0.6], [0.75, 1, 0.8], [0.6, 0.8, 1]])
TRUE = spearman_of(0.6)


def pruned(random: np.random.Generator, n: int) -> np.ndarray:
    """Scores at two rungs and the end, of whom a search lets go on; NaN from where it does not."""
    scores, rungs = random.multivariate_normal(np.zeros(3), COVARIANCE, n), Rungs(2.0, "accuracy", 4)
    for row in scores:
        for rung in range(2):
            if not rungs.see(Score(rung, 0.0, row[rung])):
                row[rung + 1 :] = nan
                break
    return scores


def test_the_order_of_a_rung_is_estimated_as_if_nobody_had_been_stopped():
    random, told, alone = np.random.default_rng(5), [], []
    for _ in range(150):
        scores = pruned(random, 200)
        found = chain(scores)
        assert found is not None
        told.append(spearman_of(found.covariance[0, 2] / sqrt(found.covariance[0, 0] * found.covariance[2, 2])))
        ended = scores[~np.isnan(scores[:, 2])]
        alone.append(spearmanr(ended[:, 0], ended[:, 2]).statistic)
    assert np.mean(told) == pytest.approx(TRUE, abs=0.03)
    assert np.mean(alone) < TRUE - 0.1  # survivors alone show too little


def test_its_interval_holds_the_truth(monkeypatch):
    monkeypatch.setattr(correlations, "SAMPLES", 100)
    random, held, runs = np.random.default_rng(6), 0, 60
    for _ in range(runs):
        found = correlation(pruned(random, 200))
        assert found is not None
        held += found.low <= TRUE <= found.high
    assert held / runs >= 0.93 - 3 * sqrt(0.07 * 0.93 / runs)


def test_without_losses_it_is_the_plain_covariance():
    scores = np.random.default_rng(7).multivariate_normal(np.zeros(3), COVARIANCE, 30)
    found = chain(scores)
    assert found is not None
    plain = np.cov(scores.T, ddof=1)
    free = np.array([29, 28, 27])  # residual variances are unbiased, each by its own degrees of freedom
    assert found.covariance[0] == pytest.approx(plain[0])
    assert found.covariance == pytest.approx(plain, rel=29 / free[2] - 1 + 1e-9)
    assert (found.expected == scores[:, 2]).all() and not found.spread.any()


def test_what_a_candidate_would_come_to_is_expected_without_bias():
    random, off, expected = np.random.default_rng(8), [], []
    for _ in range(60):
        whole = random.multivariate_normal(np.zeros(3), COVARIANCE, 200)
        scores = whole.copy()
        scores[scores[:, 0] < 0, 1:] = nan
        scores[scores[:, 1] < 0, 2:] = nan
        found = chain(scores)
        assert found is not None
        off.append(np.mean(found.expected - whole[:, 2]))
        expected.append(np.mean((found.expected - whole[:, 2]) ** 2) / found.spread.mean())
    assert np.mean(off) == pytest.approx(0, abs=0.05)
    assert np.mean(expected) == pytest.approx(1, abs=0.1)


def test_size_is_no_explanation_inside_bands():
    """What goes with the end through its size alone has no correlation there; what goes with it otherwise keeps its."""
    random = np.random.default_rng(9)
    size = np.repeat([1.0, 2.0, 3.0], 100)
    merit = random.standard_normal(300)
    end = (3 * size + merit)[:, None]
    figures = {"size": size + random.random(300), "merit": merit + random.standard_normal(300), "flat": np.ones(300)}
    bands = bands_of([int(1000 * each) for each in size])
    assert sorted(np.bincount(bands)) == [100, 100, 100]
    plain, inside = of_figures(figures, end), of_figures(figures, end, bands)
    assert plain["size"].value > 0.8 and inside["size"].low < 0 < inside["size"].high
    assert inside["merit"].value == pytest.approx(spearman_of(sqrt(0.5)), abs=0.08)
    assert "flat" not in plain


def test_too_few_at_the_end_say_nothing():
    scores = np.column_stack([np.arange(40.0), [*np.arange(19.0), *[nan] * 21]])
    assert correlation(scores) is None and of_figures({"x": np.arange(40.0)}, scores) == {}
    assert chain(np.array([[1.0, nan], [2.0, nan], [3.0, 1.0]])) is None


def test_normal_scores_are_of_ranks():
    found = normal_scores(np.array([5.0, 1e9, 5.0]))
    assert found[0] == found[2] < found[1] and found.sum() == pytest.approx(-found[1] + 2 * found[1] + 2 * found[0])
