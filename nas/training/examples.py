"""Data on a device, taken batch by batch."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from nas.data.dataset import Dataset
from nas.data.sources import Arrays


@dataclass(frozen=True, eq=False)
class Examples:
    """Examples `x` (`n c *axes`, uint8 where the source is) and labels `y` (`n`), on a device."""

    x: Tensor
    y: Tensor
    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, arrays: Arrays, dataset: Dataset, device: str) -> Self:
        """Puts one part of a data set on a device, with the moments of the training part."""
        shape = dataset.channels, *[1] * len(dataset.axes)
        moments = [torch.tensor(values, device=device).view(shape) for values in (dataset.mean, dataset.std)]
        return cls(torch.from_numpy(arrays.x).to(device), torch.from_numpy(arrays.y).to(device), *moments)

    def __len__(self) -> int:
        return len(self.y)

    def batch(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Normalised examples and their labels; by batch, so that uint8 takes a quarter of the memory at no cost."""
        return (self.x[index] - self.mean) / self.std, self.y[index]
