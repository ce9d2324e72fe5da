"""Pyramids of the literature in plain PyTorch, written anew from papers and official code, to compare the zoo with.

Nothing here comes from our packages; parameters are registered in the order in which the forward pass meets them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Permute(nn.Module):
    """Reorders axes."""

    def __init__(self, *axes: int) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.axes)


class Mean(nn.Module):
    """Averages axes away, or keeps them with size 1."""

    def __init__(self, *axes: int, keepdim: bool = False) -> None:
        super().__init__()
        self.axes, self.keepdim = axes, keepdim

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(self.axes, keepdim=self.keepdim)


class Residual(nn.Sequential):
    """x + f(x)."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


class Along(nn.Sequential):
    """Works on `axis` as if it were the last."""

    def __init__(self, axis: int, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(self.axis, -1)).transpose(self.axis, -1)


class Shift(nn.Module):
    """Moves channel i of `b c h w` by offsets[i] along `axis` (out[p] = in[p + offset]); zeros come in from outside."""

    def __init__(self, offsets: Sequence[int], axis: int) -> None:
        super().__init__()
        self.offsets, self.axis = offsets, axis

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[self.axis]
        source = torch.arange(size, device=x.device) + torch.tensor(self.offsets, device=x.device)[:, None]
        shape = (len(self.offsets), size, 1) if self.axis == 2 else (len(self.offsets), 1, size)
        index = source.clamp(0, size - 1).view(shape).expand(x.shape)
        return x.gather(self.axis, index) * (source == source.clamp(0, size - 1)).view(shape)


def last_mlp(dim: int, hidden: int, out: int | None = None) -> nn.Sequential:
    """Linear, GELU, Linear on the last axis."""
    return nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, out or dim))


def conv_mlp(dim: int, hidden: int, out: int | None = None) -> nn.Sequential:
    """The same on the channels of `b c h w`."""
    return nn.Sequential(nn.Conv2d(dim, hidden, 1), nn.GELU(), nn.Conv2d(hidden, out or dim, 1))


def pyramid(
    enter: Iterable[nn.Module], block: Callable[[int, int], nn.Module], depths: Sequence[int], head: nn.Module
) -> nn.Sequential:
    """enter[stage], then depths[stage] times block(stage, index), for every stage; then the head."""
    parts: list[nn.Module] = []
    for stage, embed in enumerate(enter):
        parts += [embed, *(block(stage, index) for index in range(depths[stage]))]
    return nn.Sequential(*parts, head)


