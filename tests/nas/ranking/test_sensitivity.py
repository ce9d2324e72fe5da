"""Leads at other learning rates: what takes one away, how it is marked, and which rate suits the finalists better."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from searches import result_of, tiny

from einmix import Architecture
from nas.cli.tables import footnotes
from nas.ranking.sensitivity import Sensitivity, better_rate
from nas.ranking.standings import Standing, rank, sizes_of
from nas.ranking.words import gain, gain_verdict, rate_notes
from nas.runs.job import Score
from nas.runs.result import Result

SPACE = tiny("local", depth=(1,))
REFERENCES = SPACE.references(SPACE.middle)
FULL, CHANNELS = REFERENCES["full token mixing"], REFERENCES["channels only"]
A, B = [arch for arch in SPACE.enumerate() if arch not in REFERENCES.values()][:2]
RATES = 0.0033, 0.01, 0.03

Accuracies = tuple[float | None, float, float | None]


def trained(network: Architecture, found: Accuracies, label: str = "", loss: float = 0.5) -> list[Result]:
    """Two finals of the middle accuracy, and a training of the first one's seed at each of the others; None failed."""
    finals = [result_of(network, found[1], phase="final", seed=seed, label=label) for seed in (1, 2)]
    others = [
        result_of(
            network, value, "complete" if value else "failed", phase="tune", seed=1, lr=lr, label=label, loss=loss
        )
        for lr, value in ((RATES[0], found[0]), (RATES[2], found[2]))
    ]
    return finals + others


def standing(mine: Accuracies, theirs: Accuracies, loss: float = 0.5) -> Standing:
    results = trained(A, mine, loss=loss) + trained(FULL, theirs, "full token mixing")
    return next(each for each in rank(results, sizes_of) if each.id == A.id)


CASES = [
    # mine and theirs at a third, at the search's rate and at three times; where it is lost, also at each one's best
    ((0.8, 0.9, 0.8), (0.7, 0.8, 0.7), (), False),
    ((0.7, 0.9, 0.8), (0.7, 0.8, 0.7), (0.0033,), False),  # as good is enough
    ((0.8, 0.9, 0.8), (0.7, 0.8, 0.95), (0.03,), True),
    ((0.97, 0.9, 0.96), (0.7, 0.8, 0.96), (0.03,), False),
    ((None, 0.9, 0.8), (0.2, 0.8, 0.7), (0.0033,), False),  # what fails is worse than all
    ((None, 0.9, None), (None, 0.8, None), (), False),
    ((0.8, 0.9, 0.8), (None, 0.8, None), (), False),
]


@pytest.mark.parametrize(("mine", "theirs", "taken", "at_best"), CASES)
def test_a_lead_is_taken_away_where_the_reference_is_as_good(mine, theirs, taken, at_best):
    found = standing(mine, theirs)
    assert list(found.sensitivity.lost) == [*taken, *[None] * at_best]
    assert found.is_fragile == bool(taken or at_best) == gain(found).endswith(" !")
    assert gain_verdict(found).endswith(", which another learning rate takes away") == found.is_fragile
    row = found.row(1)["sensitivity"]
    assert row["accuracy"] == dict(zip(["0.0033", "0.01", "0.03"], mine, strict=True))
    assert (row["lr"], row["taken_at"], row["taken_at_best"]) == (0.01, list(taken), at_best)


def test_what_is_said_below_the_table():
    (lost, *_) = notes = rate_notes([standing((None, 0.9, 0.8), (0.2, 0.8, 0.95))])
    assert lost == (
        f"gain !: another learning rate takes this lead away (one seed): {A.id} at 0.0033 (failed, full token mixing "
        "20.0%) and at 0.03 (80.0%, full token mixing 95.0%) and each at its best rate (90.0%, full token mixing 95.0%)"
    )
    assert set(notes) <= set(footnotes([standing((None, 0.9, 0.8), (0.2, 0.8, 0.95))]))
    kept = standing((0.8, 0.9, 0.8), (0.7, 0.8, 0.7))
    assert rate_notes([kept]) == [
        "no lead is lost at the learning rates next to the search's, 0.0033 and 0.03 (one seed)"
    ]
    better = standing((0.8, 0.9, 0.8), (0.7, 0.8, 0.7), loss=0.25)
    assert rate_notes([better])[1] == (
        "at a learning rate of 0.0033 the finalists are better (mean validation loss 0.250, not 0.500, one seed): "
        "another search with --lr 0.0033"
    )
    assert rate_notes([standing((0.6, 0.7, 0.6), (0.5, 0.8, 0.5))]) == [], "no lead, nothing to lose"


def test_without_other_rates_there_is_nothing_to_say():
    finals = [result for result in trained(A, (0.8, 0.9, 0.8)) if result.phase == "final"]
    theirs = trained(FULL, (0.7, 0.8, 0.7), "full token mixing")
    for results in (
        finals + theirs,
        trained(A, (0.8, 0.9, 0.8)) + theirs[:2],
        trained(A, (0.8, 0.9, 0.8)) + theirs[:3],
    ):
        (found,) = (each for each in rank(results, sizes_of) if each.id == A.id)
        assert found.sensitivity is None and not found.is_fragile and rate_notes([found]) == []
        assert "sensitivity" not in found.row(1)


def test_it_is_the_reference_that_the_gain_is_over():
    results = trained(A, (0.8, 0.9, 0.8)) + trained(FULL, (0.7, 0.8, 0.7), "full token mixing")
    results += trained(CHANNELS, (0.99, 0.5, 0.99), "channels only")
    (found,) = (each for each in rank(results, sizes_of) if each.id == A.id)
    assert found.rival == FULL.id and not found.is_fragile


def test_trainings_at_other_rates_are_in_no_mean_and_make_no_rank():
    results = trained(A, (0.1, 0.9, 0.2)) + trained(FULL, (0.7, 0.8, 0.7), "full token mixing")
    sweep = [result_of(B, 0.99, phase="tune", seed=1000, lr=0.01), result_of(A, 0.99, phase="tune", seed=1000, lr=0.03)]
    found = rank(results + sweep, sizes_of)
    assert [(each.id, each.n, each.accuracy) for each in found] == [(A.id, 2, 0.9), (FULL.id, 2, 0.8)]
    assert found[0].sensitivity.mine[0.03].accuracy == 0.2


scores = st.one_of(st.none(), st.builds(Score, st.just(3), st.floats(0.01, 3), st.sampled_from([0.1, 0.5, 0.9])))


@given(st.lists(st.tuples(scores, st.builds(Score, st.just(3), st.floats(0.01, 3), st.just(0.5)), scores), min_size=1))
def test_the_better_rate_is_that_of_the_least_mean_loss_if_all_got_there(found):
    each = [Sensitivity(0.01, dict(zip(RATES, mine, strict=True)), {}) for mine in found]
    columns = [[score.loss if score else None for score in column] for column in zip(*found, strict=True)]
    means = {lr: sum(c) / len(c) for lr, c in zip(RATES, columns, strict=True) if None not in c}
    best = better_rate(each)
    if best is None:
        assert min(means.values()) >= means[0.01] - 1e-9
    else:
        lr, there, here = best
        assert (there, here) == pytest.approx((means[lr], means[0.01])) and there == pytest.approx(min(means.values()))
