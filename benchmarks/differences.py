"""Differences of accuracy between networks of a table of record, and what may be said of several together.

Every network is taken at its own learning rate: for each seed the one with the least mean validation loss *over the
other seeds*, so that no training has a say in whether it is judged. Accuracies are those after the last epoch on what
neither trained nor chose (the parts `judge` and `test`).

Intervals are those of `nas.claims`, over seeds and examples, for these pairs of networks. One thing they take for
granted is looked at here: seeds are independent between networks. How far the differences themselves move from seed to
seed, over what that allows, is known from all statements about a table together; where it is more than 1, the part of
the variance that is the seeds' is so much more, and known from as few seeds as there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from statistics import fmean

import numpy as np
from table_peers import answers

from einmix import Architecture
from nas.claims.contrasts import Contrast, Judged, contrast
from nas.runs.job import Key
from nas.tabular.table import Cell, Table, mixer_of

PARTS = "judge", "test"

Pair = tuple[Architecture, Architecture]


class Networks:
    """The networks of a table by their one mixer, each at its own learning rate, or all at the one that is given."""

    def __init__(self, table: Table, lr: float | None = None):
        self.table, self.lr = table, lr
        self.by_mixer = {mixer_of(network): network for network in table.networks.values()}
        self._right: dict[str, np.ndarray] = {}

    def right(self, network: Architecture) -> np.ndarray:
        """Which examples each training was right on, `seeds examples`: of one that failed, none."""
        if network.id not in self._right:
            sizes = [self.table.sizes[part] for part in PARTS]
            cells = [self.cell(network, self.own_rate(network, seed), seed) for seed in self.table.declared.seeds]
            right = np.zeros((len(cells), sum(sizes)), dtype=bool)
            for row, cell in zip(right, cells, strict=True):
                if not cell.reason:
                    row[:] = np.concatenate([cell.bits[part][:n] for part, n in zip(PARTS, sizes, strict=True)])
            self._right[network.id] = right
        return self._right[network.id]

    def own_rate(self, network: Architecture, seed: int | None = None) -> float:
        """The learning rate of the least validation loss over all seeds but this one."""
        if self.lr is not None:
            return self.lr
        others = [each for each in self.table.declared.seeds if each != seed]

        def loss(lr: float) -> float:
            cells = (self.cell(network, lr, each) for each in others)
            return fmean(inf if cell.reason else float(cell.losses["validation"][-1]) for cell in cells)

        return min(self.table.declared.rates, key=loss)

    def cell(self, network: Architecture, lr: float, seed: int) -> Cell:
        return self.table.cells[Key(network.id, lr, seed, self.table.declared.epochs)]

    def moved(self, network: Architecture, **axes: str) -> Architecture:
        """The network whose mixer has these factors along these axes, and is alike in all else."""
        factors = answers(mixer_of(network)) | axes
        return self.by_mixer[" ".join(f"{axis}={text}" for axis, text in factors.items()) + " +b"]

    def mixing(self) -> list[Architecture]:
        """Those that mix along all axes."""
        axes = self.table.facts["data"]["shape"]
        return [
            network for mixer, network in self.by_mixer.items() if all("m" in answers(mixer)[axis] for axis in axes)
        ]

    def of_channels(self, channels: str) -> list[Architecture]:
        """Of those that mix along all axes the ones with these factors of the channels, in one order of patterns."""
        found = [network for network in self.mixing() if answers(mixer_of(network))["c"] == channels]
        return sorted(found, key=mixer_of)


@dataclass(frozen=True)
class Difference:
    """What some networks are more accurate by than others, in the mean over seeds, and in how many of their pairs.

    `moved` is the variance of this mean as it differs from seed to seed; by network its `weights` in the difference,
    and the variance over seeds that its mean has.
    """

    found: Contrast
    seeds: int = 3
    pairs: int = 1
    ahead: int = 0
    moved: float = 0.0
    weights: Mapping[str, float] = field(default_factory=dict)
    variances: Mapping[str, float] = field(default_factory=dict)

    def shared(self, other: Difference) -> float:
        """The covariance of both over seeds that are independent between networks; with itself the variance."""
        both = (id for id in self.weights if id in other.weights)
        return sum(self.weights[id] * other.weights[id] * self.variances[id] for id in both)


def difference(networks: Networks, pairs: Sequence[Pair]) -> Difference:
    """The mean over pairs of what the first is more accurate by."""
    weights: dict[str, float] = defaultdict(float)
    for one, other in pairs:
        weights[one.id] += 1 / len(pairs)
        weights[other.id] -= 1 / len(pairs)
    right = {each.id: networks.right(each) for pair in pairs for each in pair}
    judged = {id: Judged.of(each) for id, each in right.items()}
    found = contrast([(weight, judged[id]) for id, weight in weights.items()], [*judged.values()])
    assert found is not None, "two seeds of some networks are enough"
    ahead = sum(judged[one.id].accuracy > judged[other.id].accuracy for one, other in pairs)
    by_seed = {id: each.mean(1) for id, each in right.items()}
    n = len(networks.table.declared.seeds)
    moved = np.sum([weight * by_seed[id] for id, weight in weights.items()], axis=0).var(ddof=1) / n
    variances = {id: float(each.var(ddof=1)) / n for id, each in by_seed.items()}
    return Difference(found, n, len(pairs), ahead, float(moved), weights, variances)


def together(asked: Sequence[Difference]) -> tuple[float, float]:
    """How much more differences move from seed to seed than independent seeds allow, and its degrees of freedom.

    A mean in which each counts by its networks; those that share networks tell less than as many that do not.
    """
    weights = np.array([len(each.weights) for each in asked]) / sum(len(each.weights) for each in asked)
    alone = np.array([each.shared(each) for each in asked])
    shared = np.array([[one.shared(other) for other in asked] for one in asked])
    more = float(weights @ (np.array([each.moved for each in asked]) / alone))
    seeds = min(each.seeds for each in asked)
    return more, float((seeds - 1) / (weights @ (shared**2 / np.outer(alone, alone)) @ weights))


def claims(asked: Sequence[Difference]) -> list[Contrast]:
    """What may be said of each, as seeds are seen to move all of them."""
    (more, free), said = together(asked), []
    for each in asked:
        few, moved = each.found.variance - each.found.variance_all_seeds, more * each.shared(each)
        if more <= 1 or moved <= few:
            said.append(each.found)
        else:
            variance = each.found.variance_all_seeds + moved
            own = each.found.df * (few / each.found.variance) ** 2
            df = (variance / moved) ** 2 / (1 / free + 1 / own)
            said.append(replace(each.found, variance=variance, df=max(1.0, df)))
    return said
