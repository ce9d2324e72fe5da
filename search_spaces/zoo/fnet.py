"""FNet on patches: the real part of a Fourier transform over positions and channels, then an MLP over channels."""

from einmix import Architecture, Stage
from einmix.kinds import Mix, Norm, Residual, Sum
from search_spaces.blocks.parts import Inputs, everywhere, mixer, mlp
from search_spaces.blocks.patch import Grid, Patch, patch_grid
from search_spaces.zoo.member import Member, network, stem


def fnet(inputs: Inputs, *, patch: Patch, width: int, depth: int, ratio: int = 4) -> Architecture:
    """The transform goes over every axis of the grid, not over positions in a row, and is orthonormal: no weights."""
    grid = patch_grid(inputs.shape, patch)
    block = (Residual((Norm(), _real_transform(grid, width))), mlp((Norm(),), width, ratio))
    return network(inputs, Stage(stem(inputs, patch, width), (block,) * depth))


def _real_transform(grid: Grid, width: int) -> Sum:
    """Re((C - iS) x (C - iS)) = C x C + S x (-S), C and S the cosines and sines over positions and over channels."""
    positions = everywhere(grid, f"s{width}", bias=False)
    channels = mixer(grid, f"m{width}", bias=False)
    cosines = Mix(positions, weights="cos"), Mix(channels, weights="cos")
    sines = Mix(positions, weights="sin"), Mix(channels, weights="-sin")
    return Sum((cosines, sines))


MEMBER = Member(
    "fnet",
    "a Fourier transform over positions and channels, an MLP over channels",
    "Lee-Thorp et al., FNet, 2021 (arXiv:2105.03824): a language model, here on patches and with norms first",
    fnet,
)
