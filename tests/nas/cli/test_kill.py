"""A search killed at random moments, driver or worker, ends as one that was not, and trains nothing twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import pytest
from killing import SETTINGS, facts, needs_proc, processes, results, search, until
from searches import Noting, notes
from stubs import importing

from nas.executors.serial import Serial
from nas.runs.folder import RunFolder

DRIVER = """
import sys
from pathlib import Path

from nas.executors.processes import LocalWorkers
from nas.runs.folder import RunFolder
from searches import Noting
from killing import SETTINGS, search

root = Path(sys.argv[1])
make = Noting(root / "log", ms=2)
with LocalWorkers(make, 2) as executor, RunFolder.create_or_open(root, "x", SETTINGS) as run:
    search(run, executor)
"""


def workers(driver: int) -> list[int]:
    """The children of the driver's children: of the server that forks them."""
    running = processes(driver)
    return [pid for pid, parent in running.items() if parent in running and parent != driver]


@dataclass
class Killer:
    """Starts a command, kills its driver or one of its workers `kills` times, and lets it end.

    `progress` counts what has been done; a kill comes after up to `stride` more of it, or as the command starts. After
    that of a worker it takes `stride` more, within which the training that was lost is done: a second loss fails it.
    """

    command: list[str]
    progress: Callable[[], int]
    stride: int
    chance: random.Random
    killed: Counter[str] = field(default_factory=Counter)

    def run(self, kills: int, check: Callable[[], AbstractContextManager[None]]) -> None:
        """`check` is entered before a driver starts and left when it has ended, however it did."""
        while self.killed.total() < kills:
            with check():
                self._session(kills)
        with check():
            driver = self._start()
            assert (driver.communicate(timeout=300)[1].count("Traceback"), driver.returncode) == (0, 0)
            until(lambda: not processes(driver.pid))

    def _session(self, kills: int) -> None:
        """Kills workers until, after a while, it is the driver's turn."""
        driver, least = self._start(), 0
        while True:
            if not least and self.chance.random() < 0.3:
                time.sleep(self.chance.random() * 0.5)
            else:
                self._wait_for(least + self.chance.randint(1, self.stride), driver)
                time.sleep(self.chance.random() * 0.01)
            if driver.poll() is not None:  # by itself for one reason only: see LocalWorkers
                assert "died twice before it was ready (signal 9)" in driver.communicate()[1]
                return
            victims = workers(driver.pid)
            if not victims or self.chance.random() < 0.5 or self.killed.total() + 1 == kills:
                break
            os.kill(self.chance.choice(victims), signal.SIGKILL)
            self.killed["worker"] += 1
            least = self.stride
        driver.kill()
        self.killed["driver"] += 1
        assert driver.communicate()[1].count("Traceback") == 0
        until(lambda: not processes(driver.pid))  # what it has started ends by itself

    def _wait_for(self, more: int, driver: subprocess.Popen[str]) -> None:
        target = self.progress() + more
        until(lambda: self.progress() >= target or driver.poll() is not None)

    def _start(self) -> subprocess.Popen[str]:
        """A driver that leads a group of its own."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self.command, env=importing(), start_new_session=True, stdout=pipe, stderr=pipe, text=True
        )


@pytest.mark.outside
@needs_proc
@pytest.mark.parametrize("kills", [6, pytest.param(30, marks=pytest.mark.slow)])
def test_a_search_survives_kills_at_random_moments(kills, tmp_path):
    script, log = tmp_path / "driver.py", tmp_path / "log"
    script.write_text(DRIVER)

    @contextmanager
    def nothing_again() -> Iterator[None]:
        on_disk, so_far = {result.key for result in results(tmp_path)}, len(notes(log))
        yield
        assert not on_disk & {note.key for note in notes(log)[so_far:]}

    command = [sys.executable, str(script), str(tmp_path)]
    killer = Killer(command, lambda: len(notes(log)), stride=8, chance=random.Random(kills))
    killer.run(kills, nothing_again)
    assert min(killer.killed["driver"], killer.killed["worker"]) > 0

    with Serial(Noting(tmp_path / "other log")) as executor, RunFolder.create_or_open(tmp_path, "y", SETTINGS) as run:
        search(run, executor)
    ended = results(tmp_path)
    assert facts(ended) == facts(results(tmp_path, "y"))
    assert len(ended) == len({result.key for result in ended})


@needs_proc
@pytest.mark.slow
def test_a_real_search_survives_kills_at_random_moments(tmp_path):
    """The command itself, with real trainings on digits."""
    options = "--trials 160 --epochs 1 --strategy random --top 2 --seeds 2 --workers 2 --device cpu"
    sizes = "--patch 2 --width 32 --depth 2"
    search = [sys.executable, "-m", "nas", "search", "--runs-dir", str(tmp_path), *f"{options} {sizes}".split()]

    @contextmanager
    def nothing_lost() -> Iterator[None]:
        before = results(tmp_path)
        yield
        assert results(tmp_path)[: len(before)] == before

    killer = Killer([*search, "--run", "x"], lambda: len(results(tmp_path)), stride=3, chance=random.Random(0))
    killer.run(30, nothing_lost)
    assert min(killer.killed["driver"], killer.killed["worker"]) > 5

    subprocess.run([*search, "--run", "y"], env=importing(), check=True, capture_output=True)
    ended = results(tmp_path)
    assert facts(ended) == facts(results(tmp_path, "y"))
    assert len(ended) == len({result.key for result in ended})
