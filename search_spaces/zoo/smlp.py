"""sMLPNet: every axis mixed alone, side by side with the input itself, after a depthwise convolution."""

from functools import partial

from einmix import Architecture, Block
from einmix.kinds import Activation, Concat, Conv, Linear, Mix, Norm, Residual
from search_spaces.blocks.parts import Inputs, mixer, mlp
from search_spaces.blocks.patch import Grid, Patch
from search_spaces.zoo.member import Member, PerStage
from search_spaces.zoo.pyramids import Level, cut, levels, pyramid


def smlp_net(inputs: Inputs, *, patch: Patch = 4, width: PerStage, depth: PerStage, ratio: int = 3) -> Architecture:
    """The channels of the input and of its mixtures along each axis meet in one linear layer: a sparse MLP."""

    def blocks(grid: Grid, level: Level) -> tuple[Block, ...]:
        width = level.width
        axes = [(Mix(mixer(grid, f"s{width}", {axis: f"m{n}"})),) for axis, n in grid.items()]
        near = Norm("batch"), Activation(), Conv(3, pad=1, bias=False)
        sparse = Norm("batch"), Activation(), Concat(((), *axes)), Linear(width, bias=False)
        return ((Residual((*near, *sparse)), mlp((Norm(),), width, ratio)),) * level.depth

    embed, head = partial(cut, bias=False), (Norm("batch"),)
    return pyramid(inputs, levels(patch, width, depth), blocks, embed=embed, head=head)


MEMBER = Member(
    "smlp",
    "a depthwise convolution, then every axis mixed alone, side by side with the input",
    "Tang et al., Sparse MLP for Image Recognition, 2021 (arXiv:2109.05422)",
    smlp_net,
    {
        "t": {"width": (80, 160, 320, 640), "depth": (2, 8, 14, 2)},
        "s": {"width": (96, 192, 384, 768), "depth": (2, 10, 24, 2)},
        "b": {"width": (112, 224, 448, 896), "depth": (2, 10, 24, 2)},
    },
)
