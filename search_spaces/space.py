"""A space as a declaration: which families of mixers a block may choose from, and which sizes networks may have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from einmix import FactorSet, PatternError
from einmix.algebra.factors import MAX_SIZE
from search_spaces.blocks.filled import FilledForms
from search_spaces.blocks.forms import FORMS
from search_spaces.blocks.letters import Alphabet
from search_spaces.blocks.mixers import Mixers
from search_spaces.blocks.parts import Inputs
from search_spaces.blocks.patch import check_patch, default_patches, fits, patch_on
from search_spaces.blocks.place import MOST_AXES, Place
from search_spaces.bound.assembly import Assembly
from search_spaces.bound.space import BoundSpace
from search_spaces.errors import SpaceError

SIZES = {"patch": MAX_SIZE, "width": 2**16, "depth": 256, "ratio": 2**8, "stages": 8}
"""The sizes of a network, each with the largest that a space may name: larger ones are mistakes."""

WORDS = {"norm": ("layer", "affine", "batch"), "scale": ("none", "1", "0.1", "0.01", "0.0001")}
"""What else is alike in all blocks of a network: what stands before each branch, and where LayerScale starts."""


@dataclass(frozen=True)
class Family:
    """A kind of mixer, by patterns of factors: `positions` for every spatial axis, `channels` for c.

    Patterns are those of `einmix.FactorSet`: roles with `*` for any size, joined by dots, `|` between alternatives.
    `axes` says it for an axis by name instead, as in `axes={"w": "s*"}`.
    """

    name: str
    positions: str
    channels: str
    axes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_name(self.name, "a family")
        if not isinstance(self.axes, Mapping):
            raise SpaceError(f"family {self.name!r}: axes is a dict from axis to pattern, not {self.axes!r}")
        for pattern in (self.positions, self.channels, *self.axes.values()):
            if not isinstance(pattern, str):
                raise SpaceError(f"family {self.name!r}: a pattern is a text such as 'm*.s*', not {pattern!r}")
            try:
                FactorSet(pattern)
            except PatternError as error:
                raise SpaceError(f"family {self.name!r}: {error.summary}") from None

    def pattern(self, axis: str) -> str:
        """The pattern for the axis of this name."""
        return self.axes.get(axis, self.channels if axis == "c" else self.positions)


@dataclass(frozen=True)
class Space:
    """What a search may try: in every block a mixer of one of the families, then an MLP over channels.

    Each of patch, width, depth and ratio (of the MLP) lists the sizes to choose from; a patch is a number, or a tuple
    with one for each axis. Without a patch size those are taken that leave 16 to 256 positions. `on` binds the
    declaration to the shape of a data set.

    A random draw is uniform over networks. With `weights` of families or forms (those left out have 1) it is uniform
    over sizes, then by weight over families or forms, block by block, then uniform over what is in them.

    Networks that mix nothing along one of the axes of positions are left out, unless `mixes_all` is False.

    >>> space = Space("mine", "local mixing, weights per channel", (Family("local", "s*.m*", "g*"),), depth=(2,))
    >>> space.on({"h": 8, "w": 8}, channels=1, classes=10).count()
    578
    """

    name: str
    summary: str
    families: tuple[Family, ...]
    patch: tuple[int | tuple[int, ...], ...] = ()
    width: tuple[int, ...] = (32, 64)
    depth: tuple[int, ...] = (2, 3, 4)
    ratio: tuple[int, ...] = (2,)
    bias: bool = True
    forms: tuple[str, ...] = ()
    stages: tuple[int, ...] = (1,)
    norm: tuple[str, ...] = ("layer",)
    scale: tuple[str, ...] = ("none",)
    weights: Mapping[str, int] = field(default_factory=dict)
    mixes_all: bool = True

    def __post_init__(self) -> None:
        _check_name(self.name, "a space")
        families = self.families
        declared = isinstance(families, tuple) and families and all(isinstance(each, Family) for each in families)
        if not self.forms and not declared:
            raise SpaceError(f"space {self.name!r} needs a tuple of at least one Family, not {families!r}")
        if len({family.name for family in families}) != len(families):
            raise SpaceError(f"space {self.name!r} has two families of one name")
        for name, largest in SIZES.items():
            sizes = getattr(self, name)
            whole = isinstance(sizes, tuple) and all(
                _is_size(size, largest)
                or (name == "patch" and isinstance(size, tuple) and size and all(_is_size(n, largest) for n in size))
                for size in sizes
            )
            if not whole or (not sizes and name != "patch") or len(set(sizes)) != len(sizes):
                fact = f"{name} is a tuple of different whole numbers from 1 to {largest}"
                fact += " (or of tuples, one for each axis)" if name == "patch" else ""
                raise SpaceError(f"space {self.name!r}: {fact}, not {sizes!r}")
        for name, known in WORDS.items() | {("forms", tuple(FORMS))}:
            words = getattr(self, name)
            if not isinstance(words, tuple) or not set(words) <= set(known) or len(set(words)) != len(words):
                raise SpaceError(f"space {self.name!r}: {name} is a tuple of {', '.join(known)}, not {words!r}")
        if not self.forms and (self.stages, self.norm, self.scale) != ((1,), ("layer",), ("none",)):
            raise SpaceError(f"space {self.name!r}: stages, norm and scale are for spaces of forms")
        self._check_weights()
        for name in ("bias", "mixes_all"):
            if not isinstance(getattr(self, name), bool):
                raise SpaceError(f"space {self.name!r}: {name} is True or False, not {getattr(self, name)!r}")

    @property
    def ideas(self) -> tuple[str, ...]:
        """The names of the forms, or of the families."""
        return self.forms or tuple(family.name for family in self.families)

    def drawn(self, over: str) -> Space:
        """The space with random draws over "networks", or over "ideas" (forms or families) and then networks.

        Raises SpaceError for any other word.
        """
        if over not in ("networks", "ideas"):
            raise SpaceError(f"draws are over networks or ideas, not {over!r}")
        return replace(self, weights={} if over == "networks" else self.weights or dict.fromkeys(self.ideas, 1))

    def _check_weights(self) -> None:
        weights, known = self.weights, self.ideas
        if not isinstance(weights, Mapping) or not all(
            name in known and type(weight) is int and 1 <= weight <= 2**16 for name, weight in weights.items()
        ):
            fact = f"weights is a dict from {', '.join(known)} to whole numbers from 1 to {2**16}"
            raise SpaceError(f"space {self.name!r}: {fact}, not {weights!r}")

    @property
    def sizes(self) -> dict[str, tuple[Any, ...]]:
        """What networks of the space may differ in beside their blocks' contents, each with its options."""
        names = [name for name in (*SIZES, *WORDS) if self.forms or name in ("patch", "width", "depth", "ratio")]
        return {name: getattr(self, name) for name in names}

    def on(
        self,
        shape: Mapping[str, int],
        *,
        channels: int,
        classes: int,
        patch: Sequence[int | tuple[int, ...]] = (),
        width: Sequence[int] = (),
        depth: Sequence[int] = (),
        ratio: Sequence[int] = (),
    ) -> BoundSpace:
        """The space over inputs of this shape (spatial axes by name); sizes given here replace those declared.

        A patch is a size for all axes, or a tuple with one for each. Raises SpaceError where one that is asked for does
        not divide an axis.
        """
        _check_shape(shape, channels, classes)
        norm = tuple(word for word in self.norm if word != "batch" or len(shape) <= MOST_AXES)
        if not norm:
            raise SpaceError(
                f"space {self.name!r}: the norm 'batch' is for 1 to {MOST_AXES} axes, not {' '.join(shape)}"
            )
        for family in self.families:
            for axis in family.axes:
                if axis not in (*shape, "c"):
                    raise SpaceError(
                        f"family {family.name!r} names an axis {axis!r}; the data have {' '.join(shape)} c"
                    )
        bound = replace(
            self,
            patch=tuple(patch) or self.patch,
            width=tuple(width) or self.width,
            depth=tuple(depth) or self.depth,
            ratio=tuple(ratio) or self.ratio,
            norm=norm,
        )
        found = [patch_on(size, shape) for size in bound.patch]
        fitting = tuple(dict.fromkeys(size for size in found if fits(size, shape)))
        if patch or not fitting:
            for size in found:
                check_patch(size, shape)
        bound = replace(bound, patch=fitting or default_patches(shape))
        inputs = Inputs(dict(shape), channels, classes)
        assembly = Assembly(inputs, bound.alphabet, bias=self.bias, mixes_all=self.mixes_all)
        return BoundSpace(bound._facts((*shape, "c")), assembly)

    def mixers(self, sizes: Mapping[str, int], *, bias: bool = True, times: int = 1) -> Mixers:
        """The mixers of the families on axes of these sizes: 1 to 4 of positions, and `c`. Raises SpaceError.

        Of what stands in several places the costs are those of all of these `times`.
        """
        shape = {axis: n for axis, n in sizes.items() if axis != "c"}
        if not 1 <= len(shape) <= 4 or "c" not in sizes or not all(_is_size(n, MAX_SIZE) for n in sizes.values()):
            raise SpaceError(f"a mixer has 1 to 4 axes of positions and c, as in h=14, w=14, c=384, not {dict(sizes)}")
        return self._mixers({**shape, "c": sizes["c"]}, bias, times)

    def _mixers(self, sizes: Mapping[str, int], bias: bool, times: int = 1) -> Mixers:
        patterns = ((axis, tuple(family.pattern(axis) for family in self.families)) for axis in sizes)
        names = tuple(family.name for family in self.families)
        return _mixers(tuple(sizes.items()), tuple(patterns), names, bias, times)

    def alphabet(self, place: Place) -> Alphabet:
        """What a block may hold that stands there."""
        return _filled_forms(place, self.forms) if self.forms else self._mixers(place.sizes, self.bias)

    def _facts(self, axes: Sequence[str]) -> dict[str, Any]:
        return {
            "name": self.name,
            "summary": self.summary,
            "bias": self.bias,
            "families": {family.name: {axis: family.pattern(axis) for axis in axes} for family in self.families},
            "forms": list(self.forms),
            "weights": dict(self.weights),
            "sizes": self.sizes,
        } | ({} if self.mixes_all else {"mixes_all": False})


