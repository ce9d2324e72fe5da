"""A network as a module of Keras 3, for any of its backends, with its weights beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from einmix import source
from einmix.frameworks import FRAMEWORKS
from nas.exports.carried import layers
from nas.exports.check import Export, Exported, Format, loaded

if TYPE_CHECKING:
    from torch import Tensor, nn

LOAD = """
import importlib.util, os, tempfile, torch
home = tempfile.TemporaryDirectory()  # keras writes there
os.environ["KERAS_BACKEND"], os.environ["KERAS_HOME"] = "torch", home.name
import keras
from safetensors.numpy import load_file

def load(file, weights):
    spec = importlib.util.spec_from_file_location("exported", file)
    exported = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(exported)
    net, kept = exported.model(), load_file(file.removesuffix(".py") + ".safetensors")
    net.set_weights([kept[name] for name in sorted(kept)])
    outputs = lambda x: torch.from_numpy(keras.ops.convert_to_numpy(net(x, training=False)))
    prepare = vars(exported).get("preprocess")
    return outputs, prepare and (lambda x: torch.from_numpy(prepare(x.numpy())))
"""

NAMES = {"weight": "kernel", "bias": "bias", "running_mean": "moving_mean", "running_var": "moving_variance"}


def write(wanted: Export, folder: Path) -> Exported:
    """Writes `NAME.py` and `NAME.safetensors`, whose names begin with their places in `model().weights`.

    Raises PatternError where keras has no word for what is in the network, NasError where weights do not fit.
    """
    from safetensors.torch import save

    architecture, inputs = wanted.architecture, wanted.preprocessing
    also = inputs.text(architecture, "numpy") if inputs else ""
    text = source(architecture, wanted.facts, also, framework=FRAMEWORKS["keras"])
    assert wanted.weights
    named = _named(loaded(architecture, wanted.weights))
    file = folder / f"{wanted.name}.py"
    weights = file.with_suffix(".safetensors")
    weights.write_bytes(save({f"{number:05} {name}": value for number, (name, value) in enumerate(named)}))
    file.write_text(text, encoding="utf-8")
    return Exported(architecture, file, wanted.weights, inputs, beside=weights)


PACKAGES = ("keras", "torch", "einops", "safetensors")
FORMAT = Format(write, LOAD, PACKAGES, holds=True, extra="keras", needs=("keras",))


def _named(net: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """All tensors in the order of keras, layer by layer, by names that tell the layer of the torch module."""
    for layer in layers(net):
        for name, value in layer.tensors.items():
            yield f"{layer.name}.{NAMES[name]}", value
