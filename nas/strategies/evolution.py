"""Regularised evolution over neighbours in a space."""

from __future__ import annotations

from collections.abc import Iterator

from einmix import Architecture
from nas.strategies.neighbourly import Neighbourly


class Evolution(Neighbourly):
    """The best of a few drawn from the latest has a child, one step away; the oldest die, however good they are.

    Real et al., "Regularized Evolution for Image Classifier Architecture Search", 2019 (arXiv:1802.01548). What was
    stopped at a rung takes part, behind all that got further.
    """

    population, drawn = 25, 5
    attempts = 5

    def parents(self) -> Iterator[Architecture]:
        living = list(self.told.values())[-self.population :]
        for _ in range(self.attempts):
            yield self.ranked(self.rng.sample(living, min(self.drawn, len(living))))[0][0]
