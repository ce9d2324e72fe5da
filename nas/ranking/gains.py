"""By how much one network is ahead of another, seed by seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

CONFIDENCE = 0.95

Verdict = Literal["ahead", "behind", "open"]


@dataclass(frozen=True)
class Gain:
    """A mean difference of accuracy over the `n` seeds both were trained with, and the half width of its interval."""

    against: str
    mean: float
    half_width: float | None
    n: int

    @property
    def verdict(self) -> Verdict:
        """What the interval says: one that holds zero, or that a single seed does not have, leaves it open."""
        if self.half_width is None or abs(self.mean) <= self.half_width:
            return "open"
        return "ahead" if self.mean > 0 else "behind"


def paired(mine: Mapping[int, float], theirs: Mapping[int, float], against: str) -> Gain | None:
    """The mean difference of accuracies by seed, with the interval of Student's t; None without a common seed.

    >>> paired({1: 0.9, 2: 0.8}, {1: 0.7, 2: 0.6, 3: 0.1}, "mixer").n
    2
    """
    differences = [mine[seed] - theirs[seed] for seed in mine if seed in theirs]
    if not differences:
        return None
    n = len(differences)
    half = None
    if n > 1:
        from scipy.stats import t

        half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * stdev(differences) / n**0.5
    return Gain(against, fmean(differences), half, n)
