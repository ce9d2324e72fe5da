"""A mixer of Monarch layers: every dense layer as two block-diagonal ones with a transposition between."""

from math import isqrt

from einmix import Architecture, Mixer, Stage
from einmix.kinds import Activation, Mix, Norm, Residual
from search_spaces.blocks.parts import Inputs, fitting, mixer
from search_spaces.blocks.patch import Grid, Patch, patch_grid
from search_spaces.zoo.member import Member, network, stem


def monarch(inputs: Inputs, *, patch: Patch, width: int, depth: int, ratio: int = 4, blocks: int = 4) -> Architecture:
    """`blocks` over channels; over positions a layer for each axis, or two where there is one axis."""
    grid, hidden = patch_grid(inputs.shape, patch), ratio * width
    tokens = tuple(map(Mix, _over_positions(grid, width)))
    there = map(Mix, _over_channels(grid, width, hidden, blocks))
    back = map(Mix, _over_channels(grid, hidden, width, blocks))
    block = (
        Residual((Norm(), *tokens, Activation(), *tokens)),
        Residual((Norm(), *there, Activation(), *back)),
    )
    return network(inputs, Stage(stem(inputs, patch, width), (block,) * depth))


def _over_positions(grid: Grid, width: int) -> list[Mixer]:
    """One axis after the other, the last first, with weights of its own for each place on the others."""
    if len(grid) == 1:
        ((axis, n),) = grid.items()
        count = fitting(n, isqrt(n))
        pair = {axis: f"g{count}.m{n // count}"}, {axis: f"m{n // count}.g{count}"}
        return [mixer(grid, f"s{width}", terms, bias=bool(k)) for k, terms in enumerate(pair)]
    first = next(iter(grid))
    apart = {axis: f"g{n}" for axis, n in grid.items()}
    return [mixer(grid, f"s{width}", apart | {axis: f"m{grid[axis]}"}, bias=axis == first) for axis in reversed(grid)]


def _over_channels(grid: Grid, before: int, after: int, blocks: int) -> list[Mixer]:
    """Blocks of neighbours, then blocks of channels in steps; between them as many channels as on the narrower side."""
    middle = min(before, after) // blocks
    return [
        mixer(grid, f"g{blocks}.m{before // blocks}:{middle}", bias=False),
        mixer(grid, f"m{middle}:{after // blocks}.g{blocks}"),
    ]


MEMBER = Member(
    "monarch",
    "an MLP over positions and one over channels, each dense layer as two block-diagonal ones",
    "Dao et al., Monarch, 2022 (arXiv:2204.00595); a mixer of them: Fu et al., 2023 (arXiv:2310.12109)",
    monarch,
    step=4,
)
