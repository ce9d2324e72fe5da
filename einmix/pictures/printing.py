"""Pictures as PNG and PDF, drawn by matplotlib with its own fonts, so that they are the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from einmix.errors import PatternError
from einmix.pictures.shapes import LOOKS, PAPER, Cells, Disc, Rect, Shape, Text

NARROWED = {"sans": 0.88, "bold": 0.85, "mono": 1.0}
"""DejaVu's letters are made smaller so that a text is no wider than in Arial."""


def save(path: Path, size: tuple[float, float], shapes: Sequence[Shape], title: str, *, dark: bool) -> None:
    """Writes a PNG, two pixels a unit, or a PDF, a point a unit. Raises PatternError without matplotlib."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        fact = f"{path.suffix} takes matplotlib, which is not installed"
        raise PatternError(fact, hint="pip install 'einmix-nas[pictures]', or save as .svg") from None
    width, height = size
    figure = Figure(figsize=(width / 72, height / 72), facecolor=PAPER[dark])
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    for shape in shapes:
        _draw(axes, shape, *LOOKS[shape.look].on("dark" if dark else "light"))
    with rc_context({"pdf.fonttype": 42}):
        about = {"Title": title, **({"CreationDate": None} if path.suffix == ".pdf" else {"Software": None})}
        figure.savefig(path, dpi=144, metadata=about)


def _draw(axes: Any, shape: Shape, fill: str, stroke: str) -> None:
    from matplotlib.patches import Circle, FancyBboxPatch, PathPatch
    from matplotlib.path import Path as Outline

    painted: dict[str, Any] = {"facecolor": fill or "none", "edgecolor": stroke or "none"}
    if isinstance(shape, Text):
        family, weight = ("DejaVu Sans Mono" if shape.mono else "DejaVu Sans"), "bold" if shape.bold else "normal"
        size = shape.size * NARROWED["mono" if shape.mono else "bold" if shape.bold else "sans"]
        where = {"start": "left", "middle": "center", "end": "right"}[shape.anchor]
        given: dict[str, Any] = {"family": family, "weight": weight, "size": size, "color": fill}
        if shape.turned:
            upwards = {"left": "bottom", "center": "center", "right": "top"}[where]
            given |= {"rotation": 90, "va": upwards, "ha": "right"}
        else:
            given |= {"va": "baseline", "ha": where}
        axes.text(shape.x, shape.y, shape.text, parse_math=False, **given)
    elif isinstance(shape, Rect):
        inner = max(shape.width - 2 * shape.radius, 0), max(shape.height - 2 * shape.radius, 0)
        corner = shape.x + shape.radius, shape.y + shape.radius
        box = f"round,pad={shape.radius}" if shape.radius else "square,pad=0"
        axes.add_patch(FancyBboxPatch(corner, *inner, boxstyle=box, linewidth=1 if stroke else 0, **painted))
    elif isinstance(shape, Disc):
        axes.add_patch(Circle((shape.x, shape.y), shape.radius, linewidth=1 if stroke else 0, **painted))
    elif isinstance(shape, Cells):
        steps = ((0, 0), (shape.side, 0), (shape.side, shape.side), (0, shape.side), (0, 0))
        points = [(x + right, y + down) for x, y in shape.corners for right, down in steps]
        codes = [Outline.MOVETO, *[Outline.LINETO] * 3, Outline.CLOSEPOLY] * len(shape.corners)
        axes.add_patch(PathPatch(Outline(points, codes), linewidth=1 if stroke else 0, **painted))
    else:
        codes = [Outline.MOVETO, *([Outline.CURVE4] * 3 if shape.bend else [Outline.LINETO])]
        look = {"facecolor": "none", "edgecolor": stroke, "linewidth": shape.width, "capstyle": "round"}
        axes.add_patch(PathPatch(Outline(shape.points, codes), **look))
