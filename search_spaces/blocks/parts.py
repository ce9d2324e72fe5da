"""Parts that networks of the literature share: embeddings, norms, channel MLPs, mixers from short words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from einmix import Architecture, Mixer, Stage
from einmix.algebra.factors import divisors
from einmix.kinds import Activation, Linear, Mix, Residual
from einmix.networks.architecture import HEAD
from einmix.nodes.node import Node
from search_spaces.errors import SpaceError

Grid = dict[str, int]
"""Lengths of the spatial axes at which blocks stand."""


class Sides(tuple[int, ...]):
    """A patch's positions along every axis, in the axes' order, where one number does not fit all: `1x4x4` as text."""

    def __str__(self) -> str:
        return "x".join(map(str, self))


Patch = int | Sides
"""Positions of a patch: along all axes alike, or for each."""


def patch_from(sides: Iterable[int]) -> Patch:
    """A patch of these sides: one number where they are alike.

    >>> print(patch_from((1, 4, 4)), patch_from((4, 4)))
    1x4x4 4
    """
    found = Sides(sides)
    return found[0] if len(set(found)) == 1 else found


def sides(grid: Mapping[str, int], patch: int | Sequence[int]) -> Grid:
    """A patch's positions along every axis. Raises SpaceError where it has not one side for each."""
    if isinstance(patch, int):
        return dict.fromkeys(grid, patch)
    if len(patch) != len(grid):
        raise SpaceError(f"a patch of {Sides(patch)} has {len(patch)} sides, the data have axes {' '.join(grid)}")
    return dict(zip(grid, patch, strict=True))


def mixer(grid: Mapping[str, int], channels: str, axes: Mapping[str, str] | None = None, *, bias: bool = True) -> Mixer:
    """A mixer on a grid: the axes given as factors, the others shared; `channels` are the factors of c.

    >>> str(mixer({"h": 8, "w": 4}, "s16", {"h": "m8"}))
    'h=m8 w=s4 c=s16 +b'
    """
    terms = [f"{axis}={(axes or {}).get(axis, f's{n}')}" for axis, n in grid.items()]
    return Mixer.parse(" ".join([*terms, f"c={channels}"]) + " +b" * bias)


def patches(grid: Mapping[str, int], patch: Patch, before: int, width: int, *, bias: bool = True) -> Mix:
    """Non-overlapping patches of `patch` positions an axis, embedded in `width` channels; merges patches as well."""
    each = sides(grid, patch)
    cut = {axis: f"s{n}.m{each[axis]}:1" for axis, n in patch_grid(grid, patch).items()}
    return Mix(mixer(grid, f"m{before}:{width}", cut, bias=bias))


def stem(inputs: Inputs, patch: Patch, width: int, *after: Node) -> tuple[Node, ...]:
    """What embeds the inputs of a network: patches, then what else there is."""
    return (patches(inputs.shape, patch, inputs.channels, width), *after)


def patch_grid(grid: Mapping[str, int], patch: Patch) -> Grid:
    """The grid of patches. Raises SpaceError where an axis does not divide into them."""
    each = sides(grid, patch)
    for axis, n in grid.items():
        if n % each[axis]:
            words = patch if isinstance(patch, int) else Sides(patch)
            raise SpaceError(f"a patch of {words} does not divide axis {axis}={n}")
    return {axis: n // each[axis] for axis, n in grid.items()}


def everywhere(grid: Mapping[str, int], channels: str, *, bias: bool = True) -> Mixer:
    """All positions mixed."""
    return mixer(grid, channels, {axis: f"m{n}" for axis, n in grid.items()}, bias=bias)


def affine(grid: Mapping[str, int], width: int, *, bias: bool = True, start: str = "") -> Mix:
    """A factor (and a shift) for every channel; with `start` and without bias LayerScale."""
    return Mix(mixer(grid, f"g{width}", bias=bias), start=start)


def mlp(norm: Sequence[Node], width: int, ratio: float, *after: Node) -> Residual:
    """norm, Linear, GELU, Linear over the channels, in a residual."""
    return Residual((*norm, Linear(round(width * ratio)), Activation(), Linear(width), *after))


def network(inputs: Inputs, *found: Stage, head: tuple[Node, ...] = HEAD) -> Architecture:
    """A network of these stages."""
    return Architecture((*inputs.shape.items(), ("c", inputs.channels)), found, inputs.classes, head)


def fitting(n: int, most: int) -> int:
    """The largest divisor of `n` that is not above `most`: so many groups fit where `most` are wanted.

    >>> fitting(64, 7)
    4
    """
    return max(k for k in divisors(n) if k <= most)


@dataclass(frozen=True)
class Inputs:
    """What a network takes and gives: lengths of the spatial axes, channels, classes."""

    shape: Mapping[str, int]
    channels: int
    classes: int
