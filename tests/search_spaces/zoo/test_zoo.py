"""The zoo: published sizes, the formulas of others, every number of axes, and texts that people can read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import published
import published_pyramids as pyramids
import pytest
import torch
from einops import EinopsError, rearrange
from einops.layers.torch import EinMix as Mix
from kinds import check_fan_ins
from parity import assert_same_outputs, copy_weights, in_float64, shaken
from texts import code_lines, images, loaded
from torch import Tensor, nn

from einmix import Architecture, build, source
from search_spaces.errors import SpaceError
from search_spaces.zoo import IMAGENET, ZOO, Inputs, member

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")

MEMBERS = pytest.mark.parametrize("name", ZOO)

SHAPES: dict[str, dict[str, int]] = {
    "sequence": {"t": 32},
    "image": {"h": 16, "w": 8},
    "volume": {"d": 8, "h": 8, "w": 4},
}


def small(name: str, shape: Mapping[str, int]) -> Architecture:
    """Two blocks at about 24 channels."""
    found = ZOO[name]
    return found.at(Inputs(shape, 3, 10), patch=2, width=-(-24 // found.step) * found.step, depth=2)


# ---------------------------------------------------------------------------------------------------- published sizes


PARAMS: dict[str, dict[str, int]] = {
    "mixer": {
        "s/16": 18_528_264,
        "s/32": 19_104_624,
        "b/16": 59_880_472,
        "b/32": 60_293_428,
        "l/16": 208_196_168,
        "l/32": 206_939_264,
    },
    "resmlp": {
        "s12": 15_350_872,
        "s24": 30_020_680,
        "s36": 44_690_488,
        "b24/16": 115_736_776,
        "b24/8": 129_138_280,
    },
    "gmlp": {"ti/16": 5_867_328, "s/16": 19_422_656, "b/16": 73_075_392},
    "convmixer": {"768/32": 21_110_248, "1024/20": 24_383_464, "1536/20": 51_625_960},
    "vip": {"small/14": 29_892_904, "small/7": 25_114_984, "medium/7": 55_272_488, "large/7": 87_784_936},
    "vip-sum": {"small/14": 27_216_232, "small/7": 22_883_176, "medium/7": 50_323_176, "large/7": 79_867_368},
    "dynamixer": {"small": 26_265_960, "medium": 57_128_264, "large": 97_818_088},
    "s2mlp": {"wide": 72_241_384, "deep": 53_917_288},
    "raft": {"s": 9_868_768, "m": 21_413_632, "l": 36_184_672},
    "smlp": {"t": 24_123_584, "s": 48_558_136, "b": 65_880_408},
    "hire": {"tiny": 18_041_672, "small": 33_113_848, "base": 58_226_856, "large": 95_723_944},
    "cycle": {"b1": 15_155_400, "b2": 26_802_504, "b3": 38_385_720, "b4": 51_796_552, "b5": 75_747_280},
    "as": {"tiny": 28_282_696, "small": 49_594_696, "base": 87_752_808},
}
"""Parameters at 224 x 224 with 1000 classes, as timm's networks and those of `published` have them."""

OURS = {"resmlp-tutorial", "fnet", "monarch", "maxim"}
"""Members of which nobody published a size for images."""

MACS: dict[str, dict[str, int]] = {
    "mixer": {
        "s/16": 3_776_958_464,
        "s/32": 1_002_426_368,
        "b/16": 12_601_767_936,
        "b/32": 3_237_722_112,
        "l/16": 44_547_678_208,
        "l/32": 11_253_293_056,
    },
    "resmlp": {"s12": 3_009_739_776, "s24": 5_961_292_800, "s36": 8_912_845_824, "b24/8": 100_230_739_968},
    "gmlp": {"ti/16": 1_328_989_184, "s/16": 4_392_060_928, "b/16": 15_720_452_096},
    "convmixer": {"768/32": 20_676_851_712, "1024/20": 5_948_547_072, "1536/20": 51_099_168_768},
    "vip-sum": {
        "small/14": 6_852_959_232,
        "small/7": 6_899_555_328,
        "medium/7": 16_279_392_256,
        "large/7": 24_332_455_936,
    },
    "s2mlp": {"wide": 13_989_033_984, "deep": 10_462_682_112},
}
"""Multiply-accumulates of matrix products and convolutions in the same networks, counted by hooks."""


