"""Compares our networks with plain ones of the same formulas: weights copied in order, then the same outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from einops import rearrange
from einops.layers.torch import EinMix
from torch import Tensor, nn


def copy_weights(ours: nn.Module, theirs: Iterable[Tensor], rules: Mapping[str, str]) -> None:
    """Fills our parameters, in their order, from others in the order in which these are used.

    `rules` say for EinMix layers, by their weight shape ("hi wi ci co"), how a weight of theirs becomes one of ours:
    the left side of an einops pattern ("co ci hi wi"). What has no rule keeps its order and only takes our shape.
    """
    layers = {layer.weight: layer for layer in ours.modules() if isinstance(layer, EinMix)}
    with torch.no_grad():
        for parameter, other in zip(ours.parameters(), theirs, strict=True):
            layer = layers.get(parameter)
            left = rules.get(layer.weight_shape) if layer is not None else None
            if layer is not None and left is not None:
                names = left.replace("(", " ").replace(")", " ").split()
                sizes = {name: n for name, n in layer.axes_lengths.items() if name in names}
                other = rearrange(other, f"{left} -> {layer.weight_shape}", **sizes)
            assert parameter.numel() == other.numel(), (tuple(parameter.shape), tuple(other.shape))
            parameter.copy_(other.reshape(parameter.shape))


def assert_same_outputs(ours: nn.Module, theirs: nn.Module, x: Tensor) -> None:
    """In float64, so that only a different formula makes a difference."""
    with torch.no_grad():
        torch.testing.assert_close(ours.double().eval()(x.double()), theirs.double().eval()(x.double()))
