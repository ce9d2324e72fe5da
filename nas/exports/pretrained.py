"""Weights of others for networks of the zoo, and ours for theirs: tensor by tensor, by a table of names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from einmix import Architecture, build
from nas.errors import NasError, one_line

if TYPE_CHECKING:
    from torch import Tensor

THEIRS = {"hi wi ci co": "co ci hi wi", "hi wi ho wo": "(ho wo) (hi wi)"}
"""What weights of mixers are elsewhere, by ours: patches are a convolution, positions stand in a row."""

Names = Mapping[str, str]
"""What another implementation calls our layers, or single tensors of them."""


class Place(NamedTuple):
    """A tensor of ours: its name, theirs, its shape; `here` and `there` are einops patterns where these differ."""

    ours: str
    theirs: str
    shape: Sequence[int]
    here: str
    there: str

    @property
    def sizes(self) -> dict[str, int]:
        return dict(zip(self.here.split(), self.shape, strict=True)) if self.here else {}


def put(architecture: Architecture, names: Names, file: Path, to: Path) -> Architecture:
    """Writes the weights of a network, made of those of a safetensors file; the network has as many classes as these.

    Raises NasError where the file is none, or does not have its weights.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save

    try:
        given = load_file(file)
    except (SafetensorError, OSError) as error:
        raise NasError(f"cannot read weights from {file}: {one_line(str(error))[:200]}") from None
    (*_, classifier) = names.values()
    classes = given.get(f"{classifier}.bias")
    wanted = architecture if classes is None else replace(architecture, classes=classes.numel())
    to.write_bytes(save(ours(wanted, names, given)))
    return wanted


def ours(architecture: Architecture, names: Names, theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a network, from those of another implementation.

    Raises NasError where a tensor is missing, is of another size, or is left over.
    """
    from einops import EinopsError, rearrange

    left, found = dict(theirs), {}
    for place in _places(architecture, names):
        if place.theirs not in left:
            raise NasError(
                f"among the weights is no {place.theirs!r}, which becomes {place.ours!r} of {architecture.id}"
            )
        value = left.pop(place.theirs)
        try:
            moved = rearrange(value, f"{place.there} -> {place.here}", **place.sizes) if place.here else value
            found[place.ours] = moved.reshape(place.shape).contiguous()
        except (EinopsError, RuntimeError):
            shapes = f"{list(value.shape)}, from which {place.ours!r} of {list(place.shape)} cannot be made"
            raise NasError(f"among the weights {place.theirs!r} is {shapes}") from None
    if left:
        raise NasError(f"among the weights is {next(iter(left))!r}, which {architecture.id} does not have")
    return found


def theirs(
    architecture: Architecture, names: Names, ours: Mapping[str, Tensor], shapes: Mapping[str, Sequence[int]]
) -> dict[str, Tensor]:
    """The weights of another implementation, whose tensors have these shapes, from those of a network."""
    from einops import rearrange

    found = {}
    for place in _places(architecture, names):
        value = ours[place.ours]
        moved = rearrange(value, f"{place.here} -> {place.there}", **place.sizes) if place.here else value
        found[place.theirs] = moved.reshape(tuple(shapes[place.theirs])).contiguous()
    return found


def _places(architecture: Architecture, names: Names) -> Iterator[Place]:
    """All tensors of a network."""
    net = build(architecture)
    for name, value in net.state_dict().items():
        layer, _, tensor = name.rpartition(".")
        their_name = names[name] if name in names else f"{names[layer]}.{tensor}"
        here = getattr(net.get_submodule(layer), "weight_shape", "") if tensor == "weight" else ""
        here = here if here in THEIRS else ""
        yield Place(name, their_name, tuple(value.shape), here, THEIRS.get(here, ""))
