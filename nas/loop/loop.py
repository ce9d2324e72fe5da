"""The search: ask, evaluate, tell; then the best ones and the reference points over several seeds."""

import json
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import Any

from einmix import Architecture, PatternError
from nas.executors.executor import Executor
from nas.loop.past import TRIES, check_result, make_job, of_a_kind, settled
from nas.loop.plan import Plan, Rungs
from nas.loop.status import Status, Watcher
from nas.loop.trainings import Trainings
from nas.ranking.objectives import pareto_front, spread
from nas.ranking.standings import search_order
from nas.runs.folder import RunFolder
from nas.runs.job import FIRST_SEEDS, RANKED, Job, Key, Phase
from nas.runs.result import Result, latest, retriable, take
from nas.runs.storage import Storage
from nas.strategies.strategy import Strategy
from search_spaces import BoundSpace

PROPOSED = "proposed"
"""The notes of a run (`RunFolder.note`) with the architectures that were proposed: a line each, in their order."""

POLL = 1.0
"""Seconds after which a waiting search looks up, so that a live display moves."""


class Loop:
    """One search over a run directory, which may hold the results of earlier sessions.

    Everything that is known is rebuilt from results.jsonl; a training whose line is there is not repeated, unless it
    failed. What was proposed and has no line comes first, in its order, for it may have been under way for long.
    `storage` is where the executor's trainer keeps trainings under way, if it does.
    """

    def __init__(
        self,
        space: BoundSpace,
        strategy: Strategy,
        executor: Executor,
        run: RunFolder,
        plan: Plan,
        *,
        storage: Storage | None = None,
    ):
        self.space, self.strategy, self.executor, self.run, self.plan = space, strategy, executor, run, plan
        self.results: dict[Key, Result] = {}  # of the phases search and final
        self._tries = inf if plan.retry_failed else TRIES
        self.exhausted = False
        self._rungs = Rungs(plan.eta, plan.quality)
        self._later = self._epochs = 0  # trainings of the finals, about; epochs that this session has searched for
        self._began = time.monotonic()
        past = run.results(validate=check_result)
        self.trainings = Trainings(executor, run, past, storage)
        again = retriable(past, self._tries)
        for result in latest(past):
            if (result.phase, result.key) in again:
                continue
            if result.phase == "search":
                for score in result.scores:
                    if score.epoch in plan.rungs:
                        self._rungs.see(score)
            self._learn(result, Architecture.from_json(result.architecture))
        failed = [vars(result) for result in latest(past) if (result.phase, result.state) == ("search", "failed")]
        self._first = self._left_of([*run.notes(PROPOSED), *failed])
        run.renote(PROPOSED, [_proposal(architecture) for architecture in self._first])
        for architecture in self._first:
            self.strategy.expect(architecture)

    def explore(self, watcher: Watcher) -> list[Result]:
        """The search proper, or what is left of it: the results of its phase, as they came in."""
        status = Status("search", self.plan.trials, names=self.plan.start)
        for result in self._of("search"):
            self._count(status, result)
            status.reused += 1
        entries = min(self.plan.top, self.plan.trials) + len(self.space.references(self.space.middle))
        self._later = max(entries * self.plan.seeds - len(self._of("final")), 0)
        status.later = float(self._later)
        watcher.show(status)
        while True:
            self._propose(status)
            if not self.trainings:
                return self._of("search")
            self._wait(status, watcher)

    def finals(self, watcher: Watcher) -> list[Result]:
        """The finalists and their reference points from scratch, at the full budget and over seeds not used before."""
        entries = self.entries()
        first = self.plan.seed + FIRST_SEEDS["final"]
        seeds = range(first, first + self.plan.seeds)
        status = Status("final", len(entries) * len(seeds), kind=self.plan.kind, names=self.plan.start)
        jobs = [
            (replace(self._job(architecture, "final", seed), label=label, weights=True), architecture)
            for seed in seeds
            for label, architecture in entries
        ]
        past = settled(self.run.results(), self._tries)
        results = of_a_kind({job.key for job, _ in jobs}, past, self.run, status, watcher)
        for known in filter(None, (results.get(job.key) for job, _ in jobs)):
            self._count(status, known)
            status.reused += 1
        self.trainings.submit(*(work for work in jobs if work[0].key not in results))
        watcher.show(status)
        while self.trainings:
            self._wait(status, watcher)
        return self._of("final")

    def entries(self) -> list[tuple[str, Architecture]]:
        """Who takes part in the finals: the best found (label empty), and the references at each one's sizes."""
        finished = [result for result in self._of("search") if result.state == "complete"]
        finished.sort(key=lambda result: search_order(result, self.plan.quality))
        if len(self.plan.objectives) > 1:
            finished = spread(pareto_front(finished, self.plan.objectives), self.plan.objectives)
        references: dict[str, tuple[str, Architecture]] = {}
        chosen: list[tuple[str, Architecture]] = []
        for result in finished:
            if len(chosen) == self.plan.top:
                break
            architecture = Architecture.from_json(result.architecture)
            skeleton = self.space.skeleton(architecture)
            if skeleton is None and architecture.id not in self.plan.start:  # of another version of the space
                continue
            found = self.space.references(skeleton) if skeleton else {}
            own = {reference.id: (label, reference) for label, reference in found.items()}
            references |= own
            if architecture.id not in own:
                chosen.append(("", architecture))
        return [*chosen, *references.values()]

    def _propose(self, status: Status) -> None:
        """Keeps the executor fed; a strategy that need not wait for results stays one job a worker ahead."""
        depth = self.executor.capacity * (2 if self.strategy.ahead else 1)
        while self.trainings.under_way < depth and status.done + len(self.trainings) < status.total:
            architecture = None if self._late() else self._next()
            if architecture is None:
                self.exhausted = not self._late()
                status.total = status.done + len(self.trainings)
            else:
                job = replace(self._job(architecture, "search", self.plan.seed), rungs=self.plan.rungs)
                self.trainings.submit((job, architecture))

    def _next(self) -> Architecture | None:
        """What an earlier session has left, then what the strategy proposes, which is noted before it is trained."""
        if self._first:
            return self._first.popleft()
        architecture = self.strategy.ask()
        if architecture is not None:
            self.run.note(PROPOSED, _proposal(architecture))
        return architecture

    def _left_of(self, proposals: Iterable[Mapping[str, Any]]) -> deque[Architecture]:
        """The architectures of some proposals, as nobody has checked them, that this search has yet to train."""
        done, left = {result.id for result in self._of("search")}, dict[str, Architecture]()
        for proposal in proposals:
            if str(proposal.get("id")) not in done:
                with suppress(PatternError, ValueError):  # it may be lost: another one is tried in its place
                    architecture = Architecture.from_json(take(dict(proposal), "architecture", "an object"))
                    if architecture.id in self.plan.start or architecture in self.space:
                        left[architecture.id] = architecture
        return deque(architecture for id, architecture in left.items() if id not in done)

    def _late(self) -> bool:
        return self.plan.minutes is not None and time.monotonic() - self._began > self.plan.minutes * 60

    def _job(self, architecture: Architecture, phase: Phase, seed: int) -> Job:
        return make_job(architecture, self.plan.lr, seed, self.plan.epochs, phase)

    def _wait(self, status: Status, watcher: Watcher) -> None:
        """Takes in what has happened, or nothing for a second."""
        status.running = min(self.trainings.under_way, self.executor.capacity)
        watcher.show(status)
        lost = len(self.trainings.unfinished)
        for result, architecture in self.trainings.wait(lambda number, score: self._rungs.see(score), timeout=POLL):
            self._learn(result, architecture)
            self._count(status, result)
            if status.phase == "search":  # of which many are pruned
                self._epochs += len(result.train_loss) or result.epochs
                status.later = self._later * self.plan.epochs * (status.done - status.reused) / self._epochs
            status.running = min(self.trainings.under_way, self.executor.capacity)
            watcher.show(status)
        status.total -= len(self.trainings.unfinished) - lost

    def _learn(self, result: Result, architecture: Architecture) -> None:
        if result.phase in RANKED:
            self.results[result.key] = result
        if result.phase == "search":
            self.strategy.tell(architecture, result)

    def _count(self, status: Status, result: Result) -> None:
        status.done += 1
        status.pruned += result.state == "pruned"
        status.failed += result.state == "failed"
        status.last = result
        if result.state == "complete" and not result.label:
            status.best = min(filter(None, (status.best, result)), key=lambda r: search_order(r, self.plan.quality))

    def _of(self, phase: Phase) -> list[Result]:
        return [result for result in self.results.values() if result.phase == phase]


def _proposal(architecture: Architecture) -> dict[str, Any]:
    return {"id": architecture.id, "architecture": json.loads(architecture.to_json())}
