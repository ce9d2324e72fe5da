"""What a search can optimise: figures of a result, each with its direction."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from math import dist, inf
from operator import ge
from typing import Literal, get_args

from nas.errors import NasError, nearest
from nas.runs.job import Score
from nas.runs.own import ACCURACY, Metric
from nas.runs.result import Result

Quality = Literal["accuracy", "loss"]

Figure = Literal["accuracy", "loss", "params", "macs", "latency", "seconds"]


@dataclass(frozen=True)
class Objective:
    """A figure and whether more or less of it is better.

    `latency` is a model's: milliseconds of a forward pass (`nas.training.latency`). `seconds` are those of its
    training, which other work on the machine lengthens. `accuracy` stands for a `metric` of somebody's own, too, as
    scores keep it: the larger the better.
    """

    name: Figure
    metric: Metric = ACCURACY

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        return "maximize" if self.name == "accuracy" else "minimize"

    @property
    def sign(self) -> int:
        """What makes the larger figure the better one, as a factor."""
        return 1 if self.direction == "maximize" else -1

    @property
    def is_cost(self) -> bool:
        """Whether a network has the figure without any training."""
        return self.name in ("params", "macs")

    def of(self, result: Result, score: Score) -> float:
        """The figure of a result at one of its scores."""
        return float(getattr(score if self.name in get_args(Quality) else result, self.name))

    def known(self, result: Result) -> bool:
        """Whether a result that has a score has the figure: not every training measures a latency."""
        return self.name != "latency" or result.latency is not None


def parse_objectives(text: str, metric: Metric = ACCURACY) -> tuple[Objective, ...]:
    """The objectives of a list such as `accuracy,macs`, one of them at least a figure that training is for.

    Where a run has a metric of its own, that is what `accuracy` stands for. Raises NasError.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in get_args(Figure):
            raise NasError(f"no objective {name!r}: {nearest(name, get_args(Figure))}")
    if len(set(names)) < len(names):
        raise NasError(f"objective {text!r} names one figure twice")
    if not set(names) & set(get_args(Quality)):
        raise NasError(f"objective {text!r} needs no training: add accuracy or loss, as in accuracy,{text}")
    return tuple(Objective(name, metric) for name in names)  # type: ignore[arg-type]


def quality(objectives: Sequence[Objective]) -> Quality:
    """The figure that orders candidates where one order is needed: the first of the objectives that training is for."""
    return next(o.name for o in objectives if o.name == "accuracy" or o.name == "loss")


def searched(objectives: Sequence[Objective], order: Quality) -> tuple[Objective, ...]:
    """The objectives by which a search compares candidates: with its order in place of accuracy or loss.

    The validation loss of one training tells more of a network than its accuracy does. Of both there is no order.
    """
    if len({each.name for each in objectives} & set(get_args(Quality))) > 1:
        return tuple(objectives)
    return tuple(replace(each, name=order) if each.name in get_args(Quality) else each for each in objectives)


def merit(score: Score, by: Quality) -> tuple[float, float]:
    """What sorts scores, that of the better one being larger: accuracy and then loss, or loss and then accuracy."""
    return (-score.loss, score.accuracy) if by == "loss" else (score.accuracy, -score.loss)


def pareto_front(results: Sequence[Result], objectives: Sequence[Objective]) -> list[Result]:
    """The results that no other one dominates, in their order."""
    whole = [result for result in results if all(objective.known(result) for objective in objectives)]
    points = [(result, figures(result, result.score, objectives)) for result in whole if result.score]
    front = undominated([mine for _, mine in points])
    return [result for result, mine in points if mine in front]


def undominated(points: Collection[tuple[float, ...]]) -> set[tuple[float, ...]]:
    """The points, the larger the better, that no other one dominates."""
    return {mine for mine in points if not any(dominates(other, mine) for other in points)}


def spread(front: Sequence[Result], objectives: Sequence[Objective]) -> list[Result]:
    """A front in an order of which every beginning is spread along it.

    First the best in each objective, in that which training is for before the others; then, again and again, whichever
    is farthest from all before, by its ranks in the objectives. Of equals the first one comes first.
    """
    points = [figures(result, result.score, objectives) for result in front if result.score]
    places = list(zip(*map(_ranks, zip(*points, strict=True)), strict=True))
    first = quality(objectives)
    ends = sorted(range(len(objectives)), key=lambda axis: objectives[axis].name != first)
    wanted = list(dict.fromkeys(max(range(len(points)), key=lambda i: points[i][axis]) for axis in ends if points))
    order: list[int] = []
    distance = dict.fromkeys(range(len(points)), inf)  # of those that are left to the nearest one before
    while distance:
        order.append(wanted.pop(0) if wanted else max(distance, key=distance.__getitem__))
        del distance[order[-1]]
        distance = {i: min(far, dist(places[i], places[order[-1]])) for i, far in distance.items()}
    return [front[i] for i in order]


def _ranks(column: Sequence[float]) -> list[float]:
    """Every figure's place among the others, from 0 for the least to 1 for the largest; equals share theirs."""
    places = {figure: place for place, figure in enumerate(sorted(set(column)))}
    return [places[figure] / max(len(places) - 1, 1) for figure in column]


def figures(result: Result, score: Score, objectives: Sequence[Objective]) -> tuple[float, ...]:
    """A result at one of its scores in every objective, the larger the better."""
    return tuple(objective.sign * objective.of(result, score) for objective in objectives)


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether one of two such tuples is as good in every objective and better in some."""
    return one != other and all(map(ge, one, other))


def best_first(points: Sequence[tuple[float, ...]]) -> list[int]:
    """The order of results by how far they got and their figures, the larger the better: places, the best first.

    Of one figure those that got furthest come first, then the best; of several the ones that fewest others dominate.
    """
    if all(len(point) == 2 for point in points):
        return sorted(range(len(points)), key=points.__getitem__, reverse=True)
    beaten = [sum(dominates(other, mine) for other in points) for mine in points]
    return sorted(range(len(points)), key=beaten.__getitem__)


def teaches(result: Result, objectives: Sequence[Objective]) -> bool:
    """Whether a strategy can learn from a result: a pruned one has a place in a ranking, but none on a front."""
    if not all(objective.known(result) for objective in objectives):
        return False
    return result.state == "complete" or (result.state == "pruned" and len(objectives) == 1)
