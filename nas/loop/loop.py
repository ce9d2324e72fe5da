"""The search: a learning rate; ask, evaluate, tell; then the best ones and the reference points over several seeds."""

import json
import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import pairwise
from math import inf
from typing import Any

from einmix import Architecture, PatternError
from nas.claims.until_sure import look, share
from nas.claims.words import look_lines
from nas.errors import counted
from nas.executors.executor import Executor
from nas.loop.past import TRIES, check_result, make_job, settled
from nas.loop.plan import Plan, Rungs
from nas.loop.rates import FIRST, around, find_rate, rate_of, swept_networks
from nas.loop.status import Status, Watcher
from nas.loop.trainings import Trainings, Work
from nas.ranking.objectives import pareto_front, quality, spread
from nas.ranking.run_ranking import standings_of
from nas.ranking.standings import Standing, entries_of, search_order, sizes_of
from nas.runs.folder import RunFolder
from nas.runs.job import FIRST_SEEDS, RANKED, Job, Key, Phase, Score
from nas.runs.result import Result, latest, take
from nas.runs.storage import Storage
from nas.strategies.strategy import Strategy
from search_spaces import BoundSpace

PROPOSED = "proposed"
"""The notes of a run (`RunFolder.note`) with the architectures that were proposed: a line each, in their order."""


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
        self._rungs = Rungs(plan.eta, plan.order, plan.grace)
        self._began = time.monotonic()
        past = run.results(validate=check_result)
        self.lr = plan.lr or rate_of(past)
        self._first_seed = plan.seed + FIRST_SEEDS["final"]
        self.trainings = Trainings(executor, run, past, storage)
        for result in latest(settled(past, self._tries)):
            for score in result.scores:
                if result.phase == "search" and score.epoch in plan.rungs:
                    self._rungs.see(score, self._costs(result))
            self._learn(result, Architecture.from_json(result.architecture))
        failed = [vars(result) for result in latest(past) if (result.phase, result.state) == ("search", "failed")]
        self._first = self._left_of([*run.notes(PROPOSED), *failed])
        run.renote(PROPOSED, [_proposal(architecture) for architecture in self._first])
        for architecture in self._first:
            self.strategy.expect(architecture)

    def tune(self, watcher: Watcher) -> None:
        """Finds the learning rate, where it is not given and nothing has been trained at it yet.

        It stays None where trainings for it could not be brought to an end.
        """
        if self.plan.lr is None and self.lr is not None:
            watcher.say(f"learning rate {self.lr:g}, as found before")
        if self.lr is not None:
            return
        seed, later = self.plan.seed + FIRST_SEEDS["tune"], self._share * self.plan.trials + self._most_finals
        status = self._status("tune", later=later)
        self.lr = find_rate(
            swept_networks(self.space),
            FIRST,
            partial(self._through, status=status, watcher=watcher),
            job=partial(make_job, seed=seed, epochs=self.plan.epochs, phase="tune"),
            say=watcher.say,
        )
        self._began = time.monotonic()

    def explore(self, watcher: Watcher) -> list[Result]:
        """The search proper, or what is left of it: the results of its phase, as they came in."""
        status = self._status("search", self.plan.trials, by=self.plan.order)
        status.reuse(self._of("search"))
        later, epochs = max(self._most_finals - len(self._of("final")), 0), 0
        status.later = float(later)
        self._propose(status)
        while self.trainings:
            ended = self.trainings.advance(self._goes_on, watcher, status)
            for result, architecture in ended:
                self._learn(result, architecture)
                epochs += len(result.train_loss) or result.epochs  # many are pruned
                status.later = later * self.plan.epochs * (status.done - status.reused) / epochs
            self._propose(status)
        watcher.show(status)
        return self._of("search")

    def finals(self, watcher: Watcher, noun: str = "images") -> list[Result]:
        """The finalists and their reference points from scratch, at the full budget and over seeds not used before.

        Those that go on until it is sure are looked at: what may be the best goes on with more seeds, and the watcher
        is told what ended it. `noun` is the word for the examples that judge.
        """
        every = entries = self.entries()
        if self.plan.until_sure is not None:  # rank 1 may be a finalist of an earlier session, with fewer trials
            earlier = [(each.label, each.architecture) for each in self._standings() if each.finals]
            every = [*entries, *(each for each in earlier if each not in entries)]
        done: dict[str, int] = {}  # seeds by id: one that was left behind may be the first by those of the others
        status = self._status("final", by=quality(self.plan.objectives), later=self._most_at_other_rates)
        for seeds in self.plan.looks:
            jobs = [
                (
                    replace(self._job(architecture, "final", self._first_seed + n), label=label, weights=True),
                    architecture,
                )
                for n in range(seeds)
                for label, architecture in entries
                if n >= done.get(architecture.id, 0)
            ]
            for result in self._through(jobs, status, watcher).values():
                self.results[result.key] = result
            if self.plan.until_sure is None or self.trainings.unfinished:
                break
            done |= {architecture.id: seeds for _, architecture in entries}
            further = self._further(self.plan.until_sure, seeds, watcher, noun)
            entries = [each for each in every if each[1].id in further]
            if not entries:
                break
        return self._of("final")

    def _further(self, sure: float, seeds: int, watcher: Watcher, noun: str) -> Collection[str]:
        """The ids of what goes on beyond so many seeds; the watcher is told what is known, and why nothing goes on."""
        entries = entries_of(self._standings(seeds), sizes_of)
        seen = look(*(entries or ([], [])), error=share(sure), within=self.plan.within)
        for line in look_lines(seen, seeds, noun):
            watcher.say(line)
        if not seen.is_last and seeds == self.plan.looks[-1]:
            watcher.say(f"finals end: {counted(seeds, 'seed')} are the most")
        elif not seen.is_last and self._late():
            watcher.say(f"finals end: the {self.plan.minutes:g} minutes are over")
        else:
            return seen.further
        return ()

    def _standings(self, seeds: int | None = None) -> list[Standing]:
        """Of all that the run holds, or of its finals with the first so many seeds: earlier sessions may have more."""
        last = inf if seeds is None else self._first_seed + seeds
        results = [each for each in self.run.results() if each.phase != "final" or each.seed < last]
        return standings_of(results, self.run, self.plan.objectives, self.plan.start)

    def other_rates(self, watcher: Watcher) -> None:
        """Finalists and the references that they are held against, with one seed at the rates next to the search's."""
        assert self.lr is not None
        standings = self._standings()
        held = {id for standing in standings if standing.rival for id in (standing.id, standing.rival)}
        job = partial(make_job, seed=self._first_seed, epochs=self.plan.epochs, phase="tune")
        jobs = [
            (replace(job(each.architecture, lr), label=each.label), each.architecture)
            for each in standings
            if each.id in held
            for lr in around(self.lr)
        ]
        self._through(jobs, self._status("tune", title="other rates"), watcher)

    def entries(self) -> list[tuple[str, Architecture]]:
        """Who takes part in the finals: the best found (label empty), and the references at each one's sizes."""
        chosen, references = self._finalists()
        return [*(("", Architecture.from_json(result.architecture)) for result in chosen), *references]

    def chosen(self) -> list[Result]:
        """The trainings of the search for which some take part in the finals, the best first."""
        return self._finalists()[0]

    def _finalists(self) -> tuple[list[Result], list[tuple[str, Architecture]]]:
        """The same, and the references at their sizes and at those of references that did as well as they.

        Where fewer have come to their end those follow that came nearest to it; a front is of what has.
        """
        finished = [each for each in self._of("search") if each.state != "failed" and each.score]
        finished.sort(key=lambda result: search_order(result, self.plan.order))
        if len(self.plan.objectives) > 1:
            finished = [each for each in finished if each.state == "complete"]
            finished = spread(pareto_front(finished, self.plan.searched), self.plan.searched)
        references: dict[str, tuple[str, Architecture]] = {}
        chosen: list[Result] = []
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
                chosen.append(result)
        return chosen, [*references.values()]

    def _goes_on(self, number: int, score: Score) -> bool:
        return self._rungs.see(score, self._costs(self.trainings.network(number)))

    def _costs(self, of: Architecture | Result) -> list[float]:
        """The objectives beside accuracy or loss that are known before a training's end."""
        return [getattr(of, each.name) for each in self.plan.objectives if each.is_cost]

    def _status(self, phase: Phase, total: int = 0, **more: Any) -> Status:
        return Status(phase, total, kind=self.plan.kind, metric=self.plan.metric, names=self.plan.start, **more)

    def _through(self, jobs: Work, status: Status, watcher: Watcher) -> dict[Key, Result]:
        return self.trainings.completed(jobs, watcher, status, tries=self._tries)

    @property
    def _share(self) -> float:
        """The share of all epochs that a candidate takes, about, where the best 1 / eta go on from each rung."""
        ends = [0, *self.plan.rungs, self.plan.epochs]
        return sum((then - end) / self.plan.eta**n for n, (end, then) in enumerate(pairwise(ends))) / self.plan.epochs

    @property
    def _most_finals(self) -> int:
        """The trainings of the finals, to their first look, and at other rates, where finalists share references."""
        entries = min(self.plan.top, self.plan.trials) + len(self.space.references(self.space.middle))
        return entries * self.plan.looks[0] + self._most_at_other_rates

    @property
    def _most_at_other_rates(self) -> int:
        return len(around(1)) * (min(self.plan.top, self.plan.trials) + 1)

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
        assert self.lr is not None, "a search without a rate"
        return make_job(architecture, self.lr, seed, self.plan.epochs, phase)

    def _learn(self, result: Result, architecture: Architecture) -> None:
        if result.phase in RANKED:
            self.results[result.key] = result
        if result.phase == "search":
            self.strategy.tell(architecture, result)

    def _of(self, phase: Phase) -> list[Result]:
        return [result for result in self.results.values() if result.phase == phase]


def _proposal(architecture: Architecture) -> dict[str, Any]:
    return {"id": architecture.id, "architecture": json.loads(architecture.to_json())}
