"""The plain step: forward, backward and AdamW, operator by operator."""

import contextlib
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.training.engine.engine import Parts
from nas.training.engine.examples import augment


class Eager:
    """An `Engine` for every model and device."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def step(self, index: Tensor, rate: float) -> Tensor:
        parts = self.parts
        x, y = parts.examples.batch(index)
        with autocast(x.device):
            logits = parts.model(augment(x, parts.augment, parts.generator))
            loss = F.cross_entropy(logits, y, label_smoothing=parts.label_smoothing)
        parts.optimizer.zero_grad()
        loss.backward()
        parts.optimizer.step(rate)
        return loss.detach()


def autocast(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """The context in which a model computes on a device."""
    return torch.autocast(device.type, torch.bfloat16) if has_bfloat16(device.type) else contextlib.nullcontext()


def has_bfloat16(device: str) -> bool:
    """Whether models compute in bfloat16 on a kind of device: on GPUs that do so in hardware."""
    return device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
