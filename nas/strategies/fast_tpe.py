"""A tree-structured Parzen estimator that counts answers: a proposal takes milliseconds after any number of results."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from math import ceil, log
from random import Random

from einmix import Architecture
from nas.ranking.objectives import Objective, dominates, figures, teaches
from nas.runs.result import Result
from nas.strategies.random_search import RandomSearch
from search_spaces import BoundSpace, Budget, SpaceError

Answers = dict[str, str]
"""What a network answers to the questions of its space."""


@dataclass
class _Ranked:
    """A result to learn from; `figures` are the better the larger, `beaten` counts the results that are better."""

    answers: Answers
    figures: tuple[float, ...]
    beaten: int = 0


class FastTpe:
    """The tree-structured Parzen estimator over the space's primitive choices, after a uniform start.

    Bergstra et al., "Algorithms for Hyper-Parameter Optimization", 2011. Networks are drawn from the answers of the
    best tenth of all results (25 at most); of a few such draws the one is proposed whose answers are least like those
    of the other results, among which what failed counts, and proposals without a result. All choices are categorical,
    so an estimator is a count of answers, and a proposal costs as much after 10,000 results as after 100. Where no draw
    is new and within the budget, the proposal is a uniform one.
    """

    ahead = False
    startup = 10
    candidates = 4
    attempts = 24
    share, most = 0.1, 25  # Optuna's defaults
    prior = 1.0  # weight, in results, of all answers being equally likely

    def __init__(self, space: BoundSpace, budget: Budget, seed: int, objectives: tuple[Objective, ...]):
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
        good = [result.answers for result in self._best[: ceil(self.share * self._informed)]]
        odds = _Odds(good, self._counts, self.prior)
        drawn: dict[str, Architecture] = {}
        answered: dict[str, Answers] = {}
        for _ in range(self.attempts):
            answers: Answers = {}
            architecture = self.space.choose(partial(odds.draw, self._rng, answers))
            new = architecture.id not in self.uniform.known
            if new and self.budget.admits(architecture.params, architecture.macs):
                drawn[architecture.id], answered[architecture.id] = architecture, answers
            if len(drawn) == self.candidates:
                break
        for id in sorted(drawn, key=lambda id: -odds.promise(answered[id])):
            if drawn[id] in self.space:  # which is slow to say
                self.uniform.take(drawn[id])
                self._open[id] = answered[id]
                self._count(answered[id], 1)
                return drawn[id]
        return None

    def expect(self, architecture: Architecture) -> None:
        self.uniform.expect(architecture)
        if architecture.id not in self._open:
            with suppress(SpaceError):  # a run of another version of the space
                self._open[architecture.id] = answers = self.space.encode(architecture)
                self._count(answers, 1)

    def tell(self, architecture: Architecture, result: Result) -> None:
        self.expect(architecture)
        answers = self._open.pop(architecture.id, None)
        if answers is None or result.state == "failed":
            return
        if result.score is None or not teaches(result, self.objectives):
            self._count(answers, -1)
            return
        reached = figures(result, result.score, self.objectives)
        # what came further before it was pruned is better than what didn't
        single = len(self.objectives) == 1
        self._rank(_Ranked(answers, (float(result.score.epoch), *reached) if single else reached))
        self._informed += 1

    def _rank(self, new: _Ranked) -> None:
        """Puts a result among the best, if it is one of them.

        Of one objective the order stays exact: what falls out beats nothing that stays. Of several it is that among
        those that are held, and of equals, which a front is full of, the newer come first, so that it goes on to learn.
        """
        for other in self._best:
            other.beaten += self._beats(new, other)
            new.beaten += self._beats(other, new)
        ranked = (*self._best, new) if len(self.objectives) == 1 else (new, *self._best)
        self._best = sorted(ranked, key=lambda each: each.beaten)[: self.most]

    def _beats(self, one: _Ranked, other: _Ranked) -> bool:
        if len(self.objectives) == 1:
            return one.figures > other.figures
        return dominates(one.figures, other.figures)

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
