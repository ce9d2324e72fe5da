"""Every executor keeps one contract; worker processes also survive kills and leave nothing behind."""

from __future__ import annotations

import functools
import os
import random
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from clusters import cluster
from killing import needs_proc, until
from stubs import (
    Holding,
    Packed,
    accuracy,
    alive,
    gone,
    importing,
    make_broken,
    make_bundling,
    make_dying,
    make_hungry,
    make_stub,
    stub_job,
)

from nas.errors import NasError
from nas.executors.cluster.messages import Settings
from nas.executors.cluster.workers import RayWorkers
from nas.executors.executor import Done, Executor, Ready, Task, failure, take_bundle
from nas.executors.processes import LocalWorkers
from nas.executors.serial import Serial
from nas.runs.job import Job, Outcome, Score

KINDS = ["serial", "forkserver", "spawn", pytest.param("ray", marks=pytest.mark.slow)]
HERE = (Serial,)
"""Those that train in this process."""


@pytest.fixture(scope="module")
def address():
    """Of a Ray cluster for all tests of this file."""
    pytest.importorskip("ray", reason="Ray is not installed")
    with cluster(4) as nodes:
        yield nodes.address


@pytest.fixture(scope="module")
def ray_workers(address):
    """An executor on it for all tests that need none of their own: to start one takes seconds."""
    with RayWorkers(make_stub, Settings(address, workers=2, patience=3600)) as executor:
        yield executor


@pytest.fixture(params=KINDS)
def make_executor(request) -> Callable[..., Executor]:
    """Makes an executor for a test alone, or one with the stub trainer that may have served others, to be left open."""
    kind = request.param
    if kind == "serial":
        return lambda make_trainer=make_stub, **options: Serial(make_trainer, **options)
    if kind != "ray":
        return lambda make_trainer=make_stub, **options: LocalWorkers(make_trainer, 2, method=kind, **options)
    settings, shared = Settings(request.getfixturevalue("address"), workers=2), request.getfixturevalue("ray_workers")

    def make(make_trainer=None, **options):
        return RayWorkers(make_trainer, replace(settings, **options)) if make_trainer else nullcontext(shared)

    return make


def go_on(number: int, score: Score) -> bool:
    return True


def run_all(executor: Executor, jobs: dict[int, Job], on_rung=go_on, most: int = 0) -> dict[int, Outcome]:
    """Submits all jobs and waits until each has come back, once."""
    for number, job in jobs.items():
        executor.submit(number, job)
    outcomes: dict[int, Outcome] = {}
    while len(outcomes) < len(jobs):
        for event in executor.wait(on_rung):
            if isinstance(event, Done):
                assert event.number not in outcomes
                assert 0 <= event.worker < (most or executor.capacity)
                outcomes[event.number] = event.outcome
    assert executor.wait(on_rung) == []
    return outcomes


def curves(outcomes: dict[int, Outcome]) -> dict[int, tuple]:
    return {number: (outcome.state, outcome.scores, outcome.train_loss) for number, outcome in outcomes.items()}


def test_every_job_comes_back_once_whatever_the_order(make_executor):
    jobs = {number: stub_job(f"net{number}", ms=number % 3, seed=number) for number in range(12)}
    with make_executor() as executor:
        forwards = run_all(executor, jobs)
        backwards = run_all(executor, dict(reversed(jobs.items())))
    assert {outcome.state for outcome in forwards.values()} == {"complete"}
    assert forwards[7].scores[-1] == Score(3, 1 - accuracy("net7", 7), accuracy("net7", 7))
    assert curves(forwards) == curves(backwards)


def alike(id: str, do: str = "learn", **facts) -> list[Job]:
    """Jobs that differ in seed or rate alone, and one that does not."""
    jobs = [stub_job(id, do, seed=seed, lr=lr, phase="final", rungs=(), **facts) for seed in range(3) for lr in (1, 2)]
    return [*jobs, stub_job(id, do, seed=3, phase="final", epochs=2, rungs=(), **facts)]


