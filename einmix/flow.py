"""Reach through nodes: which inputs a network's parts connect to which outputs, by one rule a kind of node."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_

import numpy as np

from einmix.nodes import (
    Concat,
    Conv,
    Dynamic,
    Gate,
    Linear,
    Mix,
    Norm,
    Residual,
    Reweight,
    Shift,
    Shuffle,
    Sizes,
    Split,
    Step,
    Tree,
    Unfold,
    Wrap,
)
from einmix.reach import Matrix, Reach


def reach_of(steps: Iterable[Step], sizes: Sizes) -> Reach:
    """What a sequence connects, from the sizes before it."""
    return reduce(Reach.then, map(_reach, steps), Reach.full(sizes))


def _reach(step: Step) -> Reach:
    node, sizes = step.node, step.before
    if isinstance(node, Tree):
        return _tree(step)
    if isinstance(node, Mix):
        return node.mixer.reach()
    if isinstance(node, Linear):
        return node.as_mixer(sizes).reach()
    if isinstance(node, Norm):
        return Reach.full(sizes, *{"layer": ["c"], "batch": [], "group": list(sizes)}[node.form])
    if isinstance(node, Dynamic):
        return Reach.full(sizes, node.axis, "c")
    if isinstance(node, Shift):
        return reduce(or_, (_moved(node, group, sizes) for group in range(len(node.moves))))
    if isinstance(node, Shuffle):
        order = np.arange(sizes["c"]).reshape(node.groups, -1).T.ravel()
        return _product(sizes, c=np.eye(sizes["c"], dtype=bool)[order])
    if isinstance(node, Wrap):
        n = sizes[node.axis]
        source = (np.arange(node.length) - node.by) % min(n, node.length)
        return _product(sizes, **{node.axis: np.eye(n, dtype=bool)[source]})
    if isinstance(node, (Conv, Unfold)):  # of unfold an upper bound, exact once a linear layer has mixed its channels
        windows = {axis: _windows(n, step.after[axis], node) for axis, n in sizes.items() if axis != "c"}
        dense = isinstance(node, Conv) and node.out
        channels = np.repeat(np.eye(sizes["c"], dtype=bool), step.after["c"] // sizes["c"] or 1, axis=0)
        return _product(sizes, **windows, c=np.ones((step.after["c"], sizes["c"]), dtype=bool) if dense else channels)
    return Reach.full(sizes)


def _tree(step: Step) -> Reach:
    node, sizes = step.node, step.before
    if isinstance(node, Gate):
        half = sizes["c"] // 2
        return _take(sizes, 0, half) | _take(sizes, half, half).then(reach_of(step.branches[0], step.after))
    if isinstance(node, Split):
        n = sizes["c"] // len(step.branches)
        inner = sizes | {"c": n}
        reaches = [_take(sizes, k * n, n).then(reach_of(branch, inner)) for k, branch in enumerate(step.branches)]
    else:
        reaches = [reach_of(branch, sizes) for branch in step.branches]
    if isinstance(node, (Split, Concat)):
        widths = [reach.outputs["c"] for reach in reaches]
        starts = [sum(widths[:k]) for k in range(len(widths))]
        places = [_place(step.after, start, width) for start, width in zip(starts, widths, strict=True)]
        reaches = [reach.then(place) for reach, place in zip(reaches, places, strict=True)]
    if isinstance(node, Residual):
        reaches.append(Reach.full(sizes))
    if isinstance(node, Reweight):  # every weight depends on the mean over all positions
        every = {axis: np.ones((step.after[axis], n), dtype=bool) for axis, n in sizes.items()}
        reaches.append(_product(sizes, **every))
    return reduce(or_, reaches)


def _product(sizes: Sizes, **changed: Matrix) -> Reach:
    """One matrix an axis, the identity where none is given."""
    return Reach((tuple((axis, changed.get(axis, np.eye(n, dtype=bool))) for axis, n in sizes.items()),))


def _take(sizes: Sizes, start: int, count: int) -> Reach:
    """Channels from `start` on."""
    return _product(sizes, c=np.eye(sizes["c"], dtype=bool)[start : start + count])


def _place(sizes: Sizes, start: int, count: int) -> Reach:
    """So many channels put among those of `sizes`, from `start` on."""
    return _product(sizes, c=np.eye(sizes["c"], dtype=bool)[:, start : start + count])


def _moved(node: Shift, group: int, sizes: Sizes) -> Reach:
    axis, by = node.moves[group]
    n = sizes[axis]
    inside = np.zeros(sizes["c"], dtype=bool)
    inside[list(node.members(sizes["c"])[group])] = True
    to, source = np.arange(n), np.arange(n) - by
    matrix = np.zeros((n, n), dtype=bool)
    valid = (source >= 0) & (source < n)
    if node.edge == "wrap":
        matrix[to, source % n] = True
    else:
        matrix[to[valid], source[valid]] = True
        matrix[to[~valid], to[~valid]] = node.edge == "keep"
    return _product(sizes, **{axis: matrix, "c": np.diag(inside)})


def _windows(n: int, out: int, node: Conv | Unfold) -> Matrix:
    start = np.arange(out)[:, None] * node.stride - node.pad
    source = np.arange(n)[None, :]
    return np.asarray((source >= start) & (source < start + node.kernel))
