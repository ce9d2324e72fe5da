"""The systems of five documents on mixing, as these have them, against networks made of our nodes.

The documents: the EinMix tutorial (einops, docs/3-einmix-layer.ipynb), EinMix itself (einops, _einmix.py), a write-up
of RaftMLP and DynaMixer, and two of MLP-Mixer. `docs/zoo.md` says for each of their systems which test has it; ResMLP
and timm's networks are in `test_zoo.py`. Names in the documents' code are kept; a class that was mended says how.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from math import isqrt
from pathlib import Path
from typing import Any

import pytest
import torch
from einops import EinopsError, rearrange
from einops.layers.torch import EinMix, Rearrange
from parity import copy_weights, shaken
from texts import code_lines, loaded
from torch import Tensor, nn
from torch.nn import functional as F

from einmix import Architecture, Mixer, Node, PatternError, Sequence, Stage, build, source
from einmix.kinds import Activation, Concat, Drop, Dynamic, Linear, Mix, Norm, Residual, Reweight, Sum, Unfold
from search_spaces.zoo import ZOO, Inputs


@pytest.fixture(autouse=True)
def in_float64() -> Iterator[None]:
    """So that only another formula makes another output."""
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def network(nodes: Iterable[Node], sizes: Mapping[str, int]) -> Architecture:
    """A network of these nodes alone; `sizes` are those that they meet, channels last."""
    found = Architecture(tuple(sizes.items()), (Stage(tuple(nodes), ()),), 1, head=())
    assert Architecture.from_json(found.to_json()) == found
    return found


def body(net: nn.Module) -> nn.Module:
    """A network without the mean over positions and the classifier: `b c ...` -> `b ... c`."""
    return net[:-2]


# ---------------------------------------------------------------------------------------------------- single lines


@dataclass(frozen=True)
class Line:
    """A line of EinMix as a document has it, the mixer that it is, and what it computes in plain torch.

    `plain` takes the input, the weight and the bias if there is one; `enters` and `leaves` are the order of the axes.
    """

    name: str
    pattern: str
    weight: str
    bias: str | None
    sizes: str
    mixer: str
    plain: Callable[..., Tensor]
    enters: str
    leaves: str = ""
    in_order: str = ""
    """The axes of the weight in our order, where it is another one."""

    @property
    def call(self) -> dict[str, Any]:
        found = {name: int(n) for name, n in re.findall(r"(\w+)=(\d+)", self.sizes)}
        return {"pattern": self.pattern, "weight_shape": self.weight, "bias_shape": self.bias} | found


def convolved(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The convolution that the documents embed patches with; the weight is `c_in hp wp c`."""
    kernel = weight.permute(3, 0, 1, 2)
    return F.conv2d(x, kernel, bias.flatten(), stride=kernel.shape[2:]).flatten(2).transpose(1, 2)