def test_jobs_that_are_alike_are_trained_as_one_and_come_back_one_by_one(make_executor):
    lists = [
        alike("a"),
        alike("b", "refuse"),
        alike("c", **{"bad seed": 1}, ms=2),
        [stub_job("a", seed=7, rungs=(1,))] * 2,
    ]
    jobs = [job for jobs in zip(*lists[:3], strict=True) for job in jobs] + lists[3]
    outcomes: dict[int, Outcome] = {}
    with make_executor(make_bundling, bundle=4) as executor:
        executor.submit(5, *jobs)
        while len(outcomes) < len(jobs):
            done = [event for event in executor.wait(go_on) if isinstance(event, Done)]
            assert not outcomes.keys() & {event.number for event in done}
            outcomes |= {event.number: event.outcome for event in done}
    found = {"a": [], "b": [], "c": []}
    for number, job in enumerate(jobs, 5):
        outcome = outcomes[number]
        if job.id == "c" and job.seed == 1:  # it fails by itself
            assert outcome.reason == "FloatingPointError: training loss in epoch 2 is nan"
            assert outcome.seconds > 0.01 and outcome.extra == {"device": "stub", "together": 4}
        else:
            assert outcome.state == "complete" and outcome.scores[-1].accuracy == accuracy(job.id, job.seed)
            found[job.id].append(outcome.extra.get("together"))
        assert ("not_together" in outcome.extra) == (job.id == "b" and job.epochs == 3)
    assert found == {"a": [4] * 4 + [2] * 2 + [None] * 3, "b": [None] * 7, "c": [4] * 2 + [2] * 2 + [None]}
    assert outcomes[6].extra["not_together"] == "RuntimeError: vmap has no rule for this"


@pytest.mark.parametrize(("most", "compared"), [(1, 0), (4, 3), (20, 9)])
def test_a_bundle_looks_no_further_in_the_queue_than_it_has_room(most, compared, monkeypatch):
    asked = []
    monkeypatch.setattr(Job, "is_like", lambda job, other: not asked.append(job.seed))
    queue = deque(Task(number, stub_job("a", seed=number)) for number in range(10))
    taken = [task.number for task in take_bundle(queue, most)]
    assert taken + [task.number for task in queue] == list(range(10))
    assert (len(taken), len(asked)) == (compared + 1, compared)


def test_what_its_worker_dies_of_is_trained_one_by_one(tmp_path):
    jobs = alike("a", "die", flag=str(tmp_path / "flag"), times=1)[:3]
    with LocalWorkers(make_bundling, 1, bundle=4) as executor:
        executor.submit(0, *jobs)
        outcomes = []
        while len(outcomes) < 3:
            outcomes += [event.outcome for event in executor.wait(go_on) if isinstance(event, Done)]
    assert [(outcome.state, outcome.extra.get("together")) for outcome in outcomes] == [("complete", None)] * 3


@pytest.mark.parametrize(
    ("make", "workers", "devices", "left"),
    [
        (Packed(2**30), 4, 1, 4),
        (Packed(9 * 2**30), 4, 1, 2),
        (Packed(9 * 2**30), 5, 2, 4),
        (Packed(20 * 2**30), 3, 1, 1),
        (Packed(2**30, room=3), 4, 1, 2),  # the fourth finds no memory to start with
    ],
)
def test_no_more_workers_share_a_device_than_its_memory_holds(make, workers, devices, left):
    jobs = {number: stub_job(f"net{number}", ms=1) for number in range(12)}
    with LocalWorkers(make, workers, devices=devices, settles=True) as executor:
        outcomes = run_all(executor, jobs, most=workers)
        while executor.capacity > left:  # all jobs may have ended before the last worker was started
            run_all(executor, jobs, most=workers)
        assert executor.capacity == left and len(executor._workers) <= left
        assert {outcome.state for outcome in run_all(executor, jobs).values()} == {"complete"}
    with LocalWorkers(replace(make, room=8), workers, devices=devices) as executor:
        assert curves(run_all(executor, jobs)) == curves(outcomes) and executor.capacity == workers


