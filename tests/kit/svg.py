"""What a picture shows, read back from its SVG as a reader sees it: squares with their looks and letters, strokes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from math import atan2, degrees
from xml.etree import ElementTree

from einmix.pictures.picture import Picture
from einmix.pictures.shapes import Text

NAMESPACE = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class Element:
    """A shape: its tag, its look (the class without `em-`), its attributes and its text."""

    tag: str
    look: str
    given: dict[str, str]
    text: str

    def number(self, name: str) -> float:
        return float(self.given[name])


def elements(svg: str) -> list[Element]:
    """The shapes of an SVG in their order; what is no XML is an error."""
    found = []
    for each in ElementTree.fromstring(svg).iter():
        look = each.get("class", "").removeprefix("em-")
        if look:
            found.append(Element(each.tag.removeprefix(NAMESPACE), look, dict(each.attrib), each.text or ""))
    return found


@dataclass(frozen=True)
class Square:
    """A square with what stands in its middle: letters and numbers."""

    x: float
    y: float
    side: float
    look: str
    text: str = ""

    def holds(self, x: float, y: float) -> bool:
        return self.x <= x <= self.x + self.side and self.y <= y <= self.y + self.side


def squares(svg: str, looks: str, side: float = 0) -> list[list[Square]]:
    """The squares of these looks (a pattern), row by row, each row from the left: those of a side, else the most."""
    found = [*elements(svg)]
    rects = [Square(e.number("x"), e.number("y"), e.number("width"), e.look) for e in found if _is_square(e, looks)]
    for each in found:
        if each.tag == "path" and re.fullmatch(looks, each.look):
            corners = re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)", each.given["d"])
            rects += [Square(float(x), float(y), float(side), each.look) for x, y, side in corners]
    most = side or max((each.side for each in rects), key=lambda side: sum(e.side == side for e in rects), default=0)
    texts = [each for each in found if each.tag == "text" and each.given.get("text-anchor") == "middle"]
    rows: dict[float, list[Square]] = {}
    for each in sorted((each for each in rects if each.side == most), key=lambda each: each.x):
        inside = [text.text for text in texts if each.holds(text.number("x"), text.number("y"))]
        rows.setdefault(each.y, []).append(Square(each.x, each.y, each.side, each.look, "".join(inside)))
    return [rows[y] for y in sorted(rows)]


def _is_square(each: Element, looks: str) -> bool:
    return each.tag == "rect" and each.given["width"] == each.given["height"] and bool(re.fullmatch(looks, each.look))


def marked(svg: str, rows: list[list[Square]]) -> list[tuple[int, int]]:
    """The row and column of every square that has the sign of the example in it."""
    rings = [each for each in elements(svg) if each.tag == "circle" and each.look == "ink"]
    return [
        (row, column)
        for row, line in enumerate(rows)
        for column, square in enumerate(line)
        if any(square.holds(ring.number("cx"), ring.number("cy")) for ring in rings)
    ]


def angle(line: Element) -> float:
    """The angle of a stroke, in degrees from 0 to below 180."""
    down, right = (line.number(f"{axis}2") - line.number(f"{axis}1") for axis in "yx")
    return round(degrees(atan2(down, right))) % 180


def boxes(picture: Picture) -> list[tuple[str, tuple[float, float, float, float]]]:
    """Its texts, each with its least x and y and its largest."""
    return [(shape.text, shape.box) for shape in picture.shapes if isinstance(shape, Text)]


def check_texts(picture: Picture) -> None:
    """No text leaves the picture, and none touches another by more than its ascenders may."""
    found = boxes(picture)
    for text, (left, top, right, bottom) in found:
        assert left >= 0 and top >= -1 and right <= picture.width and bottom <= picture.height, text
    for (one, a), (other, b) in combinations(found, 2):
        apart = a[2] <= b[0] + 0.5 or b[2] <= a[0] + 0.5 or a[3] <= b[1] + 2.5 or b[3] <= a[1] + 2.5
        assert apart, f"{one!r} and {other!r}"
