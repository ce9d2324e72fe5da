"""The search: ask, evaluate, tell; then the best ones and the reference points over several seeds."""

from __future__ import annotations

import json
import time
from bisect import bisect_right, insort
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import ceil, inf
from typing import Any, Protocol

from einmix import Architecture, PatternError
from nas.errors import one_line
from nas.executors import Executor
from nas.objectives import Objective, Quality, merit, pareto_front, quality, spread
from nas.ranking import search_order
from nas.results import Result, latest, retriable, take
from nas.runs import Run
from nas.storage import Storage
from nas.strategies import Strategy
from nas.trainings import Trainings
from nas.trial import FIRST_SEEDS, RANKED, Job, Key, Kind, Phase, Score
from nas.versions import versions
from search_spaces import SearchSpace

TRIES = 2
"""So many times what fails is trained, once in each session."""

PROPOSED = "proposed"
"""The notes of a run (`Run.note`) with the architectures that were proposed: a line each, in their order."""

POLL = 1.0
"""Seconds after which a waiting search looks up, so that a live display moves."""


@dataclass(frozen=True)
class Plan:
    """How much is tried and how: `trials` architectures at `epochs` epochs, then `top` of them over `seeds` seeds.

    `start` are networks that are tried first, their names by id, wherever they come from; `kind` is what all are
    trained on. What failed in an earlier session is tried once more, with `retry_failed` however often it has.
    `rungs` are the epochs after which a candidate has to be among the best `1 / eta` to go on; `minutes` bounds the
    search, not the finals.
    """

    trials: int
    epochs: int
    lr: float
    top: int
    seeds: int
    seed: int = 0
    rungs: tuple[int, ...] = ()
    eta: float = 2.0
    minutes: float | None = None
    start: Mapping[str, str] = field(default_factory=dict)
    retry_failed: bool = False
    objectives: tuple[Objective, ...] = (Objective("accuracy"),)
    kind: Kind = ("cpu", "float32")

    @property
    def quality(self) -> Quality:
        """The figure by which candidates are compared at rungs and finalists chosen."""
        return quality(self.objectives)


@dataclass
class Status:
    """Where a search is; a watcher is shown it whenever something has happened.

    `later` is the work of phases that follow, in trainings that take as long as those of this one; `names` are those of
    networks that have one, by id.
    """

    phase: Phase
    total: int
    done: int = 0
    running: int = 0
    pruned: int = 0
    failed: int = 0
    reused: int = 0
    later: float = 0.0
    kind: Kind = ("cpu", "float32")
    names: Mapping[str, str] = field(default_factory=dict)
    best: Result | None = None
    last: Result | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float | None:
        """Estimated from what this session has trained; None before the first result."""
        fresh = self.done - self.reused
        left = max(self.total - self.done, 0) + self.later
        return (time.monotonic() - self.started) / fresh * left if fresh else None


class Watcher(Protocol):
    """Is shown the progress of a search: after every training, and now and then between."""

    def show(self, status: Status) -> None: ...

    def say(self, text: str) -> None: ...


class Rungs:
    """Asynchronous successive halving: at a rung a candidate goes on if it is among the best 1/eta seen there.

    Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2020. The first few at a rung always go on.
    """

    def __init__(self, eta: float, by: Quality = "accuracy", grace: int = 4):
        self.eta, self.by, self.grace = eta, by, grace
        self._seen: dict[int, list[tuple[float, float]]] = defaultdict(list)  # by epoch, in ascending order

    def see(self, score: Score) -> bool:
        """Notes a score; whether its candidate goes on."""
        mine, seen = merit(score, self.by), self._seen[score.epoch]
        insort(seen, mine)
        better = len(seen) - bisect_right(seen, mine)
        return len(seen) <= self.grace or better < ceil(len(seen) / self.eta)


