"""Who is ahead: results gathered by architecture, ranked, and held against the reference points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from einmix import Architecture
from nas.results import Result

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Gain:
    """A mean difference of accuracy over the seeds both were trained with, and the half width of its interval."""

    against: str
    mean: float
    half_width: float | None
    n: int


@dataclass(frozen=True)
class Standing:
    """One architecture with all that is known of it; `finals` are its trainings at the full budget, over seeds."""

    architecture: Architecture
    label: str
    search: Result | None
    finals: tuple[Result, ...]
    gain: Gain | None = None

    @property
    def id(self) -> str:
        return self.architecture.id

    @property
    def is_reference(self) -> bool:
        return bool(self.label)

    @property
    def accuracies(self) -> list[float]:
        return [result.score.accuracy for result in self.finals if result.score]

    @property
    def accuracy(self) -> float:
        """Mean over the finals; without any, the accuracy in the search."""
        if self.finals:
            return fmean(self.accuracies)
        return self.search.score.accuracy if self.search and self.search.score else float("nan")

    @property
    def loss(self) -> float:
        found = [r.score.loss for r in self.finals or (self.search,) if r and r.score]
        return fmean(found) if found else float("nan")

    @property
    def std(self) -> float | None:
        return stdev(self.accuracies) if len(self.finals) > 1 else None

    @property
    def n(self) -> int:
        """How many trainings the accuracy is the mean of."""
        return len(self.finals) or int(self.search is not None)

    @property
    def state(self) -> str:
        """`final`, or how the search's training ended."""
        return "final" if self.finals else self.search.state if self.search else "running"

    @property
    def seconds(self) -> float:
        """Mean training time."""
        return fmean(r.seconds for r in self.finals or (self.search,) if r)


def search_order(result: Result) -> tuple[float, ...]:
    """A key that sorts results of the search, the best first: those that got furthest, then accuracy, then loss."""
    if result.score is None or result.state == "failed":
        return (1.0,)
    return 0.0, -result.score.epoch, -result.score.accuracy, result.score.loss


def rank(results: Sequence[Result], sizes_of: Callable[[Architecture], object]) -> list[Standing]:
    """All architectures, the best first: finalists and references by mean accuracy, then the rest by the search.

    `sizes_of` tells what a reference must share with a finalist to be its reference (patch, width, depth, ratio).
    """
    by_id: dict[str, list[Result]] = {}
    for result in results:
        by_id.setdefault(result.id, []).append(result)
    standings = []
    for found in by_id.values():
        finals = tuple(r for r in found if r.phase == "final" and r.state == "complete")
        search = next((r for r in found if r.phase == "search"), None)
        if search or finals:
            label = next((r.label for r in found if r.label), "")
            standings.append(Standing(Architecture.from_json(found[0].architecture), label, search, finals))
    ahead = sorted((s for s in standings if s.finals), key=lambda s: (-s.accuracy, s.loss))
    behind = sorted((s for s in standings if not s.finals and s.search), key=lambda s: search_order(s.search))  # type: ignore[arg-type]
    references = [s for s in ahead if s.is_reference]
    return [_with_gain(s, references, sizes_of) for s in ahead] + behind


def _with_gain(standing: Standing, references: list[Standing], sizes_of: Callable[[Architecture], object]) -> Standing:
    mine = sizes_of(standing.architecture)
    rivals = [r for r in references if sizes_of(r.architecture) == mine and r.id != standing.id]
    if standing.is_reference or not rivals:
        return standing
    best = max(rivals, key=lambda r: r.accuracy)
    return Standing(standing.architecture, "", standing.search, standing.finals, gain(standing, best))


def gain(standing: Standing, rival: Standing) -> Gain | None:
    """The paired difference in accuracy, with the interval of Student's t over the common seeds."""
    theirs = {(r.seed, r.lr): r.score.accuracy for r in rival.finals if r.score}
    pairs = [(r.score.accuracy, theirs[r.seed, r.lr]) for r in standing.finals if r.score and (r.seed, r.lr) in theirs]
    if not pairs:
        return None
    differences = [mine - other for mine, other in pairs]
    n = len(differences)
    half = None
    if n > 1:
        from scipy.stats import t

        half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * stdev(differences) / n**0.5
    return Gain(rival.label, fmean(differences), half, n)
