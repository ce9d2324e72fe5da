"""The search: ask, evaluate, tell; then the best ones and the reference points over several seeds."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import ceil
from typing import Protocol

from einmix import Architecture
from nas.executors import Done, Executor
from nas.objectives import Objective, pareto_front
from nas.ranking import search_order
from nas.results import Result
from nas.runs import Run
from nas.strategies import Strategy
from nas.trial import Job, Key, Phase, Score, record
from search_spaces import SearchSpace


@dataclass(frozen=True)
class Plan:
    """How much is tried and how: `trials` architectures at `epochs` epochs, then `top` of them over `seeds` seeds.

    `rungs` are the epochs after which a candidate has to be among the best `1 / eta` to go on; `minutes` bounds the
    search, not the finals.
    """

    trials: int
    epochs: int
    lr: float
    seed: int = 0
    rungs: tuple[int, ...] = ()
    eta: float = 2.0
    minutes: float | None = None
    top: int = 3
    seeds: int = 5
    objectives: tuple[Objective, ...] = (Objective("accuracy"),)


@dataclass
class Status:
    """Where a search is; a watcher is shown it whenever something has happened."""

    phase: Phase
    total: int
    done: int = 0
    running: int = 0
    pruned: int = 0
    failed: int = 0
    reused: int = 0
    best: Result | None = None
    last: Result | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float | None:
        """Estimated from what this session has trained; None before the first result."""
        fresh = self.done - self.reused
        return (time.monotonic() - self.started) / fresh * (self.total - self.done) if fresh else None


class Watcher(Protocol):
    """Is shown the progress of a search."""

    def show(self, status: Status) -> None: ...

    def say(self, text: str) -> None: ...


class Rungs:
    """Asynchronous successive halving: at a rung a candidate goes on if it is among the best 1/eta seen there.

    Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2020. The first few at a rung always go on.
    """

    def __init__(self, eta: float, grace: int = 4):
        self.eta, self.grace = eta, grace
        self._seen: dict[int, list[tuple[float, float]]] = defaultdict(list)

    def see(self, score: Score) -> bool:
        """Notes a score; whether its candidate goes on."""
        mine, seen = (score.accuracy, -score.loss), self._seen[score.epoch]
        seen.append(mine)
        better = sum(other > mine for other in seen)
        return len(seen) <= self.grace or better < ceil(len(seen) / self.eta)


class Search:
    """One search over a run directory, which may hold the results of earlier sessions.

    Everything that is known is rebuilt from results.jsonl; a training whose line is there is not repeated.
    """

    def __init__(self, space: SearchSpace, strategy: Strategy, executor: Executor, run: Run, plan: Plan):
        self.space, self.strategy, self.executor, self.run, self.plan = space, strategy, executor, run, plan
        self.results: dict[Key, Result] = {}
        self.exhausted = False
        self._rungs = Rungs(plan.eta)
        self._jobs: dict[int, tuple[Job, Architecture]] = {}
        self._number = 0
        self._began = time.monotonic()
        for result in run.results(validate=check_architecture):
            self._learn(result)

    def _learn(self, result: Result, architecture: Architecture | None = None) -> None:
        self.results[result.key] = result
        self._number = max(self._number, result.number + 1)
        if result.phase == "search":
            if architecture is None:  # of an earlier session: its rungs count for those to come
                for score in result.scores:
                    if score.epoch in self.plan.rungs:
                        self._rungs.see(score)
            self.strategy.tell(architecture or Architecture.from_json(result.architecture), result)

    def explore(self, watcher: Watcher) -> list[Result]:
        """The search proper: every result of its phase, the best first."""
        plan = self.plan
        status = Status("search", plan.trials)
        for result in self._of("search"):
            self._count(status, result)
            status.reused += 1
        watcher.show(status)
        while True:
            self._propose(status)
            status.running = min(len(self._jobs), self.executor.capacity)
            if not self._jobs:
                break
            self._wait(status, watcher)
        return sorted(self._of("search"), key=search_order)

    def _propose(self, status: Status) -> None:
        """Keeps the executor fed; a strategy that need not wait for results stays one job a worker ahead."""
        depth = self.executor.capacity * (2 if self.strategy.ahead else 1)
        while len(self._jobs) < depth and status.done + len(self._jobs) < self.plan.trials and not self._late():
            architecture = self.strategy.ask()
            if architecture is None:
                self.exhausted = True
                status.total = status.done + len(self._jobs)
                return
            self._submit(architecture, "search", self.plan.seed, rungs=self.plan.rungs)

    def _late(self) -> bool:
        return self.plan.minutes is not None and time.monotonic() - self._began > self.plan.minutes * 60

    def finals(self, watcher: Watcher) -> list[Result]:
        """The finalists and their reference points from scratch, at the full budget and over seeds not used before."""
        entries = self.entries()
        seeds = range(self.plan.seed + 1, self.plan.seed + 1 + self.plan.seeds)
        wanted = [(label, architecture, seed) for seed in seeds for label, architecture in entries]
        status = Status("final", len(wanted))
        for label, architecture, seed in wanted:
            if known := self.results.get((architecture.id, self.plan.lr, seed, self.plan.epochs)):
                self._count(status, known)
                status.reused += 1
            else:
                self._submit(architecture, "final", seed, label=label)
        watcher.show(status)
        while self._jobs:
            status.running = min(len(self._jobs), self.executor.capacity)
            self._wait(status, watcher)
        return self._of("final")

    def entries(self) -> list[tuple[str, Architecture]]:
        """Who takes part in the finals: the best found (label empty), and the references at each one's sizes."""
        finished = sorted((r for r in self._of("search") if r.state == "complete"), key=search_order)
        if len(self.plan.objectives) > 1:
            finished = pareto_front(finished, self.plan.objectives)
        found = [Architecture.from_json(result.architecture) for result in finished]
        references: dict[str, tuple[str, Architecture]] = {}
        chosen: list[tuple[str, Architecture]] = []
        for architecture in found:
            macro = self.space.macro(architecture)
            if macro is None:
                continue
            own = {a.id: (label, a) for label, a in self.space.references(macro).items()}
            if len(chosen) == self.plan.top:
                break
            if architecture.id not in own:
                chosen.append(("", architecture))
            references |= own
        return [*chosen, *references.values()]

    def _submit(
        self, architecture: Architecture, phase: Phase, seed: int, *, label: str = "", rungs: tuple[int, ...] = ()
    ) -> None:
        job = Job(
            json.loads(architecture.to_json()),
            architecture.id,
            self.plan.lr,
            seed,
            self.plan.epochs,
            phase=phase,
            rungs=rungs,
            label=label,
        )
        if phase == "final":
            job = Job(**{**vars(job), "weights": str(self.run.weights_path(job.key))})
        self._jobs[self._number] = job, architecture
        self.executor.submit(self._number, job)
        self._number += 1

    def _wait(self, status: Status, watcher: Watcher) -> None:
        prune = len(self.plan.objectives) == 1

        def on_rung(number: int, score: Score) -> bool:
            return self._rungs.see(score) or not prune

        for event in self.executor.wait(on_rung, timeout=1.0):
            if isinstance(event, Done):
                job, architecture = self._jobs.pop(event.number)
                line = record(
                    job,
                    event.outcome,
                    params=architecture.params,
                    macs=architecture.macs,
                    number=event.number,
                    worker=event.worker,
                )
                result = self.run.append(line)
                self._learn(result, architecture)
                self._count(status, result)
                status.running = min(len(self._jobs), self.executor.capacity)
        watcher.show(status)

    def _count(self, status: Status, result: Result) -> None:
        status.done += 1
        status.pruned += result.state == "pruned"
        status.failed += result.state == "failed"
        status.last = result
        if result.state == "complete" and not result.label:
            status.best = min(filter(None, (status.best, result)), key=search_order)

    def _of(self, phase: Phase) -> list[Result]:
        return [result for result in self.results.values() if result.phase == phase]


def check_architecture(value: dict[str, object]) -> None:
    """Raises PatternError (a ValueError) unless the value is an architecture."""
    Architecture.from_json(value)


def train_once(
    jobs: Iterable[tuple[Job, Architecture]], executor: Executor, run: Run, done: Callable[[Result], None]
) -> list[Result]:
    """Trains jobs outside a search (those of `nas train`) and appends their results."""
    pending = dict(enumerate(jobs, start=max((r.number for r in run.results()), default=-1) + 1))
    for number, (job, _) in pending.items():
        executor.submit(number, job)
    results = []
    while pending:
        for event in executor.wait(lambda number, score: True):
            if isinstance(event, Done):
                job, arch = pending.pop(event.number)
                line = record(
                    job,
                    event.outcome,
                    params=arch.params,
                    macs=arch.macs,
                    number=event.number,
                    worker=event.worker,
                )
                results.append(run.append(line))
                done(results[-1])
    return results