@pytest.mark.parametrize("name", PARAMS)
def test_published_sizes_have_their_parameters(name: str) -> None:
    assert {variant: ZOO[name].published(variant).params for variant in ZOO[name].variants} == PARAMS[name]


def test_every_member_is_counted() -> None:
    assert ZOO.keys() == PARAMS.keys() | OURS


@pytest.mark.parametrize(
    ("name", "make", "sizes"),
    [
        ("vip", published.vip, published.VIP),
        ("vip-sum", partial(published.vip, weighted=False), published.VIP),
        ("dynamixer", published.dynamixer, published.DYNAMIXER),
        ("s2mlp", published.s2mlp, published.S2MLP),
    ],
)
def test_plain_networks_have_the_same_numbers(
    name: str, make: Callable[..., nn.Module], sizes: Mapping[str, dict[str, Any]]
) -> None:
    for variant, arguments in sizes.items():
        with torch.device("meta"):
            net = make(**arguments)
        assert sum(parameter.numel() for parameter in net.parameters()) == PARAMS[name][variant]


def in_place(arch: Architecture) -> int:
    """Multiply-accumulates of mixers that mix nothing, which hooks on linear layers do not see."""
    leaves = (leaf for part in arch.parts for step in part.steps for leaf in step.leaves())
    return sum(leaf.cost[1] for leaf in leaves if leaf.node.kind == "mix" and not leaf.node.mixer.mixed)


@pytest.mark.parametrize(("name", "variant"), [(name, variant) for name, found in MACS.items() for variant in found])
def test_published_sizes_have_their_multiply_accumulates(name: str, variant: str) -> None:
    arch = ZOO[name].published(variant)
    assert arch.macs - in_place(arch) == MACS[name][variant]


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("vip", {"small/14": 6_860_921_856, "small/7": 6_908_255_232, "large/7": 24_357_621_760}),
        ("dynamixer", {"small": 7_308_811_264, "medium": 16_992_751_616, "large": 27_360_743_424}),
    ],
)
def test_a_weighted_sum_is_counted_as_no_layer(name: str, counted: dict[str, int]) -> None:
    """torch's counter sees the products of three branches with their weights too."""
    for variant, macs in counted.items():
        arch = ZOO[name].published(variant)
        places = [stage["h"] * stage["w"] * stage["c"] for stage in arch.grids]
        products = sum(3 * n * len(stage.blocks) for n, stage in zip(places, arch.stages, strict=True))
        assert arch.macs + products == macs


def test_unpublished_sizes() -> None:
    """Those of the plain networks' defaults."""
    sizes = {"patch": 16, "width": 512, "depth": 8}
    assert ZOO["fnet"].make(IMAGENET, **sizes).params == 17_721_832
    monarch = ZOO["monarch"].make(IMAGENET, **sizes)
    assert (monarch.params, monarch.macs) == (6_278_440, 1_150_144_512)
    tutorial = ZOO["resmlp-tutorial"].make(IMAGENET, patch=16, width=384, depth=12)
    assert tutorial.params == PARAMS["resmlp"]["s12"]


# ---------------------------------------------------------------------------------------------------- any size


@pytest.mark.parametrize("shape", SHAPES)
@MEMBERS
def test_any_number_of_axes(name: str, shape: str) -> None:
    arch = small(name, SHAPES[shape])
    net = build(arch)
    assert arch.params == sum(parameter.numel() for parameter in net.parameters())
    scores = net(images(arch))
    assert scores.shape == (2, 10) and scores.isfinite().all()
    assert Architecture.from_json(arch.to_json()).id == arch.id
    check_fan_ins(arch)


@pytest.mark.parametrize("grid", [4, 7, 8, 14, 16, 40])
@MEMBERS
def test_widths_that_are_multiples_of_the_step_fit_usual_grids(name: str, grid: int) -> None:
    for times in (1, 2, 3, 5, 8):
        arch = ZOO[name].at(Inputs({"h": grid, "w": grid}, 3, 10), patch=1, width=times * ZOO[name].step, depth=1)
        assert arch.params and not arch.untouched()


