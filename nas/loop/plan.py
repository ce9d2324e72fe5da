"""How much a search tries."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nas.ranking.objectives import Objective, Quality, quality
from nas.runs.job import CPU, Kind


@dataclass(frozen=True)
class Plan:
    """How much is tried and how: `trials` architectures at `epochs` epochs, then `top` of them over `seeds` seeds.

    `start` are networks that are tried first, their names by id, wherever they come from; `kind` is what all are
    trained on. What failed in an earlier session is tried once more, with `retry_failed` however often it has.
    `rungs` are the epochs after which a candidate has to be among the best `1 / eta` to go on; `minutes` bounds the
    search, not the finals.
    """

    trials: int
    epochs: int
    lr: float
    top: int
    seeds: int
    seed: int = 0
    rungs: tuple[int, ...] = ()
    eta: float = 2.0
    minutes: float | None = None
    start: Mapping[str, str] = field(default_factory=dict)
    retry_failed: bool = False
    objectives: tuple[Objective, ...] = (Objective("accuracy"),)
    kind: Kind = CPU

    @property
    def quality(self) -> Quality:
        """The figure by which candidates are compared at rungs and finalists chosen."""
        return quality(self.objectives)
