"""The figures behind the plots: curves, costs with their front, ranks over rungs, what was reached when."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean

from einmix import Architecture
from einmix.networks.summary import shares
from nas.ranking.objectives import Quality, merit
from nas.report.figures.facts import Kind, Network, RunFacts
from nas.report.figures.importance import Importance, Level, choices_of, families_of, importance, levels_of
from nas.runs.job import Score
from nas.runs.result import Result


@dataclass(frozen=True)
class Curve:
    """A network's training: its loss by epoch from the first on, and its validation accuracy after some epochs."""

    id: str
    title: str
    kind: Kind
    losses: tuple[float, ...]
    scores: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Point:
    """What a network costs and what it reached, a share; `judged` is the mean over seeds where it has finals."""

    id: str
    title: str
    kind: Kind
    cost: float
    accuracy: float | None
    judged: float | None = None


@dataclass(frozen=True)
class Costs:
    """Points by one kind of cost, and the front of the search's full trainings, the cheapest first."""

    name: str
    points: tuple[Point, ...]
    front: tuple[Point, ...]


@dataclass(frozen=True)
class Ranks:
    """At each of some epochs how many candidates were there, and the rank of each by id; None where it was not.

    `ends` are the ranks of finalists in the finals.
    """

    epochs: tuple[int, ...]
    counts: tuple[int, ...]
    lines: Mapping[str, tuple[int | None, ...]]
    ends: Mapping[str, int]


def curves(run: RunFacts) -> list[Curve]:
    """Of every network with a curve, the best first."""
    return [
        Curve(
            network.id,
            network.title,
            network.kind,
            result.train_loss,
            tuple((score.epoch, score.accuracy) for score in result.scores),
        )
        for network in run.networks
        if (result := network.searched)
    ]


COSTS: Mapping[str, Callable[[Network], float | None]] = {
    "parameters": lambda network: float(network.standing.architecture.params),
    "multiply-accumulates": lambda network: float(network.standing.architecture.macs),
    "latency, ms": lambda network: network.standing.latency,
    "seconds of a training": lambda network: network.standing.seconds,
}
"""By what costs are called, the figure."""


def costs(run: RunFacts) -> list[Costs]:
    """Accuracy against each cost that is known; seconds only where they are an objective."""
    wanted = [name for name in COSTS if not name.startswith("seconds")]
    if any(objective.name == "seconds" for objective in run.objectives):
        wanted.append("seconds of a training")
    found = []
    for name in wanted:
        points = {each.id: point for each in run.networks if (point := _point(each, COSTS[name](each)))}
        if points:
            searches = [each.standing.search for each in run.networks]
            ended = [points[each.id] for each in searches if each and each.id in points and each.state == "complete"]
            found.append(Costs(name, tuple(points.values()), tuple(front(ended))))
    return found


def _point(network: Network, cost: float | None) -> Point | None:
    """None for what has no such figure or no accuracy at all."""
    standing, result = network.standing, network.standing.search
    searched = result.score.accuracy if result and result.score else None
    judged = standing.accuracy if standing.finals else None
    if cost is None or (searched is None and judged is None):
        return None
    return Point(network.id, network.title, network.kind, cost, searched, judged)


def front(points: Sequence[Point]) -> list[Point]:
    """The points that no other one is as good as in both and better in one, the cheapest first; of equals the first."""
    best, found = -1.0, []
    for point in sorted(points, key=lambda each: (each.cost, -(each.accuracy or 0.0))):
        if (point.accuracy or 0.0) > best:
            best = point.accuracy or 0.0
            found.append(point)
    return found


def ranks(run: RunFacts) -> Ranks | None:
    """Of the candidates at the search's rungs and its end, by what it compares them by; None without rungs."""
    epochs = run.audit.epochs
    if len(epochs) < 2:
        return None
    ends = {standing.id: place for place, standing in enumerate(run.finalists, start=1)}
    return ranks_at(run.audit.searched, epochs, run.audit.by, ends)


def ranks_at(results: Sequence[Result], epochs: Sequence[int], by: Quality, ends: Mapping[str, int]) -> Ranks:
    """Ranks of trainings among those with a score after each of the epochs; equals are in the order of submission."""
    places: list[dict[str, int]] = []
    for epoch in epochs:
        there: dict[str, Score] = {
            result.id: score for result in results for score in result.scores if score.epoch == epoch
        }
        ordered = sorted(there, key=lambda id: tuple(-part for part in merit(there[id], by)))
        places.append({id: place for place, id in enumerate(ordered, start=1)})
    lines = {result.id: tuple(each.get(result.id) for each in places) for result in results}
    return Ranks(tuple(epochs), tuple(map(len, places)), lines, ends)


@dataclass(frozen=True)
class Choices:
    """What mattered: choices by how much they explain, after the `epoch` that all of `n` candidates reached."""

    epoch: int
    n: int
    found: tuple[Importance, ...]


def compared_alike(run: RunFacts) -> tuple[int, list[tuple[Result, float]]]:
    """The first epoch with scores, and the candidates' accuracies (shares) after it: there all can be compared."""
    searched = run.audit.searched
    epoch = min((score.epoch for result in searched for score in result.scores), default=0)
    return epoch, [(result, score.accuracy) for result in searched for score in result.scores if score.epoch == epoch]


def choices(run: RunFacts) -> Choices:
    """Of the candidates where all of them can be compared."""
    epoch, found = compared_alike(run)
    networks = {standing.id: standing.architecture for standing in run.standings}
    chosen = [choices_of(networks[result.id]) for result, _ in found]
    names = dict.fromkeys(name for each in chosen for name in each)
    table = {name: [each.get(name, "none") for each in chosen] for name in names}
    ids, accuracies = [result.id for result, _ in found], [accuracy for _, accuracy in found]
    return Choices(epoch, len(found), tuple(importance(table, accuracies, ids, run.audit.facts.validation)))


def families(run: RunFacts) -> tuple[int, tuple[Level, ...]]:
    """What candidates with a block of each kind of mixer reached after the first epoch with scores."""
    epoch, found = compared_alike(run)
    networks = {standing.id: standing.architecture for standing in run.standings}
    rows = [(family, a, r.id) for r, a in found for family in families_of(networks[r.id])]
    levels = levels_of([f for f, _, _ in rows], [a for _, a, _ in rows], [id for _, _, id in rows]) if rows else ()
    return epoch, tuple(sorted(levels, key=lambda level: -fmean(level.values)))


def best_so_far(run: RunFacts) -> list[float]:
    """The best validation accuracy after each candidate that came to its end, in the order of submission."""
    ended = [result.score.accuracy for result in run.audit.searched if result.state == "complete" and result.score]
    return list(accumulate(ended, max))


@dataclass(frozen=True)
class Share:
    """So many of a network's parameters are in what is called so; `mixes` says whether it mixes positions."""

    name: str
    params: int
    mixes: bool


def parameters(architecture: Architecture) -> list[Share]:
    """Where a network's parameters are: embeddings, what mixes positions in each block, the rest of it, the head."""
    return [Share(f"block {n}, {name}" if n else name, count, mixes) for name, n, count, mixes in shares(architecture)]
