"""Strategies: they propose architectures of a space and learn from results; who trains them is not their concern."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from einmix import Architecture
from nas.errors import NasError, nearest
from nas.objectives import Objective, dominates, teaches
from nas.results import Result
from search_spaces import Budget, SearchSpace, SpaceError

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

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

    def expect(self, architecture: Architecture) -> None:
        """One that an earlier session asked for and that is trained now: it is known, and its result will be told."""

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
        self.known: set[str] = set()  # ids of all that was proposed or told
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
                if self._listable or self.known:
                    return None
                raise
            if self.take(architecture):
                return architecture
            repeats = 0 if architecture.id in self._replayed else repeats + 1
            self._replayed.discard(architecture.id)
        return None

    def expect(self, architecture: Architecture) -> None:
        if self.take(architecture):
            self._replayed.add(architecture.id)

    def tell(self, architecture: Architecture, result: Result) -> None:
        self.expect(architecture)

    def take(self, architecture: Architecture) -> bool:
        """Marks an architecture as known; whether it is new."""
        new = architecture.id not in self.known
        self.known.add(architecture.id)
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

    def expect(self, architecture: Architecture) -> None:
        self._known.add(architecture.id)

    def tell(self, architecture: Architecture, result: Result) -> None:
        self.expect(architecture)


class Tpe:
    """Optuna's tree-structured Parzen estimator over the space's primitive choices, after a uniform start.

    Bergstra et al., "Algorithms for Hyper-Parameter Optimization", 2011. Proposals that are known or outside the budget
    are asked again a few times, then replaced by a uniform one. What failed is worse than all else. A proposal takes
    time by the number of trials in Optuna's study: this one holds the best results and the latest, and is made anew
    when it has grown to twice that.
    """

    ahead = False
    startup = 10
    attempts = 20
    best, latest = 25, 75  # Optuna's good results are 25 at most

    def __init__(self, space: SearchSpace, budget: Budget, seed: int, objectives: tuple[Objective, ...]):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.space, self.budget, self.objectives = space, budget, objectives
        self.uniform = RandomSearch(space, budget, seed)
        self._sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=0)
        self._states = optuna.trial.TrialState
        self._best: list[FrozenTrial] = []
        self._latest: deque[FrozenTrial] = deque(maxlen=self.latest)
        self._informed = self._failed = 0  # results with a figure to learn from, and those that are only bad
        self._open: dict[str, Trial] = {}  # by architecture id, of the study as it is now
        self._study = self._new_study()

    def ask(self) -> Architecture | None:
        for _ in range(self.attempts if self._informed >= self.startup else 0):
            if len(self._study.get_trials(deepcopy=False)) > 2 * (self.best + self.latest):
                self._study = self._new_study()
            trial = self._study.ask()
            architecture = self.space.choose(trial.suggest_categorical)
            affordable = self.budget.admits(architecture.params, architecture.macs)
            if affordable and architecture in self.space and self.uniform.take(architecture):
                self._open[architecture.id] = trial
                return architecture
            self._study.tell(trial, state=self._states.FAIL)
        return self.uniform.ask()

    def expect(self, architecture: Architecture) -> None:
        self.uniform.expect(architecture)

    def tell(self, architecture: Architecture, result: Result) -> None:
        self.uniform.tell(architecture, result)
        trial = self._open.pop(architecture.id, None)
        if trial is not None:  # it is entered again below, with what came of it
            self._study.tell(trial, state=self._states.FAIL)
        learnt = self._learnt(architecture, result)
        if learnt is None:
            return
        if result.state == "failed":
            self._failed += 1
        else:
            self._informed += 1
            self._best = self._leaders([*self._best, learnt])
        self._study.add_trial(learnt)
        self._latest.append(learnt)

    def _learnt(self, architecture: Architecture, result: Result) -> FrozenTrial | None:
        """Optuna's trial of a result; None where there is nothing to learn, or the network is not in the space."""
        from optuna.distributions import CategoricalDistribution
        from optuna.trial import create_trial

        failed, score = result.state == "failed", result.score
        if failed and self._failed >= 9 * self._informed:  # Optuna would count some of them as good: a tenth of all
            return None
        if not failed and (score is None or not teaches(result, self.objectives)):
            return None
        try:
            answers = self.space.encode(architecture)
        except SpaceError:  # a run of another version of the space
            return None
        options: dict[str, Sequence[str]] = {}

        def answer(question: str, among: Sequence[str]) -> str:
            options[question] = among
            return answers[question]

        self.space.choose(answer)
        facts: dict[str, Any] = {"state": self._states.PRUNED}  # without a figure Optuna ranks it below all others
        if score is not None and not failed:
            facts["values"] = [objective.of(result, score) for objective in self.objectives]
            if result.state == "pruned":
                rungs = {rung.epoch: self.objectives[0].of(result, rung) for rung in result.scores}
                facts["intermediate_values"] = rungs
            else:
                facts["state"] = self._states.COMPLETE
        return create_trial(
            params={question: answers[question] for question in options},
            distributions={question: CategoricalDistribution(among) for question, among in options.items()},
            **facts,
        )

    def _leaders(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        """The best of some trials, as many as are held: complete before pruned, fewer beaten by others first."""

        def figures(trial: FrozenTrial) -> tuple[float, ...]:
            reached = max(trial.intermediate_values, default=math.inf)
            return reached, *(o.sign * value for o, value in zip(self.objectives, trial.values, strict=True))

        if len(self.objectives) == 1:
            return sorted(trials, key=figures, reverse=True)[: self.best]
        reached = [figures(trial) for trial in trials]
        beaten = [sum(dominates(other, mine) for other in reached) for mine in reached]
        return [trials[index] for index in sorted(range(len(trials)), key=beaten.__getitem__)[: self.best]]

    def _new_study(self) -> Study:
        """A study of what is held; proposals under way are not in it until they come back."""
        import optuna

        directions = [objective.direction for objective in self.objectives]
        study = optuna.create_study(sampler=self._sampler, directions=directions)
        held = {id(trial): trial for trial in (*self._best, *self._latest)}
        study.add_trials(held.values())
        self._open.clear()
        return study


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

    def expect(self, architecture: Architecture) -> None:
        self._known.add(architecture.id)
        self.strategy.expect(architecture)

    def tell(self, architecture: Architecture, result: Result) -> None:
        self._known.add(architecture.id)
        self.strategy.tell(architecture, result)


def affordable(space: SearchSpace, budget: Budget) -> Iterator[Architecture]:
    """Every architecture within the budget, lazily."""
    return (architecture for architecture in space.enumerate() if budget.admits(architecture.params, architecture.macs))


STRATEGIES = ("tpe", "fast-tpe", "random", "exhaustive")


def make_strategy(
    name: str, space: SearchSpace, budget: Budget, *, seed: int, objectives: tuple[Objective, ...]
) -> Strategy:
    """A strategy by its name. Raises NasError for an unknown one."""
    if name == "tpe":
        return Tpe(space, budget, seed, objectives)
    if name == "fast-tpe":
        from nas.fast_tpe import FastTpe

        return FastTpe(space, budget, seed, objectives)
    if name == "random":
        return RandomSearch(space, budget, seed)
    if name == "exhaustive":
        return Exhaustive(space, budget, seed)
    raise NasError(f"no strategy {name!r}: {nearest(name, STRATEGIES)}")
