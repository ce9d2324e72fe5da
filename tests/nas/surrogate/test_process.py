"""The process: it knows what it was told, how sure it is, and what features say."""

from __future__ import annotations

import numpy as np

from nas.surrogate.process import Array, Places, Process


def described(rng: np.random.Generator, n: int) -> list[dict[str, float]]:
    return [{"a": a, "b": b, "alike": 3.0} | ({"rare": 1.0} if a > 1 else {}) for a, b in rng.normal(size=(n, 2))]


def placed(every: list[dict[str, float]]) -> Array:
    return Places(every).of(every)


def truth(each: dict[str, float]) -> float:
    return 5 + 2 * each["a"] + np.sin(2 * each["b"]) + each.get("rare", 0.0)


def test_it_predicts_and_says_how_well():
    inside, explained = [], []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        every = described(rng, 120)
        y = np.array([truth(each) for each in every])
        process, x = Process(), placed(every)
        process.fit(x[:40], y[:40] + rng.normal(0, 0.1, 40), np.zeros(40))
        mean, deviation = process.predict(x[40:])
        explained.append(np.corrcoef(mean, y[40:])[0, 1])
        inside += [*(np.abs(mean - y[40:]) < 2 * deviation + 0.1)]
    assert min(explained) > 0.9 and np.mean(inside) > 0.9


def test_what_is_uncertain_counts_less():
    """Of two networks of equal features, one known well and one badly, the first is believed."""
    every = described(np.random.default_rng(0), 20)
    y = np.array([truth(each) for each in every])
    process, x = Process(), placed(every)
    process.fit(x, y, np.zeros(20))
    twice = np.vstack([x, x[:1]])
    process.condition(twice, np.append(y, y[0] + 3), np.append(np.zeros(20), 10.0))
    believed, _ = process.predict(x[:1])
    process.condition(twice, np.append(y, y[0] + 3), np.zeros(21))
    torn, _ = process.predict(x[:1])
    assert abs(believed[0] - y[0]) < 0.5 < torn[0] - y[0]


def test_places_are_as_far_apart_as_features_spread():
    every = described(np.random.default_rng(0), 50)
    x = placed(every)
    assert x.shape == (50, 3)  # what is alike everywhere says nothing
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(x.std(axis=0), 1 / np.sqrt(3))


def test_what_is_alike_everywhere_says_nothing():
    places = Places([{"alike": 1.0}, {"alike": 1.0}])
    assert places.of([{"alike": 5.0, "unknown": 2.0}]).shape == (1, 0) and places.of([]).shape == (0, 0)