@MEMBERS
def test_patches_that_do_not_divide(name: str) -> None:
    with pytest.raises(SpaceError, match="a patch of 4 does not divide axis t=30"):
        ZOO[name].at(Inputs({"t": 30}, 3, 10), patch=4, width=64, depth=1)


def test_members_by_name() -> None:
    assert member("gmlp") is ZOO["gmlp"]
    with pytest.raises(SpaceError, match="no network 'resmpl' in the zoo: did you mean 'resmlp'"):
        member("resmpl")
    assert all(found.name == name and found.summary and found.source for name, found in ZOO.items())


# ------------------------------------------------------------------------------------------ formulas of others


@dataclass(frozen=True)
class Plain:
    """A network of somebody else's, at a small size, and how its weights become ours."""

    make: Callable[[], nn.Module]
    inputs: Inputs
    sizes: Mapping[str, Any]
    rules: Mapping[str, str] = field(default_factory=dict)
    """Of weights that are not in `RULES`."""

    in_order: Callable[[nn.Module], Iterable[Tensor]] = nn.Module.parameters


RULES = {
    "hi wi ci co": "co ci hi wi",
    "hi wi ho wo": "(ho wo) (hi wi)",
    "hi ci ho co": "(ho co) (hi ci)",
    "wi ci wo co": "(wo co) (wi ci)",
    "ci co": "co ci",
    "h wi wo": "h wo wi",
    "w hi ho": "w ho hi",
    "g ci co": "g co ci",
}
"""How weights of others become ours, by our shape: patches, positions, a row, a column, channels, blocks of Monarch."""

IMAGE = Inputs({"h": 16, "w": 16}, 3, 5)
LARGER = Inputs({"h": 32, "w": 32}, 3, 5)


def timm_mixer(**kinds: str) -> nn.Module:
    """timm's class with so many layers of these kinds, looked up by name."""
    models = pytest.importorskip("timm.models.mlp_mixer")
    found = {argument: getattr(models, kind) for argument, kind in kinds.items()}
    ratio = {"SpatialGatingBlock": {"mlp_ratio": 6}, "ResBlock": {"mlp_ratio": 4}}.get(kinds.get("block_layer", ""), {})
    return models.MlpMixer(5, 16, patch_size=4, num_blocks=2, embed_dim=12, **found, **ratio)


def timm_convmixer() -> nn.Module:
    return pytest.importorskip("timm.models.convmixer").ConvMixer(12, 2, 5, 4, num_classes=5)


def resmlp_in_order(net: nn.Module) -> Iterable[Tensor]:
    """LayerScale stands before the layers in timm's blocks, and comes after them."""
    yield from net.stem.parameters()
    for block in net.blocks:
        yield from (*block.norm1.parameters(), *block.linear_tokens.parameters(), block.ls1)
        yield from (*block.norm2.parameters(), *block.mlp_channels.parameters(), block.ls2)
    yield from (*net.norm.parameters(), *net.head.parameters())


def pyramid_in_order(net: nn.Module) -> Iterable[Tensor]:
    """Branches of ours stand in the order c, h, w; theirs in that of their attributes, and of channels in a merge."""
    if isinstance(net, pyramids.Reweighted):
        order = [2, 0, 1] if isinstance(net.branches[0], pyramids.Region) else [2, 1, 0]
        *hidden, weight, bias = net.reweight.parameters()
        yield from chain(*(pyramid_in_order(net.branches[i]) for i in order), hidden)
        yield from (rearrange(p, "(c k) ... -> c k ...", k=3)[:, order].flatten(0, 1) for p in (weight, bias))
    elif isinstance(net, pyramids.SparseMixing):
        yield from (*net.along_h.parameters(), *net.along_w.parameters())
        yield rearrange(net.fuse.weight, "o (k c) 1 1 -> o k c", k=3)[:, [0, 2, 1]]
    elif isinstance(net, pyramids.AxialShift):
        yield from (*net.along_h.parameters(), *net.along_w.parameters())
    elif isinstance(next(net.children(), None), pyramids.Merge2x2):
        norm, linear = [*net.children()][1:]
        yield from (rearrange(p, "(wi hi c) -> (c hi wi)", wi=2, hi=2) for p in norm.parameters())
        yield rearrange(linear.weight, "o (wi hi c) 1 1 -> o (c hi wi)", wi=2, hi=2)
    elif isinstance(net, pyramids.SpatialGate):
        *others, bias = net.parameters()
        yield from (*others, bias + 1)
    else:
        yield from chain(net.parameters(recurse=False), *map(pyramid_in_order, net.children()))


