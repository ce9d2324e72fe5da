"""Networks of the literature in plain PyTorch, from papers and official code, which the tests compare the zoo with."""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt
from typing import Any

import torch
from torch import Tensor, nn

VIP: dict[str, dict[str, Any]] = {
    "small/14": {"patch": 14, "stages": ((384, 18, 16),)},
    "small/7": {"patch": 7, "stages": ((192, 4, 32), (384, 14, 16))},
    "medium/7": {"patch": 7, "stages": ((256, 7, 32), (512, 17, 16))},
    "large/7": {"patch": 7, "stages": ((256, 8, 32), (512, 28, 16))},
}
DYNAMIXER: dict[str, dict[str, Any]] = {
    "small": {"patch": 7, "stages": ((192, 4, 8), (384, 14, 16)), "reduced": 2},
    "medium": {"patch": 7, "stages": ((256, 7, 8), (512, 17, 16)), "reduced": 2},
    "large": {"patch": 7, "stages": ((256, 8, 8), (512, 28, 16)), "reduced": 8},
}
S2MLP: dict[str, dict[str, Any]] = {
    "wide": {"patch": 16, "width": 768, "depth": 12, "ratio": 4},
    "deep": {"patch": 16, "width": 384, "depth": 36, "ratio": 4},
}


class ChannelsLast(nn.Module):
    """`b c h w -> b h w c`."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)


class ChannelsFirst(nn.Module):
    """`b h w c -> b c h w`."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 3, 1, 2)


class Transposed(nn.Module):
    """A module over the last axis, applied to the last but one: `b t c -> b t c`."""

    def __init__(self, *inner: nn.Module) -> None:
        super().__init__()
        self.inner = nn.Sequential(*inner)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.mT).mT


