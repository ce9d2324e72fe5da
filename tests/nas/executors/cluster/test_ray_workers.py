"""What the driver of a cluster makes of what it is told; Ray is not needed for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest
from stubs import gone, importing, make_stub, stub_job

from nas.errors import NasError
from nas.executors.cluster import process, workers
from nas.executors.cluster.desk import Closed, Ended, Lost, Opened, Refused, Rung
from nas.executors.cluster.messages import Answer, Capacity, Failed, Joined, Note, Settings, Submit
from nas.executors.cluster.workers import RayWorkers
from nas.executors.executor import Done, Ready, Unfinished
from nas.runs.job import Outcome, Score
from nas.runs.settings import versions

GOOD = Outcome("complete", (Score(3, 0.1, 0.9),))
OPENED = Opened(1, "10.77.0.2", versions())


class Conductor:
    """Stands for the process: what it is sent is kept, and it says what a test says."""

    made: list[Conductor]

    def __init__(self, *_: Any) -> None:
        self.joined, self.begun, self.closed = False, workers.time.monotonic(), False
        self.sent: list[Any] = []
        self.pipe, self.theirs = Pipe()
        self.made.append(self)

    def send(self, message: Any) -> None:
        self.sent.append(message)

    def close(self) -> None:
        self.closed = True


class Driver:
    """An executor whose conductors are such, and what a user would be told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.asked: list[tuple[int, int]] = []
        self.executor = RayWorkers(make_stub, Settings("head:6379"), say=self.told.append)
        self.executor.__enter__()

    @property
    def conductor(self) -> Conductor:
        return Conductor.made[-1]

    def hears(self, *messages: Any) -> list[Any]:
        """The events that come of these messages."""
        for message in messages:
            self.conductor.theirs.send(message)
        return self.executor.wait(self.on_rung, timeout=0)

    def on_rung(self, number: int, score: Score) -> bool:
        self.asked.append((number, score.epoch))
        return number % 2 == 0


@pytest.fixture
def driver(monkeypatch) -> Driver:
    monkeypatch.setattr(Conductor, "made", [], raising=False)
    monkeypatch.setattr(workers, "ConductorProcess", Conductor)
    monkeypatch.setattr(workers, "require_ray", lambda: None)
    monkeypatch.setattr(workers.time, "sleep", lambda seconds: None)
    made = Driver()
    for number in range(2):
        made.executor.submit(number, stub_job(f"net{number}"))
    return made


def test_a_job_is_submitted_once_and_comes_back_once(driver):
    assert driver.conductor.sent == [Submit({0: stub_job("net0")}), Submit({1: stub_job("net1")})]
    assert driver.hears(Joined({}), Capacity(2), OPENED) == [Ready(0)]
    assert driver.executor.capacity == 2
    assert driver.hears(Ended(0, GOOD, 1), Ended(0, GOOD, 1)) == [Done(0, GOOD, 0)]


@pytest.mark.parametrize("losses", [2, 3])
def test_a_lost_job_is_submitted_again_at_most_twice(driver, losses):
    driver.hears(Joined({}), OPENED)
    driver.conductor.sent.clear()
    events = driver.hears(*[Lost(0, "signal 9")] * losses)
    assert driver.conductor.sent == [Submit({0: stub_job("net0", single=True)}, first=True)] * 2
    # no failed outcome: it is not the candidate that lost them
    assert events == [Unfinished(0, "its worker was lost 3 times (signal 9)", 0)] * (losses == 3)
    if losses == 3:
        driver.executor.submit(0, stub_job("net0"))  # it may be tried again
    assert driver.hears(Ended(0, GOOD, 1)) == [Done(0, GOOD, 0)]


def test_a_lane_that_opens_again_keeps_its_place(driver):
    """As after its node was drained."""
    driver.hears(Joined({}), OPENED)
    assert driver.hears(OPENED, Ended(1, GOOD, 1)) == [Ready(0), Done(1, GOOD, 0)]
    assert driver.executor.capacity == 1


def test_a_lane_takes_a_place_that_is_free_not_one_that_another_has(driver):
    first, second, third, later = (Opened(lane, "10.77.0.2", versions()) for lane in (1, 2, 3, 4))
    assert driver.hears(Joined({}), first, second, third) == [Ready(0), Ready(1), Ready(2)]
    assert driver.hears(Closed(1, "")) == []
    assert driver.hears(later, Ended(0, GOOD, 3), Ended(1, GOOD, 4)) == [Ready(0), Done(0, GOOD, 2), Done(1, GOOD, 0)]


def test_a_rung_is_answered_whenever_it_comes(driver):
    driver.hears(Joined({}), OPENED, Rung(1, Score(1, 0.5, 0.5)), Lost(1, "signal 9"), Rung(1, Score(1, 0.5, 0.5)))
    assert driver.asked == [(1, 1)] * 2
    assert [message for message in driver.conductor.sent if isinstance(message, Answer)] == [Answer(1, 1, False)] * 2


def test_a_lost_cluster_is_looked_for_again_and_given_what_is_not_done(driver):
    driver.hears(Joined({}), OPENED, Ended(0, GOOD, 1), Failed("the head is gone"))
    first = driver.conductor
    assert first.closed
    driver.executor.submit(2, stub_job("net2"))  # while there is none
    driver.hears()
    assert driver.conductor is not first
    assert driver.conductor.sent == [Submit({1: stub_job("net1"), 2: stub_job("net2")})]
    driver.hears(Failed("nothing answers"))
    assert driver.told == ["the Ray cluster 'head:6379' is lost (the head is gone): looking for it again"]


