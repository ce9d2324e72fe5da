"""What a search spends: how much it tries, and how soon it stops what is weak."""

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from nas.claims.until_sure import LOOKS, WITHIN
from nas.ranking.objectives import Objective, Quality, dominates, merit, searched
from nas.runs.job import CPU, Kind, Score
from nas.runs.own import Metric


@dataclass(frozen=True)
class Plan:
    """How much is tried and how: `trials` architectures at `epochs` epochs, then `top` of them over `seeds` seeds.

    `lr` is None where the learning rate is found first. `start` are networks that are tried first, their names by id,
    wherever they come from; `kind` is what all are trained on. What failed in an earlier session is tried once more,
    with `retry_failed` however often it has.
    `rungs` are the epochs after which a candidate has to be among the best `1 / eta` to go on; the first `grace` of
    them go on whatever they are. By the `order`, a figure of the validation part, candidates are compared. `minutes`
    bounds the search, not what finds its rate nor the finals, but for those that go on `until_sure`: with a share of
    that chance of being right about the first of them, and that it costs at most a share `within`. `seeds` are their
    most then.
    """

    trials: int
    epochs: int
    lr: float | None
    top: int
    seeds: int
    seed: int = 0
    rungs: tuple[int, ...] = ()
    eta: float = 3.0
    grace: int = 1
    order: Quality = "loss"
    minutes: float | None = None
    start: Mapping[str, str] = field(default_factory=dict)
    retry_failed: bool = False
    until_sure: float | None = None
    within: float = WITHIN
    objectives: tuple[Objective, ...] = (Objective("accuracy"),)
    kind: Kind = CPU

    @property
    def metric(self) -> Metric:
        """What its networks are judged by."""
        return self.objectives[0].metric

    @property
    def looks(self) -> list[int]:
        """The numbers of seeds after which finals end, or are looked at, in ascending order."""
        return [self.seeds] if self.until_sure is None else sorted({min(n, self.seeds) for n in LOOKS})

    @property
    def searched(self) -> tuple[Objective, ...]:
        """The objectives by which candidates are compared and finalists chosen."""
        return searched(self.objectives, self.order)


class Rungs:
    """Asynchronous successive halving: at a rung a candidate goes on if it is among the best 1/eta seen there.

    Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2020, as it is done by stopping: who is asked
    first is never called back. The first few at a rung always go on.
    With `costs`, figures of candidates that are known without training (the less the better), those are better that
    dominate it: what is on the front goes on.
    """

    def __init__(self, eta: float, by: Quality, grace: int):
        self.eta, self.by, self.grace = eta, by, grace
        self._seen: dict[int, list[tuple[float, ...]]] = defaultdict(list)  # by epoch; in ascending order without costs

    def see(self, score: Score, costs: Sequence[float] = ()) -> bool:
        """Notes a score; whether its candidate goes on."""
        mine: tuple[float, ...] = merit(score, self.by)
        seen = self._seen[score.epoch]
        if costs:
            mine = mine[0], *(-cost for cost in costs)
            better = sum(dominates(other, mine) for other in seen)
            seen.append(mine)
        else:
            insort(seen, mine)
            better = len(seen) - bisect_right(seen, mine)
        return len(seen) <= self.grace or better < ceil(len(seen) / self.eta)
