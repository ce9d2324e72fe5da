"""Where stopped trainings would have ended: on made-up curves whose ends are known."""

from __future__ import annotations

import numpy as np
import pytest

from nas.surrogate.ends import expected_ends

EPOCHS = 1, 2, 5, 10, 20


def curves(rng: np.random.Generator, n: int) -> list[dict[int, float]]:
    """Curves that fall by steps in proportion to where they are, with noise."""
    found = []
    for _ in range(n):
        value, curve = rng.normal(0, 0.5), {}
        for epoch in EPOCHS:
            curve[epoch] = value
            value = 0.8 * value - 0.3 + rng.normal(0, 0.05)
        found.append(curve)
    return found


def stopped(whole: list[dict[int, float]], eta: int = 2) -> list[dict[int, float]]:
    """Each as far as it gets where one has to be among the best at every epoch, among all that were there before."""
    seen: dict[int, list[float]] = {epoch: [] for epoch in EPOCHS}
    found = []
    for curve in whole:
        kept = {}
        for epoch, value in curve.items():
            kept[epoch] = value
            seen[epoch].append(value)
            if sum(other < value for other in seen[epoch]) >= len(seen[epoch]) / eta:
                break
        found.append(kept)
    return found


def test_what_ended_is_known():
    whole = curves(np.random.default_rng(0), 20)
    ends, errors = expected_ends(whole)
    assert ends.tolist() == [curve[20] for curve in whole] and not errors.any()


def test_stopping_the_weak_biases_little():
    off, told, plain = [], [], []
    for seed in range(30):
        whole = curves(np.random.default_rng(seed), 60)
        kept = stopped(whole)
        ends, errors = expected_ends(kept)
        truth = np.array([curve[20] for curve in whole])
        open_ = errors > 0
        off += [*((ends - truth)[open_])]
        told += [*errors[open_]]
        plain += [*(np.array([curve[max(curve)] for curve in kept]) - truth)[open_]]
    assert 5 * abs(np.mean(off)) < abs(np.mean(plain))  # of the last figure alone
    assert np.std(off) == pytest.approx(np.sqrt(np.mean(np.square(told))), rel=0.5)


def test_without_any_that_went_on_the_figure_stays_and_its_error_grows():
    ends, errors = expected_ends([{1: 0.5}, {2: 0.25}, {20: -1.0}])
    assert ends.tolist() == [0.5, 0.25, -1.0]
    assert errors[0] > errors[1] > errors[2] == 0
