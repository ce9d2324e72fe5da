"""How well cheap figures rank candidates, although most of them were stopped early.

Who goes on depends on scores that are kept, so regressions on these are unbiased (Anderson 1957, maximum likelihood for
monotone missing values): every column is regressed on those before it, of the candidates that have it. The figures are
taken to be normal; where curves are far from linear, only candidates drawn at random and never stopped tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan, sqrt
from typing import TYPE_CHECKING

from nas.audit.noise import spearman_of

if TYPE_CHECKING:
    import numpy as np

FEWEST_FINISHED = 20
"""Candidates at the end below which nothing is said of correlations with it."""

SAMPLES = 1000
"""Bootstrap samples of candidates behind an interval."""

BANDS = 3
"""Bands of size, of as many candidates each, inside which figures are held against the end."""


@dataclass(frozen=True)
class Correlation:
    """Spearman's correlation of a figure with the order at the end, in the interval `low` to `high` (95%)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Chain:
    """The columns' means within no group and their covariance matrix; and of every candidate its expected last column.

    `spread` is the variance of what a candidate will come to about that: 0 where it has come to its end.
    """

    covariance: np.ndarray
    expected: np.ndarray
    spread: np.ndarray


def chain(columns: np.ndarray, groups: np.ndarray | None = None) -> Chain | None:
    """By maximum likelihood, of columns (`n k`) within groups (`n g`, one of g is 1).

    A column has NaN where a candidate did not get so far, in which case the later ones have, too. None where too few
    got far enough to say.
    """
    import numpy as np

    n, k = columns.shape
    within = np.ones((n, 1)) if groups is None else groups
    found, filled, spread = np.zeros((k, k)), columns.copy(), np.zeros((n, k, k))
    for j in range(k):
        there = ~np.isnan(columns[:, j])
        used = within[there].any(0)
        design = np.column_stack([within[there][:, used], columns[there, :j]])
        free = int(there.sum()) - design.shape[1]
        if free < 1:
            return None
        weights, *_ = np.linalg.lstsq(design, columns[there, j], rcond=None)
        left, slopes = columns[there, j] - design @ weights, weights[used.sum() :]
        rest = float(left @ left) / free
        found[j, :j] = found[:j, j] = found[:j, :j] @ slopes
        found[j, j] = slopes @ found[:j, j] + rest
        lost = ~there
        filled[lost, j] = np.column_stack([within[lost][:, used], filled[lost, :j]]) @ weights
        spread[lost, :j, j] = spread[lost, j, :j] = spread[lost, :j, :j] @ slopes
        spread[lost, j, j] = spread[lost, :j, j] @ slopes + rest
    return Chain(found, filled[:, -1], spread[:, -1, -1])


def correlation(
    columns: np.ndarray, at: int = 0, bands: np.ndarray | None = None, *, seed: int = 0
) -> Correlation | None:
    """Of the column `at` with the last one; columns (`n k`) have NaN from where a candidate was stopped.

    With `bands` (`n`, which one a candidate is in) it is within these, so that size is no explanation. The interval is
    of percentiles over bootstrap samples of candidates. None where too few got to the end, or all came to the same.
    """
    import numpy as np

    ended = columns[~np.isnan(columns[:, -1])]
    if len(ended) < FEWEST_FINISHED or not np.ptp(ended[:, -1]) or not np.ptp(columns[~np.isnan(columns[:, at]), at]):
        return None
    drawn, n = np.random.default_rng(seed), len(columns)
    groups = None if bands is None else (bands[:, None] == np.unique(bands)).astype(float)

    def of(rows: np.ndarray) -> float:
        found = chain(columns[rows], None if groups is None else groups[rows])
        if found is None:
            return nan
        own, end = found.covariance[at, at], found.covariance[-1, -1]
        return spearman_of(float(found.covariance[at, -1]) / sqrt(own * end)) if own > 0 and end > 0 else nan

    samples = np.array([of(drawn.integers(0, n, n)) for _ in range(SAMPLES)])
    value = of(np.arange(n))
    if np.isnan(value) or np.isnan(samples).mean() > 0.1:
        return None
    low, high = np.nanquantile(samples, (0.025, 0.975))
    return Correlation(value, float(low), float(high))


def of_figures(
    figures: Mapping[str, np.ndarray], scores: np.ndarray, bands: np.ndarray | None = None
) -> dict[str, Correlation]:
    """The correlations of figures (each `n`) with the last of the scores (`n k`), where something can be said of them.

    A figure that is not known of all candidates (NaN) is held against the end of those of which it is.
    """
    import numpy as np

    found = {}
    for name, figure in figures.items():
        known = ~np.isnan(figure)
        if known.sum() >= FEWEST_FINISHED:
            columns = np.column_stack([normal_scores(figure[known]), scores[known]])
            found[name] = correlation(columns, 0, None if bands is None else bands[known])
    return {name: each for name, each in found.items() if each is not None}


def normal_scores(figure: np.ndarray) -> np.ndarray:
    """The figures' ranks as quantiles of the normal distribution (van der Waerden); equals share theirs."""
    from scipy.stats import norm, rankdata

    scores: np.ndarray = norm.ppf(rankdata(figure) / (len(figure) + 1))
    return scores


def bands_of(params: Sequence[int]) -> np.ndarray:
    """Which of the bands of size each is in, by quantiles; equals are in one."""
    import numpy as np

    edges = np.quantile(params, [i / BANDS for i in range(1, BANDS)])
    found: np.ndarray = np.searchsorted(edges, params, side="left")
    return found
