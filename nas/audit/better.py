"""How probable it is that rank 1 is really better than others of its run, although most of them have no finals.

Rank 1 and its reference meet in the finals, on examples that chose nothing; the reference and the candidates on the
examples that chose among the latter, which did not choose the reference. So differences are of pairs throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

FEWEST_RANDOM = 8
"""Candidates drawn at random below which nothing is said of others like them."""

DRAWS = 4000
"""Of Monte Carlo."""


@dataclass(frozen=True)
class Against:
    """By how much (a share) rank 1 is ahead of something, with a standard error, and how probable it is that it is."""

    mean: float
    se: float
    p: float

    @classmethod
    def of(cls, mean: float, variance: float) -> Against:
        """By a flat prior and the normal distribution."""
        from scipy.stats import norm

        return cls(mean, sqrt(variance), float(norm.cdf(mean / sqrt(variance))))


@dataclass(frozen=True)
class Candidates:
    """What candidates would come to in a full training on the examples that choose: `expected` (`n`) and its variance.

    `own` is the variance over examples of what is a network's own in its accuracy, `seeds` that of a training over
    seeds. `random` says which were drawn at random.
    """

    expected: np.ndarray
    spread: np.ndarray
    own: float
    seeds: float
    random: np.ndarray

    @property
    def noise(self) -> float:
        """The variance of one training's accuracy that is not the network's."""
        return self.own + self.seeds

    def moments(self) -> tuple[float, float, int] | None:
        """Mean and variance of the true accuracies of random ones, the latter without noise, and how many they are."""
        mine, count = self.expected[self.random], int(self.random.sum())
        if count < FEWEST_RANDOM:
            return None
        seen = float(mine.var(ddof=1)) + float(self.spread[self.random].mean())
        return float(mine.mean()), max(0.0, seen - self.noise), count


@dataclass(frozen=True)
class Leader:
    """Rank 1's lead over its reference in the finals, with its variance.

    `reference` is the latter's mean accuracy over `n` seeds on the examples that choose among candidates.
    """

    lead: float
    variance: float
    reference: float
    n: int


def than_candidate(leader: Leader, candidates: Candidates, which: int) -> Against | None:
    """Than one of the candidates, by its one training: its accuracy is drawn to their mean as far as it is noise."""
    expected, spread = candidates.expected, candidates.spread
    seen = float(expected.var(ddof=1) + spread.mean())
    if seen <= 0:
        return None
    true = max(0.0, seen - candidates.noise)
    share, mean = true / seen, float(expected.mean())
    here = mean + share * (float(expected[which]) - mean)
    rest = true * (1 - share) + share**2 * float(spread[which])
    return Against.of(leader.lead + leader.reference - here, _variance(leader, candidates) + rest)


def than_mean(leader: Leader, candidates: Candidates) -> Against | None:
    """Than the mean network of the space, by the random ones; None where they are too few."""
    if (moments := candidates.moments()) is None:
        return None
    mean, true, count = moments
    variance = _variance(leader, candidates) + (true + candidates.noise) / count
    return Against.of(leader.lead + leader.reference - mean, variance)


def than_best_of(leader: Leader, candidates: Candidates, trials: int) -> Against | None:
    """Than what a search of as many random ones would choose by one training each, by the random ones that there are.

    The logits of true accuracies are taken to be normal; how uncertain their spread is, counts too.
    """
    import numpy as np
    from scipy.special import expit

    count, drawn = int(candidates.random.sum()), np.random.default_rng(0)
    if count < FEWEST_RANDOM:
        return None
    mean, seen, noise = logits_of(candidates, candidates.random)
    spread = seen * (count - 1) / drawn.chisquare(count - 1, DRAWS)
    real = np.maximum(0.0, spread - noise)
    chosen = mean + np.sqrt(spread / count) * drawn.standard_normal(DRAWS)
    chosen += real / np.sqrt(spread) * _largest(drawn.random(DRAWS), trials)  # the rest of its lead is noise
    chosen += np.sqrt(real * (1 - real / spread)) * drawn.standard_normal(DRAWS)
    mine = leader.lead + leader.reference + sqrt(_variance(leader, candidates)) * drawn.standard_normal(DRAWS)
    found = mine - expit(chosen)
    return Against(float(found.mean()), float(found.std()), float((found > 0).mean()))


def more_candidates(candidates: Candidates, trials: int, more: int) -> float:
    """By how much the accuracy of the chosen candidate is expected to grow with so many more like those there are."""
    from scipy.special import expit

    mean, seen, noise = logits_of(candidates)
    if seen <= noise:
        return 0.0
    now, then = (mean + (seen - noise) / sqrt(seen) * expected_largest(n) for n in (trials, trials + more))
    return float(expit(then) - expit(now))


def expected_largest(n: int) -> float:
    """The mean of the largest of n standard normal variables.

    >>> round(expected_largest(2), 4), round(expected_largest(64), 3)
    (0.5642, 2.344)
    """
    import numpy as np

    u = (np.arange(100_000) + 0.5) / 100_000
    return float(_largest(u, n).mean())


def expected_best(values: Sequence[float], k: int) -> float:
    """The mean best of k of some values, over all ways to draw k: unbiased (Tang et al. 2020, arXiv:2004.14373).

    >>> expected_best([0.1, 0.2, 0.4], 2)
    0.3333333333333333
    """
    n = len(values)
    if not 1 <= k <= n:
        raise ValueError(f"the best of {k} of {n} values")
    return sum(comb(i, k - 1) / comb(n, k) * value for i, value in enumerate(sorted(values)))


def logits_of(candidates: Candidates, which: np.ndarray | slice = slice(None)) -> tuple[float, float, float]:
    """Mean and variance of the logits of accuracies of all or some candidates, and how much of the latter is noise.

    In accuracies p noise is taken to be in proportion to p (1 - p), as the chance of examples is.
    """
    import numpy as np
    from scipy.special import logit

    shares = np.clip(candidates.expected[which], 0.001, 0.999)
    errors, spread = shares * (1 - shares), float(candidates.spread[which].mean())
    logits, slope = logit(shares), float((1 / errors).mean() / errors.mean())
    return float(logits.mean()), float(logits.var(ddof=1)) + slope * spread, slope * candidates.noise


def _variance(leader: Leader, candidates: Candidates) -> float:
    """Of rank 1's lead, and of the reference on the examples that choose."""
    return leader.variance + candidates.seeds / leader.n + candidates.own


def _largest(u: np.ndarray, n: int) -> np.ndarray:
    """The largest of n standard normal variables, from uniform ones."""
    from scipy.stats import norm

    found: np.ndarray = norm.ppf(u ** (1 / n))
    return found
