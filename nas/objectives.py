"""What a search can optimise: figures of a result, each with its direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import ge
from typing import Literal, get_args

from nas.errors import NasError, nearest
from nas.results import Result
from nas.trial import Score

Quality = Literal["accuracy", "loss"]
Figure = Literal["accuracy", "loss", "params", "macs", "seconds"]


@dataclass(frozen=True)
class Objective:
    """A figure and whether more or less of it is better."""

    name: Figure

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        return "maximize" if self.name == "accuracy" else "minimize"

    @property
    def sign(self) -> int:
        """What makes the larger figure the better one, as a factor."""
        return 1 if self.direction == "maximize" else -1

    def of(self, result: Result, score: Score) -> float:
        """The figure of a result at one of its scores."""
        return float(getattr(score if self.name in get_args(Quality) else result, self.name))


def parse_objectives(text: str) -> tuple[Objective, ...]:
    """The objectives of a list such as `accuracy,macs`, one of them at least a figure that training is for.

    Raises NasError.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in get_args(Figure):
            raise NasError(f"no objective {name!r}: {nearest(name, get_args(Figure))}")
    if len(set(names)) < len(names):
        raise NasError(f"objective {text!r} names one figure twice")
    if not set(names) & set(get_args(Quality)):
        raise NasError(f"objective {text!r} needs no training: add accuracy or loss, as in accuracy,{text}")
    return tuple(Objective(name) for name in names)  # type: ignore[arg-type]


def quality(objectives: Sequence[Objective]) -> Quality:
    """The figure that orders candidates where one order is needed: the first of the objectives that training is for."""
    return next(o.name for o in objectives if o.name == "accuracy" or o.name == "loss")


def merit(score: Score, by: Quality) -> tuple[float, float]:
    """What sorts scores, that of the better one being larger: accuracy and then loss, or loss and then accuracy."""
    return (-score.loss, score.accuracy) if by == "loss" else (score.accuracy, -score.loss)


def pareto_front(results: Sequence[Result], objectives: Sequence[Objective]) -> list[Result]:
    """The results that no other one dominates, in their order."""
    points = [(result, figures(result, result.score, objectives)) for result in results if result.score]
    return [result for result, mine in points if not any(dominates(other, mine) for _, other in points)]


def figures(result: Result, score: Score, objectives: Sequence[Objective]) -> tuple[float, ...]:
    """A result at one of its scores in every objective, the larger the better."""
    return tuple(objective.sign * objective.of(result, score) for objective in objectives)


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether one of two such tuples is as good in every objective and better in some."""
    return one != other and all(map(ge, one, other))


def teaches(result: Result, objectives: Sequence[Objective]) -> bool:
    """Whether a strategy can learn from a result: a pruned one has a place in a ranking, but none on a front."""
    return result.state == "complete" or (result.state == "pruned" and len(objectives) == 1)
