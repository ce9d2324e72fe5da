"""What becomes of trainings that cannot be brought to an end, or fail: nothing is recorded that is no result."""

from __future__ import annotations

import itertools
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

import pytest
from searches import Noting, notes, plan, result_of, search_in, tiny
from stubs import make_bundling, make_stub, stub_job

from einmix import Architecture
from nas.errors import NasError
from nas.executors.executor import Done, Event, Executor, MakeTrainer, OnRung, Unfinished
from nas.executors.processes import LocalWorkers
from nas.executors.serial import Serial
from nas.loop.loop import Loop
from nas.loop.past import TRIES, check_result, make_job, of_a_kind, say_changes
from nas.loop.status import Quiet, Status, Watcher
from nas.loop.trainings import Trainings, Work, trainings_in
from nas.runs.folder import RunFolder
from nas.runs.job import GoOn, Job, Key, Kind, Outcome, Score, Trainer
from nas.runs.result import Result
from nas.runs.storage import Storage
from nas.strategies.random_search import RandomSearch
from search_spaces import BoundSpace, Budget

SPACE = tiny("mixed", depth=(1, 2))
SETTINGS = {"objective": "accuracy"}
GPU = Kind("cuda", "tf32")


class Losing(Serial):
    """Trains in this process, but loses some jobs, by their phase, id and seed, as often as it is told."""

    def __init__(self, make: Noting, lost: Counter[tuple[str, str, int]]):
        super().__init__(make)
        self._lost, self._gone = lost, list[Event]()

    def submit(self, number: int, *jobs: Job) -> None:
        for at, job in enumerate(jobs, number):
            which = job.phase, job.id, job.seed
            if self._lost[which]:
                self._lost[which] -= 1
                self._gone.append(Unfinished(at, f"its worker was lost 3 times (node {at} is gone)", 0))
            else:
                super().submit(at, job)

    def wait(self, on_rung: OnRung, timeout: float | None = None) -> list[Event]:
        gone, self._gone = self._gone, []
        return gone or super().wait(on_rung, timeout)


class Hearing(Quiet):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def run_in(tmp_path: Path) -> RunFolder:
    return RunFolder.create_or_open(tmp_path, "x", SETTINGS)


def results(tmp_path: Path) -> list[Result]:
    return RunFolder.open(tmp_path, "x").results(validate=check_result)


def searched(tmp_path: Path, lost: Counter[tuple[str, str, int]]) -> Loop:
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


def train_missing(
    wanted: Work,
    run: RunFolder,
    executor: Callable[[Storage], Executor],
    watcher: Watcher,
    status: Status,
    *,
    tries: float = inf,
) -> dict[Key, Result]:
    """As commands other than a search do it."""
    with trainings_in(run, executor, watcher) as trainings:
        return trainings.completed(wanted, watcher, status, tries=tries)


def test_longer_trainings_that_are_lost_are_said_and_missing(tmp_path):
    one, other = (make_job(architecture, 0.01, 0, 3, "train") for architecture in list(SPACE.enumerate())[:2])
    architectures = {architecture.id: architecture for architecture in SPACE.enumerate()}
    wanted = [(job, architectures[job.id]) for job in (one, other)]
    hearing, lost = Hearing(), Counter({("train", one.id, 0): 1})

    def executor(storage: object) -> Executor:
        return Losing(Noting(tmp_path / "log"), lost)

    with run_in(tmp_path) as run:
        found = train_missing(wanted, run, executor, hearing, Status("train", 0))
        assert list(found) == [other.key]
        assert hearing.said == [
            "1 training could not be brought to an end (its worker was lost 3 times (node 0 is gone)): "
            "nothing is recorded, the same command goes on with it"
        ]
        assert list(train_missing(wanted, run, executor, hearing, Status("train", 0))) == [one.key, other.key]


