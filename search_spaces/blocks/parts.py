"""Parts that blocks and networks share: embeddings, norms, channel MLPs, mixers from short words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from einmix import Mixer, Node
from einmix.algebra.factors import divisors
from einmix.kinds import Activation, Gate, Linear, Mix, Norm, Residual, Split
from search_spaces.blocks.patch import Patch, patch_grid, sides


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


def everywhere(grid: Mapping[str, int], channels: str, *, bias: bool = True) -> Mixer:
    """All positions mixed."""
    return mixer(grid, channels, {axis: f"m{n}" for axis, n in grid.items()}, bias=bias)


def affine(grid: Mapping[str, int], width: int, *, bias: bool = True, start: str = "") -> Mix:
    """A factor (and a shift) for every channel; with `start` and without bias LayerScale."""
    return Mix(mixer(grid, f"g{width}", bias=bias), start=start)


def mlp(norm: Sequence[Node], width: int, ratio: float, *after: Node) -> Residual:
    """norm, Linear, GELU, Linear over the channels, in a residual."""
    return Residual((*norm, Linear(round(width * ratio)), Activation(), Linear(width), *after))


def multi_axis(width: int, mixers: Sequence[Mixer]) -> tuple[Node, ...]:
    """Each of these mixers gates a part of the channels, in a gMLP of its own: what stands in a branch of MAXIM."""

    def gmlp(each: Mixer) -> tuple[Node, ...]:
        gate = Gate((Norm(), Mix(each, start="gate")))
        return (Residual((Norm(), Linear(2 * width), Activation(), gate, Linear(width))),)

    return Linear(2 * width), Activation(), Split(tuple(map(gmlp, mixers))), Linear(width)


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
