"""The plain step: forward, backward and AdamW, operator by operator."""

import contextlib
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.training.engine.engine import Parts
from nas.training.engine.examples import Examples, augment


class Eager:
    """An `Engine` for every model and device."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def step(self, index: Tensor, rate: float | Tensor) -> Tensor:
        loss, gradients = passes(self.parts, *batch(self.parts, index))
        self.parts.optimizer.step(gradients, rate)
        return loss


def batch(parts: Parts, index: Tensor) -> tuple[Tensor, Tensor]:
    """Examples of an index, moved about as the recipe says, and their labels."""
    x, y = parts.examples.batch(index)
    return augment(x, parts.augment, parts.generator), y


def passes(parts: Parts, x: Tensor, y: Tensor) -> tuple[Tensor, tuple[Tensor | None, ...]]:
    """The loss of a batch, and the gradients of all that the optimiser has; nothing where the loss hangs on none."""
    with autocast(parts.examples):
        outputs = parts.model(x)
        loss = parts.loss(outputs, y) if parts.loss else smoothed(outputs, y, parts.label_smoothing)
    return loss.detach(), torch.autograd.grad(loss, parts.optimizer.parameters, allow_unused=True)


def smoothed(logits: Tensor, y: Tensor, smoothing: float) -> Tensor:
    """`F.cross_entropy(logits, y, label_smoothing=smoothing)` for labels that all count: half as many operators."""
    logs = F.log_softmax(logits, 1)
    loss = F.nll_loss(logs, y)
    return torch.lerp(loss, -logs.mean(), smoothing) if smoothing else loss


def autocast(examples: Examples) -> contextlib.AbstractContextManager[Any]:
    """The context in which a model computes on examples."""
    half = examples.precision == "bfloat16"
    return torch.autocast(examples.x.device.type, torch.bfloat16) if half else contextlib.nullcontext()