@lru_cache(maxsize=1024)
def _mixers(
    sizes: tuple[tuple[str, int], ...],
    patterns: tuple[tuple[str, tuple[str, ...]], ...],
    names: Sequence[str],
    bias: bool,
    times: int,
) -> Mixers:
    """Places that differ in other things share their mixers, and so do spaces."""
    sets = {axis: _factor_set(*each) for axis, each in patterns}
    return Mixers(dict(sizes), sets, names, bias=bias, times=times)


@lru_cache(maxsize=1024)
def _filled_forms(place: Place, forms: Sequence[str]) -> FilledForms:
    """Spaces that differ in other things share their blocks."""
    return FilledForms(place, forms)


@lru_cache(maxsize=1024)
def _factor_set(*patterns: str) -> FactorSet:
    return FactorSet(*patterns)


def _check_name(name: object, what: str) -> None:
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise SpaceError(f"{name!r} cannot name {what}: lower-case letters, digits and underscores")


def _check_shape(shape: Mapping[str, int], channels: int, classes: int) -> None:
    numbers = [*shape.values(), channels, classes]
    if not 1 <= len(shape) <= 4 or "c" in shape or not all(type(n) is int and 1 <= n <= MAX_SIZE for n in numbers):
        fact = "data have 1 to 4 spatial axes, channels and classes, all of at least 1"
        raise SpaceError(f"{fact}, not {dict(shape)}, {channels!r} and {classes!r}")


def _is_size(size: object, largest: int) -> bool:
    return type(size) is int and 1 <= size <= largest
