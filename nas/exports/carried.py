"""The weights of a network by its layers, laid out as other frameworks have them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor, nn

ORDER = ("weight", "bias", "running_mean", "running_var")


class Layer(NamedTuple):
    """A layer that has weights: its name in the module, what it is (mixer, dense or norm), and its tensors.

    Matrices of linear layers are inputs x outputs; kernels of convolutions have their positions first, then inputs
    and outputs: channels come last. Weights of mixers are as in torch, and of tied ones only the free numbers.
    """

    name: str
    kind: str
    tensors: dict[str, Tensor]


def layers(net: nn.Module) -> Iterator[Layer]:
    """All layers with weights, in their order."""
    from torch.nn.utils.parametrize import is_parametrized

    for name, module in net.named_modules():
        if ".parametrizations" in name:
            continue
        own = dict(module.named_parameters(recurse=False)) | dict(module.named_buffers(recurse=False))
        if is_parametrized(module):
            own["weight"] = module.parametrizations.weight.original
        tensors = {key: own[key].detach() for key in ORDER if own.get(key) is not None}
        kind = _kind(module)
        if kind == "dense":
            weight = tensors["weight"]
            tensors["weight"] = weight.permute(*range(2, weight.ndim), 1, 0)
        if tensors:
            yield Layer(name, kind, {key: value.contiguous() for key, value in tensors.items()})


def _kind(module: nn.Module) -> str:
    if hasattr(module, "weight_shape"):
        return "mixer"
    return "dense" if type(module).__name__.startswith(("Linear", "Conv")) and hasattr(module, "weight") else "norm"
