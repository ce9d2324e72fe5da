"""Fronts, ranks, curves and shares of parameters, against brute force and counted by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_runs import EPOCHS, RUNG, facts_of
from searches import result_of, tiny

from nas.report.figures.facts import entropy
from nas.report.figures.series import (
    Point,
    best_so_far,
    choices,
    costs,
    curves,
    families,
    front,
    parameters,
    ranks,
    ranks_at,
)
from nas.runs.job import Score

POINTS = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), max_size=12)


@given(POINTS)
def test_the_front_is_what_nothing_dominates(pairs):
    points = [Point(str(at), "", "complete", cost, share / 5) for at, (cost, share) in enumerate(pairs)]
    found = front(points)
    undominated = {
        (mine.cost, mine.accuracy)
        for mine in points
        if not any(
            other.cost <= mine.cost
            and other.accuracy >= mine.accuracy
            and (other.cost, other.accuracy) != (mine.cost, mine.accuracy)
            for other in points
        )
    }
    assert {(point.cost, point.accuracy) for point in found} == undominated
    assert [point.cost for point in found] == sorted({cost for cost, _ in undominated})


@given(
    st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=9), st.sampled_from(["loss", "accuracy"])
)
def test_ranks_count_those_that_are_better_among_those_that_are_there(rows, by):
    first = result_of(tiny().references(tiny().middle)["channels only"], 0.5)
    results = []
    for at, (merit, ended) in enumerate(rows):
        early = Score(1, 10 - merit, merit / 10)
        late = Score(3, 20 - merit, merit / 20)
        made = dict(vars(first)) | {"id": f"n{at}", "scores": (early, late) if ended else (early,), "number": at}
        results.append(type(first)(**made))
    found = ranks_at(results, [1, 3], by, {})
    assert found.counts == (len(rows), sum(ended for _, ended in rows))
    for at, (merit, ended) in enumerate(rows):
        better = sum(other > merit or (other == merit and number < at) for number, (other, _) in enumerate(rows))
        there = [(number, other) for number, (other, is_there) in enumerate(rows) if is_there]
        later = sum(other > merit or (other == merit and number < at) for number, other in there)
        assert found.lines[f"n{at}"] == (better + 1, later + 1 if ended else None)


def test_a_run_as_numbers(tmp_path):
    run = facts_of(tmp_path, candidates=30, timed=True)
    assert run.counts == {"complete": 8, "pruned": 18, "failed": 4}
    assert run.tried == 30 and run.trials == 30
    assert len(run.failures) == 4 and run.failures[0].where == "search" and run.failures[0].epoch == 1
    assert [(reason, len(found)) for reason, found in run.causes] == [("ValueError: no luck", 4)]
    drawn = curves(run)
    assert len(drawn) == len(run.networks) - 4
    assert {len(curve.losses) for curve in drawn} == {RUNG, EPOCHS}
    by_name = {each.name: each for each in costs(run)}
    assert list(by_name) == ["parameters", "multiply-accumulates", "latency, ms"]
    assert len(by_name["parameters"].points) == len(run.networks) - 4
    finals = [point for point in by_name["parameters"].points if point.kind == "final"]
    assert len(finals) == 3 and all(point.judged is not None and point.accuracy is not None for point in finals)
    places = ranks(run)
    assert places and places.epochs == (RUNG, EPOCHS) and places.counts == (26, 8)
    assert sorted(places.ends.values()) == [1, 2, 3]
    assert sorted(line[0] for line in places.lines.values()) == list(range(1, 27))
    told = choices(run)
    assert (told.epoch, told.n) == (RUNG, 26) and told.found[0].alone >= told.found[-1].alone
    epoch, levels = families(run)
    assert epoch == RUNG and {id for level in levels for id in level.ids} == {each.id for each in run.audit.searched}
    best = best_so_far(run)
    assert len(best) == 8 and best == sorted(best)


def test_a_run_without_anything_has_no_figures(tmp_path):
    run = facts_of(tmp_path, candidates=0, finals=0)
    assert (curves(run), costs(run), ranks(run), choices(run).found, families(run), best_so_far(run)) == (
        [],
        [],
        None,
        (),
        (0, ()),
        [],
    )
    assert run.leader is None and run.causes == []


def test_latencies_of_some_are_shown_for_these_alone(tmp_path):
    assert [each.name for each in costs(facts_of(tmp_path))] == ["parameters", "multiply-accumulates"]
    run = facts_of(tmp_path, "seconds", settings={"objective": "accuracy,seconds"})
    assert [each.name for each in costs(run)][-1] == "seconds of a training"


def test_shares_of_parameters_are_all_of_them(tmp_path):
    network = facts_of(tmp_path).networks[0].standing.architecture
    found = parameters(network)
    assert sum(share.params for share in found) == network.params
    mixing = sum(mixer.params for mixer in network.mixers if mixer.mixed - {"c"})
    assert sum(share.params for share in found if share.mixes) == mixing


@pytest.mark.parametrize(("smoothing", "classes"), [(0.1, 10), (0.2, 2)])
def test_no_loss_is_less_than_the_floor(smoothing, classes):
    import torch

    target = torch.full((classes,), smoothing / classes)
    target[0] += 1 - smoothing
    assert entropy(smoothing, classes) == pytest.approx(-(target * target.log()).sum().item(), abs=1e-6)
