"""Compares our networks with plain ones of the same formulas: weights copied in order, then the same outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from einops import rearrange
from einops.layers.torch import EinMix
from torch import Tensor, nn


def copy_weights(ours: nn.Module, theirs: Iterable[Tensor], rules: Mapping[str, str]) -> None:
    """Fills our parameters, in their order, from others in the order in which these are used.

    `rules` say for EinMix layers, by their weight shape ("hi wi ci co") or bias shape ("ho co"), how what is theirs
    becomes ours: the left side of an einops pattern ("co ci hi wi", "(co ho)"). What has no rule keeps its order and
    only takes our shape.
    """
    mixes = [layer for layer in ours.modules() if isinstance(layer, EinMix)]
    shapes = {layer.weight: (layer, layer.weight_shape) for layer in mixes}
    shapes |= {layer.bias: (layer, layer.bias_shape) for layer in mixes if layer.bias is not None}
    with torch.no_grad():
        for parameter, other in zip(ours.parameters(), theirs, strict=True):
            layer, shape = shapes.get(parameter, (None, ""))
            left = rules.get(shape)
            if layer is not None and left is not None:
                names = left.replace("(", " ").replace(")", " ").split()
                sizes = {name: n for name, n in layer.axes_lengths.items() if name in names}
                other = rearrange(other, f"{left} -> {shape}", **sizes)
            assert parameter.numel() == other.numel(), (tuple(parameter.shape), tuple(other.shape))
            parameter.copy_(other.reshape(parameter.shape))


def in_float64(make: Callable[[], nn.Module]) -> nn.Module:
    """A network made in float64: frozen weights, too, are exact to that."""
    torch.set_default_dtype(torch.float64)
    try:
        return make()
    finally:
        torch.set_default_dtype(torch.float32)


def shaken(net: nn.Module) -> nn.Module:
    """The same network in float64, its parameters moved a little: none is left at a start of zero or one."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.double().parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64), alpha=0.1)
    return net


def assert_same_outputs(ours: nn.Module, theirs: nn.Module, x: Tensor) -> None:
    """In training and after it, in float64, so that only a different formula makes a difference."""
    x = x.double()
    for training in (True, False):
        with torch.no_grad():
            torch.testing.assert_close(ours.double().train(training)(x), theirs.double().train(training)(x))
