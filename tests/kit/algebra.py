"""What a mixer means, written as plainly as possible: matrices of weight labels, which the tests compare with."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod

import numpy as np
import torch
from hypothesis import strategies as st

from einmix import Architecture, Factor, FactorSet, Mixer, Node, Sequence, Stage
from einmix.kinds import Activation, Linear, Mix, Norm, Residual

EVERY = FactorSet("*")
UNCONNECTED = -1


def axis_labels(factors: tuple[Factor, ...]) -> np.ndarray:
    """Outputs x inputs: equal labels share one weight, -1 is no connection."""
    labels = np.zeros((1, 1), dtype=np.int64)
    for role, size, out in factors:
        own = np.arange(out * size).reshape(out, size)
        if role != "m":
            own = np.where(np.eye(size, dtype=bool), np.arange(size) if role == "g" else 0, UNCONNECTED)
        labels = joined(labels, own)
    return labels


def joined(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The Kronecker product of two matrices of labels."""
    connected = np.kron(outer >= 0, inner >= 0).astype(bool)
    pairs = np.kron(outer, np.ones_like(inner)) * (inner.max() + 1) + np.kron(np.ones_like(outer), inner)
    return np.where(connected, pairs, UNCONNECTED)


def labels(mixer: Mixer) -> np.ndarray:
    """The labels of a whole mixer, over all its axes flattened in their order."""
    matrix = np.zeros((1, 1), dtype=np.int64)
    for _, factors in mixer.axes:
        matrix = joined(matrix, axis_labels(factors))
    return matrix


def bias_labels(mixer: Mixer) -> np.ndarray:
    """Which of the mixer's biases each output has: one an index of its grouped and mixed factors."""
    found = np.zeros(1, dtype=np.int64)
    for role, _, out in (factor for _, factors in mixer.axes for factor in factors):
        own = np.zeros(out, dtype=np.int64) if role == "s" else np.arange(out)
        found = np.add.outer(found * (own.max() + 1), own).ravel()
    return found


def members(matrix: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random linear map of the family with these labels."""
    return np.where(matrix >= 0, rng.standard_normal(matrix.max() + 1)[matrix], 0.0)


def contains(matrix: np.ndarray, linear_map: np.ndarray) -> bool:
    """Whether the map is one of the family: zero where nothing connects, equal where weights are shared."""
    if np.abs(linear_map[matrix < 0]).max(initial=0) > 1e-9:
        return False
    found, values = matrix[matrix >= 0], linear_map[matrix >= 0]
    means = np.bincount(found, values) / np.maximum(np.bincount(found), 1)
    return bool(np.abs(values - means[found]).max(initial=0) < 1e-9)


def included(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether a's support lies in b's, and each class of b lies in one class of a or outside a's support."""
    if a.shape != b.shape or ((a >= 0) & (b < 0)).any():
        return False
    pairs = np.unique(np.stack([b[b >= 0], a[b >= 0]]), axis=1)
    return pairs.shape[1] == len(np.unique(pairs[0]))


def same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    return included(a, b) and included(b, a)


def layer_map(layer: torch.nn.Module, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    """The matrix (outputs x inputs) and the bias of a layer that takes `b *shape`."""
    with torch.no_grad():
        units = torch.eye(prod(shape), dtype=torch.float64).reshape(-1, *shape)
        bias = layer(torch.zeros(1, *shape, dtype=torch.float64)).flatten()
        return (layer(units).reshape(len(units), -1) - bias).T.numpy(), bias.numpy()


def square_axes(*sizes: int) -> Iterator[tuple[tuple[Factor, ...], ...]]:
    """All canonical factorisations of all these axes together."""
    return product(*(tuple(EVERY.enumerate(n)) for n in sizes))


@st.composite
def mixers(draw: st.DrawFn, *, names: tuple[str, ...] = (), square: bool = False, largest: int = 64) -> Mixer:
    """Mixers as somebody might write them, with factors of size 1, on the usual axes or on these.

    Neither the input nor the output is larger than `largest`.
    """
    chosen = names or draw(st.sampled_from([("t", "c"), ("h", "w", "c"), ("d", "h", "w", "c"), ("c",), ("x", "c")]))
    axes: dict[str, list[Factor]] = {name: [] for name in chosen}
    total = [1, 1]
    for name in draw(st.permutations([name for name in chosen for _ in range(3)])):
        role, size = draw(st.sampled_from("sgm")), draw(st.integers(1, 4))
        out = size if square or role != "m" else draw(st.integers(1, 4))
        if max(total[0] * size, total[1] * out) <= largest:
            axes[name].append(Factor(role, size, out))
            total = [total[0] * size, total[1] * out]
    return Mixer(tuple((name, tuple(factors)) for name, factors in axes.items()), draw(st.booleans()))


def network(embed: str, *blocks: tuple[Sequence, ...], classes: int = 3) -> Architecture:
    """A network of one stage, each block a few residual branches, for the inputs that its embedding takes."""
    mixer = Mixer.parse(embed)
    found = tuple(tuple(Residual(branch) for branch in block) for block in blocks)
    return Architecture(tuple(mixer.inputs.items()), (Stage((Mix(mixer),), found),), classes)


def nodes(*words: str) -> Sequence:
    """A branch, each node written as `norm`, `gelu`, a number (a linear layer's width) or a mixer's text."""
    known: dict[str, Node] = {"norm": Norm(), "gelu": Activation()}
    return tuple(known.get(w) or (Linear(int(w)) if w.isdigit() else Mix(Mixer.parse(w))) for w in words)


def randomised(net: torch.nn.Module) -> torch.nn.Module:
    """The same network in float64 with every parameter drawn anew: no zeros and no ones that a start may have set."""
    torch.manual_seed(0)
    for parameter in net.double().parameters():
        torch.nn.init.normal_(parameter)
    return net
