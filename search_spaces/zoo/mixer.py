"""MLP-Mixer: an MLP over positions, shared by the channels, then an MLP over channels, shared by the positions."""

from einmix import Architecture, Stage
from einmix.kinds import Activation, Mix, Norm, Residual
from search_spaces.blocks.parts import Inputs, mixer, mlp
from search_spaces.blocks.patch import Patch, patch_grid
from search_spaces.zoo.member import Member, Names, network, stem


def mlp_mixer(
    inputs: Inputs, *, patch: Patch, width: int, depth: int, tokens: int = 0, eps: float = 1e-5
) -> Architecture:
    """`tokens` are the hidden positions, by default half as many as channels, as published; `eps` is of the norms."""
    grid, norm = patch_grid(inputs.shape, patch), Norm(eps=eps)
    hidden = tokens or max(1, width // 2)
    first, *others = grid
    inner = {first: hidden} | dict.fromkeys(others, 1)
    there = mixer(grid, f"s{width}", {axis: f"m{n}:{inner[axis]}" for axis, n in grid.items()}, bias=True)
    back = mixer(inner, f"s{width}", {axis: f"m{inner[axis]}:{n}" for axis, n in grid.items()}, bias=True)
    block = (
        Residual((norm, Mix(there), Activation(), Mix(back))),
        mlp((norm,), width, 4),
    )
    return network(inputs, Stage(stem(inputs, patch, width), (block,) * depth), head=(norm,))


MEMBER = Member(
    "mixer",
    "MLPs over positions and over channels in turn",
    "Tolstikhin et al., MLP-Mixer, 2021 (arXiv:2105.01601)",
    mlp_mixer,
    {
        "s/16": {"patch": 16, "width": 512, "depth": 8, "eps": 1e-6},
        "s/32": {"patch": 32, "width": 512, "depth": 8, "eps": 1e-6},
        "b/16": {"patch": 16, "width": 768, "depth": 12, "eps": 1e-6},
        "b/32": {"patch": 32, "width": 768, "depth": 12, "eps": 1e-6},
        "l/16": {"patch": 16, "width": 1024, "depth": 24, "eps": 1e-6},
        "l/32": {"patch": 32, "width": 1024, "depth": 24, "eps": 1e-6},
    },
    timm=Names(
        stem={"0": "stem.proj"},
        block={
            "0.f.0": "norm1",
            "0.f.1": "mlp_tokens.fc1",
            "0.f.3": "mlp_tokens.fc2",
            "1.f.0": "norm2",
            "1.f.1": "mlp_channels.fc1",
            "1.f.3": "mlp_channels.fc2",
        },
        head={"0": "norm", "2": "head"},
        layers=2,
    ),
)
