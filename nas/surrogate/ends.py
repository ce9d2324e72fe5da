"""Where trainings that were stopped would have ended, by how those went on that were not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Curve = Mapping[int, float]
"""A figure after some epochs: at the rungs that a training came to, and at its end."""

TYPICAL, SEEN = 0.15, 3.0
"""The error of a step from a rung to the next before any was seen, and how many it counts as."""

SPREAD = 0.16
"""The sum of squares that a slope of 1 counts as, before any step was seen."""


def expected_ends(curves: Sequence[Curve]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What each curve is expected to come to at the last epoch of all, and its standard error; exact for the last one.

    From every epoch to the next by a line fitted to the curves that went on. Who goes on depends on what was seen
    alone, so that these lines are unbiased (Anderson, "Maximum likelihood estimates for a multivariate normal
    distribution when some observations are missing", 1957), but for a slope of 1 that few curves change little.
    """
    epochs = sorted({epoch for curve in curves for epoch in curve})
    ends, errors = np.zeros(len(curves)), np.zeros(len(curves))
    lines = {first: _line(curves, first, then) for first, then in pairwise(epochs)}
    for at, curve in enumerate(curves):
        last = max(curve)
        value, variance = curve[last], 0.0
        for epoch in epochs[epochs.index(last) : -1]:
            slope, x, y, error = lines[epoch]
            value, variance = y + slope * (value - x), slope**2 * variance + error**2
        ends[at], errors[at] = value, variance**0.5
    return ends, errors


def _line(curves: Sequence[Curve], first: int, then: int) -> tuple[float, float, float, float]:
    """Slope, means and error of the line from one epoch to a later one."""
    both = np.array([(curve[first], curve[then]) for curve in curves if first in curve and then in curve])
    if not len(both):
        return 1.0, 0.0, 0.0, TYPICAL
    (x, y), (dx, dy) = both.mean(axis=0), (both - both.mean(axis=0)).T
    slope = (SPREAD + dx @ dy) / (SPREAD + dx @ dx)
    rest = dy - slope * dx
    return slope, x, y, float(np.sqrt((SEEN * TYPICAL**2 + rest @ rest) / (SEEN + len(both))))
