"""A picture: shapes with a title and words for those who do not see it, as SVG or saved as a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import get_args

from einmix.errors import PatternError
from einmix.pictures.shapes import (
    MONO,
    SANS,
    Cells,
    Disc,
    Line,
    Rect,
    Shape,
    Text,
    Theme,
    broken,
    fitting,
    moved,
    style,
)

SUFFIXES = (".svg", ".png", ".pdf")

WIDEST, APART = 440, 32
"""Units: the width of a picture of which two stand beside each other in a sheet, and what is left around each."""


@dataclass(frozen=True)
class Picture:
    """Shapes on a clear ground, `width` x `height` units (pixels of the SVG), with a title and a description.

    With the theme "auto" an SVG follows the reader's choice of light or dark; "light" and "dark" fix it.

    >>> Picture(20, 10, (Disc("read", 5, 5, 2),), "a disc", "One disc.").svg[:47]
    '<svg xmlns="http://www.w3.org/2000/svg" width="'
    """

    width: float
    height: float
    shapes: tuple[Shape, ...]
    title: str
    description: str
    theme: Theme = "auto"

    def __post_init__(self) -> None:
        if self.theme not in get_args(Theme):
            raise PatternError(f"no theme {self.theme!r}", hint=f"it is {', '.join(get_args(Theme))}")

    def themed(self, theme: Theme) -> Picture:
        """The same for readers on "light" or on "dark" paper, or for both ("auto")."""
        return replace(self, theme=theme)

    @property
    def svg(self) -> str:
        """The whole as a text that stands alone, with no ids and nothing that is run.

        There is paper behind: what shows it may be dark where the picture is light.
        """
        whole = replace(self, shapes=(Rect("paper", 0, 0, self.width, self.height), *self.shapes))
        return whole.markup(style({shape.look for shape in whole.shapes}, self.theme))

    def markup(self, rules: str = "") -> str:
        """The SVG with these rules for its looks, on a clear ground; a page may have them once (`shapes.style`)."""
        width, height = _number(self.width), _number(self.height)
        head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        head += f' viewBox="0 0 {width} {height}" role="img" font-family="{SANS}">'
        words = f"<title>{escape(self.title)}</title><desc>{escape(self.description)}</desc>"
        rules = f"<style>{rules}</style>" * bool(rules)
        return f"{head}{words}{rules}{''.join(map(_element, self.shapes))}</svg>"

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> Path:
        """Writes the picture as SVG, PNG (twice its size in pixels) or PDF, by the suffix, and gives the path.

        PNG and PDF have paper behind, light unless the theme is dark, and take matplotlib. Raises PatternError for
        another suffix, or where that is not installed; OSError where the file cannot be written.
        """
        path = Path(path)
        if path.suffix not in SUFFIXES:
            raise PatternError(f"a picture cannot be saved as {path.name!r}", hint=f"write {', '.join(SUFFIXES)}")
        if path.suffix == ".svg":
            path.write_text(self.svg + "\n", encoding="utf-8")
        else:
            from einmix.pictures.printing import save

            save(path, (self.width, self.height), self.shapes, self.title, dark=self.theme == "dark")
        return path


def sheet(title: str, words: str, pictures: Sequence[tuple[str, Picture]]) -> Picture:
    """Pictures with their names in one: two beside each other, or more of narrow ones."""
    most = max(picture.width for _, picture in pictures)
    beside = min(len(pictures), int(2 * WIDEST / most) or 1)
    step = most + APART
    width = max(2 * APART + beside * step - APART, WIDEST)
    shapes: list[Shape] = [fitting(Text("ink", APART, 40, title, 18, bold=True), width - 2 * APART)]
    y = 44.0
    for line in broken(words, 14, width - 2 * APART):
        y += 18
        shapes.append(Text("muted", APART, y, line, 14))
    y += 30
    for start in range(0, len(pictures), beside):
        row = pictures[start : start + beside]
        for number, (name, picture) in enumerate(row):
            shapes.append(fitting(Text("ink", APART + number * step, y, name, 15, bold=True), most))
            shapes += moved(picture.shapes, APART + number * step, y + 10)
        y += max(picture.height for _, picture in row) + 44
    described = " ".join(f"{name}: {picture.description}" for name, picture in pictures)
    return Picture(width, y - 24, tuple(shapes), title, f"{words}. {described}")


def _number(value: float) -> str:
    """A length as short as a hundredth of a unit allows."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _element(shape: Shape) -> str:
    """One shape as SVG."""
    name, content = "path", ""
    if isinstance(shape, Text):
        name, content = "text", escape(shape.text, quote=False)
    elif isinstance(shape, Rect | Disc):
        name = "rect" if isinstance(shape, Rect) else "circle"
    elif isinstance(shape, Line) and not shape.bend:
        name = "line"
    given = " ".join(f'{key}="{value}"' for key, value in _attributes(shape))
    return f'<{name} class="em-{shape.look}" {given}' + (f">{content}</{name}>" if content else "/>")


def _attributes(shape: Shape) -> Iterator[tuple[str, str]]:
    n = _number
    if isinstance(shape, Rect):
        yield from zip(("x", "y", "width", "height"), map(n, shape[1:5]), strict=True)
        if shape.radius:
            yield "rx", n(shape.radius)
    elif isinstance(shape, Disc):
        yield from zip(("cx", "cy", "r"), map(n, shape[1:]), strict=True)
    elif isinstance(shape, Cells):
        yield (
            "d",
            "".join(f"M{n(x)} {n(y)}h{n(shape.side)}v{n(shape.side)}h-{n(shape.side)}z" for x, y in shape.corners),
        )
    elif isinstance(shape, Line):
        if shape.bend:
            yield "d", "M{} {}C{} {} {} {} {} {}".format(*map(n, (p for point in shape.points for p in point)))
        else:
            yield from zip(("x1", "y1", "x2", "y2"), map(n, shape[1:5]), strict=True)
        yield "stroke-width", n(shape.width)
        yield "stroke-linecap", "round"
    else:
        yield "x", n(shape.x)
        yield "y", n(shape.y)
        yield "font-size", n(shape.size)
        if shape.anchor != "start":
            yield "text-anchor", shape.anchor
        if shape.bold:
            yield "font-weight", "700"
        if shape.mono:
            yield "font-family", MONO
        if shape.turned:
            yield "transform", f"rotate(-90 {n(shape.x)} {n(shape.y)})"