def test_wait_without_jobs_returns_and_starts_no_trainer(make_executor):
    with make_executor(make_broken) as executor:
        assert executor.wait(go_on) == []


FAILURES = {
    "raise": "ValueError: the sizes do not divide",
    "out of memory": "out of memory (MemoryError)",
    "nan": "FloatingPointError: training loss is nan in epoch 2",
    "nan score": "FloatingPointError: loss is nan, accuracy 0.30206",
    "worthless": "TypeError: Object of type object is not JSON serializable",
    "learn": "",
}


def test_failures_are_outcomes_with_reason_and_traceback(make_executor):
    with make_executor() as executor:
        outcomes = run_all(executor, {number: stub_job("a", do) for number, do in enumerate(FAILURES)})
    for outcome, reason in zip((outcomes[number] for number in range(len(FAILURES))), FAILURES.values(), strict=True):
        assert outcome.state == ("failed" if reason else "complete")
        assert outcome.reason.startswith(reason)
        assert outcome.traceback.startswith("Traceback" if reason else "")


def test_a_failure_keeps_the_rungs_before_it_and_nan_is_not_asked_about(make_executor):
    asked = []

    def on_rung(number: int, score: Score) -> bool:
        asked.append(number)
        return True

    with make_executor() as executor:
        outcomes = run_all(executor, {0: stub_job("a", "nan"), 1: stub_job("a", "nan score")}, on_rung)
    assert [[score.epoch for score in outcomes[number].scores] for number in (0, 1)] == [[1], []]
    assert asked == [0]


def test_the_answer_at_a_rung_prunes(make_executor):
    asked = {}

    def even_goes_on(number: int, score: Score) -> bool:
        asked[number, score.epoch] = score.accuracy
        return number % 2 == 0

    with make_executor() as executor:
        outcomes = run_all(executor, {n: stub_job(f"net{n}", rungs=(1, 2)) for n in range(6)}, even_goes_on)
    assert {n: outcome.state for n, outcome in outcomes.items()} == dict(enumerate(["complete", "pruned"] * 3))
    assert {n: len(outcome.train_loss) for n, outcome in outcomes.items()} == dict(enumerate([3, 1] * 3))
    assert sorted(asked) == [(0, 1), (0, 2), (1, 1), (2, 1), (2, 2), (3, 1), (4, 1), (4, 2), (5, 1)]
    assert asked[1, 1] == outcomes[1].scores[0].accuracy


def test_an_error_of_the_driver_is_not_taken_for_the_trainers(make_executor):
    def full_disk(number: int, score: Score) -> bool:
        raise OSError("disk full")

    with make_executor(make_stub) as executor, pytest.raises(OSError, match="disk full"):
        run_all(executor, {0: stub_job("a")}, full_disk)


def test_a_trainer_that_cannot_be_made_ends_the_search(make_executor):
    with make_executor(make_broken) as executor, pytest.raises(NasError) as raised:
        run_all(executor, {0: stub_job("a")})
    assert str(raised.value) in [f"worker {index} could not start: RuntimeError: no such device" for index in (0, 1)]
    assert "in make_broken" in raised.value.__notes__[0]


def test_workers_say_when_they_are_ready_and_none_is_left_in_the_midst_of_training(make_executor, tmp_path):
    executor, events = make_executor(make_stub), []
    here = isinstance(executor, HERE)
    with executor:
        executor.submit(0, stub_job("short"))
        executor.submit(1, stub_job("long", "note pids", ms=0 if here else 60_000, folder=str(tmp_path)))
        while not list(tmp_path.iterdir()):
            events += executor.wait(go_on, timeout=0.05)
    assert isinstance(events[0], Ready)
    pid = int(next(tmp_path.iterdir()).name.split("-")[0])
    assert pid == os.getpid() if here else gone(pid)


