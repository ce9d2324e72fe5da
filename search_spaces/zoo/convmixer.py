"""ConvMixer, the convolutional counterpart: depthwise convolutions over positions and linear layers over channels."""

from einmix import Architecture, Stage
from einmix.kinds import Activation, Conv, Linear, Norm, Residual
from search_spaces.blocks.parts import Inputs
from search_spaces.blocks.patch import Patch, patch_grid
from search_spaces.zoo.member import Member, Names, network, stem


def convmixer(
    inputs: Inputs, *, patch: Patch, width: int, depth: int, kernel: int = 0, activation: str = "gelu"
) -> Architecture:
    """`kernel` is odd; by default 9, as published most, or as many positions as reach across a smaller grid."""
    reach = kernel or min(9, 2 * max(patch_grid(inputs.shape, patch).values()) - 1)
    after = (Activation(activation), Norm("batch"))
    block = (Residual((Conv(reach, pad=reach // 2), *after)), Linear(width), *after)
    return network(inputs, Stage(stem(inputs, patch, width, *after), (block,) * depth), head=())


MEMBER = Member(
    "convmixer",
    "depthwise convolutions over positions, a linear layer over channels: the convolutional counterpart",
    "Trockman and Kolter, Patches Are All You Need?, 2022 (arXiv:2201.09792)",
    convmixer,
    {
        "768/32": {"patch": 7, "width": 768, "depth": 32, "kernel": 7, "activation": "relu"},
        "1024/20": {"patch": 14, "width": 1024, "depth": 20, "kernel": 9},
        "1536/20": {"patch": 7, "width": 1536, "depth": 20, "kernel": 9},
    },
    step=1,
    timm=Names(
        stem={"0": "stem.0", "2.0": "stem.2"},
        block={"0.f.0.0": "0.fn.0", "0.f.0.2": "0.fn.2", "1": "1", "3.0": "3"},
        head={"1": "head"},
        layers=4,
    ),
)
