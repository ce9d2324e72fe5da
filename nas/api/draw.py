"""Pictures by name: of a mixer, an EinMix call, a network of the zoo or of a run, a space."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from einmix import Architecture, FactorSet, Mixer
from einmix.algebra.factors import Factors
from einmix.pictures.blocks import draw_blocks
from einmix.pictures.mixer import draw_mixer
from einmix.pictures.network import draw_network
from einmix.pictures.picture import Picture, sheet
from nas.api.saved import SavedRun
from nas.api.zoo import find, inputs_of
from nas.errors import NasError, nearest
from nas.options.draw import Draw
from search_spaces import SPACES, BoundSpace, Space
from search_spaces import load as load_space
from search_spaces.zoo import ZOO

MIXER = "h=m8.s4 w=m8.s4 c=g64"
CALL = '"b c (hI h) (wI w) -> b c (hO h) (wO w)" "c hI wI hO wO" c=64 hI=8 h=4 …'


def draw(*what: str | int | Path | Mixer | Architecture, asked: Draw | None = None, **options: Any) -> Picture:
    """The picture of a mixer, a network or a space; options are those of `options.Draw`.

    What is drawn is a `Mixer`, an `Architecture`, or words as on the command line: a mixer's text; an EinMix pattern,
    its weight shape (its bias shape) and sizes such as `c=64`; the name of a space, or of a network of the zoo; a run
    (its name, or the path of its folder) and a rank or an id. Raises NasError or SpaceError for what is none of these,
    PatternError for what cannot be read.

    >>> draw("h=m4.s2 w=m4.s2 c=g32").title
    'h=m4.s2 w=m4.s2 c=g32'
    """
    wanted = Draw.of(options, asked)
    words = [str(each) for each in what if isinstance(each, str | int | Path)]
    if len(what) == 1 and isinstance(what[0], Mixer | Architecture):
        picture = draw_mixer(what[0]) if isinstance(what[0], Mixer) else draw_network(what[0])
    elif len(words) < len(what) or not words:
        raise NasError(f"a mixer, an architecture or words are drawn, not {what!r}"[:200])
    else:
        picture = _of_words(words, wanted)
    return picture.themed(wanted.theme)


def _of_words(words: Sequence[str], asked: Draw) -> Picture:
    first, *others = words
    if "->" in first:
        _check_no_sizes(asked, "an EinMix call")
        return draw_mixer(_call(first, others))
    if "=" in first:
        _check_no_sizes(asked, "a mixer")
        return draw_mixer(Mixer.parse(" ".join(words)))
    if len(words) == 2:
        _check_no_sizes(asked, "a network of a run")
        run = SavedRun.open(asked.runs_dir, first)
        standing = run.find(others[0])
        return draw_network(standing.architecture, f"{run.name} {standing.title}")
    if len(words) > 2:
        raise NasError(f"{' '.join(words)!r} cannot be drawn: {_KINDS}")
    if first in SPACES or first.endswith(".py"):
        return _space(load_space(first), asked)
    if first.partition(":")[0].partition("/")[0] in ZOO:
        return draw_network(find(first, asked).architecture, first)
    if (asked.runs_dir / first).is_dir():
        raise NasError(f"of a run one network is drawn: nas draw {first} 1, or another rank or an id")
    raise NasError(f"{first!r} cannot be drawn: {nearest(first, [*SPACES, *ZOO])}; {_KINDS}")


_KINDS = f"a mixer as {MIXER!r}, an EinMix call with its sizes, a space, a network of the zoo, RUN ID can be"


def _check_no_sizes(asked: Draw, what: str) -> None:
    if asked.sizes:
        raise NasError(f"{' and '.join(asked.sizes)}: {what} has its sizes; these are for spaces and the zoo")


def _call(pattern: str, words: Sequence[str]) -> Mixer:
    """The mixer of an EinMix call as it is typed: shapes are words without `=`, sizes those with one."""
    shapes = [word for word in words if "=" not in word]
    if not 1 <= len(shapes) <= 2:
        raise NasError(f"an EinMix pattern is followed by its weight shape, perhaps a bias shape, and sizes: {CALL}")
    sizes: dict[str, Any] = {}
    for word in words:
        name, equals, size = word.partition("=")
        if equals:
            if not re.fullmatch(r"[0-9]{1,9}", size) or name in sizes:
                raise NasError(f"a size is written once and as a whole number, as in c=64, not {word!r}")
            sizes[name] = int(size)
    if unknown := sorted(name for name in sizes if name not in re.findall(r"\w+", pattern)):
        raise NasError(f"the pattern {pattern!r} has no axis {unknown[0]!r}")
    return Mixer.from_einmix(pattern, *shapes, **sizes)


def _space(space: Space, asked: Draw) -> Picture:
    """One picture of each family, or of a block of each form, at middle sizes."""
    inputs = inputs_of(asked)
    given = {name: [value] for name in ("patch", "width", "depth") if (value := getattr(asked, name)) is not None}

    def on_data(space: Space, **sizes: Any) -> BoundSpace:
        return space.on(inputs.shape, channels=inputs.channels, classes=inputs.classes, **sizes)

    bound = on_data(space, **given)
    pictures = _families(bound)
    if space.forms:
        middle = bound.middle
        sizes = {"patch": [middle.patch], "width": [middle.width], "depth": [min(bound.sizes["depth"])]}
        alone = (replace(space, forms=(form,), weights={}, stages=(1,)) for form in space.forms)
        pictures = ((each.forms[0], draw_blocks(on_data(each, **sizes).sample(Random(0)))[0]) for each in alone)
    return sheet(f"Space {space.name}", f"{space.summary}: one example of each", list(pictures))


def _families(bound: BoundSpace) -> Iterator[tuple[str, Picture]]:
    grid = bound.grid(bound.middle)
    for name, patterns in bound.facts()["families"].items():
        axes = tuple((axis, _example(patterns[axis], n)) for axis, n in grid.items())
        yield name, draw_mixer(Mixer(axes))


def _example(pattern: str, length: int) -> Factors:
    """The factors of an axis that show best what a pattern is about: two that are as equal as can be, one mixed."""

    def shows(factors: Factors) -> tuple[bool, bool, int]:
        return any(f.role == "m" for f in factors), len(factors) == 2, -max((f.size for f in factors), default=0)

    return max(FactorSet(pattern).enumerate(length), key=shows)
