"""Local search: the neighbours of the best network, then those of the next best."""

from __future__ import annotations

from collections.abc import Iterator

from einmix import Architecture
from nas.strategies.neighbourly import Neighbourly


class LocalSearch(Neighbourly):
    """Goes to the best network known and tries its neighbours, until one is better; then, or when it has none, on.

    White et al., "Exploring the Loss Landscape in Neural Architecture Search", 2021 (arXiv:2005.02960).
    """

    def parents(self) -> Iterator[Architecture]:
        return (architecture for architecture, _ in self.ranked(self.told.values()))
