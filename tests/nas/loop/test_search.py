"""A search over both executors: what is tried, pruned, failed and resumed, and who takes part in the finals."""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from math import ceil
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from searches import Merits, Noting, notes, plan, result_of, search_in, tiny
from stubs import accuracy

from einmix import Architecture
from nas.api.defaults import rungs as rungs_of
from nas.api.saved import SavedRun
from nas.api.search import Session
from nas.errors import NasError
from nas.executors.executor import Done, Event, Executor, OnRung
from nas.executors.processes import LocalWorkers
from nas.executors.serial import Serial
from nas.loop.loop import Loop
from nas.loop.past import check_result
from nas.loop.plan import Plan, Rungs
from nas.loop.status import Quiet, Status
from nas.options.search import Search
from nas.ranking.objectives import Objective, merit, parse_objectives
from nas.runs.folder import RunFolder
from nas.runs.job import Job, Score
from nas.runs.result import Result
from nas.strategies import STRATEGIES, make_strategy
from nas.strategies.random_search import RandomSearch, exhaustive
from search_spaces import BoundSpace, Budget

SPACE = tiny(depth=(1, 2))
SETTINGS = {"objective": "accuracy"}

Searching = Callable[..., Loop]


def first_ids(n: int, space: BoundSpace = SPACE, seed: int = 0) -> list[str]:
    """The ids that a random search proposes first."""
    strategy = RandomSearch(space, Budget(), seed)
    return [strategy.ask().id for _ in range(n)]  # type: ignore[union-attr]


def executor_of(kind: str, make: Noting) -> Executor:
    return Serial(make) if kind == "serial" else LocalWorkers(make, 2)


@pytest.fixture(params=["serial", pytest.param("workers", marks=pytest.mark.slow)])
def searching(request, tmp_path) -> Searching:
    """Runs a search in the run "x" under tmp_path with a stub that notes into tmp_path/log."""

    def search(wanted: Plan | None = None, does: dict[str, str] | None = None, **given: object) -> Loop:
        make = Noting(tmp_path / "log", does or {})
        with executor_of(request.param, make) as executor, RunFolder.create_or_open(tmp_path, "x", SETTINGS) as run:
            return search_in(run, executor, wanted or plan(), **given)  # type: ignore[arg-type]

    return search


def results(tmp_path: Path, phase: str = "") -> list[Result]:
    """What another process reads of the run, every line checked."""
    found = RunFolder.open(tmp_path, "x").results(validate=check_result)
    return [result for result in found if phase in ("", result.phase)]


def started(tmp_path: Path) -> Counter:
    return Counter(note.key for note in notes(tmp_path / "log", "start"))


def test_every_trial_is_trained_once_and_the_finals_follow(searching, tmp_path):
    searching()
    tried, finals = results(tmp_path, "search"), results(tmp_path, "final")
    assert {result.id for result in tried} == set(first_ids(6))
    assert {(result.seed, result.epochs, result.state, result.label) for result in tried} == {(0, 3, "complete", "")}
    best = sorted(tried, key=lambda result: -accuracy(result.id, 0))[:2]
    assert {result.id for result in finals if not result.label} == {result.id for result in best}
    assert Counter(result.seed for result in finals) == {1: len(finals) // 2, 2: len(finals) // 2}
    assert set(started(tmp_path).values()) == {1}
    assert set(started(tmp_path)) == {result.key for result in tried + finals}


def test_finals_hold_the_references_at_the_sizes_of_each_finalist(searching, tmp_path):
    space = tiny(depth=(1, 2), width=(4, 8))
    searching(plan(trials=20, top=3), space=space)
    finals = results(tmp_path, "final")
    by_id = {arch.id: arch for arch in space.enumerate()}
    skeletons = {space.skeleton(by_id[result.id]) for result in finals if not result.label}
    assert len(skeletons) > 1
    expected = {(label, arch.id) for skeleton in skeletons for label, arch in space.references(skeleton).items()}
    assert {(result.label, result.id) for result in finals if result.label} == expected
    assert {label for label, _ in expected} == {"full token mixing", "channels only", "shared local"}


def test_weights_are_kept_of_finals_alone(searching, tmp_path):
    searching()
    run = RunFolder.open(tmp_path, "x")
    kept = {path.name for path in (tmp_path / "x" / "checkpoints").iterdir()}
    assert kept == {run.weights_path(result).name for result in results(tmp_path, "final")}


def test_pruned_candidates_stop_at_their_rung(searching, tmp_path):
    searching(plan(trials=40, rungs=(1, 2), top=3, seeds=1), space=tiny("mixed", depth=(1, 2)))
    tried = results(tmp_path, "search")
    pruned = [result for result in tried if result.state == "pruned"]
    assert {result.scores[-1].epoch for result in pruned} == {1, 2}
    assert {result.scores[-1].epoch for result in tried if result.state == "complete"} == {3}
    finalists = {result.id for result in results(tmp_path, "final") if not result.label}
    assert len(finalists) == 3 and finalists <= {result.id for result in tried if result.state == "complete"}
    assert all(len(result.scores) == 1 for result in results(tmp_path, "final"))  # no rungs there


SEEN = [
    # eta, scores so far and the new one: does it go on?
    (2, [0.9, 0.8, 0.7, 0.1], True),  # the first four always
    (2, [0.9, 0.8, 0.7, 0.6, 0.75], True),  # third of five, of which the best three go on
    (2, [0.9, 0.8, 0.7, 0.6, 0.65], False),  # fourth of five
    (2, [0.9, 0.8, 0.7, 0.6, 0.5, 0.75], True),  # third of six
    (2, [0.9, 0.8, 0.7, 0.6, 0.5, 0.65], False),  # fourth of six
    (3, [0.9, 0.8, 0.7, 0.6, 0.5, 0.85], True),  # second of six, of which the best two go on
    (3, [0.9, 0.8, 0.7, 0.6, 0.5, 0.75], False),  # third of six
    (2, [0.5, 0.5, 0.5, 0.5, 0.5], True),  # as good as all others
]


@pytest.mark.parametrize(("eta", "scores", "goes_on"), SEEN)
def test_a_candidate_goes_on_when_it_is_among_the_best_share_at_its_rung(eta, scores, goes_on):
    rungs = Rungs(eta, "accuracy", 4)
    for value in scores[:-1]:
        rungs.see(Score(1, 0.5, value))
    for other in (0.99, 0.98, 0.97, 0.96, 0.95):  # at another rung, which does not count
        rungs.see(Score(2, 0.5, other))
    assert rungs.see(Score(1, 0.5, scores[-1])) is goes_on


few = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), few, few), max_size=60),
    st.sampled_from([1.5, 2.0, 3.0, 4.0]),
    st.sampled_from([0, 1, 4]),
)
def test_rungs_decide_as_their_definition_says(seen, eta, grace):
    for by in ("accuracy", "loss"):
        rungs = Rungs(eta, by, grace)
        scores = [Score(*each) for each in seen]
        for number, score in enumerate(scores):
            here = [merit(other, by) for other in scores[: number + 1] if other.epoch == score.epoch]
            better = sum(other > merit(score, by) for other in here)
            assert rungs.see(score) == (len(here) <= rungs.grace or better < ceil(len(here) / eta))


