"""How noisy one training is, over seeds and over examples, and how well an order of candidates can repeat at most.

The model is that of `nas.claims.contrasts`: seeds (of each network) and examples are two crossed random samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import asin, pi, sqrt
from typing import TYPE_CHECKING

from nas.claims.contrasts import FEWEST, Judged, freedom

if TYPE_CHECKING:
    import numpy as np

FEWEST_NETWORKS = 16
"""Networks below which their spread is not told from noise."""


@dataclass(frozen=True)
class Noise:
    """Standard deviations (shares) of what one training of a network comes to, with `df` degrees of freedom.

    `seeds` is that between seeds on any number of examples, within `low` to `high` (95%, from chi-squared: 86%
    in simulations where seeds vary by half of all errors);
    `total` what is seen between trainings on the `m` examples that judge; `examples` that of the difference of two
    networks over examples alone, however often they are trained; None where there is one network.
    """

    seeds: float
    low: float
    high: float
    total: float
    examples: float | None
    m: int
    df: int


def noise(finals: Sequence[Judged]) -> Noise | None:
    """From networks with several trainings each; None where these are too few to tell."""
    from scipy.stats import chi2

    df = freedom(finals)
    if df < FEWEST:
        return None
    (m,) = {each.shares.size for each in finals}
    chance = sum((each.n - 1) * each.chance for each in finals) / df / m
    total = sum((each.n - 1) * (each.seeds + each.chance / m) for each in finals) / df
    ends = (df * total / float(chi2.ppf(side, df)) - chance for side in (0.975, 0.025))
    low, high = (sqrt(max(0.0, end)) for end in ends)
    # what is left of it with any number of seeds
    examples = None
    if len(finals) > 1:
        shared = 2 * pair_noise([each.shares for each in finals]) / m
        own = sum(2 * each.chance / m / each.n for each in finals) / len(finals)
        examples = sqrt(max(shared - own, 1 / m**2))  # no less than one of them, as in contrasts
    return Noise(sqrt(max(0.0, total - chance)), low, high, sqrt(total), examples, m, df)


def pair_noise(shares: Sequence[np.ndarray]) -> float:
    """Half the mean variance over examples of the difference of two networks, from how often each was right on each."""
    import numpy as np

    p = np.stack(shares)
    count, own, total = len(p), p.var(axis=1, ddof=1).sum(), p.sum(0).var(ddof=1)
    return float((own - (total - own) / (count - 1)) / count)


def reliability(variance: float, noise: float, networks: int) -> float | None:
    """Which part of the variance of so many networks' accuracies, each trained once, is theirs and not noise.

    The variance is that over candidates, not over those that were selected. None where they are too few, or their
    spread is no larger than the noise.
    """
    part = 1 - noise / variance if variance > 0 else 0.0
    return part if networks >= FEWEST_NETWORKS and part > 0 else None


def spearman_of(r: float) -> float:
    """Spearman's rank correlation of two normal variables with a correlation r.

    >>> round(spearman_of(0.6), 4), spearman_of(1.0)
    (0.5819, 1.0)
    """
    return 6 / pi * asin(min(max(r, -1.0), 1.0) / 2)
