"""Rankings: order, gains where finals were judged, fronts, and what is missing where trainings failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, permutations
from math import dist
from random import Random
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from searches import result_of, tiny

from einmix import Architecture
from nas.claims import contrasts
from nas.claims.claims import Claim
from nas.claims.contrasts import Judged
from nas.errors import NasError
from nas.ranking.objectives import Objective, merit, pareto_front, parse_objectives, quality, spread, teaches
from nas.ranking.run_ranking import along_front, of_one_kind
from nas.ranking.standings import Standing, claims_of, rank, search_order, sizes_of
from nas.runs.bits import packed
from nas.runs.job import Score
from nas.runs.result import Result, latest

SPACE = tiny("local", depth=(1, 2))
FLAT, DEEP = (SPACE.references(skeleton) for skeleton in SPACE.skeletons)
FULL, CHANNELS, DEEPER = FLAT["full token mixing"], FLAT["channels only"], DEEP["full token mixing"]
A, B, C, D, E, F = [arch for arch in SPACE.enumerate() if arch not in FLAT.values()][:6]


def finals(architecture: Architecture, *accuracies: float, label: str = "", seed: int = 1) -> list[Result]:
    """A final for every accuracy, over seeds one after the other."""
    return [
        result_of(architecture, accuracy, phase="final", label=label, seed=seed + i)
        for i, accuracy in enumerate(accuracies)
    ]


def ranked(*results: list[Result]) -> list[Standing]:
    return rank([result for some in results for result in some], sizes_of)


def gain_of(architecture: Architecture, *results: list[Result]) -> Claim | None:
    (found,) = (standing.gain for standing in ranked(*results) if standing.id == architecture.id)
    return found


def judged(architecture: Architecture, right: np.ndarray, label: str = "") -> list[Result]:
    """Finals, a seed a row of what was right on the examples that judge; validation is all wrong."""
    made = finals(architecture, *[0.0] * len(right), label=label)
    return [
        replace(each, judge=Score(3, 0.5, float(row.mean())), right=packed(row))
        for each, row in zip(made, right, strict=True)
    ]


def test_finals_are_judged_on_the_examples_that_judge():
    """Figures, order and gains; to the last digit what the contrasts say."""
    random = np.random.default_rng(0)
    shares = {A: 0.9, B: 0.8, FULL: 0.6, CHANNELS: 0.5, DEEPER: 0.99}
    bits = {network: random.random((3, 50)) < share for network, share in shares.items()}
    labels = {FULL: "full token mixing", CHANNELS: "channels only", DEEPER: "full token mixing"}
    lines = [line for network in bits for line in judged(network, bits[network], labels.get(network, ""))]
    Random(0).shuffle(lines)
    standings = rank([*lines, result_of(A, 0.3), result_of(C, 0.99)], sizes_of, judge=50)
    assert [each.id for each in standings] == [each.id for each in (DEEPER, A, B, FULL, CHANNELS, C)]
    assert [each.accuracy for each in standings[:2]] == [pytest.approx(bits[net].mean()) for net in (DEEPER, A)]
    known = {network: Judged.of(each) for network, each in bits.items()}
    for standing, network in zip(standings[1:3], (A, B), strict=True):
        found = contrasts.gain(known[network], known[FULL], [known[A], known[B]])
        assert (standing.gain.low, standing.gain.high) == pytest.approx(found.interval(0.05 / 2))
        assert (standing.gain.against, standing.rival) == ("full token mixing", FULL.id)
    told = claims_of(standings, sizes_of)
    assert (told.judge, told.searched, told.first) == (50, 0.3, A.id)
    with pytest.raises(ValueError, match="not of 58"):
        rank(lines, sizes_of, judge=58)


def test_finals_of_which_no_bits_are_kept_have_no_interval():
    """One without is enough: then nothing is claimed of any."""
    old, new = finals(A, 0.8, 0.9), judged(FULL, np.ones((2, 50), bool), "full token mixing")
    for lines in ([*old, *finals(FULL, 0.6, 0.6, label="full token mixing")], [*old, *new]):
        standings = rank(lines, sizes_of, judge=50)
        (gain,) = [standing.gain for standing in standings if standing.gain]
        assert (gain.verdict, gain.low, gain.high) == ("judged on the images that chose it", None, None)
        assert claims_of(standings, sizes_of) is None
    (standing,) = (each for each in ranked(new) if each.id == FULL.id)
    assert standing.judged is None  # a run that has no such part


def test_a_winner_is_held_against_the_best_reference_of_its_own_sizes():
    references = [
        *finals(FULL, 0.6, 0.6, label="full token mixing"),
        *finals(CHANNELS, 0.7, 0.7, label="channels only"),
        *finals(DEEPER, 0.95, 0.95, label="full token mixing"),
    ]
    gain = gain_of(A, finals(A, 0.8, 0.8), references)
    assert (gain.against, gain.mean) == ("channels only", pytest.approx(0.1))
    assert gain_of(A, finals(A, 0.8, 0.8), references[4:]) is None
    assert [standing.gain for standing in ranked(references)] == [None, None, None]


def test_the_best_reference_is_the_most_accurate_whatever_ranks_first():
    lower_loss, more_accurate = (
        [replace(result, scores=(replace(result.score, loss=loss),)) for result in results]
        for results, loss in (
            (finals(FULL, 0.6, 0.6, label="full token mixing"), 0.3),
            (finals(CHANNELS, 0.7, 0.7, label="channels only"), 0.4),
        )
    )
    standings = rank([*lower_loss, *more_accurate, *finals(A, 0.8, 0.8)], sizes_of, "loss")
    assert [standing.label for standing in standings if standing.label] == ["full token mixing", "channels only"]
    assert [standing.gain.against for standing in standings if standing.gain] == ["channels only"]


def test_finals_come_first_then_those_that_got_furthest():
    standings = ranked(
        [result_of(A, 0.99)],
        [result_of(B, 0.5), *finals(B, 0.6, 0.4)],
        [result_of(C, 0.4), *finals(C, 0.7, 0.5)],
        [result_of(D, 0.7, "pruned"), result_of(E, None, "failed"), result_of(F, 0.98)],
        finals(FULL, 0.55, 0.55, label="full token mixing"),
    )
    assert [standing.id for standing in standings] == [arch.id for arch in (C, FULL, B, A, F, D, E)]
    assert [standing.state for standing in standings] == [*["final"] * 3, "complete", "complete", "pruned", "failed"]
    assert [standing.is_reference for standing in standings] == [False, True, *[False] * 5]


def test_equal_means_are_ordered_by_loss():
    first, second = finals(A, 0.5), finals(B, 0.5)
    first = [replace(first[0], scores=(Score(3, 0.9, 0.5),))]
    assert [standing.id for standing in ranked(first, second)] == [B.id, A.id]
    by_loss = rank([*first, *finals(C, 0.1)], sizes_of, "loss")
    assert [standing.id for standing in by_loss] == [C.id, A.id]


def test_a_standing_tells_means_over_its_finals():
    (standing,) = ranked([result_of(A, 0.9), *finals(A, 0.6, 0.7, 0.8)])
    assert (standing.n, standing.accuracy, standing.std) == (3, pytest.approx(0.7), pytest.approx(0.1))
    assert (standing.loss, standing.seconds, standing.reason) == (0.5, 1.0, "")
    (searched,) = ranked([result_of(A, 0.9)])
    assert (searched.n, searched.accuracy, searched.std, searched.loss) == (1, 0.9, None, 0.5)


def test_what_has_failed_has_no_figures_but_a_reason():
    (standing,) = ranked([result_of(A, 0.3, "failed")])  # it failed after a rung
    assert (standing.n, standing.accuracy, standing.std, standing.loss) == (0, None, None, None)
    assert (standing.state, standing.reason) == ("failed", "ValueError: no luck")


def test_finals_that_failed_do_not_count():
    failed = result_of(A, 0.1, "failed", phase="final", seed=9)
    (standing,) = ranked([result_of(A, 0.9), *finals(A, 0.6, 0.7), failed])
    assert (standing.n, standing.accuracy, standing.state) == (2, pytest.approx(0.65), "final")
    assert standing.reason == "ValueError: no luck"


def failed_finals(architecture: Architecture, *seeds: int, label: str = "") -> list[Result]:
    return [result_of(architecture, None, "failed", phase="final", seed=seed, label=label) for seed in seeds]


def test_who_lacks_seeds_ranks_below_those_that_have_them_all():
    full = finals(FULL, 0.5, 0.5, 0.5, 0.5, 0.5, label="full token mixing")
    survivor = [*finals(A, 0.99), *failed_finals(A, 2, 3, 4, 5)]
    better = [*finals(C, 0.7, 0.7, 0.7, 0.7), *failed_finals(C, 5)]
    lost = finals(D, 0.95, 0.95)  # no failures: whatever became of the others
    standings = ranked(full, survivor, better, lost, finals(B, 0.6, 0.6, 0.6, 0.6, 0.6), [result_of(E, 0.9)])
    assert [standing.id for standing in standings] == [arch.id for arch in (B, FULL, C, D, A, E)]
    assert [standing.lacking for standing in standings] == [(), (), (5,), (3, 4, 5), (2, 3, 4, 5), ()]
    assert [standing.gain is not None for standing in standings] == [True, False, False, True, False, False]


def test_a_reference_that_lacks_seeds_is_no_measure():
    """What failed may be the worst of it: its mean is not what the reference can do."""
    full = [*finals(FULL, 0.9), *failed_finals(FULL, 2, label="full token mixing")]
    full = [replace(result, label="full token mixing") for result in full]
    assert gain_of(A, finals(A, 0.8, 0.8), full) is None
    gain = gain_of(A, finals(A, 0.8, 0.8), full, finals(CHANNELS, 0.7, 0.7, label="channels only"))
    assert (gain.against, gain.mean) == ("channels only", pytest.approx(0.1))


def test_a_later_line_of_a_training_counts():
    failed, again = failed_finals(A, 2), finals(A, 0.7, seed=2)
    (standing,) = ranked(failed, finals(A, 0.6), again)
    assert (standing.n, standing.failures, standing.lacking, standing.accuracy) == (2, (), (), pytest.approx(0.65))
    assert latest([*failed, *again, *failed]) == failed
    other = [replace(result, phase="train") for result in failed]
    assert latest([*failed, *other, *again]) == [*other, *again]  # another phase is another training


def test_a_reference_whose_finals_all_failed_is_shown_as_failed():
    failed = result_of(FULL, None, "failed", phase="final", seed=1, label="full token mixing")
    standings = ranked(finals(A, 0.6), [failed])
    assert [(standing.id, standing.state) for standing in standings] == [(A.id, "final"), (FULL.id, "failed")]
    assert standings[0].gain is None
    assert standings[1].is_reference


def test_a_candidate_whose_finals_all_failed_stands_by_its_search():
    failed = result_of(A, None, "failed", phase="final", seed=1)
    (standing,) = ranked([result_of(A, 0.8), failed])
    assert (standing.state, standing.accuracy, standing.reason) == ("complete", 0.8, "ValueError: no luck")


def test_a_reference_that_was_also_tried_is_one_reference():
    standings = ranked([result_of(FULL, 0.9), *finals(FULL, 0.6, label="full token mixing")])
    assert [(standing.is_reference, standing.search is not None) for standing in standings] == [(True, True)]


@pytest.mark.parametrize("names", [("accuracy", "params"), ("loss", "macs"), ("params", "accuracy", "seconds")])
def test_the_front_is_what_no_other_dominates(names):
    chance = Random(str(names))
    objectives = parse_objectives(",".join(names))
    archs = list(tiny("roles", width=(4,)).enumerate())

    def figures_of(standing: Standing, results: Sequence[Result]) -> list[float]:
        """The larger the better, by hand."""
        scores = [result.scores[-1] for result in results]
        every = {
            "accuracy": fmean(score.accuracy for score in scores),
            "loss": -fmean(score.loss for score in scores),
            "params": -standing.architecture.params,
            "macs": -standing.architecture.macs,
            "seconds": -1.0,
        }
        return [every[name] for name in names]

    for _ in range(5):
        drawn = chance.sample(archs, 12)
        results = [result_of(each, chance.random(), loss=chance.random()) for each in drawn[:-1]]
        results.append(result_of(drawn[-1], None, "failed"))
        for seed in (1, 2):
            for place, each in enumerate(drawn[:5]):
                label = "full token mixing" if place == 4 else ""
                value, loss = chance.random(), chance.random()
                results.append(result_of(each, value, loss=loss, phase="final", seed=seed, label=label))
        before = rank(results, sizes_of)
        after = along_front(before, objectives)
        assert {standing.id for standing in after} == {standing.id for standing in before}
        finals = {s.id: figures_of(s, s.finals) for s in before if s.finals}
        searched = {s.id: figures_of(s, [s.search]) for s in before if s.search and s.search.state == "complete"}
        for standing in after:
            among = finals if standing.finals else searched
            mine = among.get(standing.id)
            beaten = mine is None or any(
                all(a >= b for a, b in zip(other, mine, strict=True)) and other != mine for other in among.values()
            )
            assert standing.on_front == (not beaten)
        assert 0 < sum(bool(s.on_front) for s in after) < len(after)
        groups = [(bool(s.finals), s.on_front) for s in after]
        assert groups == sorted(groups, reverse=True)
        for group in set(groups):  # within a group the order is as before
            inside = [s.id for s in after if (bool(s.finals), s.on_front) == group]
            assert inside == [s.id for s in before if s.id in inside]


def test_one_objective_has_no_front():
    standings = rank([result_of(A, 0.9), *finals(A, 0.6)], sizes_of)
    assert along_front(standings, parse_objectives("accuracy")) == standings
    assert standings[0].on_front is None


def test_who_lacks_seeds_is_on_no_front():
    worst, whole = result_of(A, 0.9), [result_of(A, 0.1, phase="final", seed=seed) for seed in (1, 2)]
    lucky = result_of(B, 0.99, phase="final", seed=1)
    (first, second) = along_front(rank([worst, *whole, lucky], sizes_of), parse_objectives("accuracy,seconds"))
    assert (first.id, first.on_front, second.id, second.on_front) == (A.id, True, B.id, False)


def test_longer_trainings_are_not_ranked():
    assert ranked([result_of(A, 0.99, phase="train", epochs=9)]) == []
    (standing,) = ranked([result_of(A, 0.5), result_of(A, 0.99, phase="train", epochs=9)])
    assert standing.accuracy == 0.5


def test_complete_without_a_score_is_no_reason_to_fail():
    """Nothing that this program writes, but a line that it accepts."""
    standings = ranked([result_of(A, None), *finals(B, 0.5)], [result_of(C, None, phase="final")])
    assert {standing.id: standing.accuracy for standing in standings} == {A.id: None, B.id: 0.5, C.id: None}


def test_networks_of_any_form_have_sizes():
    odd = [
        {"inputs": {"h": 4, "c": 1}, "stages": [{"embed": "h=s4 c=m1:2", "blocks": blocks}], "classes": 2}
        for blocks in ([], [[]], [[[]]], [[["mix h=m4 c=s2"]]])
    ]
    none, *one = (sizes_of(Architecture.from_json(value)) for value in odd)
    assert none != one[0] and len(set(one)) == 1, "the number of blocks is a size, what stands in them is not"


def test_the_order_of_the_search():
    order = [result_of(A, 0.5), result_of(A, 0.4), result_of(A, 0.9, "pruned"), result_of(A, 0.9, "failed")]
    for shuffled in permutations(order):
        assert sorted(shuffled, key=search_order) == order
    better_loss, better_accuracy = result_of(A, 0.4, loss=0.1), result_of(A, 0.5, loss=0.2)
    assert search_order(better_accuracy) < search_order(better_loss)
    assert search_order(better_loss, "loss") < search_order(better_accuracy, "loss")


BY_MACS = {arch.macs: arch for arch in SPACE.enumerate()}
MACS = sorted(BY_MACS)
points = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12)


@given(points)
def test_the_front_is_what_no_other_result_beats(figures):
    found = [result_of(BY_MACS[MACS[m]], accuracy / 4) for accuracy, m in figures]
    front = pareto_front(found, parse_objectives("accuracy,macs"))
    expected = [
        (accuracy, m)
        for accuracy, m in figures
        if not any((a >= accuracy and n <= m) and (a, n) != (accuracy, m) for a, n in figures)
    ]
    assert [(int(result.score.accuracy * 4), MACS.index(result.macs)) for result in front] == expected


@pytest.mark.parametrize(
    ("top", "expected"), [(1, [0]), (2, [0, 8]), (3, [0, 8, 4]), (4, [0, 8, 4, 2]), (5, [0, 8, 4, 2, 6])]
)
def test_a_front_is_taken_from_its_ends_and_then_from_between(top, expected):
    """The second one is hardly less accurate than the first: who takes the most accurate sees one end only."""
    front = [result_of(BY_MACS[m], 0.9 - 0.001 * i**3) for i, m in enumerate(reversed(MACS[:9]))]
    assert [front.index(each) for each in spread(front, parse_objectives("accuracy,macs"))[:top]] == expected
    assert spread(front, parse_objectives("macs,accuracy"))[:top] == [front[i] for i in expected]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, len(MACS) - 1), st.integers(0, 9)), max_size=12))
def test_every_beginning_of_a_spread_front_holds_its_ends_and_covers_the_rest(figures):
    objectives = parse_objectives("loss,macs,accuracy")
    found = [result_of(BY_MACS[MACS[m]], a / 10, loss=1 + loss) for loss, m, a in figures]
    front = pareto_front(found, objectives)
    order = spread(front, objectives)
    assert sorted(map(id, order)) == sorted(map(id, front))
    best = [min(r.score.loss for r in front), min(r.macs for r in front)] if front else []
    assert [r.score.loss for r in order[:1]] == best[:1]
    assert not front or best[1] in {r.macs for r in order[:2]}

    def place(result: Result) -> list[float]:
        columns = [[o.of(r, r.score) for r in front] for o in objectives]
        ranks = [sorted(set(column)) for column in columns]
        return [
            rank.index(o.of(result, result.score)) / max(1, len(rank) - 1)
            for o, rank in zip(objectives, ranks, strict=True)
        ]

    reach = [min(dist(place(a), place(b)) for b in order[:i]) for i, a in enumerate(order) if i >= len(objectives)]
    assert all(later < earlier + 1e-9 for earlier, later in pairwise(reach))  # each is the farthest that was left


def test_failures_are_on_no_front():
    found = [result_of(A, None, "failed"), result_of(B, 0.5)]
    assert pareto_front(found, parse_objectives("accuracy,loss")) == found[1:]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("acuracy", "no objective 'acuracy': did you mean 'accuracy'"),
        ("accuracy,", "no objective '': known: accuracy, latency, loss, macs, params, seconds"),
        ("loss,loss", "objective 'loss,loss' names one figure twice"),
    ],
)
def test_objectives_that_are_none_are_told(text, message):
    with pytest.raises(NasError, match=message):
        parse_objectives(text)


def test_objectives_know_their_direction_and_figure():
    objectives = parse_objectives("macs, loss,accuracy,params,seconds")
    directions = {objective.name: objective.direction for objective in objectives}
    assert directions == dict.fromkeys(("macs", "loss", "params", "seconds"), "minimize") | {"accuracy": "maximize"}
    result = result_of(A, 0.75, loss=0.25)
    figures = {objective.name: objective.of(result, result.score) for objective in objectives}
    assert figures == {"macs": A.macs, "loss": 0.25, "accuracy": 0.75, "params": A.params, "seconds": 1.0}
    assert quality(objectives) == "loss"
    assert merit(Score(1, 0.25, 0.75), "loss") == (-0.25, 0.75)
    assert quality([Objective("macs"), Objective("accuracy")]) == "accuracy"


def test_a_latency_is_a_figure_where_it_was_measured():
    """A line may come from elsewhere: what is no number of milliseconds is none, and on no front."""
    objectives = parse_objectives("accuracy,latency")
    slow, fast = (replace(result_of(A, 0.7), extra={"latency_ms": ms}) for ms in (2.5, 1))
    strange = [replace(result_of(B, 0.9), extra={"latency_ms": ms}) for ms in (None, "fast", True, -1.0, 0, [1])]
    assert objectives[1].direction == "minimize"
    assert (slow.latency, fast.latency) == (2.5, 1.0)
    assert [result.latency for result in strange] == [None] * 6
    assert pareto_front([*strange, slow, result_of(C, 0.9), fast], objectives) == [fast]
    assert not teaches(strange[0], objectives) and teaches(fast, objectives)


def test_finals_of_one_device_and_precision_make_a_ranking():
    def on(device: str, precision: str, *found: Result) -> list[Result]:
        return [replace(result, extra={"device": device, "precision": precision}) for result in found]

    searched = on("mps", "float32", result_of(A, 0.1), result_of(B, 0.2))
    old = [*searched, *on("cpu", "float32", *finals(A, 0.5, 0.6, 0.7), *finals(B, 0.4, 0.5, 0.6))]
    new = on("cuda", "bfloat16", *finals(B, 0.9, 0.9, 0.9), *finals(A, 0.8, 0.8))
    last = on("cuda", "bfloat16", *finals(A, 0.8, seed=3))

    def means(results: list[Result]) -> dict[str, tuple[float, int]]:
        kept = of_one_kind(results, lambda result: (result.extra["device"], result.extra["precision"]))
        assert kept[:2] == searched
        return {s.id: (round(s.accuracy, 3), s.n) for s in rank(kept, sizes_of)}

    assert means(old) == means([*old, *new]) == {A.id: (0.6, 3), B.id: (0.5, 3)}
    assert means([*old, *new, *last]) == {A.id: (0.8, 3), B.id: (0.9, 3)}  # as many, and later


def test_the_mean_is_over_all_finals_whatever_their_seeds():
    standings = ranked(finals(A, 0.5, 0.7, 0.9), finals(FULL, 0.4, label="full token mixing"))
    assert standings[0].accuracy == pytest.approx(fmean((0.5, 0.7, 0.9)))
    assert standings[0].gain.mean == pytest.approx(0.3)


@pytest.mark.parametrize(("by", "order"), [("accuracy", [0, 1, 2]), ("loss", [1, 2, 0])])
@pytest.mark.parametrize("phase", ["search", "final"])
def test_the_ranking_is_by_the_figure_that_was_searched_for(phase, by, order):
    archs = list(SPACE.enumerate())[5:8]
    figures = [(0.9, 0.3), (0.8, 0.1), (0.7, 0.2)]
    lines = [result_of(arch, value, loss=loss) for arch, (value, loss) in zip(archs, figures, strict=True)]
    if phase == "final":
        lines += [replace(line, phase="final", seed=1) for line in lines]
    for found in (lines, lines[::-1]):
        standings = rank(found, sizes_of, by)
        assert [standing.id for standing in standings] == [archs[place].id for place in order]