def maxim_as_ours() -> nn.Module:
    """With the exact GELU, the norms' usual eps, and without squeeze-and-excite."""
    net = pyramids.maxim(**pyramids.SMALL[pyramids.maxim] | {"classes": 5})
    for module in list(net.modules()):
        if isinstance(module, nn.GELU):
            module.approximate = "none"
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-5
        for name, child in module.named_children():
            if isinstance(child, pyramids.ChannelAttention):
                setattr(module, name, nn.Identity())
    return net


def pyramid(make: Callable[..., nn.Module], sizes: Mapping[str, Any], rules: Mapping[str, str], **theirs: Any) -> Plain:
    """Large enough that no shift or region is longer than an axis, where we take a shorter one."""
    small = pyramids.SMALL[make] | theirs
    fours = {"width": (8, 12, 16, 24), "depth": (1, 1, 1, 1)}
    inputs = Inputs({"h": 64, "w": 64}, 3, 10)
    return Plain(partial(make, **small), inputs, fours | dict(sizes), rules, pyramid_in_order)


HIRE = {
    "hi ci ho co": "(co ho) (ci hi) 1 1",
    "wi ci wo co": "(co wo) (ci wi) 1 1",
    "hi ci co": "co (ci hi) 1 1",
    "wi ci co": "co (ci wi) 1 1",
    "ci ho co": "(co ho) ci 1 1",
    "ci wo co": "(co wo) ci 1 1",
    "ho co": "(co ho)",
    "wo co": "(co wo)",
}
RAFT = {
    "hi wi ci co": "co (ci hi wi)",
    "hi ci ho co": "(co ho) (ci hi)",
    "wi ci wo co": "(co wo) (ci wi)",
    "ho co": "(co ho)",
    "wo co": "(co wo)",
}
SMLP = {"hi ho": "ho hi", "wi wo": "wo wi"}

_small = {"patch": 4, "width": 12, "depth": 2}
_two = {"patch": 4, "width": (16, 32), "depth": (1, 2)}
_square = {"image": 32, "patch": 4, "classes": 5}
PLAIN: dict[str, Plain] = {
    "mixer": Plain(timm_mixer, IMAGE, _small | {"eps": 1e-6}),
    "resmlp": Plain(
        partial(timm_mixer, block_layer="ResBlock", norm_layer="Affine"), IMAGE, _small, in_order=resmlp_in_order
    ),
    "gmlp": Plain(
        partial(timm_mixer, block_layer="SpatialGatingBlock", mlp_layer="GatedMlp"), IMAGE, _small | {"eps": 1e-6}
    ),
    "convmixer": Plain(timm_convmixer, IMAGE, _small | {"kernel": 5}),
    "vip": Plain(partial(published.vip, stages=((16, 1, 8), (32, 2, 4)), **_square), LARGER, _two),
    "vip-sum": Plain(partial(published.vip, stages=((16, 1, 8), (32, 2, 4)), weighted=False, **_square), LARGER, _two),
    "dynamixer": Plain(
        partial(published.dynamixer, stages=((16, 1, 2), (32, 2, 4)), reduced=3, **_square),
        LARGER,
        _two | {"segment": 8, "reduced": 3},
    ),
    "s2mlp": Plain(partial(published.s2mlp, patch=4, width=12, depth=2, classes=5), IMAGE, _small),
    "s2mlp, norms first": Plain(
        partial(published.s2mlp, patch=4, width=12, depth=2, classes=5, prenorm=True), IMAGE, _small | {"prenorm": True}
    ),
    "fnet": Plain(partial(published.fnet, patch=4, width=12, depth=2, classes=5), IMAGE, _small),
    "monarch": Plain(partial(published.monarch_mixer, image=16, patch=4, width=12, depth=2, classes=5), IMAGE, _small),
    "raft": pyramid(pyramids.raft_mlp, {}, RAFT, image=64),
    "smlp": pyramid(pyramids.smlp_net, {"width": (8, 16, 32, 64)}, SMLP, image=64),
    "hire": pyramid(pyramids.hire_mlp, {"depth": (2, 2, 3, 2)}, HIRE, depths=(2, 2, 3, 2)),
    "cycle": pyramid(pyramids.cycle_mlp, {"ratio": (8, 8, 4, 4)}, {}, ratios=(8, 8, 4, 4)),
    "as": pyramid(pyramids.as_mlp, {"width": (10, 20, 40), "depth": (1, 2, 1)}, {}, depths=(1, 2, 1)),
    "maxim": Plain(maxim_as_ours, LARGER, {"width": 8, "depth": 1, "grid": 4, "block": 2}, in_order=pyramid_in_order),
}
"""By the member's name, and what is special after a comma."""