def in_parts(x: Tensor, weight: Tensor, at: Callable[[int, int, int], slice]) -> Tensor:
    """`b c ...`, the axes cut into parts, and every part mixed with the weights of its channel.

    `at` says which positions belong to the part with some number, from the length of the axis and of a part.
    """
    y, lengths = torch.empty_like(x), weight.shape[1 : x.ndim - 1]
    dense = weight.reshape(len(weight), lengths.numel(), -1)
    for numbers in product(*(range(n // size) for n, size in zip(x.shape[2:], lengths, strict=True))):
        part = (..., *(at(k, n, size) for k, n, size in zip(numbers, x.shape[2:], lengths, strict=True)))
        y[part] = torch.einsum("bci,cio->bco", x[part].flatten(2), dense).unflatten(2, lengths)
    return y


def patches(x: Tensor, weight: Tensor) -> Tensor:
    """Neighbours mixed."""
    return in_parts(x, weight, lambda k, n, size: slice(k * size, (k + 1) * size))


def subgrids(x: Tensor, weight: Tensor) -> Tensor:
    """Every k-th position mixed."""
    return in_parts(x, weight, lambda k, n, size: slice(k, None, n // size))


def within_segments(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`b l a (n c)`: an axis l and the channels of each segment as one linear layer."""
    length, size = weight.shape[:2]
    parts = x.unflatten(3, (-1, size)).permute(0, 2, 3, 1, 4).flatten(3)  # b a n (l c)
    y = F.linear(parts, weight.flatten(2).flatten(0, 1).T, bias.flatten())
    return y.unflatten(3, (length, size)).permute(0, 3, 1, 2, 4).flatten(3)


def every_second_row_in_groups(x: Tensor, weight: Tensor) -> Tensor:
    """`b h w c`: rows in steps of 2, channels in two halves."""
    y = torch.empty_like(x)
    for step, (group, part) in product(range(2), enumerate((slice(0, 3), slice(3, 6)))):
        y[:, step::2, :, part] = torch.einsum("bhwc,hcko->bkwo", x[:, step::2, :, part], weight[group])
    return y


_2D = "h=2 hI=3 hO=3 w=2 wI=4 wO=4 c=3"
_3D = "d=3 dI=2 dO=2 " + _2D
_4D = "t=2 tI=2 tO=2 d=2 dI=3 dO=3 h=1 hI=3 hO=3 w=2 wI=2 wO=2 c=2"
# fmt: off
LINES = [
    Line("linear", "t b c -> t b c_out", "c c_out", None, "t=5 c=6 c_out=4", "t=s5 c=m6:4",
         partial(torch.einsum, "tbc,cd->tbd"), "t b c"),
    Line("affine", "b t c -> b t c", "c", "c", "t=5 c=6", "t=s5 c=g6 +b",
         lambda x, alpha, beta: alpha * x + beta.flatten(), "b t c"),
    Line("layer scale", "b t c -> b t c", "c", None, "t=5 c=6", "t=s5 c=g6", lambda x, scale: scale * x, "b t c"),
    Line("ResMLP's patches", "b t c -> b t0 c", "t t0", "t0", "t=5 t0=5 c=6", "t=m5 c=s6 +b",
         lambda x, weight, bias: F.linear(x.transpose(1, 2), weight.T, bias.flatten()).transpose(1, 2), "b t c"),
    Line("patch embedding", "b c_in (h hp) (w wp) -> b (h w) c", "c_in hp wp c", "c",
         "c_in=3 h=2 hp=4 w=3 wp=4 c=5", "h=s2.m4:1 w=s3.m4:1 c=m3:5 +b", convolved, "b c h w", "b (h w) c",
         in_order="hp wp c_in c"),
    Line("Vision Permutator, channels", "b h w c -> b h w c0", "c c0", "c0", "h=4 w=3 c=6 c0=6", "h=s4 w=s3 c=m6 +b",
         lambda x, weight, bias: F.linear(x, weight.T, bias.flatten()), "b h w c"),
    Line("Vision Permutator, height", "b h w (n c) -> b h0 w (n c0)", "h c h0 c0", "h0 c0",
         "h=4 h0=4 w=3 n=3 c=2 c0=2", "h=m4 w=s3 c=s3.m2 +b", within_segments, "b h w c"),
    Line("Vision Permutator, width", "b h w (n c) -> b h w0 (n c0)", "w c w0 c0", "w0 c0",
         "h=4 w=3 w0=3 n=3 c=2 c0=2", "h=s4 w=m3 c=s3.m2 +b",
         lambda x, *weights: within_segments(x.transpose(1, 2), *weights).transpose(1, 2), "b h w c"),
    Line("shared by channels", "b hw c -> b hw_out c", "hw hw_out", None, "hw=5 hw_out=5 c=6", "hw=m5 c=s6",
         partial(torch.einsum, "btc,tu->buc"), "b hw c"),
    Line("per channel", "b hw c -> b hw_out c", "c hw hw_out", None, "hw=5 hw_out=5 c=6", "hw=m5 c=g6",
         partial(torch.einsum, "btc,ctu->buc"), "b hw c"),
    Line("per group of channels", "b hw (group c) -> b hw_out (group c)", "group hw hw_out", None,
         "hw=5 hw_out=5 group=2 c=3", "hw=m5 c=g2.s3",
         lambda x, weight: torch.einsum("btgc,gtu->bugc", x.unflatten(2, (2, 3)), weight).flatten(2), "b hw c"),
    Line("local", "b c (h hI) (w wI) -> b c (h hO) (w wO)", "c hI wI hO wO", None, _2D, "h=s2.m3 w=s2.m4 c=g3",
         patches, "b c h w"),
    Line("subgrid", "b c (hI h) (wI w) -> b c (hO h) (wO w)", "c hI wI hO wO", None, _2D, "h=m3.s2 w=m4.s2 c=g3",
         subgrids, "b c h w"),
    Line("part of an axis", "b c (h hI) w -> b c (h hO) w", "c hI hO", None, "h=2 hI=3 hO=3 w=4 c=3",
         "h=s2.m3 w=s4 c=g3", lambda x, weight: rearrange(patches(rearrange(x, "b c h w -> (b w) c h"), weight),
         "(b w) c h -> b c h w", w=4), "b c h w"),
    Line("part of an axis, like a grid, channels within groups", "b (h n) w (g c) -> b (h0 n) w (g c0)",
         "g h c h0 c0", None, "n=2 h=3 h0=3 w=4 g=2 c=3 c0=3", "h=m3.s2 w=s4 c=g2.m3", every_second_row_in_groups,
         "b h w c"),
    Line("in 1D", "b c (tI t) -> b c (tO t)", "c tI tO", None, "t=3 tI=4 tO=4 c=3", "t=m4.s3 c=g3", subgrids,
         "b c t"),
    Line("in 3D, local", "b c (d dI) (h hI) (w wI) -> b c (d dO) (h hO) (w wO)", "c dI hI wI dO hO wO", None, _3D,
         "d=s3.m2 h=s2.m3 w=s2.m4 c=g3", patches, "b c d h w"),
    Line("in 3D, subgrid", "b c (dI d) (hI h) (wI w) -> b c (dO d) (hO h) (wO w)", "c dI hI wI dO hO wO", None, _3D,
         "d=m2.s3 h=m3.s2 w=m4.s2 c=g3", subgrids, "b c d h w"),
    Line("in 4D, local", "b c (t tI) (d dI) (h hI) (w wI) -> b c (t tO) (d dO) (h hO) (w wO)",
         "c tI dI hI wI tO dO hO wO", None, _4D, "t=s2.m2 d=s2.m3 h=m3 w=s2.m2 c=g2", patches, "b c t d h w"),
    Line("in 4D, subgrid", "b c (tI t) (dI d) (hI h) (wI w) -> b c (tO t) (dO d) (hO h) (wO w)",
         "c tI dI hI wI tO dO hO wO", None, _4D, "t=m2.s2 d=m3.s2 h=m3 w=m2.s2 c=g2", subgrids, "b c t d h w"),
    # what _einmix.py shows, its batch first or not, with the sizes that it leaves out
    Line("_einmix: linear", "time batch channel_in -> time batch channel_out", "channel_in channel_out", None,
         "time=5 channel_in=6 channel_out=4", "time=s5 channel=m6:4", partial(torch.einsum, "tbi,io->tbo"), "time b c"),
    Line("_einmix: with a bias", "t b cin -> t b cout", "cin cout", "cout", "t=5 cin=10 cout=20", "t=s5 cin=m10:20 +b",
         lambda x, weight, bias: F.linear(x, weight.T, bias.flatten()), "t b c"),
    Line("_einmix: height", "b h w c-> b hout w c", "h hout", "hout", "h=32 hout=32 w=4 c=3", "h=m32 w=s4 c=s3 +b",
         lambda x, weight, bias: torch.einsum("bhwc,ho->bowc", x, weight) + bias, "b h w c"),
    Line("_einmix: multiplication", "t b c -> t b c", "c", None, "t=5 c=128", "t=s5 c=g128",
         lambda x, weight: x * weight, "t b c"),
    Line("_einmix: heads", "t b (head cin) -> t b (head cout)", "head cin cout", None, "t=5 head=2 cin=3 cout=4",
         "t=s5 c=g2.m3:4", lambda x, weight: torch.cat([p @ w for p, w in zip(x.chunk(2, 2), weight, strict=True)], 2),
         "t b c"),
    # what a write-up of MLP-Mixer compares token mixing with
    Line("depthwise convolution as large as the grid", "b c (h k) (w l) -> b c h w", "c k l", None,
         "h=1 k=4 w=1 l=3 c=5", "h=m4:1 w=m3:1 c=g5", lambda x, weight: F.conv2d(x, weight[:, None], groups=5),
         "b c h w"),
    Line("1 x 1 convolution", "b ci h w -> b co h w", "ci co", "co", "h=4 w=3 ci=6 co=5", "h=s4 w=s3 c=m6:5 +b",
         lambda x, weight, bias: F.conv2d(x, weight.T[..., None, None], bias.flatten()), "b c h w"),
]
# fmt: on


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_lines(line: Line) -> None:
    """The line as einops runs it, in plain torch, and as a network with the mixer that it is read as."""
    mixer, layer = Mixer.from_einmix(**line.call), EinMix(**line.call)
    assert str(mixer) == line.mixer
    *axes, (_, channels) = mixer.axes
    mixer = Mixer((*axes, ("c", channels)), mixer.bias)  # the last axis of a network is c, whatever the line calls it
    ours = body(build(network([Mix(mixer)], mixer.inputs)))

    weight = rearrange(layer.weight, f"{line.weight} -> {line.in_order or line.weight}")
    copy_weights(ours, [weight] + [layer.bias] * mixer.bias, {})
    names = " ".join(name for name, _ in axes)
    x = torch.randn(2, *(mixer.inputs[name] for name in ("c", *names.split())))
    entering = rearrange(x, f"b c {names} -> {line.enters}")
    theirs = layer(entering)
    torch.testing.assert_close(line.plain(entering, *layer.parameters()), theirs)
    torch.testing.assert_close(rearrange(ours(x), f"b {names} c -> {line.leaves or line.enters}"), theirs)


@pytest.mark.parametrize(
    ("pattern", "weight", "bias", "sizes", "fact", "hint"),
    [
        (
            "time batch channel_in -> time batch channel_out",
            "channel_in channel_out",
            None,
            {},
            "the size of axis channel_in",
            "pass channel_in=...",
        ),
        ("t b cin -> t b cout", "cin cout", "cout", {"cin": 10, "cout": 20}, "the size of axis t", "pass t=..."),
        ("h w c-> hout w c", "h hout", "hout", {"h": 32, "hout": 32}, "the size of axis w", "pass w=..."),
        ("t b c -> t b c", "c", None, {"c": 128}, "the size of axis t", "pass t=..."),
        ("t b (head cin) -> t b (head cout)", "head cin cout", None, {}, "the size of axis head", "pass head=..."),
    ],
)
def test_what_einmix_documents_lacks_sizes(
    pattern: str, weight: str, bias: str | None, sizes: dict[str, int], fact: str, hint: str
) -> None:
    """A mixer has a size for every axis; einops asks for those of the weight alone, and its examples give no more."""
    with pytest.raises(PatternError) as error:
        Mixer.from_einmix(pattern, weight, bias, **sizes)
    assert str(error.value).startswith(f"{fact} is missing: ") and str(error.value).endswith(hint)


def test_the_height_example_has_no_batch() -> None:
    call = {"pattern": "h w c-> hout w c", "weight_shape": "h hout", "bias_shape": "hout", "h": 32, "hout": 32}
    with pytest.raises(PatternError, match="a batch axis is missing"):
        Mixer.from_einmix(**call, w=4, c=3)
    assert str(Mixer.from_einmix(**call, c=3)) == "h=m32 c=s3 +b"  # w, which has no size, is taken for it


# ------------------------------------------------------------------------------------------------- the tutorial's code


class MLP(nn.Module):
    def __init__(self, num_features: int, expansion_factor: int, dropout: float):
        super().__init__()
        num_hidden = num_features * expansion_factor
        self.fc1 = nn.Linear(num_features, num_hidden)
        self.dropout1 = nn.Dropout(dropout)
        self.fc2 = nn.Linear(num_hidden, num_features)
        self.dropout2 = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout1(F.gelu(self.fc1(x)))
        return self.dropout2(self.fc2(x))


class TokenMixer(nn.Module):
    def __init__(self, num_features: int, num_patches: int, expansion_factor: int, dropout: float):
        super().__init__()
        self.norm = nn.LayerNorm(num_features)
        self.mlp = MLP(num_patches, expansion_factor, dropout)

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        x = self.norm(x)
        x = x.transpose(1, 2)
        x = self.mlp(x)
        x = x.transpose(1, 2)
        return x + residual


def token_mixer(num_features: int, n_patches: int, expansion_factor: int, dropout: float) -> nn.Sequential:
    """The rewritten TokenMixer. Mended: the size of `hid` was passed as `hidden`, which einops refuses."""
    n_hidden = n_patches * expansion_factor
    return nn.Sequential(
        nn.LayerNorm(num_features),
        EinMix("b hw c -> b hid c", weight_shape="hw hid", bias_shape="hid", hw=n_patches, hid=n_hidden),
        nn.GELU(),
        nn.Dropout(dropout),
        EinMix("b hid c -> b hw c", weight_shape="hid hw", bias_shape="hw", hw=n_patches, hid=n_hidden),
        nn.Dropout(dropout),
    )


def convolutional_token_mixer(num_features: int, n_patches: int, factor: int, dropout: float) -> nn.Sequential:
    """The way of the implementation that the tutorial points to: a convolution with tokens as its channels."""
    return nn.Sequential(
        nn.LayerNorm(num_features),
        nn.Conv1d(n_patches, n_patches * factor, kernel_size=1),
        nn.GELU(),
        nn.Dropout(dropout),
        nn.Conv1d(n_patches * factor, n_patches, kernel_size=1),
        nn.Dropout(dropout),
    )


class Patcher(nn.Module):
    """Without the check that patches divide the image."""

    def __init__(self, patch_size: int = 16, in_channels: int = 3, num_features: int = 128):
        super().__init__()
        self.patcher = nn.Conv2d(in_channels, num_features, kernel_size=patch_size, stride=patch_size)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patcher(x)
        batch_size, num_features, _, _ = patches.shape
        patches = patches.permute(0, 2, 3, 1)
        return patches.view(batch_size, -1, num_features)


def patcher(patch_size: int = 16, in_channels: int = 3, num_features: int = 128) -> EinMix:
    return EinMix(
        "b c_in (h hp) (w wp) -> b (h w) c",
        weight_shape="c_in hp wp c",
        bias_shape="c",
        c=num_features,
        hp=patch_size,
        wp=patch_size,
        c_in=in_channels,
    )


class WeightedPermuteMLP(nn.Module):
    def __init__(self, H: int, W: int, C: int, S: int):
        super().__init__()
        self.proj_h = nn.Linear(H * S, H * S)
        self.proj_w = nn.Linear(W * S, W * S)
        self.proj_c = nn.Linear(C, C)
        self.proj = nn.Linear(C, C)
        self.S = S

    def forward(self, x: Tensor) -> Tensor:
        B, H, W, C = x.shape
        S = self.S
        N = C // S
        x_h = x.reshape(B, H, W, N, S).permute(0, 3, 2, 1, 4).reshape(B, N, W, H * S)
        x_h = self.proj_h(x_h).reshape(B, N, W, H, S).permute(0, 3, 2, 1, 4).reshape(B, H, W, C)
        x_w = x.reshape(B, H, W, N, S).permute(0, 1, 3, 2, 4).reshape(B, H, N, W * S)
        x_w = self.proj_w(x_w).reshape(B, H, N, W, S).permute(0, 1, 3, 2, 4).reshape(B, H, W, C)
        x_c = self.proj_c(x)
        x = x_h + x_w + x_c
        return self.proj(x)


class WeightedPermuteMLP_new(nn.Module):
    def __init__(self, H: int, W: int, C: int, seg_len: int):
        super().__init__()
        assert C % seg_len == 0, f"can't divide {C} into segments of length {seg_len}"
        self.mlp_c = EinMix("b h w c -> b h w c0", weight_shape="c c0", bias_shape="c0", c=C, c0=C)
        height = {"h": H, "h0": H, "c": seg_len, "c0": seg_len}
        self.mlp_h = EinMix("b h w (n c) -> b h0 w (n c0)", weight_shape="h c h0 c0", bias_shape="h0 c0", **height)
        width = {"w": W, "w0": W, "c": seg_len, "c0": seg_len}
        self.mlp_w = EinMix("b h w (n c) -> b h w0 (n c0)", weight_shape="w c w0 c0", bias_shape="w0 c0", **width)
        self.proj = nn.Linear(C, C)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mlp_c(x) + self.mlp_h(x) + self.mlp_w(x)
        return self.proj(x)


# ------------------------------------------------------------------------------- the write-up of RaftMLP and DynaMixer


class RaftTokenMixingBlock(nn.Module):
    """Mended: layers are called as they are named, sizes are passed, and channels keep a place of their own.

    As it circulates the block ends with x + y; `published` has the residual of the paper there.
    """

    def __init__(self, h: int, w: int, c: int, r: int, e: int, *, published: bool):
        super().__init__()
        self.h, self.w, self.r, self.published = h, w, r, published
        self.lnv = nn.LayerNorm(c)
        self.fcv1 = nn.Linear(r * h, r * h * e)
        self.fcv2 = nn.Linear(r * h * e, r * h)
        self.lnh = nn.LayerNorm(c)
        self.fch1 = nn.Linear(r * w, r * w * e)
        self.fch2 = nn.Linear(r * w * e, r * w)

    def forward(self, x: Tensor) -> Tensor:
        sizes = {"h": self.h, "w": self.w, "r": self.r}
        y = self.lnv(x)
        y = rearrange(y, "b (h w) (r o) -> b (o w) (r h)", **sizes)
        y = self.fcv1(y)
        y = F.gelu(y)
        y = self.fcv2(y)
        y = rearrange(y, "b (o w) (r h) -> b (h w) (r o)", **sizes)
        y = x + y
        before = y
        y = self.lnh(y)
        y = rearrange(y, "b (h w) (r o) -> b (o h) (r w)", **sizes)
        y = self.fch1(y)
        y = F.gelu(y)
        y = self.fch2(y)
        y = rearrange(y, "b (o h) (r w) -> b (h w) (r o)", **sizes)
        return (before if self.published else x) + y


class MultiScalePatchEmbedding(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, kernels: list[int]):
        super().__init__()
        self.stride = 1
        mlp_in_channels = 0
        for k in kernels:
            mlp_in_channels += k**2
        mlp_in_channels *= in_channels
        self.embeddings = nn.ModuleList(
            [
                nn.Sequential(
                    nn.Unfold(kernel_size=(k, k), stride=self.stride, padding=k // 2), Rearrange("b c hw -> b hw c")
                )
                for k in kernels
            ]
        )
        self.fc = nn.Linear(mlp_in_channels, out_channels)

    def forward(self, input: Tensor) -> Tensor:
        outputs = []
        for emb in self.embeddings:
            output = emb(input)
            outputs.append(output)
        outputs = torch.cat(outputs, dim=2)
        return self.fc(outputs)


class DynaMixerOperation(nn.Module):
    def __init__(self, N: int, D: int, d: int = 10):
        super().__init__()
        self.N = N
        self.d = d
        self.fc_ND = nn.Linear(D, d)
        self.fc_Nd = nn.Linear(N * d, N * N)
        self.softmax = nn.Softmax(dim=2)

    def forward(self, input: Tensor) -> Tensor:
        _, _, N = input.shape
        input = rearrange(input, "b d n -> b n d")
        p = self.fc_ND(input)
        p = p.reshape(-1, 1, N * self.d)
        p = self.fc_Nd(p)
        p = p.reshape(-1, N, N)
        p = self.softmax(p)
        out = torch.matmul(p, input)
        return rearrange(out, "b n d -> b d n")


class RowByRow(nn.Module):
    """The loop over rows of the write-up's block. Mended: its result is not written into its input."""

    def __init__(self, op: nn.Module):
        super().__init__()
        self.op = op

    def forward(self, input: Tensor) -> Tensor:
        Y_h = torch.empty_like(input)
        for i in range(input.shape[2]):
            Y_h[:, :, i, :] = self.op(input[:, :, i, :])
        return Y_h


class ColumnByColumn(nn.Module):
    """The loop over columns, mended likewise."""

    def __init__(self, op: nn.Module):
        super().__init__()
        self.op = op

    def forward(self, input: Tensor) -> Tensor:
        Y_w = torch.empty_like(input)
        for i in range(input.shape[3]):
            Y_w[:, :, :, i] = self.op(input[:, :, :, i])
        return Y_w


class DynaMixerBlock(nn.Module):
    """Mended: see the loops; as it stands, columns are mixed after rows, and all three terms of the sum are one.

    With `reweighted` the sum is that of the paper's code: by channel, a softmax over an MLP of the pooled sum.
    """

    def __init__(self, channels: int = 48, imagesize: tuple[int, int] = (54, 58), *, reweighted: bool = False):
        super().__init__()
        h_size, w_size = imagesize
        self.dynamixer_op_w = ColumnByColumn(DynaMixerOperation(h_size, channels))
        self.dynamixer_op_h = RowByRow(DynaMixerOperation(w_size, channels))
        self.proj_c = nn.Conv2d(channels, channels, kernel_size=1)
        hidden = channels // 2
        mlp = nn.Sequential(nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, 3 * channels))
        self.reweight = mlp if reweighted else None
        self.proj_o = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, input: Tensor) -> Tensor:
        Y_h = self.dynamixer_op_h(input)
        Y_w = self.dynamixer_op_w(input)
        Y_c = self.proj_c(input)
        Y_out = Y_h + Y_w + Y_c
        if self.reweight is not None:
            a = self.reweight(Y_out.mean((2, 3))).reshape(*Y_out.shape[:2], 3).softmax(2)[..., None, None]
            Y_out = Y_w * a[:, :, 0] + Y_h * a[:, :, 1] + Y_c * a[:, :, 2]
        return self.proj_o(Y_out)


def dynamixer_in_order(net: nn.Module) -> Iterator[Tensor]:
    """Matrices of ours have their inputs before their outputs."""
    for name, p in net.named_parameters():
        yield rearrange(p, "(o i) ... -> (i o) ...", i=isqrt(len(p))) if "fc_Nd" in name else p


# ---------------------------------------------------------------------------------------- the write-ups of MLP-Mixer


class DropPath(nn.Module):
    """The stochastic depth that the document names, as timm had it then."""

    def __init__(self, drop_prob: float):
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        keep_prob = 1 - self.drop_prob
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        random_tensor = keep_prob + torch.rand(shape)
        return x.div(keep_prob) * random_tensor.floor()


class Mlp(nn.Module):
    def __init__(self, in_features: int, hidden_features: int, drop: tuple[float, float]):
        super().__init__()
        self.fc1 = nn.Linear(in_features, hidden_features)
        self.act = nn.GELU()
        self.drop1 = nn.Dropout(drop[0])
        self.fc2 = nn.Linear(hidden_features, in_features)
        self.drop2 = nn.Dropout(drop[1])

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x)
        x = self.act(x)
        x = self.drop1(x)
        x = self.fc2(x)
        return self.drop2(x)


class TimmMixerBlock(nn.Module):
    """`MixerBlock` of timm."""

    def __init__(self, dim: int, seq_len: int, mlp_ratio: tuple[float, float] = (0.5, 4.0), **drops: Any):
        super().__init__()
        tokens_dim, channels_dim = (int(x * dim) for x in mlp_ratio)
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp_tokens = Mlp(seq_len, tokens_dim, drops["drop"])
        self.drop_path = DropPath(drops["drop_path"])
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp_channels = Mlp(dim, channels_dim, drops["drop"])

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.mlp_tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2))
        return x + self.drop_path(self.mlp_channels(self.norm2(x)))


def mlp(dim: int, hidden_dim: int, dropout: float = 0.0) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(dim, hidden_dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden_dim, dim), nn.Dropout(dropout)
    )