@pytest.mark.parametrize(("phase", "tries"), [("train", 4), ("compare", 4), ("tune", 2)])
def test_what_fails_is_tried_whenever_it_is_asked_for_but_a_learning_rate_once_more(phase, tries, tmp_path):
    """For a rate that is tried, to fail is an answer."""
    architecture = next(SPACE.enumerate())
    job = make_job(architecture, 0.01, 7, 3, phase)
    with run_in(tmp_path) as run:
        for _ in range(4):
            train_missing(
                [(job, architecture)],
                run,
                lambda storage: Serial(Noting(tmp_path / "log", {job.id: "raise"})),
                Hearing(),
                Status(phase, 0),
                tries=TRIES if phase == "tune" else inf,
            )
    assert len(notes(tmp_path / "log", "start")) == tries


@pytest.mark.parametrize("phase", ["search", "final", "compare"])
def test_a_training_of_another_phase_is_another_one_though_all_else_is_alike(phase, tmp_path):
    """That of the search was chosen by, met no test data and kept no weights; numbers go on behind it."""
    architecture = next(SPACE.enumerate())
    job = replace(make_job(architecture, 0.01, 7, 3, "train"), weights=True)
    earlier = result_of(architecture, 0.99, phase=phase, seed=7)
    assert earlier.key == job.key
    with run_in(tmp_path) as run:
        run.append(earlier.to_line() | {"number": 4})
        for _ in range(2):  # the second time there is a line of its own phase
            found = train_missing(
                [(job, architecture)],
                run,
                lambda _: Serial(Noting(tmp_path / "log")),
                Quiet(),
                Status("train", 0),
            )
            assert found[job.key].phase == "train" and found[job.key].score != earlier.score
        assert [result.number for result in run.results()] == [4, 5]
        assert len(notes(tmp_path / "log", "start")) == 1 and run.weights_path(job).is_file()


@pytest.mark.parametrize(
    ("extra", "known", "said"),
    [
        ({}, 2, []),
        (GPU._asdict(), 2, []),
        (
            {"device": "cpu"},
            1,
            [
                "final: 1 on cpu in float32 stand apart: a mean is of one device and precision, now cuda in tf32 "
                "(--device says which)",
                "1 candidate was trained on cpu in float32, others are on cuda in tf32: not quite comparable",
            ],
        ),
    ],
)
def test_a_failure_that_does_not_say_on_what_counts_for_any_kind(extra, known, said, tmp_path):
    one, another = list(SPACE.enumerate())[:2]
    good = replace(result_of(one, 0.5), extra=GPU._asdict())
    bad = replace(result_of(another, None, "failed"), extra=extra)
    hearing = Hearing()
    with RunFolder.create_or_open(tmp_path, "x", SETTINGS | {"device": "cuda"}) as run:
        for phase in ("search", "final"):
            for result in (good, bad):
                run.append(replace(result, phase=phase).to_line())
        status = Status("final", 0, kind=GPU)
        found = of_a_kind([good.key, bad.key], run.results(), run, status, hearing)
        say_changes(run, GPU, hearing)
    assert len(found) == known and hearing.said == said


def ended(job: Job, report: GoOn) -> Outcome:
    """A training within which somebody ends the worker, by the signal that the job names."""
    if job.architecture["signal"] in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(job.architecture["signal"], signal.SIG_DFL)  # nohup has what it starts ignore the latter
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


@dataclass(frozen=True)
class Breaking:
    """Makes the stub trainer; in the first `processes` that do, every job from the third on of them all raises this."""

    folder: Path
    error: str
    processes: int = 1

    def __call__(self, worker: int) -> Trainer:
        train, begun, jobs = (
            Noting(self.folder / "log").train,
            len(list(self.folder.glob("begun*"))),
            itertools.count(1),
        )
        Path(self.folder, f"begun {os.getpid()} {begun} {worker}").touch()

        def broken(job: Job, report: GoOn) -> Outcome:
            number = next(jobs)
            if (number > 2 or begun) and begun < self.processes:
                raise RuntimeError(f"{self.error} at 0x7f{number} after {number} jobs")
            return train(job, report)

        return broken


