"""Small pictures of mixers for tables: `draw_icon`'s, each of them once in a page and in a tenth of the letters."""

from __future__ import annotations

from markupsafe import Markup

from einmix import Architecture, Mixer
from einmix.networks.summary import block_mixers
from einmix.pictures.mixer import draw_icon
from einmix.pictures.shapes import Cells, Rect
from nas.report.plots.svg import joined, tag, tenth

MOST = 24
"""Mixers drawn of a network; of more the first."""

Corners = tuple[tuple[float, float], ...]


def pictured(architecture: Architecture) -> list[Mixer]:
    """The mixers that stand for a network: those of positions of its blocks, in order."""
    return [mixer for block in architecture.blocks for mixer in block_mixers(block)][:MOST]


class Icons:
    """Collects the pictures of a page: every mixer, and every grid below it, is drawn once and used by its number.

    Dark is what the output in the middle reads, the bar grows with the sets of weights.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._grids: dict[Corners, str] = {}
        self._drawn: list[Markup] = []

    def row(self, architecture: Architecture) -> Markup:
        """The pictures of a network side by side; nothing for a network without mixers."""
        return joined([self.use(mixer) for mixer in pictured(architecture)])

    def use(self, mixer: Mixer) -> Markup:
        text = str(mixer).removesuffix(" +b")
        if text not in self._numbers:
            self._numbers[text] = len(self._numbers)
            self._drawn.append(self._symbol(mixer, f"m{self._numbers[text]}"))
        return tag("svg", tag("use", href=f"#m{self._numbers[text]}"), class_="ic", aria_hidden="true")

    def symbols(self) -> Markup:
        """All that was drawn; it has to stand in the page once."""
        return tag("svg", tag("defs", *self._drawn), class_="gone", width=0, height=0, aria_hidden="true")

    def _symbol(self, mixer: Mixer, id: str) -> Markup:
        picture = draw_icon(mixer)
        cells = [shape for shape in picture.shapes if isinstance(shape, Cells)]
        bars = [shape for shape in picture.shapes if isinstance(shape, Rect)]
        every = tuple(sorted(corner for shape in cells for corner in shape.corners))
        side = cells[0].side if cells else 1.0
        if every not in self._grids:
            self._grids[every] = f"g{len(self._grids)}"
            self._drawn.append(tag("g", strokes(every, side, "i-lo"), id=self._grids[every]))
        read = [strokes(shape.corners, side, "i-hi") for shape in cells if shape.look == "read"]
        bar = [tag("rect", class_="i-g", x=b.x, y=b.y, width=b.width, height=b.height) for b in bars]
        below = tag("use", href=f"#{self._grids[every]}")
        view = f"0 0 {picture.width:g} {picture.height:g}"
        return tag("symbol", below, *read, *bar, id=id, viewBox=view)


def strokes(corners: Corners, side: float, name: str) -> Markup:
    """Squares as strokes as thick as they are long, which takes the fewest letters."""
    drawn = "".join(f"M{tenth(x)} {tenth(y + side / 2)}h{tenth(side)}" for x, y in corners)
    return tag("path", class_=name, stroke_width=side, d=drawn)