@needs_proc
@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_workers_share_the_arrays_of_what_makes_their_trainers(method):
    make = Holding(np.arange(12_000_000))
    with LocalWorkers(make, 2, method=method) as executor:
        found = [outcome.extra for outcome in run_all(executor, {n: stub_job("a") for n in range(6)}).values()]
        pids = {each["pid"] for each in found}
        os.kill(min(pids), signal.SIGKILL)  # the one that takes its place has them, too
        found += [outcome.extra for outcome in run_all(executor, {n: stub_job("a") for n in range(4)}).values()]
    assert {each["sum"] for each in found} == {int(make.array.sum())}
    assert all(each["lies in"].startswith("/memfd:nas") for each in found)  # a copy would be the process' own
    assert all(each["first"] in (0, each["pid"]) for each in found)  # what one writes is for it alone
    assert make.array[0] == 0


@needs_proc
@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_workers_keep_the_memory_that_they_free(method):
    with LocalWorkers(make_hungry, 1, method=method) as executor:
        (outcome,) = run_all(executor, {0: stub_job("a")}).values()
    assert outcome.extra["faults"] < 768  # pages of one of the 40 allocations


def test_wait_stops_at_its_timeout():
    with LocalWorkers(make_stub, 1) as executor:
        executor.submit(0, stub_job("a", ms=60_000))
        assert executor.wait(go_on) == [Ready(0)]
        assert executor.wait(go_on, timeout=0.01) == []


def test_what_has_ended_is_not_lost_with_an_error_of_the_driver():
    def full_disk(number: int, score: Score) -> bool:
        raise OSError("disk full")

    with LocalWorkers(make_stub, 2) as executor:
        run_all(executor, {number: stub_job("a", ms=20, rungs=()) for number in range(4)})
        executor.submit(0, stub_job("a", rungs=()))
        executor.submit(1, stub_job("a"))
        pipes = [worker.pipe for worker in executor._workers.values()]
        until(lambda: all(pipe.poll() for pipe in pipes))  # one `wait` finds both the one's end and the other's rung
        events = []
        with pytest.raises(OSError, match="disk full"):
            while True:
                events += executor.wait(full_disk)
        events += executor.wait(full_disk, timeout=0)
    assert [event.number for event in events if isinstance(event, Done)] == [0]


def test_a_number_is_not_given_twice():
    with LocalWorkers(make_stub, 1) as executor:
        executor.submit(0, stub_job("a"))
        with pytest.raises(ValueError, match="job 0 is already submitted"):
            executor.submit(0, stub_job("b"))


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_ctrl_c_does_not_reach_the_workers(method):
    with LocalWorkers(make_stub, 1, method=method) as executor:
        outcomes = run_all(executor, {0: stub_job("a", "interrupt")})
    assert outcomes[0].state == "complete"


@pytest.mark.parametrize(("times", "state"), [(1, "complete"), (2, "failed")])
def test_a_killed_job_runs_once_more(times, state, tmp_path):
    jobs = {number: stub_job(f"net{number}") for number in range(6)}
    jobs[2] = stub_job("net2", "die", flag=str(tmp_path / "flag"), times=times)
    with LocalWorkers(make_stub, 2) as executor:
        outcomes = run_all(executor, jobs)
    assert {outcomes[number].state for number in jobs if number != 2} == {"complete"}
    assert outcomes[2].state == state
    assert outcomes[2].reason == ("worker process died twice (signal 9)" if state == "failed" else "")


@pytest.mark.parametrize("times", [1, 2])
def test_a_worker_killed_at_its_start_is_started_once_more(times, tmp_path):
    with LocalWorkers(functools.partial(make_dying, tmp_path / "flag", times), 1) as executor:
        if times == 1:
            assert run_all(executor, {0: stub_job("a")})[0].state == "complete"
        else:
            with pytest.raises(NasError, match=r"worker 0 died twice before it was ready \(signal 9\)"):
                run_all(executor, {0: stub_job("a")})