def test_a_job_that_runs_once_more_is_not_asked_about_again(tmp_path):
    asked = []

    def on_rung(number: int, score: Score) -> bool:
        asked.append((number, score.epoch))
        return True

    with LocalWorkers(make_stub, 1) as executor, run_in(tmp_path) as run:
        trainings = Trainings(executor, run, [])
        job = stub_job("a", "die late", flag=str(tmp_path / "f"), times=1)
        trainings.submit((job, next(first(SPACE, 1))))
        while not (ended := trainings.wait(on_rung)):
            pass
    assert ended[0][0].state == "complete"
    assert asked == [(0, 1)]


def test_what_is_submitted_at_once_may_be_trained_as_one_and_is_kept_one_by_one(tmp_path):
    networks = list(first(SPACE, 2))
    jobs = [
        (stub_job(each.id, seed=seed, phase="final", rungs=(), **{"bad seed": 2}), each)
        for seed in range(3)
        for each in networks
    ]
    with Serial(make_bundling, bundle=8) as executor, run_in(tmp_path) as run:
        trainings = Trainings(executor, run, [])
        trainings.submit(*jobs)
        found = []
        while trainings:
            found += trainings.wait(lambda number, score: True)
    assert sorted(result.key for result, _ in found) == sorted(job.key for job, _ in jobs)
    assert sorted(result.number for result, _ in found) == list(range(6))
    for result, architecture in found:
        assert result.id == architecture.id and result.state == ("failed" if result.seed == 2 else "complete")
        assert result.extra.get("together") == 3


def first(space: BoundSpace, n: int) -> Iterator[Architecture]:
    """What a random search proposes."""
    strategy = RandomSearch(space, Budget(), 0)
    return (architecture for _ in range(n) if (architecture := strategy.ask()))


ERRORS = ["CUDA error: an illegal memory access was encountered", "what the trainer holds is spoilt"]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_worker_is_replaced_and_its_failures_are_nobodys(workers, error, tmp_path):
    make = Breaking(tmp_path, error)
    executor = LocalWorkers(make, workers) if workers else Serial(make)
    with executor, run_in(tmp_path) as run:
        search_in(run, executor, plan(trials=12), space=SPACE)
    found = results(tmp_path)
    assert {result.state for result in found} == {"complete"}
    assert Counter(result.phase for result in found)["search"] == 12
    assert len({result.key for result in found}) == len(found)
    assert len(list(tmp_path.glob("begun*"))) == 2


@pytest.mark.parametrize("phase", ["search", "final", "compare"])
def test_what_fails_whatever_is_trained_ends_it_and_is_recorded_of_nobody(phase, tmp_path):
    make = Breaking(tmp_path, "the driver is too old", processes=99)
    trials = {"search": 12, "final": 2, "compare": 2}[phase]

    def train(make: MakeTrainer) -> None:
        with Serial(make) as executor, run_in(tmp_path) as run:
            if phase == "compare":
                jobs = [(make_job(each, 0.01, 5, 3, phase), each) for each in list(SPACE.enumerate())[:9]]
                train_missing(jobs, run, lambda storage: executor, Quiet(), Status(phase, 0))
            else:
                search_in(run, executor, plan(trials=trials, top=9), space=SPACE)

    with pytest.raises(NasError, match=r"5 different networks in a row failed of one cause \(RuntimeError: the driver"):
        train(make)
    before = results(tmp_path)
    assert 0 < len(before) <= 2 * 4 and {result.state for result in before} == {"complete"}
    proposed = RunFolder.open(tmp_path, "x").notes("proposed")
    train(Noting(tmp_path / "log"))
    after = results(tmp_path)
    assert {result.state for result in after} == {"complete"} and len({result.key for result in after}) == len(after)
    if phase == "search":
        assert [result.id for result in after][: len(proposed)] == [each["id"] for each in proposed]