@pytest.mark.parametrize("name", PLAIN)
def test_computes_what_the_plain_network_does(name: str) -> None:
    plain = PLAIN[name]
    arch = ZOO[name.partition(",")[0]].make(plain.inputs, **plain.sizes)
    torch.manual_seed(0)
    theirs, ours = shaken(plain.make()), in_float64(partial(build, arch))
    copy_weights(ours, plain.in_order(theirs), RULES | dict(plain.rules))
    assert_same_outputs(ours, theirs, images(arch))


def test_the_write_up_of_raftmlp_adds_the_original_input() -> None:
    inputs, sizes = Inputs({"h": 8, "w": 8}, 3, 2), {"patch": 2, "width": 8, "depth": 1}
    arch = ZOO["raft"].make(inputs, **sizes, original=True)
    tokens, x = build(arch)[3], torch.randn(2, 4, 4, 8)
    first, *second = tokens.f
    assert torch.equal(tokens(x), x + nn.Sequential(*second)(x + first.f(x)))
    assert arch.params == ZOO["raft"].at(inputs, **sizes).params


def test_a_pyramid_has_a_width_and_a_depth_for_every_stage() -> None:
    with pytest.raises(SpaceError, match="2 widths and 1 depths: one of each a stage is expected"):
        ZOO["smlp"].make(Inputs({"h": 32, "w": 32}, 3, 2), width=(8, 16), depth=2)


@pytest.mark.parametrize("name", ["raft", "smlp", "hire", "cycle", "as", "maxim"])
@pytest.mark.parametrize(
    ("shape", "patch"),
    [({"t": 40}, 2), ({"h": 28, "w": 28}, 4), ({"h": 32, "w": 32}, 4), ({"d": 16, "h": 16, "w": 16}, 4)],
    ids=str,
)
def test_pyramids_of_one_and_of_two_stages(name: str, shape: dict[str, int], patch: int) -> None:
    even = all(n % (2 * patch) == 0 for n in shape.values())
    for width, depth in ((16, 2), *[((8, 16), (1, 2))] * even):
        arch = ZOO[name].make(Inputs(shape, 2, 3), patch=patch, width=width, depth=depth)
        net = build(arch)
        assert net(torch.randn(2, 2, *shape.values())).shape == (2, 3)
        assert sum(p.numel() for p in net.parameters()) == arch.params and not arch.untouched()


# ---------------------------------------------------------------------------------------------------- the texts


LONGER = {"hire"}
"""Four stages of blocks of which no two neighbours are alike: up to 100 lines."""

TEXTS = [(name, variant) for name, found in ZOO.items() for variant in (*found.variants, *SHAPES)]


@pytest.mark.parametrize(("name", "variant"), TEXTS)
def test_texts_are_short_and_narrow(name: str, variant: str) -> None:
    arch = small(name, SHAPES[variant]) if variant in SHAPES else ZOO[name].published(variant)
    text = source(arch, facts={"title": name})
    longer = 16 if name in LONGER else 10 if variant == "volume" else 0
    assert len(code_lines(text)) <= 84 + longer
    assert not re.search(r"\bn\d?=", text), "a size that does not say what it is"
    assert max(map(len, text.splitlines())) <= 120
    assert Architecture.from_json(arch.to_json()).id == arch.id


def test_a_scale_of_any_digits_is_kept() -> None:
    found = [
        ZOO["resmlp"].make(Inputs({"t": 8}, 1, 2), patch=2, width=8, depth=1, scale=scale)
        for scale in (0.1, 0.1 / 7, 0.0142857)
    ]
    assert len({arch.id for arch in found}) == 3 and "c=g8; start 0.014285714285714287" in found[1].to_json()


