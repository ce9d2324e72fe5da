"""Optuna's TPE over the questions of a space."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from einmix import Architecture
from nas.ranking.objectives import Objective, best_first, teaches
from nas.runs.result import Result
from nas.strategies.random_search import RandomSearch
from search_spaces import BoundSpace, Budget, SpaceError

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, Trial


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

    def __init__(self, space: BoundSpace, budget: Budget, seed: int, objectives: tuple[Objective, ...]):
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
            # of several objectives, a front of which is full of equals, the newer come first
            single = len(self.objectives) == 1
            self._best = self._leaders([*self._best, learnt] if single else [learnt, *self._best])
        self._study.add_trial(learnt)
        self._latest.append(learnt)

    def _learnt(self, architecture: Architecture, result: Result) -> FrozenTrial | None:
        """Optuna's trial of a result; None where there is nothing to learn, or the network is not in the space."""
        from optuna.trial import create_trial

        failed, score = result.state == "failed", result.score
        if failed and self._failed >= 9 * self._informed:  # Optuna would count some of them as good: a tenth of all
            return None
        if not failed and (score is None or not teaches(result, self.objectives)):
            return None
        try:
            params, distributions = parameters(self.space, architecture)
        except SpaceError:  # a run of another version of the space
            return None
        facts: dict[str, Any] = {"state": self._states.PRUNED}  # without a figure Optuna ranks it below all others
        if score is not None and not failed:
            facts["values"] = [objective.of(result, score) for objective in self.objectives]
            if result.state == "pruned":
                rungs = {rung.epoch: self.objectives[0].of(result, rung) for rung in result.scores}
                facts["intermediate_values"] = rungs
            else:
                facts["state"] = self._states.COMPLETE
        return create_trial(params=params, distributions=distributions, **facts)

    def _leaders(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        """The best of some trials, as many as are held: complete before pruned, fewer beaten by others first."""

        def figures(trial: FrozenTrial) -> tuple[float, ...]:
            reached = max(trial.intermediate_values, default=math.inf)
            return reached, *(o.sign * value for o, value in zip(self.objectives, trial.values, strict=True))

        return [trials[place] for place in best_first([figures(trial) for trial in trials])[: self.best]]

    def _new_study(self) -> Study:
        """A study of what is held; proposals under way are not in it until they come back.

        The best come first and the latest last; what is both is among the best of one objective, as it was measured
        (docs/log.md), and of several among the latest, since the newest are the first on a front.
        """
        import optuna

        directions = [objective.direction for objective in self.objectives]
        study = optuna.create_study(sampler=self._sampler, directions=directions)
        latest = {id(trial) for trial in self._latest} if len(self.objectives) > 1 else set[int]()
        best = [trial for trial in self._best if id(trial) not in latest]
        study.add_trials({id(trial): trial for trial in (*best, *self._latest)}.values())
        self._open.clear()
        return study


def parameters(space: BoundSpace, architecture: Architecture) -> tuple[dict[str, str], dict[str, BaseDistribution]]:
    """The answers that make an architecture, as parameters of an Optuna trial, and among what each was chosen.

    Raises SpaceError for an architecture that is not in the space.
    """
    from optuna.distributions import CategoricalDistribution

    answers = space.encode(architecture)
    asked: dict[str, BaseDistribution] = {}

    def answer(question: str, among: Sequence[str]) -> str:
        asked[question] = CategoricalDistribution(among)
        return answers[question]

    space.choose(answer)
    return {question: answers[question] for question in asked}, asked
