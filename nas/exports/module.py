"""A network as one Python module that needs torch and einops alone, with its weights beside it."""

from collections.abc import Mapping
from pathlib import Path

from einmix import Architecture, source
from nas.errors import NasError
from nas.exports.check import Export, Exported, Format, unfit

TOLD = ("score", "found by", "exported by", "weights")
"""Facts that the weights carry, too."""

LOAD = """
import importlib.util

def load(file, weights):
    spec = importlib.util.spec_from_file_location("exported", file)
    exported = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(exported)
    net = exported.model().eval()
    net.load_state_dict(read(weights), strict=True)
    return net, vars(exported).get("preprocess")
"""


def write(wanted: Export, folder: Path) -> Exported:
    """Writes `NAME.py`, and `NAME.safetensors` where there are weights. Raises NasError where that cannot be."""
    architecture, inputs = wanted.architecture, wanted.preprocessing
    file, weights = folder / f"{wanted.name}.py", None
    _write_text(file, source(architecture, wanted.facts, inputs.text(architecture) if inputs else ""))
    if wanted.weights:
        weights = file.with_suffix(".safetensors")
        told = {name: text for name, text in wanted.facts.items() if name in TOLD}
        told |= (inputs.metadata if inputs else {}) | {"id": architecture.id}
        _write_weights(architecture, wanted.weights, weights, told)
    return Exported(architecture, file, weights, inputs)


FORMAT = Format(write, LOAD, ("torch", "einops"))


def _write_weights(architecture: Architecture, kept: Path, weights: Path, metadata: Mapping[str, str]) -> None:
    """A copy of weights with what they are and what they take."""
    from safetensors import SafetensorError
    from safetensors.torch import load, save

    try:
        data = save(load(kept.read_bytes()), dict(metadata))
        weights.write_bytes(data)
    except OSError as error:
        raise NasError(f"cannot write {error.filename or weights}: {error.strerror}") from None
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise NasError(unfit(architecture, kept, error)) from None


def _write_text(module: Path, text: str) -> None:
    try:
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NasError(f"cannot write {error.filename or module}: {error.strerror}") from None