def test_networks_that_fail_beside_others_that_do_not_are_to_blame(tmp_path):
    """However many they are, and though one cause is all theirs."""
    ids = [each.id for each in first(SPACE, 30)]
    bad = {id: "raise" for number, id in enumerate(ids) if number % 3 or number in (9, 12)}
    with Serial(Noting(tmp_path / "log", bad)) as executor, run_in(tmp_path) as run:
        search_in(run, executor, plan(trials=30, top=1, seeds=1), space=SPACE)
    states = {result.id: result.state for result in results(tmp_path) if result.phase == "search"}
    assert {id for id, state in states.items() if state == "failed"} == set(bad)
    tried = Counter(note.key for note in notes(tmp_path / "log", "start") if note.key[2] == 0)
    assert max(tried.values()) == 2  # those in rows of three and more


def test_one_network_that_fails_with_every_seed_is_to_blame(tmp_path):
    network = next(SPACE.enumerate())
    jobs = [(make_job(network, 0.01, seed, 3, "train"), network) for seed in range(8)]
    make = Noting(tmp_path / "log", {network.id: "raise"})
    with run_in(tmp_path) as run:
        found = train_missing(jobs, run, lambda storage: Serial(make), Quiet(), Status("train", 0))
    assert {result.state for result in found.values()} == {"failed"} and len(results(tmp_path)) == 8


def test_a_learning_rate_at_which_all_diverge_is_an_answer(tmp_path):
    networks = list(SPACE.enumerate())[:8]
    jobs = [(make_job(each, 0.5, 0, 3, "tune"), each) for each in networks]
    make = Noting(tmp_path / "log", dict.fromkeys((each.id for each in networks), "nan"))
    with run_in(tmp_path) as run:
        found = train_missing(jobs, run, lambda storage: Serial(make), Quiet(), Status("tune", 0))
    assert [result.reason[:18] for result in found.values()] == ["FloatingPointError"] * 8


@dataclass(frozen=True)
class Large:
    """Makes the stub trainer, for which memory is short with some networks unless they are alone, or even so."""

    log: Path
    ids: frozenset[str]
    hopeless: frozenset[str] = frozenset()

    def __call__(self, worker: int) -> Trainer:
        train = Noting(self.log, ms=2).train

        def large(job: Job, report: GoOn) -> Outcome:
            if job.id in self.hopeless or (job.id in self.ids and not job.alone):
                raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return train(job, report)

        return large


@pytest.mark.parametrize(("workers", "devices"), [(3, 1), (4, 2), (2, 2)])
def test_where_memory_is_short_a_network_is_tried_again_with_its_device_for_itself(workers, devices, tmp_path):
    jobs = {number: stub_job(f"net{number}") for number in range(24)}
    large = frozenset(f"net{number}" for number in (2, 3, 11, 23))
    outcomes, where = {}, {}
    make = Large(tmp_path / "log", large, frozenset(["net7"]))
    with LocalWorkers(make, workers, devices=devices) as executor:
        for number, job in jobs.items():
            executor.submit(number, replace(job, architecture={"do": "learn", "ms": 2}))
        while len(outcomes) < len(jobs):
            for event in executor.wait(lambda number, score: True):
                if isinstance(event, Done):
                    outcomes[f"net{event.number}"] = event.outcome
                    where[f"net{event.number}"] = event.outcome.extra.get("pid")
    failed = {id for id, outcome in outcomes.items() if outcome.state == "failed"}
    assert failed == {"net7"} and outcomes["net7"].reason.startswith("out of memory (RuntimeError: CUDA out of memory")
    if devices == 1:
        noted = [(note.what, note.key[0]) for note in notes(tmp_path / "log")]
        for id in large:  # nothing begins or ends while it is trained
            begun = noted.index(("start", id))
            assert noted[begun + 1] == ("end", id)