@given(st.lists(st.tuples(few, st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=40))
def test_beside_costs_only_what_is_dominated_too_often_is_stopped(seen):
    rungs, before = Rungs(4.0, "loss", 1), []
    for loss, params, macs in seen:
        dominating = [other for other in before if other != (loss, params, macs) and other[0] <= loss]
        better = sum(other[1] <= params and other[2] <= macs for other in dominating)
        before.append((loss, params, macs))
        goes_on = len(before) == 1 or better < ceil(len(before) / 4)
        assert rungs.see(Score(1, loss, 0.5), [params, macs]) == goes_on


def test_equal_accuracies_are_told_apart_by_loss_or_the_other_way_round():
    by_accuracy, by_loss = Rungs(2, "accuracy", 4), Rungs(2, "loss", 4)
    for rungs in (by_accuracy, by_loss):
        for loss in (0.1, 0.2, 0.3, 0.4):
            rungs.see(Score(1, loss, 0.5))
    assert not by_accuracy.see(Score(1, 0.35, 0.5))
    assert by_accuracy.see(Score(1, 9.0, 0.6))
    assert not by_loss.see(Score(1, 9.0, 0.6))
    assert by_loss.see(Score(1, 0.05, 0.1))


def test_a_search_in_pieces_ends_as_one_in_a_single_go(tmp_path):
    """With one process at work even the order is the same: proposals and rungs of earlier sessions are had again."""
    found = {}
    for name, pieces in (("one go", [24]), ("pieces", [3, 8, 9, 24])):
        for trials in pieces:
            make = Noting(tmp_path / f"{name}.log")
            with Serial(make) as executor, RunFolder.create_or_open(tmp_path / name, "x", SETTINGS) as run:
                search_in(run, executor, plan(trials=trials, rungs=(1, 2)))
        tried = results(tmp_path / name, "search")
        found[name] = [(result.key, result.state, result.scores) for result in tried]
        assert Counter(result.state for result in tried)["pruned"] > 4
    assert found["one go"] == found["pieces"]


FAILURES = {
    "raise": "ValueError: the sizes do not divide",
    "out of memory": "out of memory (MemoryError)",
    "nan": "FloatingPointError: training loss is nan in epoch 2",
    "nan score": "FloatingPointError: loss is nan",
    "worthless": "TypeError: Object of type object is not JSON serializable",
}


def test_failures_are_kept_with_their_reasons_and_the_search_goes_on(searching, tmp_path):
    does = dict(zip(first_ids(10)[2:], FAILURES, strict=False))
    searching(plan(trials=10), does)
    by_id = {result.id: result for result in results(tmp_path, "search")}
    assert set(by_id) == set(first_ids(10))
    for id, do in does.items():
        assert by_id[id].state == "failed"
        assert by_id[id].reason.startswith(FAILURES[do])
        assert "Traceback" in by_id[id].traceback
    assert Counter(result.state for result in by_id.values()) == {"failed": 5, "complete": 5}
    assert not {result.id for result in results(tmp_path, "final")} & set(does)


def test_what_failed_is_tried_again_once_and_more_often_when_asked(searching, tmp_path):
    one, *_, other = first_ids(6)
    searching(plan(top=6), {one: "raise", other: "nan"})
    for session, (wanted, does, tries) in enumerate(
        [(plan(top=6), {one: "raise"}, 2), (plan(top=6), {}, 2), (plan(top=6, retry_failed=True), {}, 3)], start=2
    ):
        searching(wanted, does)
        by_key = {result.key: result for result in results(tmp_path, "search")}
        assert {result.id: result.state for result in by_key.values()} == {
            id: "failed" if id == one and session < 4 else "complete" for id in first_ids(6)
        }
        assert started(tmp_path)[one, 0.01, 0, 3] == tries
    assert {key for key, times in started(tmp_path).items() if times > 1} == {(one, 0.01, 0, 3), (other, 0.01, 0, 3)}
    assert {result.id for result in results(tmp_path, "final") if not result.label} == set(first_ids(6))


def test_a_finalist_whose_seeds_failed_is_no_winner_and_has_them_tried_again(searching, tmp_path):
    best, second = sorted(first_ids(6), key=lambda id: -accuracy(id, 0))[:2]
    searching(plan(seeds=3), {f"{best} {seed}": "raise" for seed in range(1, 10**4)})
    seeds = sorted(result.seed for result in results(tmp_path, "final") if result.id == second)
    (tmp_path / "x" / "results.jsonl").rename(tmp_path / "before")
    lines = [json.loads(line) for line in (tmp_path / "before").read_text().splitlines()]
    lucky = [line for line in lines if line["id"] == best and line["seed"] == seeds[0]]
    assert [line["state"] for line in lucky] == ["failed"]
    score = {"epoch": 3, "loss": 0.01, "accuracy": 1.0}
    lucky[0] |= {"state": "complete", "scores": [score], "reason": "", "traceback": ""}  # one survives, and is the best
    (tmp_path / "x" / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = [standing for standing in SavedRun.open(tmp_path, "x").standings if not standing.is_reference]
    assert [standing.id for standing in found[:2]] == [second, best]
    assert (found[1].n, found[1].accuracy, found[1].lacking) == (1, 1.0, tuple(seeds[1:]))
    searching(plan(seeds=3))
    again = {key: times for key, times in started(tmp_path).items() if times > 1}
    assert again == {(best, 0.01, seed, 3): 2 for seed in seeds[1:]}
    (standing,) = [standing for standing in SavedRun.open(tmp_path, "x").standings if standing.id == best]
    assert (standing.n, standing.lacking, standing.failures) == (3, (), ())


class Stopping(Serial):
    """Three jobs under way in this process; somebody stops it when so many have ended."""

    capacity = 3

    def __init__(self, make: Noting, ends: int):
        super().__init__(make)
        self.ends, self.submitted = ends, list[str]()

    def submit(self, number: int, *jobs: Job) -> None:
        self.submitted += [job.id for job in jobs]
        super().submit(number, *jobs)

    def wait(self, on_rung: OnRung, timeout: float | None = None) -> list[Event]:
        if not self.ends:
            raise KeyboardInterrupt
        events = super().wait(on_rung, timeout)
        self.ends -= sum(isinstance(event, Done) for event in events)
        return events


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("torn", [False, True])
def test_what_was_under_way_when_a_search_was_stopped_is_proposed_first(name, torn, tmp_path):
    space, submitted = tiny("roles", depth=(1, 2)), []
    for ends in (14, 1000):
        strategy = make_strategy(name, space, Budget(), seed=0, objectives=parse_objectives("accuracy"))
        with (
            RunFolder.create_or_open(tmp_path, "x", SETTINGS) as run,
            Stopping(Noting(tmp_path / "log"), ends) as executor,
            contextlib.suppress(KeyboardInterrupt),
        ):
            Loop(space, strategy, executor, run, plan(trials=20)).explore(Quiet())
        submitted.append(executor.submitted)
        if ends == 14 and torn:  # the last line was being written
            path = tmp_path / "x" / "proposed.jsonl"
            path.write_bytes(path.read_bytes()[:-40])
    left = submitted[0][14:]
    assert len(left) in (3, 6)  # one job ahead of each worker where nothing is learnt from results
    left = left[:-1] if torn else left
    assert submitted[1][: len(left)] == left
    ended = [result.id for result in results(tmp_path)]
    assert len(ended) == len(set(ended)) == 20
    assert set(submitted[0][:14]) <= set(ended) and set(started(tmp_path).values()) == {1}
    noted = [json.loads(line)["id"] for line in (tmp_path / "x" / "proposed.jsonl").read_text().splitlines()]
    assert noted[: len(left)] == left and set(noted) == set(submitted[1])


def test_a_strange_proposal_is_passed_over(searching, tmp_path):
    searching(plan(trials=2))
    elsewhere = tiny("roles", {"t": 8}, patch=(1,)).sample(Random(0))
    other = next(arch for arch in SPACE.enumerate() if arch.id not in first_ids(3))
    strange = [
        {},
        {"architecture": 7},
        {"architecture": json.loads(elsewhere.to_json())},
        {"id": [], "architecture": {}},
    ]
    lines = [json.dumps(each) for each in strange] + [
        "[]",
        "{",
        json.dumps({"architecture": json.loads(other.to_json())}),
    ]
    (tmp_path / "x" / "proposed.jsonl").write_text("\n".join(lines))
    searching(plan(trials=4))
    proposed = sorted(results(tmp_path, "search"), key=lambda result: result.number)
    assert [result.id for result in proposed][:3] == [*first_ids(2), other.id]
    assert len(proposed) == 4


def test_when_everything_fails_the_search_ends_without_finals(searching, tmp_path):
    searching(plan(trials=4), does=dict.fromkeys(first_ids(6), "raise"))
    assert [result.state for result in results(tmp_path)] == ["failed"] * 4


def test_a_reference_that_fails_leaves_the_others(searching, tmp_path):
    reference = SPACE.references(SPACE.middle)["channels only"]
    space = tiny(depth=(SPACE.middle.depth,))
    searching(does={reference.id: "raise"}, space=space)
    finals = results(tmp_path, "final")
    assert {result.label for result in finals if result.state == "failed"} == {"channels only"}
    assert {result.label for result in finals if result.state == "complete"} == {
        "",
        "full token mixing",
        "shared local",
    }


@pytest.mark.parametrize(("deaths", "state"), [(1, "complete"), (2, "failed")])
def test_a_killed_worker_costs_its_candidate_one_more_try(deaths, state, tmp_path):
    victim = first_ids(6)[3]
    make = Noting(tmp_path / "log", {victim: "die"}, deaths=deaths)
    with LocalWorkers(make, 2) as executor, RunFolder.create_or_open(tmp_path, "x", SETTINGS) as run:
        search_in(run, executor, plan())
    states = {result.id: result.state for result in results(tmp_path, "search")}
    assert states == dict.fromkeys(first_ids(6), "complete") | {victim: state}
    assert started(tmp_path)[victim, 0.01, 0, 3] == 2


def test_a_space_that_is_exhausted_says_so_and_ends(searching, tmp_path):
    space = tiny("grouped")
    search = searching(plan(trials=100), space=space)
    assert search.exhausted
    assert len(results(tmp_path, "search")) == space.count()
    assert searching(plan(trials=100), space=space).exhausted
    assert set(started(tmp_path).values()) == {1}


def test_trials_that_are_enough_do_not_exhaust_a_space(searching):
    space = tiny("grouped")
    assert not searching(plan(trials=space.count()), space=space).exhausted


def test_repeating_a_search_trains_nothing_again(searching, tmp_path):
    for _ in range(2):
        searching()
    assert set(started(tmp_path).values()) == {1}


def test_more_trials_and_seeds_go_on_where_it_stopped(searching, tmp_path):
    searching(plan(trials=4))
    searching(plan(trials=9, seeds=3, top=3))
    assert {result.id for result in results(tmp_path, "search")} == set(first_ids(9))
    best = sorted(first_ids(9), key=lambda id: -accuracy(id, 0))[:3]
    per_finalist = Counter(result.id for result in results(tmp_path, "final") if not result.label)
    assert {id: per_finalist[id] for id in best} == dict.fromkeys(best, 3)
    assert set(started(tmp_path).values()) == {1}


def test_fewer_trials_than_there_are_leave_the_search_as_it_is(searching, tmp_path):
    searching(plan(trials=8))
    before = results(tmp_path)
    searching(plan(trials=3))
    assert results(tmp_path) == before


def test_a_second_search_in_the_same_run_is_refused(searching, tmp_path):
    with (
        RunFolder.create_or_open(tmp_path, "x", SETTINGS),
        pytest.raises(NasError, match=r"run 'x' is being written by another search \(process \d+\)"),
    ):
        searching()
    assert results(tmp_path) == []


def test_a_full_disk_ends_the_search_and_the_same_command_goes_on(searching, tmp_path, monkeypatch):
    lines, write = itertools.count(), os.write

    def full_after_three(file: int, data: bytes) -> int:
        if data.startswith(b'{"architecture"') and next(lines) >= 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, data)

    with monkeypatch.context() as patch, pytest.raises(NasError, match=r"results\.jsonl: No space left on device"):
        patch.setattr(os, "write", full_after_three)
        searching()
    on_disk = {result.key for result in results(tmp_path)}
    assert len(on_disk) == 3
    (tmp_path / "log").unlink()
    searching()
    assert not set(started(tmp_path)) & on_disk
    assert {result.id for result in results(tmp_path, "search")} == set(first_ids(6))


def test_minutes_end_the_search_and_leave_the_finals(searching, tmp_path, monkeypatch):
    class Clock:
        """Ten seconds pass whenever somebody looks."""

        def __init__(self) -> None:
            self.monotonic = functools.partial(next, itertools.count(0, 10))

    monkeypatch.setattr("nas.loop.loop.time", Clock())
    search = searching(plan(trials=500, minutes=1))
    assert 3 <= len(results(tmp_path, "search")) < 12
    assert len({result.id for result in results(tmp_path, "final") if not result.label}) == 2
    assert not search.exhausted


class Watching(Quiet):
    """Keeps what a watcher is shown."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, int, int, int, int]] = []
        self.last: list[Result] = []

    def show(self, status: Status) -> None:
        counts = status.done, status.total, status.running, status.pruned, status.failed
        self.seen.append((status.phase, *counts))
        if status.last and status.done > status.reused and status.last not in self.last:
            self.last.append(status.last)


def test_a_watcher_is_shown_every_training_as_it_ends(searching, tmp_path):
    for _ in range(2):  # in the second session there are none
        watching = Watching()
        before = len(results(tmp_path)) if (tmp_path / "x").exists() else 0
        searching(plan(trials=12, rungs=(1,)), {first_ids(3)[2]: "raise"}, watcher=watching)
        assert watching.last == results(tmp_path)[before:]
        tried = results(tmp_path, "search")
        pruned = sum(result.state == "pruned" for result in tried)
        assert ("search", 12, 12, 0, pruned, 1) in watching.seen
        finals = len(results(tmp_path, "final"))
        assert watching.seen[-1] == ("final", finals, finals, 0, 0, 0)
        assert all(done + running <= total for _, done, total, running, _, _ in watching.seen)


def test_time_left_is_what_this_sessions_trainings_took():
    now = Status("search", 10).started
    assert Status("search", 10, done=4, reused=4).seconds_left is None
    left = Status("search", 10, done=6, reused=4, started=now - 20).seconds_left
    assert left == pytest.approx(40, rel=0.5)
    assert Status("search", 3, done=6, reused=4).seconds_left == 0


class Timing(Quiet):
    """Keeps the last that is shown of every phase, with what was to come."""

    def __init__(self) -> None:
        self.last: dict[str, tuple[int, float]] = {}

    def show(self, status: Status) -> None:
        self.last[status.phase] = status.total, status.later


@pytest.mark.parametrize("rungs", [(), (1,)])
def test_the_time_left_counts_the_finals(rungs, searching, tmp_path):
    """At full length, while candidates may have been pruned; not those that are there already; and other rates."""
    space, timing = tiny(depth=(2,)), Timing()
    searching(plan(trials=12, rungs=rungs, seeds=3), space=space, watcher=timing)
    finals, later = timing.last["final"]
    epochs = [len(result.train_loss) for result in results(tmp_path, "search")]
    assert (min(epochs) < 3) == bool(rungs)
    others = (2 + 1) * 2
    assert (finals, later) == ((2 + 3) * 3, others)
    assert timing.last["search"] == (12, pytest.approx((15 + others) * 3 * 12 / sum(epochs)))
    searching(plan(trials=13, rungs=rungs, seeds=4), space=space, watcher=timing)
    more = results(tmp_path, "search")[12:]
    assert timing.last["search"] == (13, pytest.approx((5 + others) * 3 / len(more[0].train_loss)))


def search_over(tmp_path: Path, found: list[Result], wanted: Plan, space: BoundSpace = SPACE) -> Loop:
    """A search that finds these results in its run."""
    with RunFolder.create_or_open(tmp_path, "x", SETTINGS) as run:
        for result in found:
            run.append(result.to_line())
        strategy = RandomSearch(space, Budget(), 0)
        return Loop(space, strategy, Serial(Noting(tmp_path / "log")), run, wanted)


def finalists(search: Loop) -> list[str]:
    return [architecture.id for label, architecture in search.entries() if not label]


def test_several_objectives_send_their_front_to_the_finals(tmp_path):
    archs = sorted(tiny("mixed").enumerate(), key=lambda arch: (arch.macs, arch.id))
    cheap, *_, dear = archs
    others = [arch for arch in archs if cheap.macs < arch.macs < dear.macs][:2]
    found = [result_of(dear, 0.9), result_of(cheap, 0.5), result_of(others[0], 0.4), result_of(others[1], 0.7)]
    objectives = parse_objectives("accuracy,macs")
    space = tiny("mixed")
    all_of_it = finalists(search_over(tmp_path, found, plan(top=9, objectives=objectives), space))
    references = {arch.id for arch in space.references(space.middle).values()}
    assert all_of_it == [arch.id for arch in (dear, cheap, others[1]) if arch.id not in references]
    assert len(all_of_it) > 1


def test_few_finals_of_several_objectives_are_spread_along_the_front(tmp_path):
    space = tiny("per_channel", width=(8, 16, 24), depth=(1,))
    references = {arch.id for skeleton in space.skeletons for arch in space.references(skeleton).values()}
    by_macs = {arch.macs: arch for arch in space.enumerate() if arch.id not in references}
    front = [by_macs[macs] for macs in sorted(by_macs)][:7]
    found = [result_of(arch, 0.6 + 0.01 * i) for i, arch in enumerate(front)]
    search = search_over(tmp_path, found, plan(top=3, objectives=parse_objectives("accuracy,macs")), space)
    assert finalists(search) == [front[6].id, front[0].id, front[3].id]


@pytest.mark.parametrize(
    ("objective", "order", "best"),
    [
        ("accuracy", "accuracy", 0),
        ("accuracy", "loss", 1),
        ("loss", "loss", 1),
        ("loss", "accuracy", 0),
        ("accuracy,macs", "accuracy", 0),
        ("accuracy,macs", "loss", 1),
        ("loss,accuracy,macs", "loss", 1),  # of both there is no order
        ("accuracy,loss,macs", "loss", 0),
    ],
)
def test_the_order_chooses_the_finalists(objective, order, best, tmp_path):
    space = tiny("per_channel", width=(8,), depth=(1,))
    same_cost = max(
        (list(archs) for _, archs in itertools.groupby(sorted(space.enumerate(), key=costs), key=costs)), key=len
    )
    found = [result_of(same_cost[0], 0.9, loss=0.6), result_of(same_cost[1], 0.8, loss=0.4)]
    search = search_over(tmp_path, found, plan(top=1, objectives=parse_objectives(objective), order=order), space)
    assert finalists(search) == [same_cost[best].id]


def test_where_few_come_to_their_end_those_are_finalists_that_came_nearest(tmp_path):
    space = tiny("per_channel", width=(8,), depth=(1,))
    references = {arch.id for arch in space.references(space.middle).values()}
    archs = [arch for arch in space.enumerate() if arch.id not in references]
    states = ["pruned", "complete", "failed", "pruned", "pruned"]
    found = [result_of(arch, 0.5 + 0.1 * n, state) for n, (arch, state) in enumerate(zip(archs, states, strict=False))]
    by_top = {n: finalists(search_over(tmp_path / f"{n}", found, plan(top=n), space)) for n in (1, 2, 9)}
    wanted = [archs[at].id for at in (1, 4, 3, 0)]
    assert by_top == {1: wanted[:1], 2: wanted[:2], 9: wanted}
    front = search_over(tmp_path / "front", found, plan(top=9, objectives=parse_objectives("accuracy,macs")), space)
    assert finalists(front) == wanted[:1]


def costs(architecture) -> tuple[int, int]:
    return architecture.params, architecture.macs


@pytest.mark.parametrize("text", ["params", "macs,seconds"])
def test_objectives_that_need_no_training_are_refused(text):
    with pytest.raises(NasError, match=f"objective '{text}' needs no training: add accuracy or loss"):
        parse_objectives(text)


def test_a_reference_that_the_search_finds_is_a_reference_and_no_finalist(tmp_path):
    space = tiny("grouped")
    full = space.references(space.middle)["full token mixing"]
    other = next(arch for arch in space.enumerate() if arch.id != full.id)
    search = search_over(tmp_path, [result_of(full, 0.9), result_of(other, 0.5)], plan(top=1), space)
    assert finalists(search) == [other.id]
    assert ("full token mixing", full) in search.entries()


def test_networks_of_another_space_take_no_part_in_the_finals(tmp_path):
    elsewhere = next(tiny("roles", {"t": 8}, patch=(1,)).enumerate())
    inside = next(arch for arch in SPACE.enumerate() if arch.id == first_ids(1)[0])
    search = search_over(tmp_path, [result_of(elsewhere, 0.9), result_of(inside, 0.5)], plan())
    assert finalists(search) == [inside.id]


def test_a_longer_training_stands_for_no_trial_and_no_final(tmp_path):
    """`nas train` may have been asked for the very seed and epochs of the search."""
    inside = next(arch for arch in SPACE.enumerate() if arch.id == first_ids(1)[0])
    found = [result_of(inside, 0.5), *(result_of(inside, 0.9, phase="train", seed=seed) for seed in (0, 1, 2))]
    search = search_over(tmp_path, found, plan(trials=1))
    assert search.explore(Quiet()) == found[:1]
    wanted = {(architecture.id, seed) for _, architecture in search.entries() for seed in (1, 2)}
    with RunFolder.create_or_open(tmp_path, "x", SETTINGS) as run, Serial(Noting(tmp_path / "log")) as executor:
        search_in(run, executor, plan(trials=1))
    assert {(result.id, result.seed) for result in results(tmp_path, "final")} == wanted


WRONG = [
    ({"id": "0000000000"}, r"'id' is 0000000000, its architecture's is [0-9a-f]{10}"),
    ({"params": 7}, r"'params' is 7, its architecture's is \d+"),
    ({"macs": 7}, r"'macs' is 7, its architecture's is \d+"),
    ({"architecture": {}}, "this is no architecture"),
    (
        {"architecture": {"inputs": {"h": 8, "c": 1}, "stages": [], "classes": 10}},
        "an architecture has at least one stage",
    ),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_a_line_that_belies_its_architecture_is_refused_with_its_number(change, message, tmp_path):
    good, other = itertools.islice(SPACE.enumerate(), 2)
    path = tmp_path / "x" / "results.jsonl"
    search_over(tmp_path, [result_of(good, 0.5)], plan())
    with path.open("a") as file:
        file.write(json.dumps(result_of(other, 0.6).to_line() | change) + "\n")
    before = path.read_bytes()
    for opening in (lambda: SavedRun.open(tmp_path, "x"), lambda: search_over(tmp_path, [], plan())):
        with pytest.raises(NasError, match=rf"results\.jsonl, line 2: {message}.*; mend or delete this line") as raised:
            opening()
        assert "\n" not in str(raised.value)
    assert path.read_bytes() == before


def test_an_exhaustive_search_is_one_like_others(searching, tmp_path):
    space = tiny("grouped", depth=(1, 2))
    searching(plan(trials=100), space=space, strategy=exhaustive(space, Budget(), 0, (Objective("accuracy"),)))
    assert sorted(result.id for result in results(tmp_path, "search")) == sorted(arch.id for arch in space.enumerate())


@pytest.mark.parametrize(
    ("objective", "accuracy", "loss", "state"),
    [
        ("accuracy", 0.99, 9.0, "pruned"),
        ("accuracy", 0.0, 0.0, "complete"),
        ("loss", 0.0, 0.0, "pruned"),
        ("loss", 0.99, 9.0, "complete"),
    ],
)
def test_what_was_pruned_earlier_counts_at_its_rung_when_a_search_goes_on(objective, accuracy, loss, state, tmp_path):
    """Six that were better (or worse) and were pruned all the same, by the figure that is searched for."""
    strategy = RandomSearch(SPACE, Budget(), 1)
    archs = [strategy.ask() for _ in range(6)]
    wanted = plan(trials=7, rungs=(1, 2), objectives=parse_objectives(objective))
    with RunFolder.create_or_open(tmp_path, "x", SETTINGS) as run:
        for number, architecture in enumerate(archs):
            run.append(result_of(architecture, accuracy, "pruned", loss=loss).to_line() | {"number": number})
        with Serial(Noting(tmp_path / "log")) as executor:
            search_in(run, executor, wanted)
    last = results(tmp_path, "search")[-1]
    assert last.id not in {architecture.id for architecture in archs}
    assert (last.state, last.number) == (state, 6)


def test_a_network_to_start_with_may_win_though_it_is_not_in_the_space(tmp_path):
    found = result_of(next(SPACE.enumerate()), 0.3)
    foreign = tiny("local", width=(4,), depth=(2,)).sample(Random(0))
    wanted = plan(top=3, start=(foreign.id,))
    entries = search_over(tmp_path, [result_of(foreign, 0.95), found], wanted).entries()
    assert [arch.id for label, arch in entries if not label][:1] == [foreign.id]
    assert foreign.id not in finalists(search_over(tmp_path, [], plan(top=3)))


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [(1, ()), (2, (1,)), (4, (1,)), (5, (1, 2)), (8, (1, 3)), (20, (3, 8)), (30, (4, 12))],
)
def test_rungs_are_shares_of_all_epochs(epochs, expected):
    assert rungs_of(epochs, (15, 40)) == expected


@pytest.mark.parametrize(("epochs", "expected"), [(1, ()), (2, (1,)), (3, (1,)), (8, (4,)), (20, (10,))])
def test_by_default_there_is_one_at_half(epochs, expected):
    assert rungs_of(epochs) == expected


def test_candidates_meet_all_of_their_rungs_and_finals_none(tmp_path):
    """From the options to the jobs that an executor is given."""
    session = Session(Search(space="local", trials=3, epochs=8, top=1, seeds=2, seed=5, strategy="random"))
    given = []

    class Keeping(Serial):
        def submit(self, number, *jobs):
            given.extend(jobs)
            super().submit(number, *jobs)

    with RunFolder.create_or_open(tmp_path, "x", SETTINGS) as run, Keeping(Noting(tmp_path / "log")) as executor:
        search = Loop(session.space, session.strategy, executor, run, session.plan)
        search.tune(Quiet())
        search.explore(Quiet())
        search.finals(Quiet())
    tried, finals = ([job for job in given if job.phase == phase] for phase in ("search", "final"))
    assert len(tried) == 3 and len(finals) == 2 * len({job.id for job in finals})
    assert {(job.rungs, job.seed, job.epochs, job.weights) for job in tried} == {((4,), 5, 8, False)}
    assert {(job.rungs, job.epochs, job.weights) for job in finals} == {((), 8, True)}
    assert {job.seed for job in finals} == {6, 7}
    assert {job.lr for job in tried + finals} == {search.lr} and session.recipe.lr is None


@pytest.mark.parametrize(("ahead", "asked"), [(True, 6), (False, 3)])
def test_who_need_not_wait_for_results_is_asked_one_job_a_worker_ahead(ahead, asked, tmp_path):
    given = []

    class Enough(Exception):
        pass

    def wait(*_, **__):
        raise Enough

    executor = SimpleNamespace(capacity=3, submit=lambda number, job: given.append(number), wait=wait)
    strategy = RandomSearch(SPACE, Budget(), 0)
    strategy.ahead = ahead
    with RunFolder.create_or_open(tmp_path, "x", SETTINGS) as run, pytest.raises(Enough):
        Loop(SPACE, strategy, executor, run, plan(trials=20)).explore(Quiet())
    assert given == list(range(asked))


@pytest.mark.parametrize("objective", ["accuracy", "loss"])
def test_the_best_that_is_shown_is_the_best_so_far_and_no_reference(objective, tmp_path):
    shown: list[tuple[int, Result]] = []

    class Best(Quiet):
        def show(self, status: Status) -> None:
            if status.best:
                shown.append((status.done, status.best))

    strategy = RandomSearch(SPACE, Budget(), 1)
    figures = [(0.5, 0.4), (0.7, 0.6), (0.6, 0.1), (0.9, 0.2)]  # accuracy, loss
    archs = [strategy.ask() for _ in figures]
    lines = [result_of(arch, reached, loss=loss) for arch, (reached, loss) in zip(archs[:3], figures[:3], strict=True)]
    lines.append(result_of(archs[3], *figures[3][:1], "pruned", loss=figures[3][1]))
    search = search_over(tmp_path, lines, plan(trials=4, objectives=parse_objectives(objective)))
    search.explore(Best())
    assert {done for done, _ in shown} == {4}
    assert shown[0][1].id == archs[{"accuracy": 1, "loss": 2}[objective]].id


def test_time_left_counts_what_follows():
    now = Status("search", 10).started
    status = Status("tune", 10, done=6, reused=4, started=now - 20, later=5.0)
    assert status.seconds_left == pytest.approx(90, rel=0.1)


def test_the_best_of_the_finals_that_is_shown_is_what_was_found(tmp_path):
    """Though a reference did better."""
    shown: list[Result] = []

    class Best(Quiet):
        def show(self, status: Status) -> None:
            if status.phase == "final" and status.best:
                shown.append(status.best)

    with Serial(Noting(tmp_path / "log")) as executor, RunFolder.create_or_open(tmp_path, "x", SETTINGS) as run:
        search_in(run, executor, plan(trials=2, top=1, seeds=3), watcher=Best())
    finals = results(tmp_path, "final")
    assert max(finals, key=lambda result: result.score.accuracy).label
    assert shown and not any(result.label for result in shown)


@pytest.mark.parametrize(
    ("top", "other", "references", "seeds", "m", "ends", "said"),
    [  # one far ahead of all: nothing is left to tell after the first look
        (0.9, 0.7, 0.5, 0.0, 1000, {5}, ["is ahead of", "costs at most 0.5 points"]),
        # two that are equal and stay so, whose seeds vary: the references are left behind, until the seeds are spent
        (0.9, 0.9, 0.5, 0.03, 1000, {5, 20}, ["not 90% sure after 20 seeds", "finals end: 20 seeds are the most"]),
        # two that differ by an example in 20: more seeds would not tell, and no training is spent on it
        (0.8, 0.75, 0.2, 0.0, 20, {5}, ["is ahead of", "more seeds would not tell whether taking 1 costs"]),
    ],
)
def test_finals_go_on_until_it_is_sure_or_cannot_be(tmp_path, top, other, references, seeds, m, ends, said):
    heard: list[str] = []
    first, second, *_ = first_ids(6)

    class Hearing(Quiet):
        def say(self, text: str) -> None:
            heard.append(text)

    def search(run: RunFolder) -> dict[str, int]:
        ids = {reference.id for each in (1, 2) for reference in references_of(each)}
        make = Merits(m, dict.fromkeys(ids, references) | {first: top, second: other} | low, seeds)
        search_in(run, Serial(make), plan(until_sure=0.9, seeds=20), space=SPACE, watcher=Hearing())
        return Counter(result.id for result in run.results() if result.phase == "final")

    low = dict.fromkeys(first_ids(6)[2:], 0.1)
    settings = SETTINGS | {"data": {"judge": m}, "until_sure": 0.9}
    with RunFolder.create_or_open(tmp_path, "x", settings) as run:
        counts = search(run)
    assert set(counts.values()) == ends and counts[first] == max(ends)
    for each in said:
        assert any(each in line for line in heard), heard
    with RunFolder.create_or_open(tmp_path, "x", settings) as run:
        assert search(run) == counts  # it goes on, with nothing to do


def test_looks_that_are_gone_through_again_are_at_the_seeds_that_they_were_at(tmp_path):
    """A session that goes on finds seeds of later looks, and says of each look what was known then."""
    heard: list[str] = []
    first, second, *others = first_ids(6)
    references = {reference.id for depth in (1, 2) for reference in references_of(depth)}
    make = Merits(1000, dict.fromkeys(others, 0.1) | dict.fromkeys(references, 0.8) | {first: 0.86, second: 0.5}, 0.04)

    class Hearing(Quiet):
        def say(self, text: str) -> None:
            heard.append(text)

    settings = SETTINGS | {"data": {"judge": 1000}, "until_sure": 0.9}
    told = []
    for _ in range(2):
        with RunFolder.create_or_open(tmp_path, "x", settings) as run:
            search_in(run, Serial(make), plan(until_sure=0.9, seeds=20), space=SPACE, watcher=Hearing())
        told.append([*heard])
        heard.clear()
    assert any("not 90% sure after 5 seeds" in line for line in told[0]), told[0]
    assert any(line.startswith("90% sure after 10 seeds") for line in told[0]), told[0]
    assert told[1] == told[0]


def test_a_finalist_of_fewer_trials_goes_on_too_until_it_is_sure(tmp_path):
    """It may be rank 1 still, which the questions are about, although more trials chose others."""
    earlier, _, later, *others = first_ids(6)
    references = {reference.id for depth in (1, 2) for reference in references_of(depth)}
    judged = dict.fromkeys(others, 0.1) | dict.fromkeys(references, 0.8) | {earlier: 0.86, later: 0.5}
    settings = SETTINGS | {"data": {"judge": 1000}, "until_sure": 0.9}
    for trials in (2, 6):
        chosen = {earlier: 0.9, later: 0.99}  # in the search
        make = Merits(1000, judged, 0.04, searched=chosen)
        with RunFolder.create_or_open(tmp_path, "x", settings) as run:
            wanted = plan(until_sure=0.9, seeds=20, trials=trials, top=1)
            search_in(run, Serial(make), wanted if trials > 2 else replace(wanted, seeds=5), space=SPACE)
    counts = Counter(result.id for result in results(tmp_path, "final"))
    assert (counts[earlier], counts[later]) == (10, 5)


def references_of(depth: int) -> list[Architecture]:
    space = tiny(depth=(depth,))
    return [*space.references(space.middle).values()]


def test_finals_that_are_not_sure_end_with_the_minutes(tmp_path):
    heard: list[str] = []
    first, second, *others = first_ids(6)
    make = Merits(1000, {first: 0.9, second: 0.9} | dict.fromkeys(others, 0.1), 0.03)

    class Hearing(Quiet):
        def say(self, text: str) -> None:
            heard.append(text)

    wanted = plan(until_sure=0.9, seeds=20, minutes=1e-9)
    settings = SETTINGS | {"data": {"judge": 1000}, "until_sure": 0.9}
    with RunFolder.create_or_open(tmp_path, "x", settings) as run:
        search_in(run, Serial(make), replace(wanted, minutes=None, top=2, until_sure=None, seeds=1))
        search_in(run, Serial(make), wanted, watcher=Hearing())
    assert heard[-1] == "finals end: the 1e-09 minutes are over" and "more seeds may tell" in heard[-2]