class MixerBlock(nn.Module):
    def __init__(self, dim: int, num_patch: int, token_dim: int, channel_dim: int, dropout: float = 0.0):
        super().__init__()
        self.token_mix = nn.Sequential(
            nn.LayerNorm(dim),
            Rearrange("b n d -> b d n"),
            mlp(num_patch, token_dim, dropout),
            Rearrange("b d n -> b n d"),
        )
        self.channel_mix = nn.Sequential(nn.LayerNorm(dim), mlp(dim, channel_dim, dropout))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.token_mix(x)
        return x + self.channel_mix(x)


class MLPMixer(nn.Module):
    def __init__(self, in_channels: int, dim: int, num_classes: int, patch_size: int, image_size: int, **sizes: int):
        super().__init__()
        assert image_size % patch_size == 0, "Image dimensions must be divisible by the patch size"
        self.num_patch = (image_size // patch_size) ** 2
        self.patch_embedding = nn.Sequential(
            nn.Conv2d(in_channels, dim, patch_size, patch_size), Rearrange("b c h w -> b (h w) c")
        )
        self.mixer_blocks = nn.ModuleList([])
        for _ in range(sizes["depth"]):
            self.mixer_blocks.append(MixerBlock(dim, self.num_patch, sizes["token_dim"], sizes["channel_dim"]))
        self.layer_norm = nn.LayerNorm(dim)
        self.mlp_head = nn.Linear(dim, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embedding(x)
        for mixer_block in self.mixer_blocks:
            x = mixer_block(x)
        x = self.layer_norm(x)
        x = x.mean(dim=1)
        return self.mlp_head(x)


# ---------------------------------------------------------------------------------------------------- all of them


@dataclass(frozen=True)
class System:
    """A system as its document has it, and the nodes that it is here, at the sizes that these meet.

    `enters` and `leaves` are the orders of the axes in the document. `rules` and `in_order` say how its weights
    become ours, as in `parity.copy_weights`.
    """

    theirs: Callable[[], nn.Module]
    nodes: Sequence
    sizes: Mapping[str, int]
    enters: str
    leaves: str = ""
    rules: Mapping[str, str] = field(default_factory=dict)
    in_order: Callable[[nn.Module], Iterable[Tensor]] = nn.Module.parameters


def read(pattern: str, weight: str, bias: str, **sizes: int) -> Mix:
    """The node of a line of the tutorial."""
    return Mix(Mixer.from_einmix(pattern, weight, bias, **sizes))


def mixed(text: str) -> Mix:
    """The node of a mixer in our own notation."""
    return Mix(Mixer.parse(text))


def of_mlp(*layers: Node, drop: tuple[float, float]) -> Sequence:
    """Norm, layer, GELU, dropout, layer, dropout."""
    norm, first, second = layers
    return norm, first, Activation(), Drop("dropout", drop[0]), second, Drop("dropout", drop[1])


_up = read("b hw c -> b hid c", "hw hid", "hid", hw=8, hid=16, c=6)
_down = read("b hid c -> b hw c", "hid hw", "hw", hw=8, hid=16, c=6)
_tokens = of_mlp(Norm(), _up, _down, drop=(0.3, 0.3))

_row = {"hw": 8, "c": 6}
_image = {"h": 8, "w": 8, "c": 3}
_grid = {"h": 4, "w": 3, "c": 6}
_permute = (
    Sum(
        (
            (read("b h w c -> b h w c0", "c c0", "c0", h=4, w=3, c=6, c0=6),),
            (read("b h w (n c) -> b h0 w (n c0)", "h c h0 c0", "h0 c0", h=4, h0=4, w=3, n=3, c=2, c0=2),),
            (read("b h w (n c) -> b h w0 (n c0)", "w c w0 c0", "w0 c0", h=4, w=3, w0=3, n=3, c=2, c0=2),),
        )
    ),
    Linear(6),
)
_embed = (read(patcher().pattern, "c_in hp wp c", "c", c_in=3, h=2, hp=4, w=2, wp=4, c=5),)


def raft(*, original: bool) -> Sequence:
    """The token mixing of a block of the zoo: without the MLP over channels."""
    made = ZOO["raft"].make(Inputs({"h": 4, "w": 3}, 6, 1), patch=1, width=6, depth=1, original=original)
    return made.stages[0].blocks[0][:-1]


RAFT = {
    "hi ci ho co": "(co ho) (ci hi)",
    "wi ci wo co": "(co wo) (ci wi)",
    "ho co": "(co ho)",
    "wo co": "(co wo)",
}

_dynamic = {axis: (Dynamic(axis, segments=1, reduced=10),) for axis in ("h", "w")}
_branches = (*_dynamic.values(), (Linear(6),))

_timm = (
    of_mlp(Norm(eps=1e-6), mixed("t=m8:6 c=s12 +b"), mixed("t=m6:8 c=s12 +b"), drop=(0.2, 0.4)),
    of_mlp(Norm(eps=1e-6), Linear(48), Linear(12), drop=(0.2, 0.4)),
)
_mixer_block = (
    Residual(of_mlp(Norm(), mixed("t=m8:5 c=s6 +b"), mixed("t=m5:8 c=s6 +b"), drop=(0.2, 0.2))),
    Residual(of_mlp(Norm(), Linear(10), Linear(6), drop=(0.2, 0.2))),
)
_linear = {"ti to": "to ti"}
# fmt: off
SYSTEMS = {
    "tutorial: token mixer, original": System(
        partial(TokenMixer, 6, 8, 2, 0.3), (Residual(_tokens),), _row, "b hw c", rules={"hw_i hw_o": "hw_o hw_i"}
    ),
    "tutorial: token mixer, rewritten": System(partial(token_mixer, 6, 8, 2, 0.3), _tokens, _row, "b hw c"),
    "tutorial: token mixer of convolutions": System(
        partial(convolutional_token_mixer, 6, 8, 2, 0.3), _tokens, _row, "b hw c", rules={"hw_i hw_o": "hw_o hw_i 1"}
    ),
    "tutorial: patches, original": System(
        partial(Patcher, 4, 3, 5), _embed, _image, "b c h w", "b (h w) c", {"hi wi ci co": "co ci hi wi"}
    ),
    "tutorial: patches, rewritten": System(
        partial(patcher, 4, 3, 5), _embed, _image, "b c h w", "b (h w) c", {"hi wi ci co": "ci hi wi co"}
    ),
    "tutorial: Vision Permutator, original": System(
        partial(WeightedPermuteMLP, 4, 3, 6, 2), _permute, _grid, "b h w c",
        rules={"hi ci ho co": "(ho co) (hi ci)", "wi ci wo co": "(wo co) (wi ci)", "ci co": "co ci"},
    ),
    "tutorial: Vision Permutator, rewritten": System(
        partial(WeightedPermuteMLP_new, 4, 3, 6, 2), _permute, _grid, "b h w c",
        in_order=lambda net: (p for layer in (net.mlp_h, net.mlp_w, net.mlp_c, net.proj) for p in layer.parameters()),
    ),
    "raft: as it circulates": System(
        partial(RaftTokenMixingBlock, 4, 3, 6, 2, 2, published=False), raft(original=True), _grid, "b (h w) c",
        rules=RAFT,
    ),
    "raft: published": System(
        partial(RaftTokenMixingBlock, 4, 3, 6, 2, 2, published=True), raft(original=False), _grid, "b (h w) c",
        rules=RAFT,
    ),
    "raft: patches at two scales": System(
        partial(MultiScalePatchEmbedding, 2, 5, [4, 8]),
        (Concat(tuple((Unfold(k, stride=1, pad=k // 2),) for k in (4, 8))), Linear(5)), {"h": 56, "w": 56, "c": 2},
        "b c h w", "b (h w) c",
    ),
    "dynamixer: rows": System(
        lambda: RowByRow(DynaMixerOperation(3, 6)), _dynamic["w"], _grid, "b c h w", in_order=dynamixer_in_order
    ),
    "dynamixer: columns": System(
        lambda: ColumnByColumn(DynaMixerOperation(4, 6)), _dynamic["h"], _grid, "b c h w", in_order=dynamixer_in_order
    ),
    "dynamixer: block": System(
        partial(DynaMixerBlock, 6, (4, 3)), (Sum(_branches), Linear(6)), _grid, "b c h w", in_order=dynamixer_in_order
    ),
    "dynamixer: block, reweighted": System(
        partial(DynaMixerBlock, 6, (4, 3), reweighted=True), (Reweight(_branches, ratio=2), Linear(6)), _grid,
        "b c h w", in_order=dynamixer_in_order,
    ),
    "mixer: timm's block": System(
        partial(TimmMixerBlock, 12, 8, drop=(0.2, 0.4), drop_path=0.5),
        tuple(Residual((*branch, Drop("droppath", 0.5))) for branch in _timm), {"t": 8, "c": 12}, "b t c",
        rules=_linear,
    ),
    "mixer: block": System(
        partial(MixerBlock, 6, 8, 5, 10, 0.2), _mixer_block, {"t": 8, "c": 6}, "b t c", rules=_linear
    ),
}
# fmt: on


@pytest.fixture
def dropouts_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    """In training a dropout multiplies by its share: masks drawn in another order of the axes cannot be compared."""
    monkeypatch.setattr(nn.Dropout, "forward", lambda self, x: x * self.p if self.training else x)


@pytest.mark.usefixtures("dropouts_scale")
@pytest.mark.parametrize("name", SYSTEMS)
def test_systems(name: str) -> None:
    """In training and after it. Stochastic depth draws its numbers alike on both sides."""
    system = SYSTEMS[name]
    theirs, ours = shaken(system.theirs()), body(build(network(system.nodes, system.sizes)))
    copy_weights(ours, system.in_order(theirs), system.rules)
    *axes, _ = system.sizes
    first, last = f"b c {' '.join(axes)}", f"b {' '.join(axes)} c"
    x = torch.randn(6, system.sizes["c"], *(system.sizes[axis] for axis in axes))
    for training in (True, False):
        torch.manual_seed(1)
        expected = theirs.train(training)(rearrange(x, f"{first} -> {system.enters}"))
        torch.manual_seed(1)
        found = rearrange(ours.train(training)(x), f"{last} -> {system.leaves or system.enters}")
        torch.testing.assert_close(found, expected)


def test_dropout_draws_as_in_the_rewritten_token_mixer() -> None:
    """The same masks from the same seed, where the order of the axes is the same."""
    theirs, ours = token_mixer(6, 8, 2, 0.3), body(build(network(_tokens, _row)))
    copy_weights(ours, theirs.parameters(), {})
    x = torch.randn(2, 8, 6)
    torch.manual_seed(1)
    expected = theirs(x)
    torch.manual_seed(1)
    torch.testing.assert_close(ours(x.transpose(1, 2)), expected)
    assert not torch.equal(theirs(x), expected)  # another mask


def test_the_token_mixer_as_printed_is_refused() -> None:
    """By einops as by us; `test_pattern.py` has our words for it."""
    call = {"pattern": "b hw c -> b hid c", "weight_shape": "hw hid", "bias_shape": "hid", "hw": 8, "hidden": 16}
    for reader in (EinMix, Mixer.from_einmix):
        with pytest.raises((EinopsError, PatternError)):
            reader(**call)


def test_patches_of_images_of_other_sizes() -> None:
    """The tutorial's layer does not know how large an image is, and neither does the one that is written for ours."""
    theirs, ours = patcher(4, 3, 5), body(build(network(_embed, _image)))
    copy_weights(ours, theirs.parameters(), {"hi wi ci co": "ci hi wi co"})
    x = torch.randn(2, 3, 16, 12)
    torch.testing.assert_close(rearrange(ours(x), "b h w c -> b (h w) c"), theirs(x))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
@pytest.mark.parametrize("name", SYSTEMS)
def test_scripted(name: str, tmp_path: Path) -> None:
    """The tutorial times its blocks scripted; the text that is written for ours can be, too."""
    system = SYSTEMS[name]
    net = body(loaded(source(network(system.nodes, system.sizes)), tmp_path).model()).eval()
    *axes, _ = system.sizes
    x = torch.randn(2, system.sizes["c"], *(system.sizes[axis] for axis in axes))
    torch.testing.assert_close(torch.jit.script(net)(x), net(x))


def test_the_figures_of_the_raft_write_up() -> None:
    """It prints 1 x 3249 x 96 for 48 channels of 56 x 56, and 3840 channels before the last layer."""
    nodes = Concat(tuple((Unfold(k, stride=1, pad=k // 2),) for k in (4, 8))), Linear(96)
    windows, linear = network(nodes, {"h": 56, "w": 56, "c": 48}).parts[0].steps
    assert windows.after == {"h": 57, "w": 57, "c": 3840} and 57 * 57 == 3249
    assert linear.after["c"] == 96


def test_the_figures_of_the_dynamixer_write_up() -> None:
    """Its block at its sizes: 48 channels of 54 x 58, in the order h, w, c of our branches."""
    sizes = {"h": 54, "w": 58, "c": 48}
    branches = (*((Dynamic(axis, segments=1, reduced=10),) for axis in ("h", "w")), (Linear(48),))
    ours = network((Sum(branches), Linear(48)), sizes)
    with torch.device("meta"):
        theirs = DynaMixerBlock()
    classifier = 48 + 1
    assert ours.params - classifier == sum(p.numel() for p in theirs.parameters())


def test_as_it_stands_the_dynamixer_loop_overwrites_its_input() -> None:
    """Why it is mended: rows are mixed in place, so the input itself is gone."""
    op, x = DynaMixerOperation(3, 6), torch.randn(2, 6, 4, 3)
    Y_h = input = x.clone()
    with torch.no_grad():
        for i in range(4):
            Y_h[:, :, i, :] = op(input[:, :, i, :])
        torch.testing.assert_close(input, RowByRow(op)(x))
    assert not torch.equal(input, x)


def test_the_whole_mixer_of_a_write_up() -> None:
    theirs = shaken(MLPMixer(3, 12, 5, patch_size=4, image_size=16, depth=2, token_dim=7, channel_dim=48))
    ours = build(ZOO["mixer"].make(Inputs({"h": 16, "w": 16}, 3, 5), patch=4, width=12, depth=2, tokens=7))
    copy_weights(ours, theirs.parameters(), {"hi wi ci co": "co ci hi wi", "hi wi ho wo": "(ho wo) (hi wi)"})
    x = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(ours(x), theirs(x))


def test_the_figure_of_a_mixer_write_up() -> None:
    """It prints 18.528M for what is MLP-Mixer S/16."""
    sizes = {"in_channels": 3, "dim": 512, "num_classes": 1000, "patch_size": 16, "image_size": 224}
    with torch.device("meta"):
        theirs = MLPMixer(**sizes, depth=8, token_dim=256, channel_dim=2048)
    assert sum(p.numel() for p in theirs.parameters()) == ZOO["mixer"].published("s/16").params
    assert f"{ZOO['mixer'].published('s/16').params / 1e6:.3f}M" == "18.528M"


# ---------------------------------------------------------------------------------------------------- docs/zoo.md


DOCUMENT = (Path(__file__).parents[3] / "docs" / "zoo.md").read_text(encoding="utf-8")


def test_the_document_has_the_numbers_of_all_published_sizes() -> None:
    found = re.findall(
        r"^\| `([\w-]+)` \| `([\w/]+)` \| ([\d,]+) \| ([\d,]+) \| .* \| (\d+) \|$", DOCUMENT, re.MULTILINE
    )
    rows = {(name, size): [int(text.replace(",", "")) for text in numbers] for name, size, *numbers in found}
    assert rows.keys() == {(name, size) for name, each in ZOO.items() for size in each.variants}
    for (name, size), numbers in rows.items():
        arch = ZOO[name].published(size)
        assert numbers == [arch.params, arch.macs, len(code_lines(source(arch)))], (name, size)


def test_the_document_names_tests_that_are_there() -> None:
    """And every case of this file."""
    found = re.findall(r"`(?:tests/(\w+)\.py::)?(test_\w+)(?:\[([^]`]+)\])?`", DOCUMENT)
    here = Path(__file__)
    for file, name, _ in found:
        assert f"def {name}(" in (here.with_name(f"{file}.py") if file else here).read_text(encoding="utf-8")
    cases = {case for file, name, case in found if not file and case}
    assert cases == SYSTEMS.keys() | {line.name for line in LINES}
