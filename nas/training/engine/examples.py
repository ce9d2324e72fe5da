"""Data on a device, taken batch by batch, as it is or shifted and flipped."""

from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.data.dataset import Dataset
from nas.data.sources import Arrays

SMALL = 64 * 2**20  # bytes; a copy of all examples in each worker, as normalised float32, may be so large


@dataclass(frozen=True, eq=False)
class Examples:
    """Examples `x` (`n c *axes`) and labels `y` (`n`), on a device.

    Normalised, unless there are `moments` (mean and std, `c *axes`): large sources stay as they are, in memory that
    workers may share, and are normalised batch by batch, to the same numbers. `precision` is what models compute on
    them in.
    """

    x: Tensor
    y: Tensor
    moments: tuple[Tensor, Tensor] | None = None
    precision: str = "float32"

    @classmethod
    def of(cls, arrays: Arrays, dataset: Dataset, device: str, precision: str = "float32") -> Self:
        """Puts one part of a data set on a device, with the moments of the training part."""
        shape = dataset.channels, *[1] * len(dataset.axes)
        mean, std = (torch.tensor(values, device=device).view(shape) for values in (dataset.mean, dataset.std))
        x, y = (torch.from_numpy(array).to(device) for array in (arrays.x, arrays.y))
        whole = cls(x, y, (mean, std), precision)
        return cls(*whole.batch(slice(None)), None, precision) if 4 * x.numel() <= SMALL else whole

    def __len__(self) -> int:
        return len(self.y)

    def batch(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Normalised examples and their labels."""
        if isinstance(index, slice):
            x, y = self.x[index], self.y[index]
        else:
            x, y = self.x.index_select(0, index), self.y.index_select(0, index)
        return (x if self.moments is None else (x - self.moments[0]) / self.moments[1]), y


def augment(x: Tensor, how: str, generator: torch.Generator) -> Tensor:
    """Moves and mirrors examples (`b c *axes`, normalised) at random, all of a batch at once, as a recipe says."""
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
