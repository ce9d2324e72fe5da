"""gMLP: an MLP over channels, half of whose hidden channels gate the other half after a linear layer over positions."""

from einmix import Architecture, Stage
from einmix.kinds import Activation, Gate, Linear, Mix, Norm, Residual
from search_spaces.blocks.parts import Inputs, everywhere
from search_spaces.blocks.patch import Patch, patch_grid
from search_spaces.zoo.member import Member, Names, network, stem


def gmlp(inputs: Inputs, *, patch: Patch, width: int, depth: int, ratio: int = 6, eps: float = 1e-5) -> Architecture:
    """`ratio` times as many hidden channels as channels, before the gate halves them: even, or the width is.

    `eps` is that of the norms but for the one in the gate.
    """
    norm = Norm(eps=eps)
    mix = Mix(everywhere(patch_grid(inputs.shape, patch), f"s{ratio * width // 2}"), start="gate")
    gated = (Linear(ratio * width), Activation(), Gate((Norm(), mix)), Linear(width))
    block = (Residual((norm, *gated)),)
    return network(inputs, Stage(stem(inputs, patch, width), (block,) * depth), head=(norm,))


MEMBER = Member(
    "gmlp",
    "an MLP over channels with a gate of mixed positions inside",
    "Liu et al., Pay Attention to MLPs, 2021 (arXiv:2105.08050)",
    gmlp,
    {
        "ti/16": {"patch": 16, "width": 128, "depth": 30, "eps": 1e-6},
        "s/16": {"patch": 16, "width": 256, "depth": 30, "eps": 1e-6},
        "b/16": {"patch": 16, "width": 512, "depth": 30, "eps": 1e-6},
    },
    step=1,
    timm=Names(
        stem={"0": "stem.proj"},
        block={
            "0.f.0": "norm",
            "0.f.1": "mlp_channels.fc1",
            "0.f.3.f.0": "mlp_channels.gate.norm",
            "0.f.3.f.1": "mlp_channels.gate.proj",
            "0.f.4": "mlp_channels.fc2",
        },
        head={"0": "norm", "2": "head"},
        layers=1,
    ),
)
