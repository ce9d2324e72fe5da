"""What becomes of trainings that cannot be brought to an end, or fail: nothing is recorded that is no result."""

from __future__ import annotations

import os
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from searches import Noting, notes, plan, result_of, search_in, tiny
from stubs import stub_job

from nas.executors import Done, Event, Executor, LocalWorkers, OnRung, Serial, Unfinished
from nas.progress import Quiet
from nas.results import Result
from nas.runs import Run
from nas.search import Search, Status, check_result, make_job
from nas.training_runs import train_missing
from nas.trial import Job, Outcome, Report

SPACE = tiny("mixed", depth=(1, 2))
SETTINGS = {"objective": "accuracy"}


class Losing(Serial):
    """Trains in this process, but loses some jobs, by their phase, id and seed, as often as it is told."""

    def __init__(self, make: Noting, lost: Counter[tuple[str, str, int]]):
        super().__init__(make)
        self._lost, self._gone = lost, list[Event]()

    def submit(self, number: int, job: Job) -> None:
        which = job.phase, job.id, job.seed
        if self._lost[which]:
            self._lost[which] -= 1
            self._gone.append(Unfinished(number, f"its worker was lost 3 times (node {number} is gone)", 0))
        else:
            super().submit(number, job)

    def wait(self, on_rung: OnRung, timeout: float | None = None) -> list[Event]:
        gone, self._gone = self._gone, []
        return gone or super().wait(on_rung, timeout)


class Hearing(Quiet):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def run_in(tmp_path: Path) -> Run:
    return Run.create_or_open(tmp_path, "x", SETTINGS)


def results(tmp_path: Path) -> list[Result]:
    return Run.open(tmp_path, "x").results(validate=check_result)


def searched(tmp_path: Path, lost: Counter[tuple[str, str, int]]) -> Search:
    with Losing(Noting(tmp_path / "log"), lost) as executor, run_in(tmp_path) as run:
        return search_in(run, executor, plan(), space=SPACE)


def test_what_the_infrastructure_loses_is_no_result_and_the_same_search_goes_on_with_it(tmp_path):
    searched(tmp_path / "whole", Counter())
    whole = results(tmp_path / "whole")
    lost = Counter({("search", whole[2].id, 0): 1, ("final", whole[-1].id, whole[-1].seed): 1})
    first = searched(tmp_path, Counter(lost))
    assert lost.total() == len(first.trainings.unfinished) == 2
    assert {("search", whole[2].id, 0), ("final", whole[-1].id, whole[-1].seed)}.isdisjoint(
        (result.phase, result.id, result.seed) for result in results(tmp_path)
    )
    assert Counter(result.phase for result in results(tmp_path))["search"] == 5  # nothing else in its place
    assert "2 trainings could not be brought to an end (1 x its worker was lost" in first.trainings.complaint
    second = searched(tmp_path, Counter())
    assert second.trainings.complaint == ""
    assert {(r.phase, r.key, r.state) for r in results(tmp_path)} >= {(r.phase, r.key, r.state) for r in whole[:6]}
    assert set(Counter(note.key for note in notes(tmp_path / "log", "start")).values()) == {1}


def test_longer_trainings_that_are_lost_are_said_and_missing(tmp_path):
    one, other = (make_job(architecture, 0.01, 0, 3, "train") for architecture in list(SPACE.enumerate())[:2])
    architectures = {architecture.id: architecture for architecture in SPACE.enumerate()}
    wanted = [(job, architectures[job.id]) for job in (one, other)]
    hearing, lost = Hearing(), Counter({("train", one.id, 0): 1})

    def executor(count: int, storage: object) -> Executor:
        return Losing(Noting(tmp_path / "log"), lost)

    with run_in(tmp_path) as run:
        found = train_missing(wanted, run, executor, hearing, Status("train", 0))
        assert list(found) == [other.key]
        assert hearing.said == [
            "1 training could not be brought to an end (its worker was lost 3 times (node 0 is gone)): "
            "nothing is recorded, the same command goes on with it"
        ]
        assert list(train_missing(wanted, run, executor, hearing, Status("train", 0))) == [one.key, other.key]


@pytest.mark.parametrize("phase", ["search", "final", "compare"])
def test_a_training_of_another_phase_is_another_one_though_all_else_is_alike(phase, tmp_path):
    """That of the search was chosen by, met no test data and kept no weights; numbers go on behind it."""
    architecture = next(SPACE.enumerate())
    job = replace(make_job(architecture, 0.01, 7, 3, "train"), weights=True)
    earlier = result_of(architecture, 0.99, phase=phase, seed=7)
    assert earlier.key == job.key
    trained = []
    with run_in(tmp_path) as run:
        run.append(earlier.to_line() | {"number": 4})
        for _ in range(2):  # the second time there is a line of its own phase
            found = train_missing(
                [(job, architecture)],
                run,
                lambda count, _: trained.append(count) or Serial(Noting(tmp_path / "log")),
                Quiet(),
                Status("train", 0),
            )
            assert found[job.key].phase == "train" and found[job.key].score != earlier.score
        assert [result.number for result in run.results()] == [4, 5]
        assert trained == [1] and run.weights_path(job).is_file()


def ended(job: Job, report: Report) -> Outcome:
    """A training within which somebody ends the worker, by the signal that the job names."""
    os.kill(os.getpid(), job.architecture["signal"])
    raise AssertionError("it should be dead")


def make_ended(worker: int):
    return ended


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGSEGV, signal.SIGKILL])
def test_a_worker_that_was_ended_from_outside_is_not_the_jobs_fault(number):
    events: list[Event] = []
    with LocalWorkers(make_ended, 1) as executor:
        executor.submit(7, stub_job("a", signal=int(number)))
        while not any(isinstance(event, Done | Unfinished) for event in events):
            events += executor.wait(lambda number, score: True)
    if number in (signal.SIGTERM, signal.SIGHUP):
        assert events[-1] == Unfinished(7, f"its worker was ended twice (signal {number:d})", 0)
    else:
        assert isinstance(events[-1], Done)
        assert events[-1].outcome.reason == f"worker process died twice (signal {number:d})"
