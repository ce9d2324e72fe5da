"""S2-MLP: groups of channels moved by one position along every axis, both ways, between linear layers over channels."""

from einmix import Architecture, Stage
from einmix.kinds import Activation, Linear, Norm, Residual, Shift
from search_spaces.blocks.parts import Inputs, mlp
from search_spaces.blocks.patch import Patch, patch_grid
from search_spaces.zoo.member import Member, network, stem


def s2mlp(
    inputs: Inputs, *, patch: Patch, width: int, depth: int, ratio: int = 4, prenorm: bool = False
) -> Architecture:
    """The norm of a branch stands at its end, or at its beginning: readings of the paper differ."""
    axes = reversed([axis for axis, n in patch_grid(inputs.shape, patch).items() if n > 1])
    shift = Shift(tuple((axis, by) for axis in axes for by in (1, -1)), edge="keep")
    first, last = ((Norm(),), ()) if prenorm else ((), (Norm(),))
    block = (
        Residual((*first, Linear(width), Activation(), shift, Linear(width), *last)),
        mlp(first, width, ratio, *last),
    )
    return network(inputs, Stage(stem(inputs, patch, width, Norm()), (block,) * depth), head=())


MEMBER = Member(
    "s2mlp",
    "channels shifted by a position along every axis, between linear layers",
    "Yu et al., S2-MLP, 2021 (arXiv:2106.07477)",
    s2mlp,
    {
        "wide": {"patch": 16, "width": 768, "depth": 12},
        "deep": {"patch": 16, "width": 384, "depth": 36},
    },
    step=4,
)