class Search:
    """One search over a run directory, which may hold the results of earlier sessions.

    Everything that is known is rebuilt from results.jsonl; a training whose line is there is not repeated, unless it
    failed. What was proposed and has no line comes first, in its order, for it may have been under way for long.
    `storage` is where the executor's trainer keeps trainings under way, if it does.
    """

    def __init__(
        self,
        space: SearchSpace,
        strategy: Strategy,
        executor: Executor,
        run: Run,
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
        keys = {
            (architecture.id, self.plan.lr, seed, self.plan.epochs) for _, architecture in entries for seed in seeds
        }
        results = of_a_kind(keys, self.run, status, watcher, tries=self._tries)
        for seed in seeds:
            for label, architecture in entries:
                if known := results.get((architecture.id, self.plan.lr, seed, self.plan.epochs)):
                    self._count(status, known)
                    status.reused += 1
                else:
                    self._submit(architecture, "final", seed, label=label)
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
            macro = self.space.macro(architecture)
            if macro is None and architecture.id not in self.plan.start:  # of another version of the space
                continue
            found = self.space.references(macro) if macro else {}
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
                self._submit(architecture, "search", self.plan.seed, rungs=self.plan.rungs)

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

    def _submit(
        self, architecture: Architecture, phase: Phase, seed: int, *, label: str = "", rungs: tuple[int, ...] = ()
    ) -> None:
        job = make_job(architecture, self.plan.lr, seed, self.plan.epochs, phase)
        job = replace(job, label=label, rungs=rungs)
        if phase == "final":
            job = replace(job, weights=True)
        self.trainings.submit(job, architecture)

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


def make_job(architecture: Architecture, lr: float, seed: int, epochs: int, phase: Phase) -> Job:
    """The job of training an architecture."""
    return Job(json.loads(architecture.to_json()), architecture.id, lr, seed, epochs, phase)


def of_a_kind(
    wanted: Collection[Key], run: Run, status: Status, watcher: Watcher, *, tries: float
) -> dict[Key, Result]:
    """The results that a run has of those wanted in a phase and that can stand in one mean: of one kind.

    What failed fewer than so many times is none of them.
    Where one device and precision has them all it is that, else what is trained on now; the watcher is told of others.
    """
    by_kind: dict[Kind, dict[Key, Result]] = defaultdict(dict, {status.kind: {}})
    past = run.results()
    again = retriable(past, tries)
    for result in past:
        left = result.state == "failed" and (result.phase, result.key) in again
        if result.phase == status.phase and result.key in wanted and not left:
            by_kind[run.kind_of(result)][result.key] = result
    mine, *others = by_kind
    whole = [kind for kind in by_kind if len(by_kind[kind]) == len(set(wanted))]
    if others and not whole:
        was = " and ".join(f"{len(by_kind[kind])} on {' in '.join(kind)}" for kind in others)
        watcher.say(
            f"{status.phase}: {was} stand apart: a mean is of one device and precision, now {' in '.join(mine)} "
            "(--device says which)"
        )
    return by_kind[(whole or [mine])[0]]


def say_changes(run: Run, kind: Kind, watcher: Watcher) -> None:
    """Tells the watcher what is not as it was when the run was last trained in: packages, device, precision."""
    past, now = run.results(), versions()
    was = next((result.versions for result in reversed(past) if result.versions), run.settings.get("versions"))
    known = {name: one_line(str(version)) for name, version in was.items()} if isinstance(was, dict) else {}
    changed = [f"{name} {known[name]} (now {now[name]})" for name in now if known.get(name, now[name]) != now[name]]
    if past and changed:
        watcher.say(
            f"trained so far with {', '.join(changed)}: what follows may differ a little; every line has its own"
        )
    others = Counter(run.kind_of(result) for result in past if result.phase == "search")
    others.pop(kind, None)
    for other, times in others.items():
        which = "1 candidate was" if times == 1 else f"{times} candidates were"
        watcher.say(f"{which} trained on {' in '.join(other)}, others are on {' in '.join(kind)}: not quite comparable")


def _proposal(architecture: Architecture) -> dict[str, Any]:
    """What is noted of a proposal."""
    return {"id": architecture.id, "architecture": json.loads(architecture.to_json())}


def check_result(result: Result) -> None:
    """Raises ValueError unless a result's architecture is one, with the id and the costs that the line says."""
    try:
        architecture = Architecture.from_json(result.architecture)
    except PatternError as error:
        raise ValueError(error.summary) from None
    for name in ("id", "params", "macs"):
        if getattr(architecture, name) != getattr(result, name):
            raise ValueError(
                f"{name!r} is {getattr(result, name)}, its architecture's is {getattr(architecture, name)}"
            )