def test_kills_at_random_moments_lose_no_job():
    chance = random.Random(0)
    jobs = {number: stub_job(f"net{number}", ms=2) for number in range(60)}
    kills, outcomes = 0, {}
    with LocalWorkers(make_stub, 2) as executor:
        for number, job in jobs.items():
            executor.submit(number, job)
        while len(outcomes) < len(jobs):
            for event in executor.wait(go_on):
                if isinstance(event, Done):
                    outcomes[event.number] = event.outcome
                    pid = event.outcome.extra.get("pid")
                    if pid and chance.random() < 0.5 and alive(pid):
                        time.sleep(chance.random() * 0.008)  # into the midst of its next job, or idle after it
                        os.kill(pid, signal.SIGKILL)
                        kills += 1
    assert kills
    assert sorted(outcomes) == sorted(jobs)
    for number, outcome in outcomes.items():
        if outcome.state == "complete":
            assert outcome.scores[-1].accuracy == accuracy(f"net{number}", 0)
        else:
            assert outcome.reason == "worker process died twice (signal 9)"


DRIVER = """
import sys
from nas.executors.processes import LocalWorkers
from stubs import make_stub, stub_job

with LocalWorkers(make_stub, 2, method=sys.argv[2]) as executor:
    for number in range(2):
        executor.submit(number, stub_job("a", "note pids", ms=60_000, folder=sys.argv[1]))
    while True:
        executor.wait(lambda number, score: True)
"""


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_driver(how, method, tmp_path):
    script, notes = tmp_path / "driver.py", tmp_path / "pids"
    script.write_text(DRIVER)
    notes.mkdir()
    command = [sys.executable, str(script), str(notes), method]
    driver = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, env=importing())
    while len(list(notes.iterdir())) < 2:
        assert driver.poll() is None
        time.sleep(0.01)
    if how == signal.SIGINT:  # as a terminal does: to the driver and all its workers
        os.killpg(driver.pid, how)
    else:
        driver.kill()
    error = driver.communicate()[1]
    pids = {int(pid) for note in notes.iterdir() for pid in note.name.split("-")} - {driver.pid}
    assert len(pids) == (3 if method == "forkserver" else 2)
    assert [pid for pid in pids if not gone(pid)] == []
    assert error.count("Traceback") == (1 if how == signal.SIGINT else 0)  # the driver's own KeyboardInterrupt


UNGUARDED = """
import sys
from nas.executors.executor import Done
from nas.executors.processes import LocalWorkers
from stubs import make_stub, stub_job

print("run", flush=True)
with LocalWorkers(make_stub, 1, method=sys.argv[1]) as executor:
    executor.submit(0, stub_job("a"))
    while not (done := [event for event in executor.wait(lambda number, score: True) if isinstance(event, Done)]):
        pass
print(done[0].outcome.state)
"""


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
@pytest.mark.parametrize("given", ["a file", "stdin"])
def test_a_script_needs_no_guard_and_is_run_once(given, method, tmp_path):
    (tmp_path / "script.py").write_text(UNGUARDED)
    words = [sys.executable, str(tmp_path / "script.py") if given == "a file" else "-", method]
    done = subprocess.run(words, input=UNGUARDED, capture_output=True, text=True, env=importing())
    assert (done.stdout.split(), done.stderr) == (["run", "complete"], "")


def test_out_of_memory_is_told_in_these_words():
    cuda = RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB.")
    cpu = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")
    assert failure(cuda).reason == f"out of memory (RuntimeError: {cuda})"
    assert failure(cpu).reason == f"out of memory (RuntimeError: {cpu})"
    assert failure(RuntimeError("x" * 1000)).reason == "RuntimeError: " + "x" * 386
