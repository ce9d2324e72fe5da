"""gMLP: an MLP over channels, half of whose hidden channels gate the other half after a linear layer over positions."""

from __future__ import annotations

from einmix import Activation, Architecture, Gate, Linear, Mix, Norm, Residual, Stage
from search_spaces.zoo.member import Inputs, Member
from search_spaces.zoo.parts import NORM_1E_6, everywhere, merged, network, stem


def gmlp(inputs: Inputs, *, patch: int, width: int, depth: int, ratio: int = 6) -> Architecture:
    """`ratio` times as many hidden channels as channels, before the gate halves them; even, or the width is."""
    mix = Mix(everywhere(merged(inputs.shape, patch), f"s{ratio * width // 2}"), start="gate")
    gated = (Linear(ratio * width), Activation(), Gate((Norm(), mix)), Linear(width))
    block = (Residual((NORM_1E_6, *gated)),)
    return network(inputs, Stage(stem(inputs, patch, width), (block,) * depth), head=(NORM_1E_6,))


MEMBER = Member(
    "gmlp",
    "an MLP over channels with a gate of mixed positions inside",
    "Liu et al., Pay Attention to MLPs, 2021 (arXiv:2105.08050)",
    gmlp,
    {
        "ti/16": {"patch": 16, "width": 128, "depth": 30},
        "s/16": {"patch": 16, "width": 256, "depth": 30},
        "b/16": {"patch": 16, "width": 512, "depth": 30},
    },
    step=1,
)
