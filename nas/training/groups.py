"""The parameters of a model in groups: what the optimiser does alike to all of a group."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from einmix import Architecture
from nas.training.recipe import BASE


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


def scales(model: nn.Module, architecture: Architecture) -> dict[str, float]:
    """What the learning rate of each parameter is multiplied by, after its fan-in: `BASE / fan-in`, 1 for one input.

    Under Adam the rate at which a layer is stable falls with the number of inputs that it sums: Yang et al., "Tensor
    Programs V", 2022 (arXiv:2203.03466); Qiu et al., "Compute Better Spent", 2024 (arXiv:2406.06248).
    Raises ValueError where the model is not that of the architecture.
    """
    names, fan_ins = [name for name, _ in model.named_parameters()], architecture.fan_ins
    several = [name for name, n in zip(names, fan_ins, strict=False) if n > 1]
    if len(names) != len(fan_ins) or any(name.endswith("bias") for name in several):
        raise ValueError(f"the parameters of architecture {architecture.id} are not those of its model")
    return {name: BASE / n if n > 1 else 1.0 for name, n in zip(names, fan_ins, strict=True)}
