"""What a node connects, said by the inputs of every output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from einmix.algebra.reach import Reach

if TYPE_CHECKING:
    from einmix.algebra.reach import Matrix

Inputs = Sequence[int | Iterable[int]]
"""For every output along an axis the input that reaches it, or those that do."""


def linked(sizes: Mapping[str, int], inputs: Mapping[str, Inputs] | None = None) -> Reach:
    """Reach from features of these sizes by the `inputs` along each axis; along others every position by itself.

    >>> linked({"h": 3, "c": 2}, {"h": [1, 2, []]}).along("h").astype(int).tolist()
    [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    """
    known = inputs or {}
    return Reach((tuple((axis, _matrix(known.get(axis, range(n)), n)) for axis, n in sizes.items()),))


def every(n: int, outputs: int) -> Inputs:
    """Everything reaches everything along an axis."""
    return [range(n)] * outputs


def taken(sizes: Mapping[str, int], start: int, count: int) -> Reach:
    """The channels from `start` on."""
    return linked(sizes, {"c": range(start, start + count)})


def side_by_side(reaches: Sequence[Reach]) -> Reach:
    """Branches whose channels are put one after the other."""
    widths = [reach.outputs["c"] for reach in reaches]
    found = []
    for k, (reach, width) in enumerate(zip(reaches, widths, strict=True)):
        before, after = sum(widths[:k]), sum(widths[k + 1 :])
        found.append(reach.then(linked(reach.outputs, {"c": [*[[]] * before, *range(width), *[[]] * after]})))
    return reduce(or_, found)


def _matrix(inputs: Inputs, n: int) -> Matrix:
    import numpy as np

    found = np.zeros((len(inputs), n), dtype=bool)
    for row, each in zip(found, inputs, strict=True):
        if isinstance(each, range):
            row[each.start : each.stop : each.step] = True
        else:
            row[each if isinstance(each, int) else list(each)] = True
    return found