def test_what_its_worker_was_lost_with_is_trained_by_itself_after_the_cluster_was_lost_too(driver):
    driver.hears(Joined({}), OPENED, Lost(0, "signal 9"), Failed("the head is gone"))
    driver.hears()
    assert driver.conductor.sent == [Submit({0: stub_job("net0", single=True), 1: stub_job("net1")})]


def test_a_cluster_that_stays_lost_ends_the_search(driver, monkeypatch):
    driver.hears(Joined({}), OPENED, Failed("the head is gone"))
    driver.hears()
    monkeypatch.setattr(workers, "PATIENCE", -1.0)
    with pytest.raises(NasError, match=r"^the Ray cluster 'head:6379' has been lost for -1 s: nothing answers$"):
        driver.hears(Failed("nothing answers"))


ENDINGS: dict[str, tuple[list[Any], str]] = {
    "cannot join": ([Failed("no token")], "cannot join the Ray cluster 'head:6379': no token"),
    "of no use": ([Joined({}), Failed("cannot pickle")], "the Ray cluster 'head:6379' is of no use: cannot pickle"),
    "refused": (
        [Joined({}), Refused(1, "n", Outcome("failed", reason="OSError: no data"))],
        "worker 1 could not start",
    ),
    "dies": ([Joined({}), Closed(1, "signal 9"), Closed(2, "signal 9")], "a worker died twice before it was ready"),
    "another version": (
        [Joined({}), Opened(1, "10.77.0.2", versions() | {"einmix-nas": "0.0.1"})],
        "node 10.77.0.2 has einmix-nas 0.0.1, this one .*: install the same on all nodes",
    ),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_what_cannot_become_better_ends_the_search_in_one_line(driver, name):
    messages, error = ENDINGS[name]
    with pytest.raises(NasError, match=f"^{error}"):
        driver.hears(*messages)


def test_where_other_workers_are_at_work_bad_ones_are_told_once(driver):
    bad = Refused(2, "10.77.0.3", Outcome("failed", reason="OSError: no data"))
    other = Opened(3, "10.77.0.3", versions() | {"torch": "0.1"})
    driver.hears(
        Joined({}), OPENED, bad, Closed(2, "signal 9"), bad, Closed(2, "signal 9"), other, other, Note("a word")
    )
    assert driver.told == [
        "a worker could not start on node 10.77.0.3: OSError: no data",
        "a worker died before it was ready (signal 9)",
        f"node 10.77.0.3 has torch 0.1, this one {versions()['torch']}: results may differ",
        "a word",
    ]


def test_a_cluster_that_does_not_answer_is_not_waited_for_without_end(driver, monkeypatch):
    monkeypatch.setattr(workers, "JOIN", 0.0)
    with pytest.raises(NasError, match=r"^cannot join the Ray cluster 'head:6379': no answer within 0 s$"):
        driver.executor.wait(driver.on_rung)


def test_half_a_message_is_the_end_of_a_conductor(driver):
    driver.hears(Joined({}), OPENED)
    driver.conductor.theirs.send_bytes(b"\x80\x04half")
    driver.hears()
    assert driver.told == [
        "the Ray cluster 'head:6379' is lost (the process that ran Ray Tune died): looking for it again"
    ]


@pytest.fixture
def session() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a process that leads a session, with a child in it."""
    started = []

    def start(**environment: str) -> subprocess.Popen[bytes]:
        child = [sys.executable, "-c", "import time; time.sleep(60)"]
        script = f"import subprocess, time; print(subprocess.Popen({child}).pid, flush=True); time.sleep(60)"
        command = [sys.executable, "-c", script]
        started.append(
            subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, env=importing() | environment)
        )
        return started[-1]

    yield start
    for leader in started:
        process.kill_session(leader.pid)
        leader.communicate()


needs_proc = pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")


@needs_proc
def test_the_swept_are_those_that_used_the_folder(session, tmp_path, monkeypatch):
    monkeypatch.setattr(process.tempfile, "gettempdir", lambda: "/tmp")
    monkeypatch.setattr(process, "_root", lambda: tmp_path)
    mine, another = tmp_path / "nas-ray-mine", tmp_path / "nas-ray-another"
    leaders = {mine: session(TMPDIR=str(mine)), another: session()}
    children = {folder: int(leader.stdout.readline()) for folder, leader in leaders.items()}
    for folder, leader in leaders.items():
        folder.mkdir()
        (folder / "owner").write_text(f"{leader.pid}\n")
    (tmp_path / "nas-ray-young").mkdir()
    (tmp_path / "nas-ray-old").mkdir()
    os.utime(tmp_path / "nas-ray-old", (0, 0))
    process.sweep()
    assert gone(children[mine])
    assert leaders[mine].wait(10) == -signal.SIGKILL
    assert leaders[another].poll() is None  # its number is another's by now
    assert [path.name for path in tmp_path.iterdir()] == ["nas-ray-young"]


@needs_proc
def test_who_ends_its_own_session_ends_it_whole(tmp_path):
    script = """
import os, subprocess, sys
from nas.executors.cluster.process import kill_session
os.setsid()
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid, flush=True)
kill_session(os.getpid())
"""
    done = subprocess.run([sys.executable, "-c", script], env=importing(), stdout=subprocess.PIPE, check=False)
    assert done.returncode == -signal.SIGKILL
    assert gone(int(done.stdout))