class MultiScalePatches(nn.Module):
    """Patches of several sizes around one grid, side by side, through one linear layer: `b h w c -> b h/s w/s d`."""

    def __init__(self, channels: int, dim: int, kernels: Sequence[int]) -> None:
        super().__init__()
        self.kernels = kernels
        self.linear = nn.Linear(channels * sum(k * k for k in kernels), dim)

    def forward(self, x: Tensor) -> Tensor:
        stride, image = min(self.kernels), x.permute(0, 3, 1, 2)
        patches = [F.unfold(image, k, stride=stride, padding=(k - stride) // 2) for k in self.kernels]
        return self.linear(torch.cat(patches, 1).transpose(1, 2)).unflatten(1, (x.shape[1] // stride, -1))


class RaftMixing(nn.Module):
    """Mixes an axis of `b h w (r o)` (1 or 2) together with r of the channels; the residual is outside."""

    def __init__(self, size: int, dim: int, raft: int, ratio: int, axis: int) -> None:
        super().__init__()
        self.raft, self.axis = raft, axis
        self.norm = nn.LayerNorm(dim)
        self.mlp = last_mlp(raft * size, ratio * raft * size)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x).unflatten(3, (self.raft, -1)).transpose(self.axis, 4)
        return self.mlp(y.flatten(3)).unflatten(3, y.shape[3:]).transpose(self.axis, 4).flatten(3)


def raft_mlp(
    *,
    dims: Sequence[int],
    depths: Sequence[int] = (2, 2, 6, 2),
    kernels: Sequence[Sequence[int]] = ((4, 8), (2, 4), (2, 4), (2,)),
    raft: int = 2,
    token_ratio: int = 2,
    channel_ratio: int = 4,
    image: int = 224,
    classes: int = 1000,
) -> nn.Sequential:
    """RaftMLP (arXiv 2108.04384, okojoalg/raft-mlp): vertical, horizontal, channel, each with a residual of its own."""
    sizes = [image]
    for each in kernels:
        sizes.append(sizes[-1] // min(each))

    def block(stage: int, index: int) -> nn.Module:
        size, dim = sizes[stage + 1], dims[stage]
        return nn.Sequential(
            Residual(RaftMixing(size, dim, raft, token_ratio, 1)),
            Residual(RaftMixing(size, dim, raft, token_ratio, 2)),
            Residual(nn.LayerNorm(dim), last_mlp(dim, channel_ratio * dim)),
        )

    enter = [MultiScalePatches(*io, each) for io, each in zip(pairwise((3, *dims)), kernels, strict=True)]
    head = nn.Sequential(nn.LayerNorm(dims[-1]), Mean(1, 2), nn.Linear(dims[-1], classes))
    return nn.Sequential(Permute(0, 2, 3, 1), *pyramid(enter, block, depths, head))


class SparseMixing(nn.Module):
    """sMLP: the image, the image mixed along w, and along h, side by side and fused by a 1x1 convolution."""

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.along_w = Along(3, nn.Linear(size, size))
        self.along_h = Along(2, nn.Linear(size, size))
        self.fuse = nn.Conv2d(3 * dim, dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.fuse(torch.cat([x, self.along_w(x), self.along_h(x)], 1))


def smlp_net(
    *,
    dim: int,
    depths: Sequence[int],
    ratio: int = 3,
    patch: int = 4,
    image: int = 224,
    classes: int = 1000,
) -> nn.Sequential:
    """sMLPNet (arXiv 2109.05422, microsoft/SPACH): depthwise 3x3, sparse MLP of the two axes, channel MLP."""
    dims = [dim << stage for stage in range(len(depths))]

    def block(stage: int, index: int) -> nn.Module:
        dim, size = dims[stage], image // patch >> stage
        depthwise = nn.Conv2d(dim, dim, 3, padding=1, groups=dim, bias=False)
        return nn.Sequential(
            Residual(
                *(nn.BatchNorm2d(dim), nn.GELU(), depthwise),
                *(nn.BatchNorm2d(dim), nn.GELU(), SparseMixing(size, dim)),
            ),
            Residual(Along(1, nn.LayerNorm(dim), last_mlp(dim, ratio * dim))),
        )

    strides = [patch] + [2] * (len(depths) - 1)
    enter = [nn.Conv2d(*io, s, s, bias=False) for io, s in zip(pairwise((3, *dims)), strides, strict=True)]
    head = nn.Sequential(nn.BatchNorm2d(dims[-1]), Mean(2, 3), nn.Linear(dims[-1], classes))
    return pyramid(enter, block, depths, head)


class Reweighted(nn.Module):
    """The branches' mean over the image -> MLP -> softmax over branches, per channel -> weighted sum, `b c h w`."""

    def __init__(self, dim: int, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.reweight = last_mlp(dim, dim // 4, dim * len(branches))

    def forward(self, x: Tensor) -> Tensor:
        outs = torch.stack([branch(x) for branch in self.branches], 2)
        weights = self.reweight(outs.sum(2).mean((2, 3))).unflatten(1, outs.shape[1:3]).softmax(2)
        return torch.einsum("b c n h w, b c n -> b c h w", outs, weights)


class Region(nn.Module):
    """Folds `pixel` neighbours of an axis of `b c h w` into channels, after a circular roll; and undoes both."""

    def __init__(self, pixel: int, step: int, axis: int, inner: nn.Module) -> None:
        super().__init__()
        self.pixel, self.step, self.axis, self.inner = pixel, step, axis, inner

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[self.axis]
        padded = torch.arange(size + -size % self.pixel, device=x.device)
        x = x.index_select(self.axis, (padded - self.step) % size)
        y = x.unflatten(self.axis, (-1, self.pixel)).movedim(self.axis + 1, 2).flatten(1, 2)
        y = self.inner(y).unflatten(1, (-1, self.pixel)).movedim(2, self.axis + 1).flatten(self.axis, self.axis + 1)
        return y.index_select(self.axis, (padded[:size] + self.step) % size)


def hire_mlp(
    *,
    dims: Sequence[int],
    depths: Sequence[int],
    pixels: Sequence[int] = (4, 3, 3, 2),
    steps: Sequence[Sequence[int]] = ((0, 2), (0, 2), (0, 1, 2), (0, 1)),
    ratio: int = 4,
    classes: int = 1000,
) -> nn.Sequential:
    """Hire-MLP (arXiv 2108.13341, ggjy/Hire-Wave-MLP.pytorch): regions of rows and columns, rolled block by block."""

    def branch(stage: int, step: int, axis: int) -> nn.Module:
        dim, wide = dims[stage], dims[stage] * pixels[stage]
        squeeze = nn.Conv2d(wide, dim // 2, 1, bias=False)
        inner = nn.Sequential(squeeze, nn.BatchNorm2d(dim // 2), nn.ReLU(), nn.Conv2d(dim // 2, wide, 1))
        return Region(pixels[stage], step, axis, inner)

    def block(stage: int, index: int) -> nn.Module:
        dim, step = dims[stage], steps[stage][index % len(steps[stage])]
        mix = Reweighted(dim, branch(stage, step, 2), branch(stage, step, 3), nn.Conv2d(dim, dim, 1))
        return nn.Sequential(
            Residual(nn.BatchNorm2d(dim), mix, nn.Conv2d(dim, dim, 1)),
            Residual(nn.BatchNorm2d(dim), conv_mlp(dim, ratio * dim)),
        )

    convs = [nn.Conv2d(3, dims[0], 7, 4, 2), *(nn.Conv2d(*io, 3, 2, 1) for io in pairwise(dims))]
    enter = [nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU()) for conv in convs]
    head = nn.Sequential(nn.BatchNorm2d(dims[-1]), Mean(2, 3), nn.Linear(dims[-1], classes))
    return pyramid(enter, block, depths, head)


def cycle_mlp(
    *,
    dims: Sequence[int] = (64, 128, 320, 512),
    depths: Sequence[int],
    ratios: Sequence[int] = (4, 4, 4, 4),
    kernel: int = 3,
    classes: int = 1000,
) -> nn.Sequential:
    """CycleMLP (arXiv 2107.10224, ShoufaChen/CycleMLP): staircase shifts of channels along w, along h, and none."""

    def cycle_fc(dim: int, axis: int) -> nn.Module:
        offsets = [(i + kernel // 2) % kernel - kernel // 2 for i in range(dim)]
        return nn.Sequential(Shift(offsets, axis), Along(1, nn.Linear(dim, dim)))

    def block(stage: int, index: int) -> nn.Module:
        dim = dims[stage]
        mix = Reweighted(dim, cycle_fc(dim, 3), cycle_fc(dim, 2), Along(1, nn.Linear(dim, dim, bias=False)))
        return nn.Sequential(
            Residual(Along(1, nn.LayerNorm(dim)), mix, Along(1, nn.Linear(dim, dim))),
            Residual(Along(1, nn.LayerNorm(dim), last_mlp(dim, ratios[stage] * dim))),
        )

    enter = [nn.Conv2d(3, dims[0], 7, 4, 2), *(nn.Conv2d(*io, 3, 2, 1) for io in pairwise(dims))]
    head = nn.Sequential(Along(1, nn.LayerNorm(dims[-1])), Mean(2, 3), nn.Linear(dims[-1], classes))
    return pyramid(enter, block, depths, head)


class AxialShift(nn.Module):
    """Shifts of channel groups along w and along h, each with its 1x1 convolution and GELU, added."""

    def __init__(self, dim: int, shift: int) -> None:
        super().__init__()
        group = -(-dim // shift)
        offsets = [shift // 2 - channel // group for channel in range(dim)]
        self.along_w = nn.Sequential(Shift(offsets, 3), nn.Conv2d(dim, dim, 1), nn.GELU())
        self.along_h = nn.Sequential(Shift(offsets, 2), nn.Conv2d(dim, dim, 1), nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        return self.along_w(x) + self.along_h(x)


class Merge2x2(nn.Module):
    """`b c (h hp) (w wp) -> b (wp hp c) h w`, hp = wp = 2: the four neighbours side by side as Swin has them."""

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).permute(0, 5, 3, 1, 2, 4).flatten(1, 3)


def as_mlp(
    *,
    dim: int,
    depths: Sequence[int],
    shift: int = 5,
    ratio: int = 4,
    patch: int = 4,
    classes: int = 1000,
) -> nn.Sequential:
    """AS-MLP (arXiv 2107.08391, svip-lab/AS-MLP): axial shifts in a Swin-like pyramid with GroupNorm of one group."""
    dims = [dim << stage for stage in range(len(depths))]

    def block(stage: int, index: int) -> nn.Module:
        dim = dims[stage]
        return nn.Sequential(
            Residual(
                *(nn.GroupNorm(1, dim), nn.Conv2d(dim, dim, 1), nn.GroupNorm(1, dim), nn.GELU()),
                *(AxialShift(dim, shift), nn.GroupNorm(1, dim), nn.Conv2d(dim, dim, 1)),
            ),
            Residual(nn.GroupNorm(1, dim), conv_mlp(dim, ratio * dim)),
        )

    def merge(dim: int) -> nn.Module:
        return nn.Sequential(Merge2x2(), nn.GroupNorm(1, 4 * dim), nn.Conv2d(4 * dim, 2 * dim, 1, bias=False))

    enter = [nn.Sequential(nn.Conv2d(3, dim, patch, patch), nn.GroupNorm(1, dim)), *map(merge, dims[:-1])]
    head = nn.Sequential(nn.GroupNorm(1, dims[-1]), Mean(2, 3), nn.Linear(dims[-1], classes))
    return pyramid(enter, block, depths, head)


class SpatialGate(nn.Module):
    """u * (W LN(v) + bias + 1), mixing axis 1 of `b n m c` (the grid) or axis 2 (the block)."""

    def __init__(self, size: int, dim: int, axis: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.mix = Along(axis, nn.Linear(size, size))

    def forward(self, x: Tensor) -> Tensor:
        u, v = x.chunk(2, -1)
        return u * (self.mix(self.norm(v)) + 1)


class AxisGmlp(nn.Module):
    """A gMLP block of `b h w c` seen as a grid of blocks: across the grid (axis 1) or within the block (axis 2)."""

    def __init__(self, image: int, dim: int, side: int, axis: int, factor: int) -> None:
        super().__init__()
        self.inside = image // side if axis == 1 else side
        self.gmlp = Residual(
            *(nn.LayerNorm(dim, eps=1e-6), nn.Linear(dim, factor * dim), nn.GELU("tanh")),
            *(SpatialGate(side * side, factor * dim // 2, axis), nn.Linear(factor * dim // 2, dim)),
        )

    def forward(self, x: Tensor) -> Tensor:
        blocks = x.unflatten(2, (-1, self.inside)).unflatten(1, (-1, self.inside)).transpose(2, 3)
        y = self.gmlp(blocks.flatten(3, 4).flatten(1, 2)).reshape(blocks.shape)
        return y.transpose(2, 3).flatten(3, 4).flatten(1, 2)


class MultiAxis(nn.Module):
    """Grid gMLP on the first half of the channels, block gMLP on the second."""

    def __init__(self, grid: AxisGmlp, block: AxisGmlp) -> None:
        super().__init__()
        self.grid, self.block = grid, block

    def forward(self, x: Tensor) -> Tensor:
        u, v = x.chunk(2, -1)
        return torch.cat([self.grid(u), self.block(v)], -1)


class ChannelAttention(nn.Module):
    """Squeeze and excite, `b h w c`."""

    def __init__(self, dim: int, reduction: int) -> None:
        super().__init__()
        squeeze, excite = nn.Linear(dim, dim // reduction), nn.Linear(dim // reduction, dim)
        self.gate = nn.Sequential(Mean(1, 2, keepdim=True), squeeze, nn.ReLU(), excite, nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


def maxim(
    *,
    dim: int = 64,
    depth: int = 4,
    grid: int = 4,
    block: int = 4,
    factor: int = 2,
    reduction: int | None = 4,
    patch: int = 4,
    image: int = 224,
    classes: int = 1000,
) -> nn.Sequential:
    """A classifier of MAXIM's bottleneck blocks (arXiv 2201.02973, google-research/maxim): multi-axis gMLP, then RDCAB.

    `grid` and `block` are numbers of positions a side; `reduction=None` leaves RDCAB out. MAXIM has no classifier.
    """
    side = image // patch

    def norm() -> nn.Module:
        return nn.LayerNorm(dim, eps=1e-6)

    def rdcab(reduction: int) -> nn.Module:
        mlp = nn.Sequential(nn.Linear(dim, dim), nn.GELU("tanh"), nn.Linear(dim, dim))
        return Residual(norm(), mlp, ChannelAttention(dim, reduction))

    def multi_axis() -> nn.Module:
        axes = MultiAxis(AxisGmlp(side, dim, grid, 1, factor), AxisGmlp(side, dim, block, 2, factor))
        return Residual(norm(), nn.Linear(dim, 2 * dim), nn.GELU("tanh"), axes, nn.Linear(2 * dim, dim))

    blocks = [part for _ in range(depth) for part in (multi_axis(), *([rdcab(reduction)] if reduction else ()))]
    enter = nn.Conv2d(3, dim, patch, patch)
    return nn.Sequential(enter, Permute(0, 2, 3, 1), *blocks, norm(), Mean(1, 2), nn.Linear(dim, classes))


class Published(NamedTuple):
    """A network of the literature: its exact parameters, and what its source prints (millions, 10^9 MACs an image)."""

    build: Callable[..., nn.Sequential]
    parameters: int
    millions: float
    giga_macs: float


_hire = {"dims": (64, 128, 320, 512)}
_wide = {"dims": (96, 192, 384, 768)}
PUBLISHED: dict[str, Published] = {
    "raftmlp_s": Published(partial(raft_mlp, dims=(64, 128, 256, 512)), 9_868_768, 9.9, 2.1),
    "raftmlp_m": Published(partial(raft_mlp, **_wide), 21_413_632, 21.4, 4.3),
    "raftmlp_l": Published(partial(raft_mlp, dims=(128, 192, 512, 1024)), 36_184_672, 36.2, 6.5),
    "smlpnet_t": Published(partial(smlp_net, dim=80, depths=(2, 8, 14, 2)), 24_123_584, 24, 5.0),
    "smlpnet_s": Published(partial(smlp_net, dim=96, depths=(2, 10, 24, 2)), 48_558_136, 49, 10.3),
    "smlpnet_b": Published(partial(smlp_net, dim=112, depths=(2, 10, 24, 2)), 65_880_408, 66, 14.0),
    "hiremlp_tiny": Published(partial(hire_mlp, **_hire, depths=(2, 2, 4, 2)), 18_041_672, 18, 2.1),
    "hiremlp_small": Published(partial(hire_mlp, **_hire, depths=(3, 4, 10, 3)), 33_113_848, 33, 4.2),
    "hiremlp_base": Published(partial(hire_mlp, **_hire, depths=(4, 6, 24, 3)), 58_226_856, 58, 8.1),
    "hiremlp_large": Published(partial(hire_mlp, **_wide, depths=(4, 6, 24, 3)), 95_723_944, 96, 13.4),
    "cyclemlp_b1": Published(partial(cycle_mlp, depths=(2, 2, 4, 2)), 15_155_400, 15, 2.1),
    "cyclemlp_b2": Published(partial(cycle_mlp, depths=(2, 3, 10, 3)), 26_802_504, 27, 3.9),
    "cyclemlp_b3": Published(partial(cycle_mlp, depths=(3, 4, 18, 3), ratios=(8, 8, 4, 4)), 38_385_720, 38, 6.9),
    "cyclemlp_b4": Published(partial(cycle_mlp, depths=(3, 8, 27, 3), ratios=(8, 8, 4, 4)), 51_796_552, 52, 10.1),
    "cyclemlp_b5": Published(partial(cycle_mlp, **_wide, depths=(3, 4, 24, 3)), 75_747_280, 76, 12.3),
    "asmlp_tiny": Published(partial(as_mlp, dim=96, depths=(2, 2, 6, 2)), 28_282_696, 28, 4.4),
    "asmlp_small": Published(partial(as_mlp, dim=96, depths=(2, 2, 18, 2)), 49_594_696, 50, 8.5),
    "asmlp_base": Published(partial(as_mlp, dim=128, depths=(2, 2, 18, 2)), 87_752_808, 88, 15.2),
}

SMALL: dict[Callable[..., nn.Sequential], dict[str, Any]] = {
    raft_mlp: {"dims": (8, 12, 16, 24), "depths": (1, 1, 1, 1), "image": 32, "classes": 10},
    smlp_net: {"dim": 8, "depths": (1, 1, 1, 1), "image": 32, "classes": 10},
    hire_mlp: {"dims": (8, 12, 16, 24), "depths": (2, 1, 2, 1), "classes": 10},
    cycle_mlp: {"dims": (8, 12, 16, 24), "depths": (1, 1, 1, 1), "classes": 10},
    as_mlp: {"dim": 10, "depths": (1, 1, 1, 1), "classes": 10},
    maxim: {"dim": 8, "depth": 1, "grid": 4, "block": 2, "image": 32, "classes": 10},
}
