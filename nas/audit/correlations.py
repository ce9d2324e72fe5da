"""How well cheap figures rank candidates, although most of them were stopped early.

Who goes on depends on scores that are kept, so regressions on these are unbiased (Anderson 1957, maximum likelihood for
monotone missing values): every column is regressed on those before it, of the candidates that have it. The figures are
taken to be normal; where curves are far from linear, only candidates drawn at random and never stopped tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
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
    """The covariance matrix of columns, and of every candidate what its last column is expected to be.

    `spread` is the variance of what a candidate will come to about that: 0 where it has come to its end.
    """

    covariance: np.ndarray
    expected: np.ndarray
    spread: np.ndarray


def chain(columns: np.ndarray) -> Chain | None:
    """By maximum likelihood, of columns (`n k`).

    A column has NaN where a candidate did not get so far, in which case the later ones have, too. None where too few
    got far enough to say.
    """
    import numpy as np

    n, k = columns.shape
    found, ways = covariances(columns, np.ones((1, n)))
    if np.isnan(found).any():
        return None
    filled, spread = columns.copy(), np.zeros((n, k, k))
    for j, (weights, rest) in enumerate(ways):
        lost, (level, *slopes) = np.isnan(columns[:, j]), weights[0]
        filled[lost, j] = level + filled[lost, :j] @ slopes
        spread[lost, :j, j] = spread[lost, j, :j] = spread[lost, :j, :j] @ slopes
        spread[lost, j, j] = spread[lost, :j, j] @ slopes + rest[0]
    return Chain(found[0], filled[:, -1], spread[:, -1, -1])


def covariances(
    columns: np.ndarray, counts: np.ndarray, groups: np.ndarray | None = None
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """The covariance matrices of columns (`n k`) in samples that have each row so often (`s n`): `s k k`.

    It is within groups (`n g`, one of g is 1). NaN where too few of a sample got far enough. With them, for every
    column: its regression on groups and the columns before (`s g+j`), and the variance that is left (`s`).
    """
    import numpy as np

    (n, k), samples = columns.shape, len(counts)
    within = np.ones((n, 1)) if groups is None else groups
    found, ways = np.zeros((samples, k, k)), []
    for j in range(k):
        there = ~np.isnan(columns[:, j])
        design, y, often = np.column_stack([within, columns[:, :j]])[there], columns[there, j], counts[:, there]
        normal = np.einsum("sn,nq,nr->sqr", often, design, design, optimize=True)
        weights = np.einsum("sqr,sr->sq", np.linalg.pinv(normal, hermitian=True), (often * y) @ design)
        used = (often @ within[there] > 0).sum(1) + j
        free = often.sum(1) - used
        left = (often * (y - weights @ design.T) ** 2).sum(1)
        rest = np.where(free > 0, left / np.maximum(free, 1), np.nan)
        slopes = weights[:, within.shape[1] :]
        found[:, j, :j] = found[:, :j, j] = np.einsum("sab,sb->sa", found[:, :j, :j], slopes)
        found[:, j, j] = (slopes * found[:, :j, j]).sum(1) + rest
        ways.append((weights, rest))
    return found, ways


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
    n = len(columns)
    groups = None if bands is None else (bands[:, None] == np.unique(bands)).astype(float)
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), SAMPLES)
    found, _ = covariances(columns, np.vstack([np.ones(n), counts]), groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = found[:, at, -1] / np.sqrt(found[:, at, at] * found[:, -1, -1])
    value, *samples = [spearman_of(each) if np.isfinite(each) else nan for each in r]
    if np.isnan(value) or np.isnan(samples).mean() > 0.1:
        return None
    low, high = np.nanquantile(samples, (0.025, 0.975))
    return Correlation(value, float(low), float(high))


def of_figures(
    figures: Mapping[str, np.ndarray], scores: np.ndarray, bands: np.ndarray | None = None
) -> dict[str, Correlation]:
    """The correlations of figures (each `n`) with the last of the scores (`n k`), where something can be said of them.

    A figure may be known (not NaN) of those that got as far as some score, and stands before that then; else it is held
    against the end of those of which it is known, whichever they are.
    """
    import numpy as np

    found = {}
    for name, figure in figures.items():
        known, ahead = ~np.isnan(figure), ~np.isnan(scores)
        place = next((j for j in range(scores.shape[1]) if (known == ahead[:, j]).all()), None)
        rows = known if place is None else np.ones_like(known)
        filled = figure.copy()
        if known.any():
            filled[known] = normal_scores(figure[known])
        columns = np.insert(scores[rows], place or 0, filled[rows], axis=1)
        found[name] = correlation(columns, place or 0, None if bands is None else bands[rows])
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
