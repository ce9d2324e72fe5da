"""What becomes of a lead at other learning rates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from statistics import fmean
from typing import Any

from nas.runs.job import Score
from nas.runs.result import Result

Scores = Mapping[float, Score | None]
"""How a network's trainings with one seed ended, by learning rate; None where they failed."""


@dataclass(frozen=True)
class Sensitivity:
    """A network and the reference that it is held against, at the search's learning rate `lr` and those next to it."""

    lr: float
    mine: Scores
    theirs: Scores

    @property
    def lost(self) -> dict[float | None, tuple[Score | None, Score | None]]:
        """How both ended where the reference is as good or better: at other rates, by None each at its best."""
        pairs = {lr: (self.mine[lr], self.theirs[lr]) for lr in self.mine if lr != self.lr and self.theirs[lr]}
        best = {None: (_best(self.mine), _best(self.theirs))}
        return {lr: pair for lr, pair in (pairs | best).items() if _accuracy(pair[1]) >= _accuracy(pair[0])}

    def row(self) -> dict[str, Any]:
        """Its figures as JSON values: accuracies by rate."""
        mine, theirs = (
            {f"{lr:g}": score and score.accuracy for lr, score in scores.items()} for scores in (self.mine, self.theirs)
        )
        lost = self.lost
        taken = {"taken_at": [lr for lr in lost if lr is not None], "taken_at_best": None in lost}
        return {"lr": self.lr, "accuracy": mine, "reference": theirs} | taken


def sensitivity(mine: Sequence[Result], theirs: Sequence[Result]) -> Sensitivity | None:
    """From finals, and trainings at other rates with one of their seeds; None where the latter are not all there."""
    seeds = {result.seed for result in mine if result.phase == "tune"}
    ours, others = (
        {each.lr: each.score if each.state == "complete" else None for each in results if each.seed in seeds}
        for results in (mine, theirs)
    )
    final = [result.lr for result in mine if result.phase == "final"]
    if len(seeds) != 1 or ours.keys() != others.keys() or not final or final[0] not in ours:
        return None
    return Sensitivity(final[0], dict(sorted(ours.items())), dict(sorted(others.items())))


def better_rate(found: Sequence[Sensitivity]) -> tuple[float, float, float] | None:
    """A rate next to the search's at which the networks are better: the rate, and their mean losses there and here."""
    losses = {
        lr: fmean(score.loss if (score := each.mine[lr]) else inf for each in found)
        for lr in found[0].mine
        if all(lr in each.mine for each in found)
    }
    best, here = min(losses, key=losses.__getitem__), losses[found[0].lr]
    return (best, losses[best], here) if losses[best] < here else None


def _accuracy(score: Score | None) -> float:
    return score.accuracy if score else -inf


def _best(scores: Scores) -> Score | None:
    return max(scores.values(), key=_accuracy)
