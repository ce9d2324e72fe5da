"""Searches on real Ray clusters of several nodes, which come, go and are killed; skipped where Ray is not installed."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clusters import cluster, head, node, surroundings
from killing import SETTINGS, facts, needs_proc, results, search
from searches import Noting, notes
from stubs import accuracy, alive, gone, importing, make_stub, stub_job

from nas.errors import NasError
from nas.executors.cluster.messages import Settings
from nas.executors.cluster.workers import RayWorkers, cluster_resources
from nas.executors.executor import Done
from nas.executors.serial import Serial
from nas.runs.folder import RunFolder
from nas.runs.job import Outcome

pytest.importorskip("ray", reason="Ray is not installed")


class Stream:
    """Jobs without end for an executor, until a condition on the processes that have done them holds."""

    def __init__(self, executor: RayWorkers):
        self.executor, self.submitted = executor, 0
        self.outcomes: dict[int, Outcome] = {}

    @property
    def pids(self) -> set[int]:
        return {outcome.extra["pid"] for outcome in self.outcomes.values()}

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 300
        while not condition():
            assert time.monotonic() < deadline
            while self.submitted < len(self.outcomes) + 6:
                self.submit(ms=50)
            self._wait()

    def submit(self, do: str = "learn", **facts: Any) -> None:
        self.executor.submit(self.submitted, stub_job(f"net{self.submitted}", do, **facts))
        self.submitted += 1

    def end(self) -> None:
        """Every job has come back, once, as it should."""
        while len(self.outcomes) < self.submitted:
            self._wait()
        reached = [self.outcomes[number].scores[-1].accuracy for number in range(self.submitted)]
        assert reached == [accuracy(f"net{number}", 0) for number in range(self.submitted)]

    def _wait(self) -> None:
        for event in self.executor.wait(lambda number, score: True, timeout=1):
            if isinstance(event, Done):
                assert event.number not in self.outcomes
                self.outcomes[event.number] = event.outcome


@needs_proc
@pytest.mark.slow
def test_nodes_come_and_go_and_a_worker_dies_and_every_job_is_done_once():
    with cluster(0, 1, 1) as nodes, RayWorkers(make_stub, Settings(nodes.address)) as executor:
        stream = Stream(executor)
        stream.until(lambda: len(stream.pids) == 2)
        os.kill(min(stream.pids), signal.SIGKILL)  # a worker
        stream.until(lambda: len(stream.pids) == 3)
        nodes.add(1)
        stream.until(lambda: len(stream.pids) == 4)
        assert executor.capacity == 3
        nodes.kill(1)
        stream.until(lambda: sum(map(alive, stream.pids)) == 2)
        stream.end()
    assert [pid for pid in stream.pids if not gone(pid)] == []


@needs_proc
@pytest.mark.slow
def test_a_node_that_is_told_to_end_strands_no_job(tmp_path):
    """It is drained as one that is preempted: nothing is begun there, and what outlasts its grace is done elsewhere."""
    with cluster(0) as nodes, RayWorkers(make_stub, Settings(nodes.address)) as executor:
        stream = Stream(executor)
        with node(nodes.address, 1, grace=0.5) as first:
            stream.until(lambda: len(stream.pids) == 1)
            os.kill(min(stream.pids), signal.SIGKILL)  # a worker
            stream.until(lambda: len(stream.pids) == 2)
            # by its epochs no straggler, which would be copied: it has to be known as lost
            stream.submit("note pids", ms=1, epochs=2000, folder=str(tmp_path))
            stream.until(lambda: list(tmp_path.iterdir()))
            first.terminate()
            with node(nodes.address, 1, grace=600.0) as second:
                stream.until(lambda: len(list(tmp_path.iterdir())) == 2 and len(stream.pids) == 3)
                second.terminate()
                nodes.add(1)
                stream.until(lambda: len(stream.pids) == 4 and second.poll() is not None)  # it had nothing to wait for
        stream.end()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.slow
def test_trainings_share_gpus_where_there_are_any_and_leave_the_other_nodes_alone():
    with cluster(2, (4, 1)) as nodes:
        assert cluster_resources(nodes.address)["GPU"] == 1
        settings = Settings(nodes.address, device="cuda", gpus_per_trial=0.25)
        with RayWorkers(make_stub, settings) as executor:
            stream = Stream(executor)
            stream.until(lambda: len(stream.pids) == 4)
            assert executor.capacity == 4
            stream.end()
    assert {outcome.extra["gpus"] for outcome in stream.outcomes.values()} == {"0"}


@pytest.mark.slow
def test_where_memory_is_short_fewer_share_a_gpu_and_what_was_short_is_trained_again():
    with (
        cluster(0, (2, 1)) as nodes,
        RayWorkers(make_stub, Settings(nodes.address, device="cuda", sharing=2)) as executor,
    ):
        stream = Stream(executor)
        stream.until(lambda: len(stream.pids) == 2)
        stream.submit("want a device")
        stream.until(lambda: executor.capacity == 1 and len(stream.pids) == 3)
        stream.end()


def test_an_address_where_nothing_answers_is_told_in_one_line():
    with pytest.raises(NasError, match=r"^cannot join the Ray cluster '127.0.0.1:1': nothing answers there \(.*\)$"):
        cluster_resources("127.0.0.1:1")


@pytest.mark.slow
def test_a_token_is_asked_for(monkeypatch):
    with cluster(1) as nodes:
        monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
        with pytest.raises(NasError, match=r"its token is needed, in RAY_AUTH_TOKEN or ~/.ray/auth_token"):
            cluster_resources(nodes.address)


DRIVER = """
import sys
from pathlib import Path

