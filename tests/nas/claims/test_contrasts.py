"""Statements about accuracies: exact figures, and how often they hold in simulated searches whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
import pytest
from known_truth import BASE, Examples, seed_share
from scipy.stats import ttest_rel

from nas.claims.contrasts import Judged, best, contrast, cost, gain, may_be_best, together


def judged(*wrong: set[int], examples: int = 20) -> Judged:
    """A network by the examples that each of its seeds has wrong."""
    right = np.ones((len(wrong), examples), bool)
    for seed, each in enumerate(wrong):
        right[seed, list(each)] = False
    return Judged.of(right)


A = judged({19}, {18}, {19})
B = judged({18, 19}, {19}, {17, 18, 19})
R = judged({16, 17, 18, 19}, {15, 16, 17, 18, 19}, {15, 17, 18, 19})


@pytest.mark.parametrize(
    ("found", "estimate", "variance", "df", "all_seeds"),
    [
        (gain(A, R, [A, B]), 0.166667, 0.00497076, 120.0831, 0.00385965),
        (gain(B, R, [A, B]), 0.116667, 0.00336257, 35.1690, 0.00250000),
        (contrast([(1.0, A), (-1.0, B)], [A, B]), 0.05, 0.00250000, 12.9600, 0.00250000),
    ],
    ids=["A - R", "B - R", "A - B"],
)
def test_exact_contrasts(found, estimate, variance, df, all_seeds):
    assert (found.estimate, found.df) == (pytest.approx(estimate, abs=5e-7), pytest.approx(df, abs=5e-5))
    assert (found.variance, found.variance_all_seeds) == pytest.approx((variance, all_seeds), abs=5e-9)


def test_exact_statements():
    assert gain(A, R, [A, B]).interval(0.025) == pytest.approx((0.006634, 0.326700), abs=5e-7)
    assert gain(B, R, [A, B]).interval(0.025) == pytest.approx((-0.019110, 0.252443), abs=5e-7)
    assert [gain(each, R, [A, B]).verdict(0.025) for each in (A, B)] == ["ahead", "not told apart"]
    assert contrast([(1.0, R), (-1.0, A)], [A, B, R]).verdict() == "behind"
    all_ = together([A, B], R)
    assert all_.estimate == pytest.approx(0.141667, abs=5e-7)
    assert all_.interval() == pytest.approx((0.017766, 0.265568), abs=5e-7)
    assert may_be_best([A, B]) == [0, 1] and best([B, A]) == 1
    assert cost([A, B], 0) == pytest.approx(0.038568, abs=5e-7)


def test_few_seeds_say_nothing():
    one = judged({1}), judged({2}), judged({3})
    pair = judged({1}, {2})
    for finalists, reference in ((one[:2], one[2]), ([pair], pair)):
        assert gain(finalists[0], reference, finalists) is None and together(finalists, reference) is None
    assert may_be_best(one) is None and cost(one, 0) is None
    assert may_be_best(one[:1]) == [0] and cost(one[:1], 0) == 0  # there is nothing to be better than
    assert gain(judged({1}), A, [judged({1})]) is None


def test_equal_seeds_do_not_make_a_claim_narrower_than_one_example():
    same = [judged(set(), set(), set()), judged(set(), set(), set())]
    found = contrast([(1.0, same[0]), (-1.0, same[1])], same)
    assert found.variance == 1 / 20**2 and found.df == float("inf") and found.verdict() == "not told apart"


def test_of_a_mean_over_pairs_one_example_counts_by_its_weight():
    same = [judged(set(), set(), set()) for _ in range(8)]
    found = contrast([((-1) ** n / 4, each) for n, each in enumerate(same)], same)
    assert found.variance == found.variance_all_seeds == pytest.approx((1 / 4 / 20) ** 2)


def test_a_network_of_one_seed_varies_as_the_others_do():
    lone, often = judged({18, 19}), judged({18, 19}, {18, 19}, {18, 19})
    found, whole = gain(lone, R, [A, B, lone]), gain(often, R, [A, B, lone])
    assert found.estimate == whole.estimate and found.half_width() > whole.half_width()


def test_networks_are_judged_on_the_same_examples():
    with pytest.raises(ValueError, match="judged on 10 and 20 examples"):
        gain(A, judged({1}, {2}, {3}, examples=10), [A])
    with pytest.raises(ValueError, match="0 trainings on 20 examples"):
        Judged.of(np.ones((0, 20), bool))


# ------------------------------------------------------------------------------------------- searches of known truth

REFERENCES = (0.96, 0.95, 0.75)


def searches(m: int, n: int, std: float, ahead: float, runs: int) -> np.ndarray:
    """Of each run: whether any gain was falsely claimed; whether all intervals hold; the same of the rule of before.

    64 candidates, each trained once on validation examples, of which the best three are judged on others.
    """
    random, v, found = np.random.default_rng(m + n), seed_share(std), []
    for _ in range(runs):
        chosen_by, judge = Examples(random, m, v), Examples(random, m, v)
        scores = [chosen_by.right(i, BASE + ahead, 1).mean() for i in range(64)]
        top = [int(i) for i in np.argsort(scores)[-3:]]
        finalists = [Judged.of(judge.right(i, BASE + ahead, n)) for i in top]
        references = [Judged.of(judge.right(-1 - i, each, n)) for i, each in enumerate(REFERENCES)]
        reference = references[best(references)]
        gains = [gain(each, reference, finalists) for each in finalists]
        intervals = [each.interval(0.05 / 3) for each in gains if each]
        before = before_this(chosen_by, top, BASE + ahead, n)
        found.append(
            (
                any(low > ahead for low, _ in intervals),
                len(intervals) == 3 and all(low <= ahead <= high for low, high in intervals),
                any(low > ahead for low, _ in before),
            )
        )
    return np.array(found, float).mean(0)


def before_this(examples: Examples, top: Sequence[int], accuracy: float, n: int) -> list[tuple[float, float]]:
    """The intervals of gains by Student's t over seeds, paired, on the examples that chose."""
    theirs = [examples.right(-1 - i, each, n).mean(1) for i, each in enumerate(REFERENCES)]
    rival = max(theirs, key=lambda each: each.mean())
    runs = [examples.right(i, accuracy, n).mean(1) for i in top]
    return [tuple(ttest_rel(each, rival).confidence_interval(0.95)) for each in runs]


@pytest.mark.parametrize(
    ("n", "std", "ahead"),
    [(5, 0.008, 0.0), *(pytest.param(*each, marks=pytest.mark.slow) for each in ((5, 0.008, 0.02), (10, 0.003, 0.0)))],
)
def test_what_is_claimed_of_simulated_searches_holds(n, std, ahead):
    """Within three Monte Carlo errors of 2.5% false claims and 95% coverage; the rule of before falls far short."""
    runs = 400
    false, covered, before = searches(288, n, std, ahead, runs)
    assert false <= 0.025 + 3 * sqrt(0.025 * 0.975 / runs)
    assert covered >= 0.95 - 3 * sqrt(0.05 * 0.95 / runs)
    if not ahead:
        assert before > 0.025 + 3 * sqrt(0.025 * 0.975 / runs)
