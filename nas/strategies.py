"""Strategies: they propose architectures of a space and learn from results; who trains them is not their concern."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from math import ceil, log
from random import Random
from typing import Protocol

from einmix import Architecture
from nas.errors import NasError, nearest
from nas.objectives import Objective
from nas.results import Result
from search_spaces import Budget, SearchSpace, SpaceError

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

    def tell(self, architecture: Architecture, result: Result) -> None:
        if self.take(architecture):
            self._replayed.add(architecture.id)

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

    def tell(self, architecture: Architecture, result: Result) -> None:
        self._known.add(architecture.id)


Answers = dict[str, str]
"""What a network answers to the questions of its space."""


@dataclass
class _Ranked:
    """A result to learn from; `figures` are the better the larger, `beaten` counts the results that are better."""

    answers: Answers
    figures: tuple[float, ...]
    beaten: int = 0


class Tpe:
    """The tree-structured Parzen estimator over the space's primitive choices, after a uniform start.

    Bergstra et al., "Algorithms for Hyper-Parameter Optimization", 2011. Networks are drawn from the answers of the
    best tenth of all results (25 at most); of a few such draws the one is proposed whose answers are least like those
    of the other results, among which proposals without a result count too. All choices are categorical, so an
    estimator is a count of answers, and a proposal costs as much after 10,000 results as after 100. Where no draw is
    new and within the budget, the proposal is a uniform one.
    """

    ahead = False
    startup = 10
    candidates = 4
    attempts = 24
    share, most = 0.1, 25  # Optuna's defaults
    prior = 1.0  # weight, in results, of all answers being equally likely

    def __init__(self, space: SearchSpace, budget: Budget, seed: int, objectives: tuple[Objective, ...]):
        self.space, self.budget, self.objectives = space, budget, objectives
        self.uniform = RandomSearch(space, budget, seed)
        self._rng = Random(seed)
        self._open: dict[str, Answers] = {}  # by architecture id
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)  # by question, of all results and of what is open
        self._best: list[_Ranked] = []  # the `most` best, in their order
        self._informed = 0  # results with a figure to learn from

    def ask(self) -> Architecture | None:
        proposed = self._propose() if self._informed >= self.startup else None
        return proposed or self.uniform.ask()

    def _propose(self) -> Architecture | None:
        """The most promising of some draws; None when none of them can be proposed."""
        odds = _Odds(self._good(), self._counts, self.prior)
        drawn: dict[str, tuple[Architecture, Answers]] = {}
        for _ in range(self.attempts):
            answers: Answers = {}
            architecture = self.space.choose(partial(odds.draw, self._rng, answers))
            new = architecture.id not in self.uniform.known
            if new and self.budget.admits(architecture.params, architecture.macs):
                drawn[architecture.id] = architecture, answers
            if len(drawn) == self.candidates:
                break
        for architecture, answers in sorted(drawn.values(), key=lambda each: -odds.promise(each[1])):
            if architecture in self.space:  # which is slow to say
                self.uniform.take(architecture)
                self._open[architecture.id] = answers
                self._count(answers, 1)
                return architecture
        return None

    def _good(self) -> list[Answers]:
        return [result.answers for result in self._best[: ceil(self.share * self._informed)]]

    def tell(self, architecture: Architecture, result: Result) -> None:
        self.uniform.tell(architecture, result)
        answers = self._open.pop(architecture.id, None)
        if answers is None:
            try:
                answers = self.space.encode(architecture)
            except SpaceError:  # a run of another version of the space
                return
            self._count(answers, 1)
        single = len(self.objectives) == 1
        if result.score is None or result.state == "failed" or (result.state == "pruned" and not single):
            self._count(answers, -1)
            return
        figures = tuple(
            objective.of(result, result.score) * (1 if objective.direction == "maximize" else -1)
            for objective in self.objectives
        )
        # what came further before it was pruned is better than what didn't
        self._rank(_Ranked(answers, (float(result.score.epoch), *figures) if single else figures))
        self._informed += 1

    def _rank(self, new: _Ranked) -> None:
        """Puts a result among the best, if it is one of them.

        What falls out beats nothing that stays, since whatever it beats is beaten by more: the order stays exact.
        """
        for other in self._best:
            other.beaten += self._beats(new, other)
            new.beaten += self._beats(other, new)
        self._best = sorted((*self._best, new), key=lambda each: each.beaten)[: self.most]

    def _beats(self, one: _Ranked, other: _Ranked) -> bool:
        if len(self.objectives) == 1:
            return one.figures > other.figures
        pairs = zip(one.figures, other.figures, strict=True)
        return one.figures != other.figures and all(mine >= its for mine, its in pairs)

    def _count(self, answers: Answers, by: int) -> None:
        for question, answer in answers.items():
            self._counts[question][answer] += by


class _Odds:
    """How likely every answer is among the good results, and how much likelier than among the rest."""

    def __init__(self, good: Sequence[Answers], counts: Mapping[str, Counter[str]], prior: float):
        self._counts, self._prior = counts, prior
        self._good: dict[str, Counter[str]] = defaultdict(Counter)
        for answers in good:
            for question, answer in answers.items():
                self._good[question][answer] += 1
        self._likely: dict[str, list[float]] = {}
        self._ratios: dict[str, dict[str, float]] = {}

    def draw(self, rng: Random, answers: Answers, question: str, options: Sequence[str]) -> str:
        """An answer as the good results give it, noted among `answers`."""
        if question not in self._likely:
            self._compare(question, options)
        answers[question] = rng.choices(options, cum_weights=self._likely[question])[0]
        return answers[question]

    def promise(self, answers: Answers) -> float:
        """The logarithm of how much likelier these answers are among the good results than among the rest."""
        return sum(self._ratios[question][answer] for question, answer in answers.items())

    def _compare(self, question: str, options: Sequence[str]) -> None:
        good, every = self._good[question], self._counts.get(question, Counter())
        each = self._prior / len(options)
        likely = [(good[o] + each) / (good.total() + self._prior) for o in options]
        rest = every.total() - good.total() + self._prior
        unlikely = [(every[o] - good[o] + each) / rest for o in options]
        self._likely[question] = list(accumulate(likely))
        self._ratios[question] = {o: log(a / b) for o, a, b in zip(options, likely, unlikely, strict=True)}


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
