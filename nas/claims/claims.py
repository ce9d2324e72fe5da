"""What a run may claim of its finals, and a comparison of its tests: one rule, by the contrasts of accuracies.

The finalists share the error (Bonferroni), each held against the best reference of its sizes; "ahead" means ahead of
all of these. A network that failed with a seed is counted and nothing is claimed of it: what is left favours it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, sqrt
from typing import Any, Literal

from nas.claims import contrasts
from nas.claims.contrasts import ERROR, Contrast, Judged, Verdict, best

TOO_FEW: Literal["too few seeds to tell"] = "too few seeds to tell"
UNJUDGED: Literal["judged on the images that chose it"] = "judged on the images that chose it"
"""In place of a verdict on finals of which it is not kept what they were right on."""

UNKEPT: Literal["no interval: tested before it was kept which images were right"] = (
    "no interval: tested before it was kept which images were right"
)
"""In place of a verdict on tests of older runs."""

UNKNOWN: Literal["no interval is known of a metric of one's own"] = "no interval is known of a metric of one's own"
"""In place of a verdict where networks are not judged by what they were right on."""

Told = (
    Verdict
    | Literal[
        "too few seeds to tell",
        "judged on the images that chose it",
        "no interval: tested before it was kept which images were right",
        "no interval is known of a metric of one's own",
    ]
)


@dataclass(frozen=True)
class Entry:
    """A network with finished trainings: `title` is what it is called, `sizes` what it shares with those it may meet.

    `failed` says that it failed with a seed.
    """

    id: str
    title: str
    sizes: Hashable
    judged: Judged
    failed: bool = False


@dataclass(frozen=True)
class Claim:
    """A difference of accuracies (shares), what it is `against` and that one's id, and the verdict.

    Of a metric of somebody's own, whose name is the `unit`, it is by how much the network is better.

    The rest is None where seeds are too few to tell or it is not kept which examples were right: the interval, degrees
    of freedom, the standard error and what would be left of it and of the interval's half width with any number of
    seeds, and how probable it is that the truth is above 0 (flat prior, uncorrected).
    """

    mean: float
    against: str
    rival: str
    verdict: Told = TOO_FEW
    low: float | None = None
    high: float | None = None
    df: float | None = None
    se: float | None = None
    se_all_seeds: float | None = None
    half_width_all_seeds: float | None = None
    p_better: float | None = None
    unit: str = ""

    @classmethod
    def of(cls, mean: float, against: Entry, found: Contrast | None, error: float) -> Claim:
        """From a contrast, whose interval leaves the truth out with this chance."""
        if found is None:
            return cls(mean, against.title, against.id)
        low, high = found.interval(error)
        return cls(
            mean,
            against.title,
            against.id,
            found.verdict(error),
            low,
            high,
            found.df,
            se=sqrt(found.variance),
            se_all_seeds=sqrt(found.variance_all_seeds),
            half_width_all_seeds=found.half_width_all_seeds(error),
            p_better=found.p_positive,
        )

    def row(self) -> dict[str, Any]:
        """Its figures as JSON values; without end, degrees of freedom are null."""
        return {
            "mean": self.mean,
            "low": self.low,
            "high": self.high,
            "against": self.against,
            "df": self.df if self.df is not None and isfinite(self.df) else None,
            "se": self.se,
            "se_all_seeds": self.se_all_seeds,
            "verdict": self.verdict,
            "p_better": self.p_better,
        }


@dataclass(frozen=True)
class Claims:
    """What may be claimed of the `finalists` (ids, the best first), but for an `error` in the statements of a kind.

    `gains` by id, of those that have a rival; `together` is the mean of all, where all have the same sizes and rival.
    `first` is the best that failed with no seed, `searched` its accuracy in the search that chose it. Which of several
    `may_be_best`, and what taking the first may `cost` (a share), are None of one and where seeds are too few to tell.
    `judge` counts the examples.
    """

    finalists: tuple[str, ...] = ()
    gains: Mapping[str, Claim] = field(default_factory=dict)
    together: Claim | None = None
    first: str | None = None
    may_be_best: tuple[str, ...] | None = None
    cost: float | None = None
    judge: int = 0
    searched: float | None = None
    error: float = ERROR

    @property
    def gain(self) -> Claim | None:
        """Of the first."""
        return self.gains.get(self.first) if self.first else None

    def rank(self, id: str) -> int:
        return self.finalists.index(id) + 1

    def row(self) -> dict[str, Any]:
        """What is claimed of the run, as JSON values."""
        return {
            "together": self.together and self.together.row(),
            "may_be_best": None if self.may_be_best is None else list(self.may_be_best),
            "cost": self.cost,
            "judge": self.judge,
        }


def claims(
    finalists: Sequence[Entry],
    references: Sequence[Entry],
    *,
    searched: float | None = None,
    error: float = ERROR,
) -> Claims:
    """Of finalists in ranked order; `searched` is the accuracy of the first in the search.

    Raises ValueError for networks judged on different numbers of examples.
    """
    if not finalists:
        return Claims(error=error)
    every = [each.judged for each in finalists]
    whole = [each for each in finalists if not each.failed]
    gains = {}
    for each in whole:
        if rival := rival_of(each, references):
            found = contrasts.gain(each.judged, rival.judged, every)
            gains[each.id] = Claim.of(_difference([each], rival), rival, found, error / len(finalists))
    told, cost = _best(whole, error)
    return Claims(
        tuple(each.id for each in finalists),
        gains,
        together=_together(whole, references, error),
        first=whole[0].id if whole else None,
        may_be_best=told,
        cost=cost,
        judge=every[0].shares.size,
        searched=searched,
        error=error,
    )


def rival_of(finalist: Entry, references: Sequence[Entry]) -> Entry | None:
    """The most accurate reference of the same sizes; one that failed with a seed is none."""
    rivals = [each for each in references if each.sizes == finalist.sizes and not each.failed]
    return rivals[best([each.judged for each in rivals])] if rivals else None


def compared(found: Entry, rivals: Sequence[Entry], error: float = ERROR) -> list[Claim | None]:
    """A network against each of its rivals, which share the error; None where one of the two failed with a seed."""
    pool = [each.judged for each in (found, *rivals)]
    return [
        None
        if found.failed or each.failed
        else Claim.of(
            _difference([found], each),
            each,
            contrasts.contrast([(1.0, found.judged), (-1.0, each.judged)], pool),
            error / len(rivals),
        )
        for each in rivals
    ]


def smallest_gain(q: float, m: int, n: int) -> float:
    """The gain (a share) found with 80% on `m` examples and `n` seeds, where the search's best errs on a share `q`.

    From simulated searches with three finalists: 1.35 times the half width of a gain. Seeds are taken to vary by half
    a point.
    """
    return 1.35 * 2.5 * sqrt(q * (1 - q) * (0.22 + 1.1 / n) / m + 2 * 0.005**2 / n)


def _difference(ones: Sequence[Entry], other: Entry) -> float:
    return sum(each.judged.accuracy for each in ones) / len(ones) - other.judged.accuracy


def _together(whole: Sequence[Entry], references: Sequence[Entry], error: float) -> Claim | None:
    if len({each.sizes for each in whole}) != 1 or not (rival := rival_of(whole[0], references)):
        return None
    found = contrasts.together([each.judged for each in whole], rival.judged)
    return Claim.of(_difference(whole, rival), rival, found, error)


def _best(whole: Sequence[Entry], error: float) -> tuple[tuple[str, ...] | None, float | None]:
    """The ids of those that may be the best, and what the first may cost."""
    judged = [each.judged for each in whole]
    if len(judged) < 2 or (may := contrasts.may_be_best(judged, error)) is None:
        return None, None
    return tuple(whole[i].id for i in may), contrasts.cost(judged, 0, error)
