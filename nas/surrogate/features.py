"""A network in numbers, as the algebra sees it: roles, sizes, strides, reach, and what it costs."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import lru_cache
from math import log2, prod
from statistics import fmean

from einmix import Architecture
from einmix.algebra.factors import Factors
from einmix.algebra.reach import Reach


def features(network: Architecture) -> dict[str, float]:
    """By name; one that a network lacks is 0. Sizes are logarithms to the base of 2, means over the blocks' mixers.

    For every axis the sizes of its mixed, grouped and shared factors, and the stride of what is mixed (0: local, of
    neighbours), each with its trend: how much more of it there is in later mixers. For all axes of positions together
    the sums of these, the least and the most of them, and how much of each axis an output sees behind all mixers. For
    the network parameters, multiply-accumulates, positions, width, depth, mixers, and nodes by their kind.
    """
    found: dict[str, list[float]] = defaultdict(list)
    trends: dict[str, float] = defaultdict(float)
    spatial = [axis for axis, _ in network.inputs[:-1]]
    mixers, blocks = network.mixers, network.blocks
    last = len(mixers) - 1
    for place, mixer in enumerate(mixers):
        described = {axis: _described(factors) for axis, factors in mixer.axes}
        for axis, sizes in described.items():
            for name, size in zip(_NAMES, sizes, strict=True):
                found[f"{axis} {name}"].append(size)
                trends[f"{axis} {name} trend"] += (place / max(last, 1) - 0.5) * size
        positions = [sizes for axis, sizes in described.items() if axis in spatial]
        for name, *each in zip(_NAMES, *positions, strict=True) if positions else ():
            found[f"positions {name}"].append(sum(each))
            found[f"least {name}"].append(min(each))
            found[f"most {name}"].append(max(each))
        found["grouped"].append(sum(grouped for _, grouped, _, _ in described.values()))
    numbers = {name: fmean(values) for name, values in found.items()} | trends
    axes = [dict(mixer.axes) for mixer in mixers]
    seen = {axis: _seen(tuple(factors.get(axis, ()) for factors in axes)) for axis in spatial}
    numbers |= {f"{axis} seen": value for axis, value in seen.items()}
    numbers["positions seen"] = sum(seen.values())
    grid = network.grids[0]
    numbers |= {
        "parameters": log2(max(network.params, 1)),
        "macs": log2(max(network.macs, 1)),
        "positions": log2(prod(size for axis, size in grid.items() if axis != "c")),
        "width": log2(grid["c"]),
        "depth": float(len(blocks)),
        "mixers": float(len(mixers)),
    }
    leaves = (leaf.node for block in blocks for step in block for leaf in step.leaves())
    return numbers | {f"{kind} nodes": float(n) for kind, n in Counter(type(node).__name__ for node in leaves).items()}


_NAMES = "mixed", "grouped", "shared", "stride"


@lru_cache(maxsize=4096)
def _described(factors: Factors) -> tuple[float, float, float, float]:
    """How much of an axis is mixed, grouped and shared, and the mean stride of its mixed factors, as logarithms."""
    sizes = {"m": 0.0, "g": 0.0, "s": 0.0}
    stride, strides = 0.0, []
    for factor in reversed(factors):
        size = log2(factor.size)
        sizes[factor.role] += size
        if factor.role == "m":
            strides.append(stride)
        stride += size
    return sizes["m"], sizes["g"], sizes["s"], fmean(strides) if strides else 0.0


@lru_cache(maxsize=4096)
def _seen(mixers: tuple[Factors, ...]) -> float:
    """The logarithm of the most inputs along an axis that an output sees behind these, as far as sizes are kept."""
    reach: Reach | None = None
    for factors in mixers:
        here = _kept_reach(factors)
        if here is not None and (reach is None or reach.outputs == here.inputs):
            reach = here if reach is None else reach.then(here)
    return 0.0 if reach is None else log2(max(int(reach.along("a").sum(axis=1).max()), 1))


@lru_cache(maxsize=4096)
def _kept_reach(factors: Factors) -> Reach | None:
    """The reach of these factors beside what they leave where it is; None where they change the axis' size."""
    reach = Reach.of((("a", factors),))
    return None if reach.inputs != reach.outputs else reach | Reach.linked(reach.inputs)
