"""Parts that networks of the literature share: embeddings, norms, channel MLPs, mixers from short words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from einmix import Activation, Linear, Mix, Mixer, Norm, Residual
from einmix.nodes import Node
from search_spaces.errors import SpaceError
from search_spaces.zoo.member import Inputs, PerStage

Grid = dict[str, int]
"""Lengths of the spatial axes at which blocks stand."""


def mixer(grid: Mapping[str, int], channels: str, *, bias: bool = True, **axes: str) -> Mixer:
    """A mixer on a grid: the axes given as factors, the others shared; `channels` are the factors of c.

    >>> str(mixer({"h": 8, "w": 4}, "s16", h="m8"))
    'h=m8 w=s4 c=s16 +b'
    """
    terms = [f"{axis}={axes.get(axis, f's{n}')}" for axis, n in grid.items()]
    return Mixer.parse(" ".join([*terms, f"c={channels}"]) + " +b" * bias)


def patches(grid: Mapping[str, int], patch: int, before: int, width: int, *, bias: bool = True) -> Mix:
    """Non-overlapping patches of `patch` positions an axis, embedded in `width` channels; merges patches as well."""
    for axis, n in grid.items():
        if n % patch:
            raise SpaceError(f"a patch of {patch} does not divide axis {axis}={n}")
    cut = {axis: f"s{n // patch}.m{patch}:1" for axis, n in grid.items()}
    return Mix(mixer(grid, f"m{before}:{width}", bias=bias, **cut))


def merged(grid: Mapping[str, int], patch: int) -> Grid:
    """The grid of patches."""
    return {axis: n // patch for axis, n in grid.items()}


def affine(grid: Mapping[str, int], width: int, *, bias: bool = True, start: str = "") -> Mix:
    """A factor (and a shift) for every channel; with `start` and without bias LayerScale."""
    return Mix(mixer(grid, f"g{width}", bias=bias), start=start)


def mlp(norm: Sequence[Node], width: int, ratio: float, *after: Node) -> Residual:
    """norm, Linear, GELU, Linear over the channels, in a residual."""
    return Residual((*norm, Linear(round(width * ratio)), Activation(), Linear(width), *after))


def stages(inputs: Inputs, width: PerStage, depth: PerStage) -> list[tuple[int, int]]:
    """Width and depth of every stage. Raises SpaceError unless there is one of each a stage."""
    widths, depths = (value if isinstance(value, tuple) else (value,) for value in (width, depth))
    if len(widths) != len(depths):
        raise SpaceError(f"{len(widths)} widths and {len(depths)} depths: one of each a stage is expected")
    return list(zip(widths, depths, strict=True))


NORM_1E_6 = Norm(eps=1e-6)