from nas.executors.cluster.messages import Settings
from nas.executors.cluster.workers import RayWorkers
from nas.runs.folder import RunFolder
from searches import Noting
from killing import SETTINGS, search

if __name__ == "__main__":
    root, address, ms, trials = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
    make, settings = Noting(root / "log", ms=ms), Settings(address, workers=2)
    executor = RayWorkers(make, settings, say=print, log=root / "ray.log")
    with executor, RunFolder.create_or_open(root, "x", SETTINGS) as run:
        search(run, executor, trials)
"""


class Driver:
    """A search on a cluster in a process of its own, started again as often as it is killed."""

    def __init__(self, root: Path, address: str, *, ms: float, trials: int):
        self.root, self.script, self.log = root, root / "driver.py", root / "log"
        self.script.write_text(DRIVER)
        self.command = [sys.executable, str(self.script), str(root), address, str(ms), str(trials)]
        self.trials = trials
        self.start()

    def start(self) -> None:
        """Starts it; from now on nothing that is on disk may be trained again."""
        self.on_disk, self.so_far = {result.key for result in results(self.root)}, len(notes(self.log))
        output = (self.root / "output").open("a")
        self.process = subprocess.Popen(
            self.command, env=importing(), start_new_session=True, stdout=output, stderr=output
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.check()

    def check(self) -> None:
        """What was on disk when it started has not been trained since."""
        assert not self.on_disk & {note.key for note in notes(self.log)[self.so_far :]}

    def wait_for(self, more: int) -> None:
        """Until so many more trainings have ended, or the search has."""
        ended, deadline = len(notes(self.log, "end")), time.monotonic() + 300
        while len(notes(self.log, "end")) < ended + more and self.process.poll() is None:
            assert time.monotonic() < deadline, (self.root / "output").read_text()
            time.sleep(0.01)

    @property
    def workers(self) -> list[int]:
        """The processes that have a training under way."""
        running = {note.pid for note in notes(self.log, "start")[-8:]}
        return [pid for pid in running if alive(pid)]

    def end(self) -> None:
        """Lets it end; all is as in a search in one process that nobody has disturbed."""
        assert self.process.wait(300) == 0, (self.root / "output").read_text()
        self.check()
        executor = Serial(Noting(self.root / "other log"))
        with executor, RunFolder.create_or_open(self.root, "y", SETTINGS) as run:
            search(run, executor, self.trials)
        ended = results(self.root)
        assert facts(ended) == facts(results(self.root, "y"))
        assert len(ended) == len({result.key for result in ended})


@needs_proc
@pytest.mark.slow
def test_a_driver_that_is_killed_goes_on_where_it_was(tmp_path):
    with cluster(0, 1, 1) as nodes:
        driver = Driver(tmp_path, nodes.address, ms=30, trials=30)
        driver.wait_for(8)
        driver.kill()
        driver.start()
        driver.wait_for(4)
        driver.end()


@needs_proc
@pytest.mark.slow
def test_a_head_that_is_restarted_is_found_again(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with surroundings() as environment:
        with head(port, 2, environment):
            driver = Driver(tmp_path, f"127.0.0.1:{port}", ms=30, trials=30)
            driver.wait_for(8)
        time.sleep(3)
        with head(port, 2, environment):
            driver.end()
    assert "is lost" in (tmp_path / "output").read_text()


def kill_at_random(root: Path, rounds: int, seed: int) -> Counter[str]:
    """Kills driver, worker or raylet so many times while a search runs; how often each."""
    chance, killed = random.Random(seed), Counter[str]()
    with cluster(0, 1, 1) as nodes:
        driver, living = Driver(root, nodes.address, ms=10, trials=rounds * 30), [1, 2]
        while killed.total() < rounds:
            driver.wait_for(chance.randint(3, 8))
            time.sleep(chance.random() * 0.05)
            assert driver.process.poll() is None, (root / "output").read_text()
            victim = chance.choice(["driver", "worker", "raylet"])
            if victim == "driver":
                driver.kill()
                driver.start()
            elif victim == "worker":
                if not (workers := driver.workers):
                    continue
                os.kill(chance.choice(workers), signal.SIGKILL)
            else:
                node = living.pop(chance.randrange(2))
                os.kill(nodes.raylets[node], signal.SIGKILL)
                nodes.add(1)
                living.append(len(nodes.raylets) - 1)
            killed[victim] += 1
            print(f"{killed.total()}/{rounds} {victim}", flush=True)
        driver.end()
    return killed


@needs_proc
@pytest.mark.slow
def test_fifty_random_kills_lose_nothing_and_repeat_nothing(tmp_path):
    """By hand, with other rounds: python tests/nas/executors/cluster/test_cluster.py 50."""
    killed = kill_at_random(tmp_path, 50, seed=0)
    assert len(killed) == 3
    assert min(killed.values()) > 5


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(kill_at_random(Path(folder), int(sys.argv[1]), seed=int(time.time())))
