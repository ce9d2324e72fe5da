"""A surrogate that knows the algebra: what networks come to, predicted from roles, sizes, reach and costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from math import asinh, log
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from einmix import Architecture
from nas.ranking.objectives import Objective, quality, undominated
from nas.runs.result import Result
from nas.strategies.random_search import RandomSearch
from search_spaces import BoundSpace, Budget, SpaceError

if TYPE_CHECKING:
    from nas.surrogate.ends import Curve
    from nas.surrogate.process import Array, Places, Process


class _Known(NamedTuple):
    """A network in numbers, and by objective its figures at the rungs that it came to, the less the better.

    A failed one has no figures: it counts as the worst of all.
    """

    architecture: Architecture
    features: Mapping[str, float]
    curves: tuple[Curve, ...] = ()


class Surrogate:
    """Proposes what a Gaussian process over the networks' features finds most promising, after a uniform start.

    What was stopped at a rung counts with the end that it is expected to come to. Among a pool (all of a small space,
    else uniform draws and neighbours of the best) the one is proposed whose lower confidence bound is the best
    (Srinivas et al., "Gaussian process optimization in the bandit setting", 2010); what is under way counts as if it
    had come to what was predicted. Of several objectives each that takes a training has its process, and the proposal
    is any one of those whose bounds are not dominated.
    """

    ahead = False
    startup = 8
    kappa = 1.0  # standard deviations from the mean to the bound
    small = 2_000  # networks: such a space is the pool
    draws, leaders, steps = 32, 4, 8  # what is added to the pool of a larger one: draws, and of so many best neighbours
    most = 1_000  # of such a pool
    best, latest = 50, 150  # results that the processes are made of
    growth = 1.1  # times as many results as before have the processes' scales found anew

    def __init__(self, space: BoundSpace, budget: Budget, seed: int, objectives: tuple[Objective, ...]):
        self.space, self.budget = space, budget
        first = quality(objectives)  # what decides where one order is needed, wherever it was named
        self.learned = sorted((each for each in objectives if not each.is_cost), key=lambda each: each.name != first)
        self.costs = [each.name for each in objectives if each.is_cost]
        self.uniform, self.rng = RandomSearch(space, budget, seed), Random(seed)
        self._told: dict[str, _Known] = {}
        self._open: dict[str, _Known] = {}
        self._pool: dict[str, _Known] = {}
        self._whole = space.count() <= self.small
        self._listed = False
        self._steps: dict[str, Iterator[Architecture]] = {}  # of the best, by id
        self._places: Places | None = None
        self._placed: dict[str, Array] = {}  # by id
        self._processes: list[Process] = []
        self._informed = self._fitted = 0  # results with figures: all, and those by which the scales were found

    def ask(self) -> Architecture | None:
        proposed = self._propose() if self._informed >= self.startup else None
        if proposed is None:
            proposed = self.uniform.ask()
        if proposed is not None:
            self.expect(proposed)
        return proposed

    def expect(self, architecture: Architecture) -> None:
        self.uniform.expect(architecture)
        if architecture.id not in self._told:
            self._open[architecture.id] = self._known(architecture)

    def tell(self, architecture: Architecture, result: Result) -> None:
        self.uniform.tell(architecture, result)
        known = self._open.pop(architecture.id, None) or self._known(architecture)
        if result.state == "failed":
            self._told[architecture.id] = known
        elif result.score is not None and all(objective.known(result) for objective in self.learned):
            curves = tuple(_curve(objective, result) for objective in self.learned)
            self._told[architecture.id] = known._replace(curves=curves)
            self._informed += 1

    def _known(self, architecture: Architecture) -> _Known:
        from nas.surrogate.features import features

        return self._pool.pop(architecture.id, None) or _Known(architecture, features(architecture))

    def _propose(self) -> Architecture | None:
        import numpy as np

        for architecture in self._candidates():
            if architecture.id not in self.uniform.known and architecture.id not in self._pool:
                self._pool[architecture.id] = self._known(architecture)
        pool = list(self._pool.values())
        if not pool:
            return None
        bounds = np.stack(self._bounds(pool), axis=1)
        order = np.argsort(bounds[:, 0], kind="stable")
        if not self._whole:
            for at in order[self.most :]:
                del self._pool[pool[at].architecture.id]
        if bounds.shape[1] == 1:
            return pool[order[0]].architecture
        points = [tuple(-row) for row in bounds]
        front = undominated(points)
        return self.rng.choice([known for known, mine in zip(pool, points, strict=True) if mine in front]).architecture

    def _candidates(self) -> Iterator[Architecture]:
        """What may join the pool."""
        from nas.surrogate.ends import expected_ends

        if self._whole:
            if not self._listed:
                self._listed = True
                yield from self._affordable(self.space.enumerate())
            return
        with suppress(SpaceError):  # next to nothing is within the budget
            for _ in range(self.draws):
                yield self.space.sample(self.rng, self.budget)
        told = [known for known in self._told.values() if known.curves]
        ends, _ = expected_ends([known.curves[0] for known in told])
        for at in sorted(range(len(told)), key=ends.__getitem__)[: self.leaders]:
            best = told[at].architecture
            if best.id not in self._steps:
                around = self.space.neighbours(best)
                self.rng.shuffle(around)
                self._steps[best.id] = self._affordable(around)
            yield from islice(self._steps[best.id], self.steps)

    def _affordable(self, every: Iterable[Architecture]) -> Iterator[Architecture]:
        return (each for each in every if self.budget.admits(each.params, each.macs))

    def _bounds(self, pool: list[_Known]) -> list[Array]:
        """By objective the lower confidence bounds of the networks of the pool."""
        import numpy as np

        from nas.surrogate.ends import expected_ends
        from nas.surrogate.process import Places, Process

        told = list(self._told.values())
        informed = np.array([bool(known.curves) for known in told])
        anew = self._informed >= self.growth * self._fitted
        if anew:
            self._fitted = self._informed
            self._places, self._placed = Places([known.features for known in (*told, *pool)]), {}
            self._processes = [Process() for _ in self.learned]
        bounds, kept = [], None
        for number, process in enumerate(self._processes):
            ends, deviations = expected_ends([known.curves[number] for known in told if known.curves])
            y, errors = np.full(len(told), ends.max()), np.zeros(len(told))
            y[informed], errors[informed] = ends, deviations
            if kept is None:
                kept = self._kept(y)
            x, y, errors = self._rows([told[at] for at in kept]), y[kept], errors[kept]
            (process.fit if anew else process.condition)(x, y, errors)
            if self._open:
                under_way = self._rows([*self._open.values()][-self.latest :])
                expected, _ = process.predict(under_way)
                more = np.zeros(len(expected))
                process.condition(np.vstack([x, under_way]), np.append(y, expected), np.append(errors, more))
            mean, deviation = process.predict(self._rows(pool))
            bounds.append(mean - self.kappa * deviation)
        costs = ([getattr(known.architecture, name) for known in pool] for name in self.costs)
        return [*bounds, *(np.log(np.maximum(each, 1e-9)) for each in costs)]

    def _rows(self, every: Sequence[_Known]) -> Array:
        """Where these networks stand: a row for each, which is found once as long as the places last."""
        import numpy as np

        assert self._places is not None
        new = [known for known in every if known.architecture.id not in self._placed]
        rows = self._places.of([known.features for known in new])
        self._placed |= {known.architecture.id: row for known, row in zip(new, rows, strict=True)}
        return np.stack([self._placed[known.architecture.id] for known in every])

    def _kept(self, y: Array) -> list[int]:
        """The results that the processes are made of: the best in the first objective, and the latest."""
        if len(y) <= self.best + self.latest:
            return list(range(len(y)))
        rest = len(y) - self.latest
        return [*sorted(range(rest), key=y.__getitem__)[: self.best], *range(rest, len(y))]


def _curve(objective: Objective, result: Result) -> Curve:
    """The figures at the rungs and at the end, as logarithms (of odds, for accuracy), the less the better.

    A metric of somebody's own is taken for an error where less of it is better, else for a share, as most are; what is
    beyond 0 or 1 counts as it is.
    Seconds an epoch, and latencies, are the same at every epoch.
    """
    assert result.score is not None
    if objective.name == "loss":
        return {score.epoch: log(max(score.loss, 1e-9)) for score in result.scores}
    if objective.name == "accuracy" and objective.metric.better == "lower":
        return {score.epoch: asinh(1e3 * objective.metric.figure(score.accuracy)) for score in result.scores}
    if objective.name == "accuracy":
        shares = {score.epoch: min(max(score.accuracy, 1e-3), 1 - 1e-3) for score in result.scores}
        beyond = {score.epoch: max(score.accuracy - 1, 0) + min(score.accuracy, 0) for score in result.scores}
        return {epoch: log((1 - share) / share) - beyond[epoch] for epoch, share in shares.items()}
    figure = objective.of(result, result.score)
    return {1: log(max(figure / (result.score.epoch if objective.name == "seconds" else 1), 1e-9))}