@MEMBERS
def test_texts_can_be_scripted(name: str, tmp_path: Path) -> None:
    """As the tutorial times its blocks."""
    arch = small(name, SHAPES["image"])
    net = loaded(source(arch), tmp_path).model()
    assert torch.allclose(torch.jit.script(net)(images(arch)), net(images(arch)), atol=1e-5)


# ---------------------------------------------------------------------------------------------------- the tutorial


class Affine(nn.Module):
    """This and what follows stand in the EinMix tutorial of einops, up to annotations."""

    def __init__(self, dim: int):
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(dim))
        self.beta = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        return self.alpha * x + self.beta


def mlp(dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))


class ResMLP_Blocks(nn.Module):
    def __init__(self, nb_patches: int, dim: int, layerscale_init: float):
        super().__init__()
        self.affine_1 = Affine(dim)
        self.affine_2 = Affine(dim)
        self.linear_patches = nn.Linear(nb_patches, nb_patches)
        self.mlp_channels = mlp(dim)
        self.layerscale_1 = nn.Parameter(layerscale_init * torch.ones(dim))
        self.layerscale_2 = nn.Parameter(layerscale_init * torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        res_1 = self.linear_patches(self.affine_1(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.layerscale_1 * res_1
        res_2 = self.mlp_channels(self.affine_2(x))
        return x + self.layerscale_2 * res_2


def init(layer: Mix, scale: float = 1.0) -> Mix:
    layer.weight.data[:] = scale
    if layer.bias is not None:
        layer.bias.data[:] = 0
    return layer


class ResMLP_Blocks2(nn.Module):
    def __init__(self, nb_patches: int, dim: int, layerscale_init: float):
        super().__init__()
        self.affine1 = init(Mix("b t c -> b t c", weight_shape="c", bias_shape="c", c=dim))
        self.affine2 = init(Mix("b t c -> b t c", weight_shape="c", bias_shape="c", c=dim))
        self.mix_patches = Mix("b t c -> b t0 c", weight_shape="t t0", bias_shape="t0", t=nb_patches, t0=nb_patches)
        self.mlp_channels = mlp(dim)
        self.linear1 = init(Mix("b t c -> b t c", weight_shape="c", c=dim), scale=layerscale_init)
        self.linear2 = init(Mix("b t c -> b t c", weight_shape="c", c=dim), scale=layerscale_init)

    def forward(self, x: Tensor) -> Tensor:
        res1 = self.mix_patches(self.affine1(x))
        x = x + self.linear1(res1)
        res2 = self.mlp_channels(self.affine2(x))
        return x + self.linear2(res2)


class ResMLP_Blocks3(nn.Module):
    def __init__(self, nb_patches: int, dim: int, layerscale_init: float):
        super().__init__()
        self.branch_patches = nn.Sequential(
            init(Mix("b t c -> b t c", weight_shape="c", c=dim), scale=layerscale_init),
            Mix("b t c -> b t0 c", weight_shape="t t0", bias_shape="t0", t=nb_patches, t0=nb_patches),
            init(Mix("b t c -> b t c", weight_shape="c", bias_shape="c", c=dim)),
        )
        self.branch_channels = nn.Sequential(
            init(Mix("b t c -> b t c", weight_shape="c", c=dim), scale=layerscale_init),
            *mlp(dim),
            init(Mix("b t c -> b t c", weight_shape="c", bias_shape="c", c=dim)),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.branch_patches(x)
        return x + self.branch_channels(x)


def token_mixer(num_features: int, n_patches: int, expansion_factor: int, **hidden: int) -> nn.Sequential:
    """The tutorial's TokenMixer; `hidden` is the name and size of the hidden axis as they are passed."""
    return nn.Sequential(
        nn.LayerNorm(num_features),
        Mix("b hw c -> b hid c", weight_shape="hw hid", bias_shape="hid", hw=n_patches, **hidden),
        nn.GELU(),
        nn.Dropout(0.0),
        Mix("b hid c -> b hw c", weight_shape="hid hw", bias_shape="hw", hw=n_patches, **hidden),
        nn.Dropout(0.0),
    )


def block(name: str, **options: Any) -> nn.Sequential:
    """Both branches of our block over 8 positions of 6 channels."""
    net = build(ZOO[name].make(Inputs({"t": 8}, 3, 5), patch=1, width=6, depth=1, **options))
    return net[1:3].double()


TOKENS = torch.randn(2, 8, 6, generator=torch.Generator().manual_seed(1))


def test_the_forms_of_resmlp_in_the_tutorial_are_one_function() -> None:
    """The third puts the scale first and the affine last, so it is the same function while nothing shifts."""
    first, second, third = (form(8, 6, 0.5).double() for form in (shaken_blocks, ResMLP_Blocks2, ResMLP_Blocks3))
    a, b, linear, layers = first.affine_1, first.affine_2, first.linear_patches, first.mlp_channels
    scales = first.layerscale_1, first.layerscale_2
    inner = *linear.parameters(), *layers.parameters()
    copy_weights(second, (*a.parameters(), *b.parameters(), *inner, *scales), {"t t0": "t0 t"})
    assert_same_outputs(second, first, TOKENS)

    ours = block("resmlp")
    copy_weights(
        ours,
        (*a.parameters(), *linear.parameters(), scales[0], *b.parameters(), *layers.parameters(), scales[1]),
        {"ti to": "to ti"},
    )
    assert_same_outputs(ours, first, TOKENS)

    with torch.no_grad():
        a.beta.zero_()
        b.beta.zero_()
    patches = a.alpha, *linear.parameters(), scales[0], a.beta
    copy_weights(third, (*patches, b.alpha, *layers.parameters(), scales[1], b.beta), {"t t0": "t0 t"})
    assert_same_outputs(third, first, TOKENS)


def shaken_blocks(*sizes: Any) -> nn.Module:
    return shaken(ResMLP_Blocks(*sizes))


def test_the_last_form_of_resmlp_in_the_tutorial_is_a_member() -> None:
    theirs, ours = shaken(ResMLP_Blocks3(8, 6, 0.5)), block("resmlp-tutorial")
    copy_weights(ours, theirs.parameters(), {})
    assert_same_outputs(ours, theirs, TOKENS)


@pytest.mark.parametrize(("name", "tutorial"), [("resmlp", ResMLP_Blocks2), ("resmlp-tutorial", ResMLP_Blocks3)])
def test_scales_start_as_the_tutorial_starts_them(name: str, tutorial: Any) -> None:
    ours = [layer for layer in block(name, scale=0.5).modules() if getattr(layer, "weight_shape", "") == "c"]
    for layer in ours:
        value = 1.0 if layer.bias is not None else 0.5
        assert (layer.weight == value).all() and (layer.bias is None or not layer.bias.any())
    theirs = [layer for layer in tutorial(8, 6, 0.5).modules() if getattr(layer, "weight_shape", "") == "c"]
    assert sorted(layer.weight[0].item() for layer in ours) == sorted(layer.weight[0].item() for layer in theirs)


def test_the_token_mixer_of_the_tutorial() -> None:
    """As printed it names the axis `hid` and passes `hidden`; mended, it is our branch but for the residual."""
    with pytest.raises(EinopsError):
        token_mixer(6, 8, 2, hidden=16)
    theirs, ours = shaken(token_mixer(6, 8, 2, hid=16)), block("mixer", tokens=16)[0]
    copy_weights(ours, theirs.parameters(), {})
    assert_same_outputs(ours.f, theirs, TOKENS)


def test_redundant_layers_that_the_tutorial_points_out() -> None:
    """A linear layer after an affine, and one before a scale: over channels, not over positions."""
    inputs = Inputs({"t": 8}, 3, 5)
    assert (
        ZOO["resmlp"].at(inputs, patch=1, width=6, depth=2).redundancies()
        == (
            "t=s8 c=g6 +b is redundant before t=s8 c=m6:24 +b",
            "t=s8 c=g6 is redundant after t=s8 c=m24:6 +b",
        )
        * 2
    )
    assert ZOO["resmlp-tutorial"].at(inputs, patch=1, width=6, depth=1).redundancies() == (
        "t=s8 c=g6 is redundant before t=s8 c=m6:24 +b",
        "t=s8 c=g6 +b is redundant after t=s8 c=m24:6 +b",
    )
