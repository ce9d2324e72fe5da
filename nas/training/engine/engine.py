"""What an engine is made of, and what it does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from nas.training.engine.examples import Examples
from nas.training.engine.optimizer import AdamW


@dataclass(frozen=True, eq=False)
class Parts:
    """All that a step of a training works on, on one device; `generator` draws the augmentation."""

    model: nn.Module
    optimizer: AdamW
    examples: Examples
    generator: torch.Generator
    augment: str = "none"
    label_smoothing: float = 0.0
    loss: Callable[[Tensor, Tensor], Tensor] | None = None
    """In place of cross-entropy."""


class Engine(Protocol):
    """Steps of one training, whose model is in training mode. Made once, from its `Parts`."""

    def step(self, index: Tensor, rate: float | Tensor) -> Tensor:
        """One step on the examples of an index (`b`, on the device), at a learning rate of which groups have shares.

        All calls of a training have equally many examples. The loss comes back detached, on the device: nothing is
        read back, so that a GPU need not be waited for. It is the caller's only until the next step.
        """
