"""The parameters of a model in groups: what the optimiser does alike to all of a group."""

from collections.abc import Mapping
from typing import Any

from torch import nn


def grouped(model: nn.Module, weight_decay: float, scales: Mapping[str, float]) -> list[dict[str, Any]]:
    """Groups as an optimiser takes them, by weight decay and by `scale`: what the rate is multiplied by.

    Weight decay is for weights of two axes or more, not for biases (EinMix gives those many axes). `scales` are by
    parameter; those without one have 1.
    """
    found: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        decay = weight_decay if parameter.ndim >= 2 and not name.endswith("bias") else 0.0
        found.setdefault((decay, scales.get(name, 1.0)), []).append(parameter)
    return [{"params": each, "weight_decay": decay, "scale": scale} for (decay, scale), each in found.items()]
