"""What may be claimed of accuracies: over seeds *and* over the examples that judge, for several finalists at once.

Seeds (of each network) and examples are two crossed random samples; the networks and the training set are fixed. What
is estimated is a network's accuracy over all seeds and all examples of this kind. Seeds are independent between
networks, examples are shared. The variance is by moments of the crossed layout, the degrees of freedom are
Satterthwaite's (1946); several finalists share the error (Bonferroni); the set of the best and what rank 1 may cost are
Hsu's (1984) constrained comparisons with the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # scipy too is imported where it is used: `nas --help` loads neither
    import numpy as np

ERROR = 0.05
"""The chance that any of the statements of one kind is wrong."""

FEWEST = 4
"""Degrees of freedom between seeds below which nothing is claimed."""

Verdict = Literal["ahead", "behind", "not told apart"]


@dataclass(frozen=True, eq=False)
class Judged:
    """A network's `n` trainings on `m` examples: for each example the share of them that were right (`shares`, `m`).

    `seeds` is the variance between trainings beyond the chance of single examples (negative by chance where there is
    none), `chance` that of a training on one example, in the mean of them; both are 0 with one training.
    """

    shares: np.ndarray
    n: int
    seeds: float
    chance: float

    @classmethod
    def of(cls, right: np.ndarray) -> Judged:
        """From what was right, `n m`."""
        n, m = right.shape
        if not n or not m:
            raise ValueError(f"{n} trainings on {m} examples say nothing")
        shares = right.mean(0)
        if n == 1:
            return cls(shares, 1, 0.0, 0.0)
        chance = float((shares * (1 - shares)).mean()) * n / (n - 1)
        return cls(shares, n, float(right.mean(1).var(ddof=1)) - chance / m, chance)

    @property
    def accuracy(self) -> float:
        """The share of right answers, over trainings and examples."""
        return float(self.shares.mean())


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of accuracies, its variance, degrees of freedom, and the variance that more seeds cannot take."""

    estimate: float
    variance: float
    df: float
    variance_all_seeds: float

    def half_width(self, error: float = ERROR) -> float:
        """Of the interval that leaves the truth out with this chance, one half of it on each side."""
        from scipy.stats import t

        return float(t.ppf(1 - error / 2, self.df)) * sqrt(self.variance)

    def half_width_all_seeds(self, error: float = ERROR) -> float:
        """What would be left of the half width with any number of seeds."""
        from scipy.stats import norm

        return float(norm.ppf(1 - error / 2)) * sqrt(self.variance_all_seeds)

    def interval(self, error: float = ERROR) -> tuple[float, float]:
        half = self.half_width(error)
        return self.estimate - half, self.estimate + half

    def verdict(self, error: float = ERROR) -> Verdict:
        """The one rule: an interval above 0 says ahead, one below 0 behind."""
        low, high = self.interval(error)
        return "ahead" if low > 0 else "behind" if high < 0 else "not told apart"

    @property
    def p_positive(self) -> float:
        """How probable it is that the truth is above 0, by a flat prior: of one pair, uncorrected."""
        from scipy.stats import t

        return float(t.cdf(self.estimate / sqrt(self.variance), self.df))


def freedom(pool: Sequence[Judged]) -> int:
    """Degrees of freedom between the seeds of some networks."""
    return sum(each.n - 1 for each in pool)


def contrast(terms: Sequence[tuple[float, Judged]], pool: Sequence[Judged]) -> Contrast | None:
    """A sum of accuracies with weights; of networks with few seeds the `pool` says how much seeds vary.

    A network's seeds are taken to vary as they did or as the pool's do in the mean, whichever is more. None where the
    pool has too few seeds to tell. Raises ValueError for networks judged on different numbers of examples.
    """
    free = freedom(pool)
    sizes = {each.shares.size for each in (*pool, *(each for _, each in terms))}
    if len(sizes) > 1:
        raise ValueError(f"networks judged on {' and '.join(map(str, sorted(sizes)))} examples")
    if free < FEWEST:
        return None
    (m,) = sizes
    typical = sum((each.n - 1) * each.seeds for each in pool) / free
    typical_chance = sum((each.n - 1) * each.chance for each in pool) / free
    (weight, first), *others = terms
    difference = sum((weight * each.shares for weight, each in others), weight * first.shares)
    images = float(difference.var(ddof=1)) / m if m > 1 else 0.0
    seeds = sum(weight**2 * max(0.0, typical, each.seeds) / each.n for weight, each in terms)
    chance = sum(weight**2 * (each.chance if each.n > 1 else typical_chance) / (m * each.n) for weight, each in terms)
    least = max(abs(weight) for weight, _ in terms) ** 2 / m**2  # one example of one network
    variance, few = max(images + seeds, least), seeds + chance
    df = max(1.0, free * (variance / few) ** 2) if few > 0 else inf
    return Contrast(float(difference.mean()), variance, df, max(images - chance, least))


def best(networks: Sequence[Judged]) -> int:
    """The index of the most accurate one; of equals the first."""
    return max(range(len(networks)), key=lambda i: networks[i].accuracy)


def gain(finalist: Judged, reference: Judged, finalists: Sequence[Judged]) -> Contrast | None:
    """By how much a finalist is more accurate than a reference. Intervals of all take `error / len(finalists)`."""
    return contrast([(1.0, finalist), (-1.0, reference)], [*finalists, reference])


def together(finalists: Sequence[Judged], reference: Judged) -> Contrast | None:
    """The finalists' mean accuracy against a reference: one statement, for which nothing was selected."""
    share = 1 / len(finalists)
    return contrast([*((share, each) for each in finalists), (-1.0, reference)], [*finalists, reference])


def may_be_best(finalists: Sequence[Judged], error: float = ERROR) -> list[int] | None:
    """The indices of those among which the best is but for this error; None where seeds are too few to tell."""
    may = []
    for i in range(len(finalists)):
        ends = [_upper_end(finalists, i, j, error) for j in range(len(finalists)) if i != j]
        if None in ends:
            return None
        may += [i] * all(end is not None and end >= 0 for end in ends)
    return may


def cost(finalists: Sequence[Judged], first: int, error: float = ERROR, *, all_seeds: bool = False) -> float | None:
    """How much less accurate the first one is than the best, at most but for this error; None as above.

    Of `all_seeds`: what would be said of the same accuracies with any number of seeds.
    """
    ends = [_upper_end(finalists, i, first, error, all_seeds) for i in range(len(finalists)) if i != first]
    return None if None in ends else max([0.0, *(end for end in ends if end is not None)])


def _upper_end(
    finalists: Sequence[Judged], one: int, other: int, error: float, all_seeds: bool = False
) -> float | None:
    """By how much one of the finalists is better than another at most: a side of the error, shared by the rivals."""
    found = contrast([(1.0, finalists[one]), (-1.0, finalists[other])], finalists)
    if found is None:
        return None
    side = 2 * error / (len(finalists) - 1)
    return found.estimate + (found.half_width_all_seeds(side) if all_seeds else found.half_width(side))
