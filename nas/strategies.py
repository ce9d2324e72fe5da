"""Strategies: they propose architectures of a space and learn from results; who trains them is not their concern."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING, Protocol

from einmix import Architecture
from nas.errors import NasError, nearest
from nas.objectives import Objective
from nas.results import Result
from search_spaces import Budget, SearchSpace, SpaceError

if TYPE_CHECKING:
    from optuna.trial import Trial

LISTABLE = 2_000_000
"""Spaces up to this size are searched to the last architecture; in larger ones nobody gets there."""

REPEATS = 200
"""So many known architectures drawn in a row make a strategy list what is left of a space that can be listed."""

LAST_REPEATS = 2_000
"""So many, in a space too large to be listed, mean that next to nothing is left of the budget."""


class Strategy(Protocol):
    """Proposes architectures, each once; all state can be had again by telling the results anew."""

    ahead: bool
    """Whether proposals can be asked for before earlier results are in, at no loss."""

    def ask(self) -> Architecture | None:
        """The next architecture to try; None when the space (within the budget) has no other."""

    def tell(self, architecture: Architecture, result: Result) -> None:
        """How a training ended; of one that was asked for, or of an earlier session."""


class RandomSearch:
    """Uniform over the architectures within the budget, without repetition: the baseline that others have to beat.

    When the results of an earlier session are told, it proposes what that session would have proposed next.
    """

    ahead = True

    def __init__(self, space: SearchSpace, budget: Budget, seed: int):
        space.check(budget)
        self.space, self.budget, self.rng = space, budget, Random(seed)
        self._listable = space.count() <= LISTABLE
        self._known: set[str] = set()
        self._replayed: set[str] = set()  # of these, those that an earlier session drew and this one has yet to draw
        self._rest: Iterator[Architecture] | None = None

    def ask(self) -> Architecture | None:
        if self._rest is None:
            if found := self._draw():
                return found
            self._rest = affordable(self.space, self.budget) if self._listable else iter(())
        return next((architecture for architecture in self._rest if self.take(architecture)), None)

    def _draw(self) -> Architecture | None:
        """A new architecture; None when so many known ones came in a row that drawing leads nowhere."""
        repeats = 0
        while repeats < (REPEATS if self._listable else LAST_REPEATS):
            try:
                architecture = self.space.sample(self.rng, self.budget)
            except SpaceError:  # next to nothing is within the budget
                if self._listable or self._known:
                    return None
                raise
            if self.take(architecture):
                return architecture
            repeats = 0 if architecture.id in self._replayed else repeats + 1
            self._replayed.discard(architecture.id)
        return None

    def tell(self, architecture: Architecture, result: Result) -> None:
        if self.take(architecture):
            self._replayed.add(architecture.id)

    def take(self, architecture: Architecture) -> bool:
        """Marks an architecture as known; whether it is new."""
        new = architecture.id not in self._known
        self._known.add(architecture.id)
        return new


class Exhaustive:
    """Every architecture within the budget, in the order of the space's enumeration."""

    ahead = True

    def __init__(self, space: SearchSpace, budget: Budget, seed: int):
        space.check(budget)
        self._rest = affordable(space, budget)
        self._known: set[str] = set()

    def ask(self) -> Architecture | None:
        return next((architecture for architecture in self._rest if architecture.id not in self._known), None)

    def tell(self, architecture: Architecture, result: Result) -> None:
        self._known.add(architecture.id)


class Tpe:
    """Optuna's tree-structured Parzen estimator over the space's primitive choices, after a uniform start.

    Bergstra et al., "Algorithms for Hyper-Parameter Optimization", 2011. Proposals that are known or outside the budget
    are asked again a few times, then replaced by a uniform one.
    """

    ahead = False
    startup = 10
    attempts = 20

    def __init__(self, space: SearchSpace, budget: Budget, seed: int, objectives: tuple[Objective, ...]):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.space, self.budget, self.objectives = space, budget, objectives
        self.uniform = RandomSearch(space, budget, seed)
        self._study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=0),
            directions=[objective.direction for objective in objectives],
        )
        self._states = optuna.trial.TrialState
        self._open: dict[str, Trial] = {}  # by architecture id
        self._informed = 0  # results with a figure to learn from

    def ask(self) -> Architecture | None:
        for _ in range(self.attempts if self._informed >= self.startup else 0):
            trial = self._study.ask()
            architecture = self.space.choose(trial.suggest_categorical)
            affordable = self.budget.admits(architecture.params, architecture.macs)
            if affordable and architecture in self.space and self.uniform.take(architecture):
                self._open[architecture.id] = trial
                return architecture
            self._study.tell(trial, state=self._states.FAIL)
        return self.uniform.ask()

    def tell(self, architecture: Architecture, result: Result) -> None:
        self.uniform.tell(architecture, result)
        trial = self._open.pop(architecture.id, None) or self._enter(architecture)
        if trial is None:
            return
        score, single = result.score, len(self.objectives) == 1
        if score is None or result.state == "failed" or (result.state == "pruned" and not single):
            self._study.tell(trial, state=self._states.FAIL)
            return
        self._informed += 1
        if result.state == "pruned":
            for rung in result.scores:
                trial.report(self.objectives[0].of(result, rung), rung.epoch)
            self._study.tell(trial, state=self._states.PRUNED)
        else:
            self._study.tell(trial, [objective.of(result, score) for objective in self.objectives])

    def _enter(self, architecture: Architecture) -> Trial | None:
        """Optuna's trial of a proposal that was not Optuna's; None for a network that is not in the space."""
        try:
            self._study.enqueue_trial(self.space.encode(architecture))
        except SpaceError:  # a run of another version of the space
            return None
        trial = self._study.ask()
        self.space.choose(trial.suggest_categorical)
        return trial


class Started:
    """A strategy that has some architectures tried first, whether or not they are in its space."""

    def __init__(self, strategy: Strategy, first: Sequence[Architecture]):
        self.strategy, self.ahead = strategy, strategy.ahead
        self._first = {architecture.id: architecture for architecture in first}
        self._known: set[str] = set()

    def ask(self) -> Architecture | None:
        for id, architecture in self._first.items():
            if id not in self._known:
                self._known.add(id)
                return architecture
        while (proposed := self.strategy.ask()) and proposed.id in self._first:
            pass
        return proposed

    def tell(self, architecture: Architecture, result: Result) -> None:
        self._known.add(architecture.id)
        self.strategy.tell(architecture, result)


def affordable(space: SearchSpace, budget: Budget) -> Iterator[Architecture]:
    """Every architecture within the budget, lazily."""
    return (architecture for architecture in space.enumerate() if budget.admits(architecture.params, architecture.macs))


STRATEGIES = ("tpe", "random", "exhaustive")


def make_strategy(
    name: str, space: SearchSpace, budget: Budget, *, seed: int, objectives: tuple[Objective, ...]
) -> Strategy:
    """A strategy by its name. Raises NasError for an unknown one."""
    if name == "tpe":
        return Tpe(space, budget, seed, objectives)
    if name == "random":
        return RandomSearch(space, budget, seed)
    if name == "exhaustive":
        return Exhaustive(space, budget, seed)
    raise NasError(f"no strategy {name!r}: {nearest(name, STRATEGIES)}")
