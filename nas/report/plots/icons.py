"""Small pictures of mixers: what one output reads, and how many sets of weights there are over the channels."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2, prod

from markupsafe import Markup

from einmix import Architecture, Mixer
from einmix.networks.summary import block_mixers
from nas.report.plots.svg import joined, tag, tenth

SIDE = 64
"""Units of a picture's side; below it is the bar."""

MOST = 24
"""Blocks drawn of a network; of more the first."""


def pictured(architecture: Architecture) -> list[Mixer]:
    """The mixers that stand for a network: those of positions of its blocks, in order."""
    return [mixer for block in architecture.blocks for mixer in block_mixers(block)][:MOST]


class Icons:
    """Collects the pictures of a page: every mixer, and every grid below it, is drawn once and used by its number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._grids: dict[tuple[int, int], Markup] = {}
        self._symbols: list[Markup] = []

    def row(self, architecture: Architecture) -> Markup:
        """The pictures of a network side by side; nothing for a network without mixers."""
        return joined([self.use(mixer) for mixer in pictured(architecture)])

    def use(self, mixer: Mixer) -> Markup:
        return tag("svg", tag("use", href=f"#m{self._number(mixer)}"), class_="ic", aria_hidden="true")

    def symbols(self) -> Markup:
        """All that was drawn; it has to stand in the page once."""
        drawn = joined([*self._grids.values(), *self._symbols])
        return tag("svg", tag("defs", drawn), class_="gone", width=0, height=0, aria_hidden="true")

    def _number(self, mixer: Mixer) -> int:
        text = str(mixer).removesuffix(" +b")
        if text not in self._numbers:
            self._numbers[text] = len(self._numbers)
            read = grid(mixer)
            size = len(read), len(read[0])
            if size not in self._grids:
                self._grids[size] = tag("g", cells([[True] * size[1]] * size[0], "i-lo"), id=grid_name(size))
            self._symbols.append(symbol(mixer, read, f"m{self._numbers[text]}"))
        return self._numbers[text]


def symbol(mixer: Mixer, read: Sequence[Sequence[bool]], id: str) -> Markup:
    """One picture: dark is what the output in the middle reads; the bar is the logarithm of the sets of weights."""
    sets = prod(factor.size for factor in dict(mixer.axes).get("c", ()) if factor.role == "g")
    channels = mixer.inputs.get("c", 1)
    share = log2(sets) / log2(channels) if channels > 1 else 0.0
    below = tag("use", href=f"#{grid_name((len(read), len(read[0])))}")
    track = tag("path", class_="i-lo", stroke_width=8, d=f"M0 {SIDE + 9}h{SIDE}")
    bar = tag("path", class_="i-g", stroke_width=8, d=f"M0 {SIDE + 9}h{max(5.0, SIDE * share):.0f}")
    return tag("symbol", below, cells(read, "i-hi"), track, bar, id=id, viewBox=f"0 0 {SIDE} {SIDE + 13}")


def cells(wanted: Sequence[Sequence[bool]], name: str) -> Markup:
    """The wanted cells of a grid that fills the picture, as strokes."""
    height, width = len(wanted), len(wanted[0])
    side = SIDE / max(width, height)
    left, top = (SIDE - side * width) / 2, (SIDE - side * height) / 2
    thick = side - min(2.0, side / 6)
    drawn = "".join(
        f"M{tenth(left + x * side)} {tenth(top + y * side + thick / 2)}h{tenth(thick)}"
        for y, row in enumerate(wanted)
        for x, is_wanted in enumerate(row)
        if is_wanted
    )
    return tag("path", class_=name, stroke_width=thick, d=drawn)


def grid_name(size: tuple[int, int]) -> str:
    return f"g{size[0]}x{size[1]}"


def grid(mixer: Mixer) -> Sequence[Sequence[bool]]:
    """Which positions the output in the middle reads: rows of the grid; of three axes slices below each other.

    Long axes are drawn by every so many positions.
    """
    import numpy as np

    reach = mixer.reach()
    read = np.ones((1, 1), bool)
    for axis in (axis for axis in mixer.inputs if axis != "c"):
        along = reach.along(axis)[mixer.outputs[axis] // 2]
        every = -(-len(along) // 16)
        read = read[..., None] & along[::every]
    shown = read.reshape(-1, read.shape[-1])
    if len(mixer.inputs) <= 2 and shown.shape[1] > 8:  # a sequence, in rows
        columns = next(n for n in (8, 7, 6, 5, 4, shown.shape[1]) if shown.shape[1] % n == 0)
        shown = shown.reshape(-1, columns)
    found: list[list[bool]] = shown.tolist()
    return found
