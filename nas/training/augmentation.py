"""Shifts and flips of a batch."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.training.recipe import Augment


def augment(x: Tensor, how: Augment, generator: torch.Generator) -> Tensor:
    """Moves and mirrors examples (`b c *axes`, normalised) at random, all of a batch at once."""
    if how == "none":
        return x
    x = shift(x, generator)
    return flip(x, generator) if how == "shift+flip" else x


def shift(x: Tensor, generator: torch.Generator) -> Tensor:
    """Moves each example by up to an eighth of each side; zeros, which are the mean, come in from outside."""
    sides = x.shape[2:]
    pads = [side // 8 for side in sides]  # 4 pixels of 32
    windows = F.pad(x, [pad for pad in reversed(pads) for _ in range(2)])
    for axis, side in enumerate(sides, start=2):
        windows = windows.unfold(axis, side, 1)  # a view: every position that the crop can start at
    starts = [torch.randint(2 * pad + 1, (len(x),), generator=generator, device=x.device) for pad in pads]
    index: tuple[Any, ...] = torch.arange(len(x), device=x.device), slice(None), *starts
    return windows[index]


def flip(x: Tensor, generator: torch.Generator) -> Tensor:
    """Mirrors every example along its last axis with probability 1/2."""
    mirrored = torch.rand(len(x), generator=generator, device=x.device) < 0.5
    return torch.where(mirrored.view(-1, *[1] * (x.ndim - 1)), x.flip(-1), x)
