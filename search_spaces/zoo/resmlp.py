"""ResMLP: one linear layer over positions, an MLP over channels, and factors for every channel in place of norms."""

from functools import partial

from einmix import Architecture, Stage
from einmix.kinds import Activation, Linear, Mix, Residual
from einmix.nodes.fields import number
from search_spaces.blocks.parts import Inputs, affine, everywhere
from search_spaces.blocks.patch import Patch, patch_grid
from search_spaces.zoo.member import Member, Names, network, stem


def resmlp(
    inputs: Inputs, *, patch: Patch, width: int, depth: int, scale: float = 0.1, scale_first: bool = False
) -> Architecture:
    """LayerScale starts at `scale` and ends a branch, which an affine begins; with `scale_first` they change places."""
    grid = patch_grid(inputs.shape, patch)
    shift = affine(grid, width)
    layer_scale = affine(grid, width, bias=False, start="" if scale == 1 else number(scale))
    before, after = (layer_scale, shift) if scale_first else (shift, layer_scale)
    block = (
        Residual((before, Mix(everywhere(grid, f"s{width}")), after)),
        Residual((before, Linear(4 * width), Activation(), Linear(width), after)),
    )
    return network(inputs, Stage(stem(inputs, patch, width), (block,) * depth), head=(shift,))


MEMBER = Member(
    "resmlp",
    "one linear layer over positions, an MLP over channels; factors a channel in place of norms",
    "Touvron et al., ResMLP, 2021 (arXiv:2105.03404)",
    resmlp,
    {
        "s12": {"patch": 16, "width": 384, "depth": 12, "scale": 1e-4},
        "s24": {"patch": 16, "width": 384, "depth": 24, "scale": 1e-5},
        "s36": {"patch": 16, "width": 384, "depth": 36, "scale": 1e-6},
        "b24/16": {"patch": 16, "width": 768, "depth": 24, "scale": 1e-6},
        "b24/8": {"patch": 8, "width": 768, "depth": 24, "scale": 1e-6},
    },
    step=1,
    timm=Names(
        stem={"0": "stem.proj"},
        block={
            "0.f.0.weight": "norm1.alpha",
            "0.f.0.bias": "norm1.beta",
            "0.f.1": "linear_tokens",
            "0.f.2.weight": "ls1",
            "1.f.0.weight": "norm2.alpha",
            "1.f.0.bias": "norm2.beta",
            "1.f.1": "mlp_channels.fc1",
            "1.f.3": "mlp_channels.fc2",
            "1.f.4.weight": "ls2",
        },
        head={"0.weight": "norm.alpha", "0.bias": "norm.beta", "2": "head"},
        layers=2,
    ),
)

TUTORIAL = Member(
    "resmlp-tutorial",
    "ResMLP as the EinMix tutorial rewrites it last: scale first and affine last in both branches",
    "Rogozhnikov, EinMix tutorial, 2022 (einops, docs/3-einmix-layer.ipynb)",
    partial(resmlp, scale=1.0, scale_first=True),
    step=1,
)
