"""Networks of the literature by name and sizes, as commands ask for them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from einmix import Architecture
from nas.errors import NasError, nearest
from nas.options.search import Search
from nas.options.zoo import Zoo
from search_spaces.blocks.patch import default_patch
from search_spaces.zoo import ZOO, Inputs, Member, member


@dataclass(frozen=True)
class Network:
    """One network of the zoo: of a published size (`variant`), or of another one."""

    member: Member
    variant: str | None
    architecture: Architecture
    words: str

    @property
    def stem(self) -> str:
        """A name for its module."""
        return re.sub(r"[^a-z0-9]+", "_", f"{self.member.name} {self.variant or self.architecture.id}".lower())

    @property
    def facts(self) -> dict[str, str]:
        """The header of its text."""
        return {
            "title": self.member.name + (f" {self.variant}" if self.variant else ""),
            "what": self.member.summary,
            "source": self.member.source,
            "sizes": self.words,
            "weights": "none: it is not trained",
        }


def find(name: str, asked: Zoo) -> Network:
    """The network of a name, at a published size if it is in the name, else at the one asked for.

    Raises NasError for an unknown size and one that it cannot have, SpaceError for an unknown name.
    """
    stem, colon, variant = name.partition(":")
    head, slash, rest = stem.partition("/")
    if slash and head in ZOO:
        raise NasError(f"no network {name!r} in the zoo: did you mean {f'{head}:{rest}'!r}?")
    found = member(stem)
    if not colon:
        return _sized(found, asked)
    if variant not in found.variants:
        known = nearest(variant, found.variants) if found.variants else f"it has none, write {stem} alone"
        raise NasError(f"no published size {variant!r} of {stem}: {known}")
    if asked.sizes:
        raise NasError(f"{name} has a published size: leave {' and '.join(asked.sizes)} out, or write {stem} alone")
    return Network(found, variant, found.published(variant), "as published, for 224 x 224")


def inputs_of(asked: Zoo) -> Inputs:
    """What a network is asked to take: of a shape that is given, or of data."""
    from nas.data.known import shape_of

    shape, channels, classes = shape_of(asked.data or Search.data, asked.data_dir)
    if asked.shape is not None:
        shape, channels = _shape(asked.shape)
    return Inputs(shape, channels, asked.classes or classes)


def _sized(found: Member, asked: Zoo) -> Network:
    inputs, width, depth = inputs_of(asked), asked.width or 64, asked.depth or 4
    patch = asked.patch or default_patch(inputs.shape)
    if width % found.step:
        raise NasError(f"--width is {width}; {found.name} has multiples of {found.step}")
    network = found.at(inputs, patch=patch, width=width, depth=depth)
    return Network(found, None, network, f"patch {patch} width {width} depth {depth}")


def _shape(text: str) -> tuple[dict[str, int], int]:
    """Lengths of the spatial axes, and channels, of a shape such as 40x2, 32x32x3 or 16x16x16x1."""
    from nas.data.npz import SPATIAL

    pieces = text.split("x")
    whole = all(piece.isascii() and piece.isdigit() and len(piece) < 8 and int(piece) for piece in pieces)
    names = next((axes for axes in SPATIAL if len(axes) == len(pieces) - 1), None)
    if not whole or names is None:
        raise NasError(f"--shape takes one to three lengths and the channels, as in 32x32x3, not {text!r}")
    *lengths, channels = map(int, pieces)
    return dict(zip(names, lengths, strict=True)), channels