class MeanPool(nn.Module):
    """The mean over positions: `b h w c -> b c`, `b t c -> b c`."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1, -2).mean(1)


class Residual(nn.Module):
    """x + inner(x)."""

    def __init__(self, *inner: nn.Module) -> None:
        super().__init__()
        self.inner = nn.Sequential(*inner)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


def mlp(width: int, hidden: int, out: int | None = None) -> list[nn.Module]:
    """Two dense layers over channels and a GELU between them."""
    return [nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, out or width)]


def patches(kernel: int, inputs: int, width: int) -> list[nn.Module]:
    """Non-overlapping patches to channels: `b c h w -> b h w c`."""
    return [nn.Conv2d(inputs, width, kernel, stride=kernel), ChannelsLast()]


class Reweight(nn.Module):
    """Three maps summed by channel-wise weights from their pooled sum: the weighted Permute-MLP (arXiv:2106.12368)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scores = nn.Sequential(*mlp(width, width // 4, 3 * width))

    def forward(self, *maps: Tensor) -> Tensor:
        pooled = sum(maps).mean((1, 2))
        weights = self.scores(pooled).unflatten(1, (-1, 3)).softmax(2)
        return torch.einsum("bhwck,bck->bhwc", torch.stack(maps, -1), weights)


class Sum(nn.Module):
    """The plain sum of maps."""

    def forward(self, *maps: Tensor) -> Tensor:
        return sum(maps)


class Branches(nn.Module):
    """One mixer along h, one along w, one over channels, fused and projected; `along` maps `b a l c` over l."""

    def __init__(self, width: int, along: Callable[[], nn.Module], fuse: nn.Module) -> None:
        super().__init__()
        self.height = along()
        self.width = along()
        self.channels = nn.Linear(width, width, bias=False)
        self.fuse = fuse
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        height = self.height(x.transpose(1, 2)).transpose(1, 2)
        return self.project(self.fuse(height, self.width(x), self.channels(x)))


class SegmentMixer(nn.Module):
    """Positions on an axis and the channels of each segment mixed at once: `b a l (n s) -> b a l (n s)`."""

    def __init__(self, width: int, side: int, segments: int) -> None:
        super().__init__()
        self.segments = segments
        self.mix = nn.Linear(side * width // segments, side * width // segments, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        parts = x.unflatten(3, (self.segments, -1)).transpose(2, 3)  # b a n l s
        return self.mix(parts.flatten(3)).view(parts.shape).transpose(2, 3).flatten(3)


class DynaMixerOp(nn.Module):
    """Positions on an axis mixed by a matrix per segment, made from their contents: `b a l (n s) -> b a l (n s)`."""

    def __init__(self, width: int, side: int, segments: int, reduced: int) -> None:
        super().__init__()
        self.side, self.segments = side, segments
        self.compress = nn.Linear(width, segments * reduced)
        self.generate = nn.Linear(side * reduced, side * side)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.compress(x).unflatten(3, (self.segments, -1)).transpose(2, 3)  # b a n l r
        matrices = self.generate(reduced.flatten(3)).unflatten(3, (self.side, self.side)).softmax(3)  # b a n i j
        mixed = torch.einsum("bains,banij->bajns", x.unflatten(3, (self.segments, -1)), matrices)
        return self.out(mixed.flatten(3))


def pyramid(
    mixer: Callable[[int, int, int], nn.Module],
    *,
    stages: tuple[tuple[int, int, int], ...],
    image: int = 224,
    patch: int = 7,
    inputs: int = 3,
    classes: int = 1000,
    ratio: int = 3,
) -> nn.Sequential:
    """Stages of (width, depth, segments), halved between by 2x2 patches; `mixer(width, side, segments)` mixes."""
    layers, kernel, channels, side = [], patch, inputs, image
    for width, depth, segments in stages:
        layers += [ChannelsFirst()] if layers else []
        layers += patches(kernel, channels, width)
        side //= kernel
        for _ in range(depth):
            layers += [Residual(nn.LayerNorm(width), mixer(width, side, segments))]
            layers += [Residual(nn.LayerNorm(width), *mlp(width, ratio * width))]
        kernel, channels = 2, width
    return nn.Sequential(*layers, nn.LayerNorm(width), MeanPool(), nn.Linear(width, classes))


def vip(*, weighted: bool = True, **sizes: Any) -> nn.Sequential:
    """Vision Permutator, the sizes as `pyramid`'s (arXiv:2106.12368, houqb/VisionPermutator)."""

    def mixer(width: int, side: int, segments: int) -> nn.Module:
        return Branches(width, lambda: SegmentMixer(width, side, segments), Reweight(width) if weighted else Sum())

    return pyramid(mixer, **sizes)


def dynamixer(*, reduced: int = 2, weighted: bool = True, **sizes: Any) -> nn.Sequential:
    """DynaMixer, the sizes as `pyramid`'s (arXiv:2201.12083, ziyuwwang/DynaMixer)."""

    def mixer(width: int, side: int, segments: int) -> nn.Module:
        fuse = Reweight(width) if weighted else Sum()
        return Branches(width, lambda: DynaMixerOp(width, side, segments, reduced), fuse)

    return pyramid(mixer, **sizes)


class SpatialShift(nn.Module):
    """Quarters of the channels one step right, left, down, up; what has no neighbour stays: `b h w c -> b h w c`."""

    def forward(self, x: Tensor) -> Tensor:
        right, left, down, up = x.chunk(4, -1)
        return torch.cat(
            [
                torch.cat([right[:, :, :1], right[:, :, :-1]], 2),
                torch.cat([left[:, :, 1:], left[:, :, -1:]], 2),
                torch.cat([down[:, :1], down[:, :-1]], 1),
                torch.cat([up[:, 1:], up[:, -1:]], 1),
            ],
            -1,
        )


def s2mlp(
    *,
    patch: int = 16,
    inputs: int = 3,
    classes: int = 1000,
    width: int = 768,
    depth: int = 12,
    ratio: int = 4,
    prenorm: bool = False,
    embed_norm: bool = True,
) -> nn.Sequential:
    """S2-MLP, arXiv:2106.07477: a branch's norm comes last (as two reimplementations read it) or first (as others)."""

    def branch(*layers: nn.Module) -> nn.Module:
        return Residual(nn.LayerNorm(width), *layers) if prenorm else Residual(*layers, nn.LayerNorm(width))

    layers = patches(patch, inputs, width)
    if embed_norm:
        layers += [nn.LayerNorm(width)]
    for _ in range(depth):
        layers += [branch(nn.Linear(width, width), nn.GELU(), SpatialShift(), nn.Linear(width, width))]
        layers += [branch(*mlp(width, ratio * width))]
    return nn.Sequential(*layers, MeanPool(), nn.Linear(width, classes))


class Fourier(nn.Module):
    """The real part of the orthonormal Fourier transform over the axes of positions and over channels: `b h w c`."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.fftn(x, dim=list(range(1, x.ndim)), norm="ortho").real


def fnet(
    *, patch: int = 16, inputs: int = 3, classes: int = 1000, width: int = 512, depth: int = 8, ratio: int = 4
) -> nn.Sequential:
    """FNet's block, arXiv:2105.03824, on image patches.

    Here norms come first, positions have two axes, and the transform is orthonormal. In the paper's language model
    norms come last, positions have one axis, and the transform is not scaled.
    """
    layers = patches(patch, inputs, width)
    for _ in range(depth):
        layers += [Residual(nn.LayerNorm(width), Fourier())]
        layers += [Residual(nn.LayerNorm(width), *mlp(width, ratio * width))]
    return nn.Sequential(*layers, nn.LayerNorm(width), MeanPool(), nn.Linear(width, classes))


class Monarch(nn.Module):
    """Two block-diagonal layers with a transposition between: `(k p) -> (k q)`, `(r l) -> (s l)` (arXiv:2204.00595)."""

    def __init__(self, width: int, out: int, blocks: int) -> None:
        super().__init__()
        middle = min(width, out) // blocks
        self.first = nn.Parameter(torch.empty(blocks, middle, width // blocks))
        self.second = nn.Parameter(torch.empty(blocks, out // blocks, middle))
        self.bias = nn.Parameter(torch.empty(out))
        for parameter in (self.first, self.second, self.bias):
            nn.init.uniform_(parameter, -(parameter.shape[-1] ** -0.5), parameter.shape[-1] ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        blocks = len(self.first)
        middle = torch.einsum("...kp,kqp->...kq", x.unflatten(-1, (blocks, -1)), self.first).flatten(-2)
        return torch.einsum("...rl,lsr->...sl", middle.unflatten(-1, (-1, blocks)), self.second).flatten(-2) + self.bias


def monarch_mixer(
    *,
    image: int = 224,
    patch: int = 16,
    inputs: int = 3,
    classes: int = 1000,
    width: int = 512,
    depth: int = 8,
    ratio: int = 4,
    blocks: int = 4,
) -> nn.Sequential:
    """A mixer whose dense layers are Monarch: one block per row of patches over tokens, `blocks` over channels."""
    tokens = (image // patch) ** 2
    rows, hidden = isqrt(tokens), ratio * width
    layers = [*patches(patch, inputs, width), nn.Flatten(1, 2)]
    for _ in range(depth):
        over_tokens = Transposed(Monarch(tokens, tokens, rows), nn.GELU(), Monarch(tokens, tokens, rows))
        over_channels = [Monarch(width, hidden, blocks), nn.GELU(), Monarch(hidden, width, blocks)]
        layers += [Residual(nn.LayerNorm(width), over_tokens), Residual(nn.LayerNorm(width), *over_channels)]
    return nn.Sequential(*layers, nn.LayerNorm(width), MeanPool(), nn.Linear(width, classes))
