"""A network as a module of flax.linen, with its weights beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from einmix import Architecture, source
from einmix.frameworks import FRAMEWORKS
from einmix.kinds import Mix
from nas.exports.carried import Layer, layers
from nas.exports.check import Export, Exported, Format, loaded

if TYPE_CHECKING:
    from torch import Tensor

LOAD = """
import importlib.util, jax
from flax.traverse_util import unflatten_dict
from safetensors.numpy import load_file

def load(file, weights):
    spec = importlib.util.spec_from_file_location("exported", file)
    exported = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(exported)
    variables = unflatten_dict(load_file(file.removesuffix(".py") + ".safetensors"), sep=".")
    net = exported.model()
    return jax.jit(lambda x: net.apply(variables, x)), vars(exported).get("preprocess")
"""

NAMES = {
    "mixer": {"weight": "weight", "bias": "bias"},
    "dense": {"weight": "kernel", "bias": "bias"},
    "norm": {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"},
}
"""What flax calls the tensors of a layer, by torch's names."""


def write(wanted: Export, folder: Path) -> Exported:
    """Writes `NAME.py` and `NAME.safetensors`, whose names are those of flax's variables, joined by dots.

    Raises PatternError where flax has no word for what is in the network, NasError where weights do not fit.
    """
    from safetensors.torch import save

    architecture, inputs = wanted.architecture, wanted.preprocessing
    also = inputs.text(architecture, "numpy") if inputs else ""
    text = source(architecture, wanted.facts, also, framework=FRAMEWORKS["flax"])
    assert wanted.weights
    net = loaded(architecture, wanted.weights)
    file = folder / f"{wanted.name}.py"
    weights = file.with_suffix(".safetensors")
    shift = _shift(architecture, [type(layer).__name__ for layer in net.children()])
    tensors = {name: value for layer in layers(net) for name, value in _named(layer, shift).items()}
    weights.write_bytes(save(tensors))
    file.write_text(text, encoding="utf-8")
    return Exported(architecture, file, wanted.weights, inputs, beside=weights)


FORMAT = Format(write, LOAD, ("flax", "einops", "safetensors"), holds=True, extra="flax", needs=("flax", "jax"))


def _shift(architecture: Architecture, kinds: list[str]) -> int:
    """Before which layer those of torch stand one further in flax, whose channels come last from the start on."""
    first = architecture.parts[0].steps[:1]
    return 0 if not first or isinstance(first[0].node, Mix) else kinds.index("Rearrange")


def _named(layer: Layer, shift: int) -> dict[str, Tensor]:
    """The tensors of a layer by the names of flax's variables: `3.f.1` is `layers_3.f_1`."""
    first, *rest = layer.name.split(".")
    path = [f"layers_{int(first) + (int(first) < shift)}"]
    for before, part in zip([first, *rest], rest, strict=False):
        if not part.isdigit():
            path.append(part)
        elif before.isdigit():
            path.append(f"layers_{part}")
        else:
            path[-1] += f"_{part}"
    names = NAMES[layer.kind]
    kept = {name: "batch_stats" if name.startswith("running") else "params" for name in layer.tensors}
    return {".".join([kept[name], *path, names[name]]): value for name, value in layer.tensors.items()}
