"""Searches of tiny spaces with stub trainings, which note when they start and end and do what they are told by id."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from stubs import train

from einmix import Architecture
from nas.executors.executor import Executor
from nas.loop.loop import Loop
from nas.loop.past import make_job
from nas.loop.plan import Plan
from nas.loop.status import Quiet, Watcher
from nas.ranking.objectives import parse_objectives, quality
from nas.runs.bits import packed
from nas.runs.folder import RunFolder
from nas.runs.job import GoOn, Job, Key, Outcome, Score, State, Trainer, record
from nas.runs.result import Result
from nas.runs.storage import Storage
from nas.strategies.random_search import RandomSearch
from nas.strategies.strategy import Strategy
from search_spaces import BoundSpace, Budget, load


def tiny(name: str = "local", shape: Mapping[str, int] | None = None, **sizes: tuple[int, ...]) -> BoundSpace:
    """A shipped space on 8 x 8 grey images, with one small size of everything unless told otherwise."""
    defaults: dict[str, tuple[int, ...]] = {"patch": (2,), "width": (8,), "depth": (1,), "ratio": (1,)}
    return load(name).on(shape or {"h": 8, "w": 8}, channels=1, classes=10, **defaults | sizes)


def plan(**changes: Any) -> Plan:
    """A plan of 6 candidates of 3 epochs without rungs, by the figure it is about, then 2 finalists over 2 seeds."""
    about = {"order": quality(changes.get("objectives", parse_objectives("accuracy"))), "eta": 2.0, "grace": 4}
    return Plan(**{"trials": 6, "epochs": 3, "lr": 0.01, "top": 2, "seeds": 2} | about | changes)


def result_of(
    architecture: Architecture, accuracy: float | None, state: State = "complete", *, loss: float = 0.5, **job: Any
) -> Result:
    """The result of a training that came to this accuracy, or to no score at all; `job` changes what the job was."""
    wanted = replace(make_job(architecture, 0.01, 0, 3, "search"), **job)
    epoch = 1 if state == "pruned" else wanted.epochs
    scores = () if accuracy is None else (Score(epoch, loss, accuracy),)
    outcome = Outcome(state, scores, seconds=1.0, reason="ValueError: no luck" if state == "failed" else "")
    return Result.from_line(record(wanted, outcome, params=architecture.params, macs=architecture.macs, number=0))


@dataclass(frozen=True)
class Noting:
    """Makes the stub trainer, with every start and end as a line in a file.

    `does` says by id, or by id and seed as in "a1 3", what is not to learn.
    """

    log: Path
    does: Mapping[str, str] = field(default_factory=dict)
    ms: float = 0.0
    deaths: int = 2
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, worker: int) -> Trainer:
        return self.train

    def train(self, job: Job, report: GoOn) -> Outcome:
        self._note("start", job)
        do = self.does.get(f"{job.id} {job.seed}") or self.does.get(job.id, "learn")
        todo = {"do": do, "ms": self.ms, "times": self.deaths}
        todo["flag"] = f"{self.log}.{job.id}"
        outcome = train(replace(job, architecture=todo), report)
        outcome = replace(outcome, extra=outcome.extra | dict(self.extra))
        if job.weights:
            outcome = replace(outcome, weights=b"of " + job.id.encode())
        self._note("end", job)
        return outcome

    def _note(self, what: str, job: Job) -> None:
        line = f"{what} {job.id} {job.lr!r} {job.seed} {job.epochs} {os.getpid()}\n"
        file = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line.encode())
        os.close(file)


@dataclass(frozen=True)
class Merits:
    """Makes a trainer of known truth: by id the accuracy on each of `m` examples that judge, and at seeds at random.

    `seeds` is the standard deviation of a training's accuracy over seeds; what is not named has the accuracy 0.5.
    In the search it is what is `searched`, where that is named.
    """

    m: int
    truth: Mapping[str, float]
    seeds: float = 0.0
    searched: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, worker: int) -> Trainer:
        return self.train

    def train(self, job: Job, report: GoOn) -> Outcome:
        drawn = np.random.default_rng([int(job.id, 16), job.seed])
        truth = {**self.truth, **self.searched} if job.phase == "search" else self.truth
        mean = min(max(truth.get(job.id, 0.5) + self.seeds * drawn.standard_normal(), 0), 1)
        hard = np.random.default_rng(0).permutation(self.m) / self.m  # the same examples are hard for all
        right = hard < mean
        reached = float(right.mean())
        score = Score(job.epochs, 1 - reached, reached)
        weights = b"none" if job.weights else b""
        judged = {"judge": score, "right": packed(right)} if job.phase == "final" else {}
        return Outcome("complete", (score,), (1 - reached,) * job.epochs, 0.1, weights=weights, **judged)


@dataclass(frozen=True)
class Note:
    """A line of that file."""

    what: str
    key: Key
    pid: int


def notes(log: Path, what: str = "") -> list[Note]:
    """The lines noted, of one kind or of both; a line that is being written is left out."""
    lines = log.read_bytes().split(b"\n")[:-1] if log.exists() else []
    found = []
    for line in lines:
        kind, id, lr, seed, epochs, pid = line.decode().split()
        found.append(Note(kind, (id, float(lr), int(seed), int(epochs)), int(pid)))
    return [note for note in found if what in ("", note.what)]


def search_in(
    run: RunFolder,
    executor: Executor,
    plan: Plan,
    *,
    space: BoundSpace | None = None,
    strategy: Strategy | None = None,
    watcher: Watcher | None = None,
    storage: Storage | None = None,
) -> Loop:
    """Runs a search with its finals, in a tiny space at random unless told otherwise."""
    space = space or tiny(depth=(1, 2))
    search = Loop(space, strategy or RandomSearch(space, Budget(), plan.seed), executor, run, plan, storage=storage)
    search.explore(watcher or Quiet())
    search.finals(watcher or Quiet())
    return search
