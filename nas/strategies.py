"""Strategies: they propose architectures of a space and learn from results; who trains them is not their concern."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, Protocol

from einmix import Architecture
from nas.errors import NasError, nearest
from nas.objectives import Objective
from nas.results import Result
from search_spaces import Budget, SearchSpace, SpaceError

REPEATS = 200
"""So many proposals in a row that were all known make a strategy list what is left."""

LISTABLE = 2_000_000
"""Spaces up to this size are searched to the last architecture; in larger ones nobody gets there."""


class Strategy(Protocol):
    """Proposes architectures, each once; all state can be had again by telling the results anew."""

    ahead: bool
    """Whether proposals can be asked for before earlier results are in, at no loss."""

    def ask(self) -> Architecture | None:
        """The next architecture to try; None when the space (within the budget) has no other."""

    def tell(self, architecture: Architecture, result: Result) -> None:
        """How a training ended; of one that was asked for, or of an earlier session."""


class RandomSearch:
    """Uniform over the architectures within the budget, without repetition: the baseline that others have to beat."""

    ahead = True

    def __init__(self, space: SearchSpace, budget: Budget, seed: int):
        self.space, self.budget, self.rng = space, budget, Random(seed)
        self._known: set[str] = set()
        self._rest: Iterator[Architecture] | None = None
        space.check(budget)

    def ask(self) -> Architecture | None:
        for _ in range(REPEATS if self._rest is None else 0):
            architecture = self.space.sample(self.rng, self.budget)
            if self._new(architecture):
                return architecture
        if self.space.count() > LISTABLE:
            return self.ask()
        if self._rest is None:
            self._rest = self.space.enumerate()
        return next((a for a in self._rest if self.budget.admits(a.params, a.macs) and self._new(a)), None)

    def tell(self, architecture: Architecture, result: Result) -> None:
        self._known.add(architecture.id)

    def _new(self, architecture: Architecture) -> bool:
        new = architecture.id not in self._known
        self._known.add(architecture.id)
        return new


class Exhaustive:
    """Every architecture within the budget, in the order of the space's enumeration."""

    ahead = True

    def __init__(self, space: SearchSpace, budget: Budget, seed: int):
        space.check(budget)
        self._rest = (a for a in space.enumerate() if budget.admits(a.params, a.macs))
        self._known: set[str] = set()

    def ask(self) -> Architecture | None:
        return next((a for a in self._rest if a.id not in self._known), None)

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
        self._optuna = optuna
        self._study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=0),
            directions=[objective.direction for objective in objectives],
        )
        self._open: dict[str, Any] = {}  # Optuna's trials by architecture id
        self._asked = 0

    def ask(self) -> Architecture | None:
        self._asked += 1
        for _ in range(self.attempts if self._asked > self.startup and self._learned() else 0):
            trial = self._study.ask()
            architecture = self.space.choose(trial.suggest_categorical)
            affordable = self.budget.admits(architecture.params, architecture.macs)
            if affordable and architecture in self.space and self.uniform._new(architecture):
                self._open[architecture.id] = trial
                return architecture
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        found = self.uniform.ask()
        if found is not None:
            self._study.enqueue_trial(self.space.encode(found))
            self._open[found.id] = trial = self._study.ask()
            self.space.choose(trial.suggest_categorical)
        return found

    def tell(self, architecture: Architecture, result: Result) -> None:
        self.uniform.tell(architecture, result)
        trial = self._open.pop(architecture.id, None)
        if trial is None:
            self._asked += 1
            try:
                self._study.enqueue_trial(self.space.encode(architecture))
            except SpaceError:  # a reference, or of another version of the space
                return
            trial = self._study.ask()
            self.space.choose(trial.suggest_categorical)
        states = self._optuna.trial.TrialState
        if result.state == "failed" or result.score is None:
            self._study.tell(trial, state=states.FAIL)
        elif result.state == "pruned" and len(self.objectives) == 1:
            for score in result.scores:
                trial.report(self.objectives[0].of(result, score), score.epoch)
            self._study.tell(trial, state=states.PRUNED)
        else:
            self._study.tell(trial, [objective.of(result, result.score) for objective in self.objectives])

    def _learned(self) -> bool:
        return any(trial.state.is_finished() for trial in self._study.get_trials(deepcopy=False))


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
