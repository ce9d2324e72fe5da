"""Reach through nodes: which inputs a network's parts connect to which outputs, by one rule a kind of node."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from operator import or_
from typing import Any

import numpy as np

from einmix.algebra.reach import Matrix, Reach
from einmix.nodes import (
    Activation,
    Concat,
    Conv,
    Drop,
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
    Sum,
    Unfold,
    Wrap,
    missing,
)


def reach_of(steps: Iterable[Step], sizes: Sizes) -> Reach:
    """What a sequence connects, from the sizes before it."""
    return reduce(Reach.then, map(_reach, steps), Reach.full(sizes))


def _reach(step: Step) -> Reach:
    if type(step.node) not in RULES:
        raise missing(step.node, "reach")
    return RULES[type(step.node)](step)


def _alone(step: Step) -> Reach:
    """Every number by itself."""
    return Reach.full(step.before)


def _norm(step: Step) -> Reach:
    node: Any = step.node
    return Reach.full(step.before, *{"layer": ["c"], "batch": [], "group": list(step.before)}[node.form])


def _dynamic(step: Step) -> Reach:
    node: Any = step.node
    return Reach.full(step.before, node.axis, "c")


def _shift(step: Step) -> Reach:
    node: Any = step.node
    return reduce(or_, (_moved(node, group, step.before) for group in range(len(node.moves))))


def _shuffle(step: Step) -> Reach:
    node: Any = step.node
    c = step.before["c"]
    order = np.arange(c).reshape(node.groups, -1).T.ravel()
    return _product(step.before, c=np.eye(c, dtype=bool)[order])


def _wrap(step: Step) -> Reach:
    node: Any = step.node
    n = step.before[node.axis]
    source = (np.arange(node.length) - node.by) % min(n, node.length)
    return _product(step.before, **{node.axis: np.eye(n, dtype=bool)[source]})


def _windowed(step: Step) -> Reach:
    """Of unfold an upper bound, exact once a linear layer has mixed its channels."""
    node: Any = step.node
    before, after = step.before, step.after
    windows = {axis: _windows(n, after[axis], node) for axis, n in before.items() if axis != "c"}
    dense = isinstance(node, Conv) and node.out
    channels = np.repeat(np.eye(before["c"], dtype=bool), after["c"] // before["c"] or 1, axis=0)
    return _product(before, **windows, c=np.ones((after["c"], before["c"]), dtype=bool) if dense else channels)


def _branches(step: Step) -> list[Reach]:
    return [reach_of(branch, step.before) for branch in step.branches]


def _residual(step: Step) -> Reach:
    return reduce(or_, [*_branches(step), Reach.full(step.before)])


def _sum(step: Step) -> Reach:
    return reduce(or_, _branches(step))


def _reweight(step: Step) -> Reach:
    """Every weight depends on the mean over all positions."""
    every = {axis: np.ones((step.after[axis], n), dtype=bool) for axis, n in step.before.items()}
    return reduce(or_, [*_branches(step), _product(step.before, **every)])


def _concat(step: Step) -> Reach:
    return _joined(_branches(step), step)


def _split(step: Step) -> Reach:
    sizes, n = step.before, step.before["c"] // len(step.branches)
    parts = enumerate(step.branches)
    return _joined([_take(sizes, k * n, n).then(reach_of(branch, sizes | {"c": n})) for k, branch in parts], step)


def _gate(step: Step) -> Reach:
    sizes, half = step.before, step.before["c"] // 2
    return _take(sizes, 0, half) | _take(sizes, half, half).then(reach_of(step.branches[0], step.after))


def _joined(reaches: list[Reach], step: Step) -> Reach:
    """Channels one after the other."""
    widths = [reach.outputs["c"] for reach in reaches]
    starts = [sum(widths[:k]) for k in range(len(widths))]
    places = (_place(step.after, start, width) for start, width in zip(starts, widths, strict=True))
    return reduce(or_, (reach.then(place) for reach, place in zip(reaches, places, strict=True)))


RULES: dict[type, Callable[[Step], Reach]] = {
    Mix: lambda step: step.node.mixer.reach(),  # type: ignore[union-attr]
    Linear: lambda step: step.node.as_mixer(step.before).reach(),  # type: ignore[union-attr]
    Norm: _norm,
    **dict.fromkeys((Activation, Drop), _alone),
    Shift: _shift,
    Shuffle: _shuffle,
    **dict.fromkeys((Conv, Unfold), _windowed),
    Wrap: _wrap,
    Dynamic: _dynamic,
    Residual: _residual,
    Sum: _sum,
    Reweight: _reweight,
    Concat: _concat,
    Split: _split,
    Gate: _gate,
}
"""The rule of reach of every kind of node."""


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
