"""Searches on real Ray clusters of several nodes, which come, go and are killed; skipped where Ray is not installed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from clusters import Nodes, cluster
from searches import Noting, notes, plan, search_in, tiny
from stubs import accuracy, alive, gone, importing, make_stub, stub_job
from test_kill import facts, needs_proc, results

from nas.cluster.messages import Settings
from nas.cluster.workers import RayWorkers, cluster_resources, members, sweep
from nas.errors import NasError
from nas.executors import Done, Executor, Serial
from nas.runs import Run
from nas.trial import Outcome

pytest.importorskip("ray", reason="Ray is not installed")

SETTINGS = {"objective": "accuracy"}


def run_all(executor: RayWorkers, count: int, ms: float, between: Callable[[int, dict[int, Outcome]], object]):
    """Trains `count` stub jobs; `between` is told how many are done, and their outcomes, whenever one more is."""
    for number in range(count):
        executor.submit(number, stub_job(f"net{number}", ms=ms))
    outcomes: dict[int, Outcome] = {}
    while len(outcomes) < count:
        for event in executor.wait(lambda number, score: True, timeout=1):
            if isinstance(event, Done):
                assert event.number not in outcomes
                outcomes[event.number] = event.outcome
                between(len(outcomes), outcomes)
    assert [outcomes[number].scores[-1].accuracy for number in range(count)] == [
        accuracy(f"net{number}", 0) for number in range(count)
    ]
    return outcomes


@needs_proc
def test_nodes_come_and_go_and_a_worker_dies_and_every_job_is_done_once():
    seen: set[int] = set()
    with cluster(0, 1, 1) as nodes, RayWorkers(make_stub, Settings(nodes.address)) as executor:

        def disturb(done: int, outcomes: dict[int, Outcome]) -> None:
            last = list(outcomes.values())[-1]
            seen.add(last.extra["pid"])
            if done == 10:
                os.kill(last.extra["pid"], signal.SIGKILL)  # a worker
            if done == 20:
                nodes.add(1)
            if done == 40:
                assert executor.capacity == 3
                nodes.kill(1)

        run_all(executor, 70, 100, disturb)
    assert len(seen) >= 4  # two at first, one in place of the dead one, one on the node that joined
    assert [pid for pid in seen if not gone(pid)] == []
