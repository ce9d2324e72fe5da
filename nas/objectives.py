"""What a search can optimise: figures of a result, each with its direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nas.errors import NasError, nearest
from nas.results import Result
from nas.trial import Score


@dataclass(frozen=True)
class Objective:
    """A figure and whether more or less of it is better."""

    name: Literal["accuracy", "loss", "params", "macs", "seconds"]

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        return "maximize" if self.name == "accuracy" else "minimize"

    def of(self, result: Result, score: Score) -> float:
        """The figure of a result at one of its scores."""
        return float(getattr(score if self.name in ("accuracy", "loss") else result, self.name))


OBJECTIVES = {name: Objective(name) for name in ("accuracy", "loss", "params", "macs", "seconds")}  # type: ignore[arg-type]


def parse_objectives(text: str) -> tuple[Objective, ...]:
    """The objectives of a list such as `accuracy,macs`. Raises NasError."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in OBJECTIVES:
            raise NasError(f"no objective {name!r}: {nearest(name, OBJECTIVES)}")
    if len(set(names)) < len(names):
        raise NasError(f"objective {text!r} names one figure twice")
    return tuple(OBJECTIVES[name] for name in names)


def pareto_front(results: list[Result], objectives: tuple[Objective, ...]) -> list[Result]:
    """The results that no other one beats in every objective, in their order."""

    def figures(result: Result) -> list[float]:
        assert result.score is not None
        return [o.of(result, result.score) * (-1 if o.direction == "maximize" else 1) for o in objectives]

    points = [(result, figures(result)) for result in results if result.score]
    return [
        result
        for result, mine in points
        if not any(other != mine and all(o <= m for o, m in zip(other, mine, strict=True)) for _, other in points)
    ]
