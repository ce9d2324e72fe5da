"""What pictures are made of: rectangles, discs, lines, areas and texts, and the width of a text."""

from collections.abc import Iterable
from typing import NamedTuple

_ARIAL = {
    191: "'",
    222: "ijl",
    278: " !,./:;It[\\]f",
    333: "()-`r",
    355: '"',
    469: "^",
    500: "cksvxyzJ",
    556: "#$0123456789?_abdeghnopquL",
    584: "+<=>~×−",
    611: "FTZ",
    667: "&ABEKPSVXY",
    722: "CDHNRUw",
    778: "GOQ",
    833: "Mm",
    944: "W",
    1000: "→…",
}
_WIDTHS = {letter: width for width, letters in _ARIAL.items() for letter in letters}

BOLD = 1.09
"""So much wider a bold letter is, at most, in a text of some length."""


class Rect(NamedTuple):
    """A rectangle with round corners; all lengths are units of the picture, `y` goes down."""

    look: str
    x: float
    y: float
    width: float
    height: float
    radius: float = 0


class Disc(NamedTuple):
    look: str
    x: float
    y: float
    radius: float


class Line(NamedTuple):
    """A straight line, or a curve that leaves the first end and meets the other one upright or level (`bend`)."""

    look: str
    x1: float
    y1: float
    x2: float
    y2: float
    width: float = 1
    bend: str = ""


class Cells(NamedTuple):
    """Squares of one side that look alike, by their corners: one shape, however many they are."""

    look: str
    side: float
    corners: tuple[tuple[float, float], ...]


class Text(NamedTuple):
    """A line of text, `y` at its base; `anchor` is the end that stands at `x`; `turned` is read upwards."""

    look: str
    x: float
    y: float
    text: str
    size: float
    anchor: str = "start"
    bold: bool = False
    mono: bool = False
    turned: bool = False

    @property
    def width(self) -> float:
        return width_of(self.text, self.size, bold=self.bold, mono=self.mono)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Its least and largest x and y, with what goes below the base."""
        before = {"start": 0.0, "middle": self.width / 2, "end": self.width}[self.anchor]
        if self.turned:
            return self.x - 0.8 * self.size, self.y - self.width + before, self.x + 0.22 * self.size, self.y + before
        return self.x - before, self.y - 0.8 * self.size, self.x - before + self.width, self.y + 0.22 * self.size


Shape = Rect | Disc | Line | Cells | Text


def width_of(text: str, size: float, *, bold: bool = False, mono: bool = False) -> float:
    """The width of a text in Arial, or in a font that is as wide; of a fixed pitch letters are 0.61 em.

    >>> width_of("reads all", 10) < width_of("reads all", 10, mono=True)
    True
    """
    if mono:
        return 0.61 * size * len(text)
    return sum(_WIDTHS.get(letter, 700) for letter in text) * size / 1000 * (BOLD if bold else 1)


def broken(text: str, size: float, width: float, *, mono: bool = False) -> list[str]:
    """The text in lines of at most this width, between words; a longer word is cut.

    >>> broken("one two three", 10, 45)
    ['one two', 'three']
    """
    lines: list[str] = []
    line = ""
    for word in _pieces(text.split(), size, width, mono):
        longer = f"{line} {word}".strip()
        if line and width_of(longer, size, mono=mono) > width:
            lines.append(line)
            line = word
        else:
            line = longer
    return [*lines, *[line] * bool(line)]


def _pieces(words: Iterable[str], size: float, width: float, mono: bool) -> Iterable[str]:
    """The words, those that are wider than a line in pieces that are not."""
    for word in words:
        while width_of(word, size, mono=mono) > width and len(word) > 1:
            fits = next(n for n in range(len(word) - 1, 0, -1) if n == 1 or width_of(word[:n], size, mono=mono) <= width)
            yield word[:fits]
            word = word[fits:]
        yield word


def fitting(text: Text, width: float) -> Text:
    """The text in a size at which it is no wider than this, at least 7 units; cut where that is not enough."""
    if text.width <= width:
        return text
    smaller = text._replace(size=max(text.size * width / text.width, 7.0))
    if smaller.width <= width:
        return smaller
    fits = next((n for n in range(len(text.text), 0, -1) if _cut(smaller, n).width <= width), 0)
    return _cut(smaller, fits)


def _cut(text: Text, letters: int) -> Text:
    return text._replace(text=f"{text.text[:letters]}…")
