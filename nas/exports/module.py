"""A network as one Python module that needs torch and einops alone, with its weights beside it."""

from pathlib import Path

from einmix import source
from einmix.networks.architecture import Slotted
from nas.errors import NasError, one_line
from nas.exports.check import Export, Exported, Format, unfit

TOLD = ("score", "found by", "exported by", "weights")
"""Facts that the weights carry, too."""

LOAD = """
import importlib.util

def load(file, weights):
    spec = importlib.util.spec_from_file_location("exported", file)
    exported = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(exported)
    net = exported.model().eval().requires_grad_(False)
    net.load_state_dict(read(weights), strict=True)
    return net, vars(exported).get("preprocess")
"""


def write(wanted: Export, folder: Path) -> Exported:
    """Writes `NAME.py`, and `NAME.safetensors` where there are weights. Raises NasError where these do not fit."""
    architecture, inputs = wanted.architecture, wanted.preprocessing
    file, weights = folder / f"{wanted.name}.py", None
    facts = dict(wanted.facts)
    if wanted.weights:
        net = "model()" if not isinstance(architecture, Slotted) else "einmix.slots.fill(make_model(), MIXERS)"
        beside = f"{wanted.name}.safetensors"
        facts["to load"] = f'net = {net}; net.load_state_dict(safetensors.torch.load_file("{beside}"))'
    file.write_text(source(architecture, facts, inputs.text(architecture) if inputs else ""), encoding="utf-8")
    if wanted.weights:
        weights = file.with_suffix(".safetensors")
        weights.write_bytes(with_facts(wanted, wanted.weights))
    return Exported(architecture, file, weights, inputs, beside=weights)


FORMAT = Format(write, LOAD, ("torch", "einops"))


def with_facts(wanted: Export, kept: Path, **also: str) -> bytes:
    """A copy of weights with what they are and what they take, as their metadata."""
    from safetensors import SafetensorError
    from safetensors.torch import load, save

    told = {name: one_line(text) for name, text in wanted.facts.items() if name in TOLD} | {
        "id": wanted.architecture.id
    }
    told |= also
    told |= wanted.preprocessing.metadata if wanted.preprocessing else {}
    try:
        return save(load(kept.read_bytes()), told)
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise NasError(unfit(wanted.architecture, kept, error)) from None
