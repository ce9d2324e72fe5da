"""Learning rates: which are tried, which is taken, and that a search stopped anywhere goes on with the same one."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from math import exp, inf, isfinite, log
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from searches import Noting, notes, plan, result_of, tiny

from einmix import Architecture
from nas.errors import NasError
from nas.executors.executor import Done, Event, Executor, OnRung, Ready, Unfinished
from nas.executors.processes import LocalWorkers
from nas.executors.serial import Serial
from nas.loop.loop import Loop
from nas.loop.past import make_job
from nas.loop.rates import (
    FACTOR,
    FIRST,
    MOST,
    around,
    best_rates,
    find_rate,
    found_rate,
    losses_of,
    next_rate,
    sweep,
    swept_networks,
)
from nas.loop.status import Quiet
from nas.ranking.run_ranking import standings_of
from nas.ranking.standings import Standing
from nas.runs.folder import RunFolder
from nas.runs.job import GoOn, Job, Key, Outcome, Score
from nas.runs.result import Result
from nas.strategies.random_search import RandomSearch
from search_spaces import Budget, load

SPACE = tiny(depth=(1, 2))
ONE, OTHER, *_ = SPACE.enumerate()

steps = st.integers(-8, 8)  # of a factor each, from 0.015
curves = st.one_of(
    st.builds(
        lambda best, wide: {k: wide * (k - best) ** 2 for k in range(-8, 9)}, st.floats(-8, 8), st.floats(0.1, 9)
    ),
    st.builds(lambda up: {k: float(k if up else -k) for k in range(-8, 9)}, st.booleans()),
    st.builds(lambda seed: {k: Random(f"{seed} {k}").gauss(0, 1) for k in range(-8, 9)}, st.integers()),
    st.builds(lambda seed: {k: Random(f"{seed} {k}").choice([0.0, 1.0, inf]) for k in range(-8, 9)}, st.integers()),
    st.just(dict.fromkeys(range(-8, 9), 0.5)),
    st.just(dict.fromkeys(range(-8, 9), inf)),
)


def swept(curve: dict[int, float]) -> dict[float, float]:
    """What `next_rate` tries of a curve of losses by step, beginning as a search does."""
    losses = dict(zip(FIRST, (curve[0], curve[1]), strict=True))
    while (lr := next_rate(losses)) is not None:
        assert lr not in losses
        losses[lr] = curve[round(log(lr / FIRST[0], FACTOR))]
    return losses


@given(curves)
def test_rates_go_on_until_the_best_has_one_that_is_no_better_on_both_sides(curve):
    """As a window of steps that grows on the side of its best, and down while all has failed."""
    low, high = 0, 1
    while high - low + 1 < MOST:
        best = min(range(low, high + 1), key=lambda k: (curve[k], k))
        if isfinite(curve[best]) and low < best < high:
            break
        low, high = (low, high + 1) if best == high and isfinite(curve[best]) else (low - 1, high)
    tried = sorted(swept(curve))
    assert [round(log(lr / FIRST[0], FACTOR)) for lr in tried] == list(range(low, high + 1))
    assert all(2.8 < after / before < 3.2 for before, after in pairwise(tried))


@given(curves)
def test_the_rate_is_the_least_point_of_the_parabola_through_the_best_and_its_neighbours(curve):
    losses = swept(curve)
    rates, found = sorted(losses), found_rate(losses)
    finite = [lr for lr in rates if isfinite(losses[lr])]
    assert (found is None) == (not finite)
    if found is None:
        return
    best = min(finite, key=losses.__getitem__)
    assert best_rates(losses)[0] == best
    at = rates.index(best)
    near = rates[max(at - 1, 0) : at + 2]
    if len(near) < 3 or not all(isfinite(losses[lr]) for lr in near):
        assert found == best
        return
    square, slope, _ = np.polyfit(np.log(near) - log(best), [losses[lr] for lr in near], 2)
    vertex = best * exp(-slope / (2 * square)) if square > 1e-12 else best
    low, high = (best * near[0]) ** 0.5, (best * near[2]) ** 0.5
    assert found == pytest.approx(min(max(vertex, low), high), rel=0.06)
    assert found == float(f"{found:.2g}")


TIES = [
    ({0.015: 1.0, 0.045: 1.0}, 0.005, 0.015),  # the lesser, which has nothing below
    ({0.005: 1.0, 0.015: 1.0, 0.045: 1.0}, 0.0017, 0.005),
    ({0.005: 2.0, 0.015: 1.0, 0.045: 1.0}, None, 0.026),  # half way
    ({0.005: 2.0, 0.015: 1.0, 0.045: 2.0}, None, 0.015),
    ({0.005: 2.0, 0.015: 1.0, 0.045: inf}, None, 0.015),  # no figure, no parabola
    ({0.015: inf, 0.045: inf}, 0.005, None),
    ({0.015: inf, 0.045: 1.0}, 0.14, 0.045),
    ({0.02: 1.0}, 0.06, 0.02),
    ({}, None, None),
]


@pytest.mark.parametrize(("losses", "further", "found"), TIES)
def test_of_equals_the_least_is_the_best_and_what_failed_is_worse_than_all(losses, further, found):
    assert next_rate(losses) == further
    if losses:
        assert found_rate(losses) == found


def tried(network: Architecture, lr: float, loss: float | None, reason: str = "FloatingPointError: nan") -> Result:
    """What came of a rate; None for a training that failed."""
    if loss is not None:
        return result_of(network, 0.5, loss=loss, lr=lr, phase="tune", seed=1000)
    return replace(result_of(network, None, "failed", lr=lr, phase="tune", seed=1000), reason=reason)


def test_networks_count_by_what_a_rate_makes_of_their_loss_not_by_how_large_it_is():
    large = [tried(OTHER, lr, loss) for lr, loss in ((0.005, 1.6), (0.015, 1.4), (0.045, 1.5))]
    small = [tried(ONE, lr, loss) for lr, loss in ((0.005, 1.2), (0.015, 0.9), (0.045, 0.8))]
    losses = losses_of(large + small)
    assert losses[0.045] == pytest.approx((log(1.5) + log(0.8)) / 2)
    assert best_rates(losses) == [0.045, 0.015, 0.005]
    assert best_rates(losses_of(large)) == [0.015, 0.045, 0.005]
    assert losses_of([tried(ONE, 0.01, 0.0)])[0.01] < -10


@pytest.mark.parametrize(("loss", "best"), [(0.35, [0.005, 0.015, 0.045]), (0.45, [0.045, 0.015, 0.005])])
def test_who_can_hardly_learn_beside_another_says_nothing_of_rates(loss, best):
    poor = [tried(OTHER, lr, times * loss) for lr, times in ((0.005, 1), (0.015, 4), (0.045, 8))]
    good = [tried(ONE, lr, each) for lr, each in ((0.005, 0.3), (0.015, 0.25), (0.045, 0.2))]
    assert best_rates(losses_of(poor + good)) == best
    diverging = [tried(OTHER, 0.045, None), tried(OTHER, 0.015, None), tried(OTHER, 0.005, None)]
    assert not best_rates(losses_of(diverging + good)), "where it diverges that counts"


FAILED = [
    ([(ONE, 0.2), (OTHER, None)], "FloatingPointError: nan", inf),  # diverged
    ([(ONE, 0.2), (OTHER, None)], "out of memory (MemoryError)", log(0.2)),  # whatever the rate
    ([(ONE, None), (OTHER, None)], "out of memory (MemoryError)", inf),
]


@pytest.mark.parametrize(("ended", "reason", "loss"), FAILED)
def test_who_always_fails_of_something_else_says_nothing_of_rates(ended, reason, loss):
    assert losses_of(tried(network, 0.01, each, reason) for network, each in ended) == {0.01: pytest.approx(loss)}


def test_a_failure_beside_a_success_is_the_rates():
    found = losses_of([tried(ONE, 0.01, 0.5), tried(ONE, 0.03, None, "out of memory (MemoryError)")])
    assert found == {0.01: pytest.approx(log(0.5)), 0.03: inf}


def test_groups_are_swept_side_by_side_each_as_far_as_it_needs():
    best, asked = {ONE.id: 0.4, OTHER.id: 0.005}, []

    def train(jobs: list[tuple[Job, Architecture]]) -> dict[Key, Result]:
        asked.append([(job.label, job.lr) for job, _ in jobs])
        return {job.key: tried(each, job.lr, exp(log(job.lr / best[each.id]) ** 2)) for job, each in jobs}

    def job(network: Architecture, lr: float) -> Job:
        return make_job(network, lr, 1000, 3, "tune")

    groups = {"a": {"a": ONE}, "b": {"b": OTHER}}
    found = sweep(groups, dict.fromkeys(groups, FIRST), train, job=job)
    assert {name: sorted(each.lr for each in results) for name, results in found.items()} == {
        "a": [0.015, 0.045, 0.14, 0.42, 1.3],
        "b": [0.0017, 0.005, 0.015, 0.045],
    }
    assert asked[0] == [("a", 0.015), ("b", 0.015), ("a", 0.045), ("b", 0.045)]
    assert len({each for some in asked for each in some}) == sum(map(len, asked)) == 9
    found = sweep(groups, {"a": (0.02,), "b": ()}, train, job=job, widen=False)
    assert {name: [each.lr for each in results] for name, results in found.items()} == {"a": [0.02], "b": []}


@pytest.mark.parametrize("networks", [{"a": ONE}, {"a": ONE, "b": OTHER}])
def test_what_is_lost_again_and_again_ends_a_sweep(networks):
    def train(jobs: list[tuple[Job, Architecture]]) -> dict[Key, Result]:
        return {job.key: tried(each, job.lr, 1 / job.lr) for job, each in jobs if job.lr < 0.1}

    say: list[str] = []
    job = partial(make_job, seed=1000, epochs=3, phase="tune")
    assert find_rate(networks, FIRST, train, job=job, say=say.append) is None
    assert not say


def test_who_had_a_say_in_the_rate_is_named():
    say: list[str] = []

    def train(jobs: list[tuple[Job, Architecture]]) -> dict[Key, Result]:
        return {job.key: tried(a, job.lr, abs(log(job.lr / 0.04)) + (5 if a is OTHER else 1)) for job, a in jobs}

    job = partial(make_job, seed=1000, epochs=3, phase="tune")
    find_rate({"a": ONE, "b": OTHER}, FIRST, train, job=job, say=say.append)
    assert say == ["learning rate 0.043, found on a (0.015 to 0.14 tried)"]


def test_a_best_rate_at_the_end_of_those_tried_is_told():
    say: list[str] = []
    lr = find_rate(
        {"a": ONE},
        FIRST,
        lambda jobs: {job.key: tried(each, job.lr, 1 / job.lr) for job, each in jobs},
        job=lambda a, lr: make_job(a, lr, 1000, 3, "tune"),
        say=say.append,
    )
    assert (lr, say) == (3.9, ["learning rate 3.9, found on a (0.015 to 3.9 tried, none beyond: --lr goes further)"])


@dataclass(frozen=True)
class Sloped(Noting):
    """The stub trainer, with a loss that is the least at a learning rate, and infinite far from it."""

    best: float = 0.04
    far: float = 10.0

    def train(self, job: Job, report: GoOn) -> Outcome:
        outcome, away = Noting.train(self, job, report), abs(log(job.lr / self.best))
        if away > self.far:
            raise FloatingPointError("training loss is nan in epoch 1")
        if outcome.state != "complete":
            return outcome
        (*_, last) = outcome.scores
        return replace(outcome, scores=(Score(job.epochs, exp(away**2), last.accuracy),))


def searched(run: RunFolder, executor: Executor, said: list[str] | None = None, **changes: object) -> list[Standing]:
    """A whole search, as `Session.run` has it done."""

    class Hearing(Quiet):
        def say(self, text: str) -> None:
            said.append(text) if said is not None else None

    wanted = plan(**{"lr": None} | changes)
    search = Loop(SPACE, RandomSearch(SPACE, Budget(), 0), executor, run, wanted)
    search.tune(Hearing())
    search.explore(Quiet())
    search.finals(Quiet())
    search.other_rates(Quiet())
    return standings_of(run.results(), run, wanted.objectives, {})


def lines(tmp_path: Path) -> list[Result]:
    return RunFolder.open(tmp_path, "x").results()


def opened(tmp_path: Path) -> RunFolder:
    return RunFolder.create_or_open(tmp_path, "x", {"objective": "accuracy"})


@pytest.mark.parametrize(
    ("best", "found", "tried"),
    [
        (0.04, 0.04, [0.015, 0.045, 0.14]),
        (0.02, 0.02, [0.005, 0.015, 0.045]),
        (0.3, 0.3, [0.015, 0.045, 0.14, 0.42, 1.3]),
        (0.001, 0.001, [0.00057, 0.0017, 0.005, 0.015, 0.045]),
    ],
)
def test_a_search_finds_the_rate_of_its_references_wherever_it_trains(best, found, tried, tmp_path):
    lists = []
    for name, executor in (
        ("serial", Serial(Sloped(tmp_path / "log", best=best))),
        ("workers", LocalWorkers(Sloped(tmp_path / "log2", best=best), 2)),
    ):
        said: list[str] = []
        with executor, opened(tmp_path / name) as run:
            searched(run, executor, said)
        every = lines(tmp_path / name)
        sweep = [result for result in every if (result.phase, result.seed) == ("tune", 1000)]
        assert {result.lr for result in every if result.phase in ("search", "final")} == {found}
        assert sorted({result.lr for result in sweep}) == tried and {result.epochs for result in sweep} == {3}
        assert {(r.label, r.id) for r in sweep} == {
            (label, network.id)
            for label, network in SPACE.references(SPACE.middle).items()
            if label in ("full token mixing", "shared local")
        }
        told = f"on full token mixing and shared local ({tried[0]:g} to {tried[-1]:g} tried)"
        assert re.sub(r" in \d+ s", "", said[0]) == f"learning rate {found:g}, found {told}"
        lists.append({(result.phase, result.key, result.state) for result in every})
    assert lists[0] == lists[1]


def test_a_space_without_a_local_reference_is_swept_on_the_other(tmp_path):
    space = load("local").on({"t": 7}, channels=1, classes=2, patch=(1,), width=(8,), depth=(1,), ratio=(1,))
    with Serial(Sloped(tmp_path / "log")) as executor, opened(tmp_path) as run:
        search = Loop(space, RandomSearch(space, Budget(), 0), executor, run, plan(lr=None))
        search.tune(Quiet())
    assert {result.label for result in lines(tmp_path)} == {"full token mixing"} and search.lr == 0.04


@pytest.mark.parametrize(("patches", "expected"), [((1, 2), (16, 8)), ((1, 2, 4), (16, 4)), ((4, 2), (8, 4))])
def test_a_space_of_several_patches_is_swept_on_full_token_mixing_at_two(patches, expected):
    """At the middle one, whose positions are nearest to 64, and where it is cheapest of the others."""
    space = load("local").on({"t": 16}, channels=1, classes=2, patch=patches, width=(8,), depth=(1,), ratio=(1,))
    networks = swept_networks(space)
    assert tuple(network.grids[0]["t"] for network in networks.values()) == expected
    assert list(networks) == ["full token mixing", f"full token mixing (p{16 // expected[1]})"]
    assert all(dict(network.mixers[0].axes)["t"][0].role == "m" for network in networks.values())


def test_a_patch_that_leaves_one_position_tells_nothing_of_a_rate():
    space = load("local").on({"t": 8}, channels=1, classes=2, patch=(2, 8), width=(8,), depth=(1,), ratio=(1,))
    assert list(swept_networks(space)) == ["full token mixing", "shared local"]


class Stopping(Serial):
    """Somebody stops it when so many trainings have ended."""

    def __init__(self, make: Noting, ends: int):
        super().__init__(make)
        self.ends = ends

    def wait(self, on_rung: OnRung, timeout: float | None = None) -> list[Event]:
        if not self.ends:
            raise KeyboardInterrupt
        events = super().wait(on_rung, timeout)
        self.ends -= sum(isinstance(event, Done) for event in events)
        return events


def test_a_search_that_is_stopped_anywhere_goes_on_with_the_same_rates(tmp_path):
    """In the sweep, right after it, and among the trainings at other rates: nothing is trained twice."""
    with Serial(Sloped(tmp_path / "log")) as executor, opened(tmp_path / "whole") as run:
        searched(run, executor)
    whole = lines(tmp_path / "whole")
    phases = Counter((result.phase, result.seed) for result in whole)
    assert phases["tune", 1000] == 3 * 2 and phases["tune", 1] >= 2 * 3
    for ends in (*range(8), len(whole) - 5, len(whole) - 1):
        folder = tmp_path / str(ends)
        make = Sloped(folder / "log")
        folder.mkdir()
        with contextlib.suppress(KeyboardInterrupt), Stopping(make, ends) as executor, opened(folder) as run:
            searched(run, executor)
        assert len(lines(folder)) == ends
        with Serial(make) as executor, opened(folder) as run:
            searched(run, executor)
        assert [(r.phase, r.key, r.scores) for r in lines(folder)] == [(r.phase, r.key, r.scores) for r in whole]
        assert set(Counter(note.key for note in notes(folder / "log", "start")).values()) == {1}


def test_once_a_candidate_has_a_line_its_rate_is_the_searchs_whatever_the_sweep_says(tmp_path):
    with Serial(Sloped(tmp_path / "log")) as executor, opened(tmp_path) as run:
        searched(run, executor)
    path = tmp_path / "x" / "results.jsonl"
    kept = [line for line in path.read_text().splitlines() if json.loads(line)["phase"] != "tune"]
    path.write_text("".join(f"{line}\n" for line in kept))
    said: list[str] = []
    with Serial(Sloped(tmp_path / "log", best=0.5)) as executor, opened(tmp_path) as run:
        searched(run, executor, said, trials=8)
    assert said == ["learning rate 0.04, as found before"]
    assert {result.lr for result in lines(tmp_path) if result.phase in ("search", "final")} == {0.04}


def test_a_rate_that_is_given_is_not_looked_for(tmp_path):
    said: list[str] = []
    with Serial(Sloped(tmp_path / "log")) as executor, opened(tmp_path) as run:
        standings = searched(run, executor, said, lr=0.1)
    assert not said and {result.seed for result in lines(tmp_path) if result.phase == "tune"} == {1}
    assert [sorted(each.sensitivity.mine) for each in standings if each.sensitivity] == [[0.033, 0.1, 0.3]] * 2


def test_a_training_that_diverges_is_an_answer_and_not_tried_again(tmp_path):
    for _ in range(2):
        make, stopped = Sloped(tmp_path / "log", best=0.01, far=1.0), contextlib.suppress(KeyboardInterrupt)
        with stopped, Stopping(make, 8) as executor, opened(tmp_path) as run:
            searched(run, executor)
    sweep = [result for result in lines(tmp_path) if result.seed == 1000]
    assert {each.lr: each.state for each in sweep} == {0.005: "complete", 0.015: "complete", 0.045: "failed"}
    assert set(Counter(note.key for note in notes(tmp_path / "log", "start")).values()) == {1}
    assert {result.lr for result in lines(tmp_path) if result.phase == "search"} == {0.015}


def test_where_no_rate_is_good_enough_that_is_said(tmp_path):
    with Serial(Sloped(tmp_path / "log", best=1e-9, far=1.0)) as executor, opened(tmp_path) as run:
        told = r"no learning rate is found: all trainings failed \(FloatingPointError: .*\); --lr says one"
        with pytest.raises(NasError, match=told):
            searched(run, executor)
    assert len({result.lr for result in lines(tmp_path)}) == MOST


def test_a_search_whose_sweep_loses_a_training_goes_on_with_it(tmp_path):
    class Losing(Stopping):
        def wait(self, on_rung: OnRung, timeout: float | None = None) -> list[Event]:
            events = super().wait(on_rung, timeout)
            return [Unfinished(e.number, "its node is gone", 0) if e.number > 1 else e for e in events if e != Ready(0)]

    make = Sloped(tmp_path / "log")
    with Losing(make, 100) as executor, opened(tmp_path) as run:
        search = Loop(SPACE, RandomSearch(SPACE, Budget(), 0), executor, run, plan(lr=None))
        search.tune(Quiet())
        assert search.lr is None and len(search.trainings.unfinished) == 2
        assert "2 trainings could not be brought to an end" in search.trainings.complaint
    assert len(lines(tmp_path)) == 2
    with Serial(make) as executor, opened(tmp_path) as run:
        searched(run, executor)
    assert {result.lr for result in lines(tmp_path) if result.phase == "search"} == {0.04}


@given(st.floats(1e-6, 10))
def test_neighbours_are_a_factor_away(lr):
    lower, upper = around(lr)
    assert lower == pytest.approx(lr / FACTOR, rel=0.05) and upper == pytest.approx(lr * FACTOR, rel=0.05)
