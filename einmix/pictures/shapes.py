"""What pictures are made of: rectangles, discs, lines, areas and texts, how these look, and the width of a text."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

Theme = Literal["auto", "light", "dark"]

SANS = "'Helvetica Neue',Helvetica,Arial,'Liberation Sans',sans-serif"
MONO = "ui-monospace,SFMono-Regular,Menlo,Consolas,'Liberation Mono','DejaVu Sans Mono',monospace"


class Look(NamedTuple):
    """Colours on light and on dark paper; an empty one paints nothing."""

    fill: tuple[str, str] = ("", "")
    stroke: tuple[str, str] = ("", "")

    def on(self, theme: str) -> tuple[str, str]:
        """Fill and stroke on the paper of a theme that is not auto."""
        dark = theme == "dark"
        return self.fill[dark], self.stroke[dark]


INK, MUTED, READ, ON_READ = (
    ("#1a1d21", "#e9ebee"),
    ("#59616c", "#a6afba"),
    ("#1b4f9c", "#86bdff"),
    ("#ffffff", "#0a1626"),
)
PAPER, EDGE = ("#ffffff", "#14171a"), ("#c3c9d1", "#4a525d")
CARD, FAINT = ("#d4d4d4", "#484848"), ("#e7eaee", "#262b31")

TINTS = (
    ("#f8ca8b", "#76531b"),
    ("#c4ecd9", "#245240"),
    ("#dcc0ea", "#60426e"),
    ("#f8f0a9", "#6c652f"),
    ("#f5ac9a", "#7f4132"),
    ("#bae5fd", "#275368"),
    ("#d4d4d4", "#484848"),
    ("#eedacb", "#5f4f42"),
)
"""For sets; neighbours in this list are told apart by everybody, and letters say the rest."""

SHADES = (
    ("#1b4f9c", "#86bdff"),
    ("#5b8dd6", "#4e81c0"),
    ("#8db3e5", "#3d6aa3"),
    ("#b3cef0", "#315583"),
    ("#cfdff5", "#274467"),
    ("#e6eef9", "#1f344e"),
)
"""For steps of a receptive field, the first reached first; the last for all further ones."""

LOOKS: dict[str, Look] = {
    "ink": Look(fill=INK),
    "muted": Look(fill=MUTED),
    "read": Look(fill=READ),
    "onread": Look(fill=ON_READ),
    "paper": Look(fill=PAPER),
    "plain": Look(fill=PAPER, stroke=EDGE),
    "card": Look(fill=CARD),
    "faint": Look(fill=FAINT),
    "edge": Look(stroke=EDGE),
    "stroke": Look(stroke=INK),
    "onreadstroke": Look(stroke=ON_READ),
    "readstroke": Look(stroke=READ),
    "mutedstroke": Look(stroke=MUTED),
    **{f"tint{number}": Look(fill=tint) for number, tint in enumerate(TINTS)},
    **{f"shade{number}": Look(fill=shade) for number, shade in enumerate(SHADES)},
}
"""By name; in SVG a class of the name with `em-` before it, which a page may colour by rules of its own."""


def style(used: set[str], theme: Theme) -> str:
    """The rules of these looks: both papers and the reader's choice between them, or those of one."""
    names = [name for name in LOOKS if name in used]
    if theme != "auto":
        return _rules(names, theme)
    return f"{_rules(names, 'light')}@media (prefers-color-scheme:dark){{{_rules(names, 'dark')}}}"


def _rules(names: list[str], theme: str) -> str:
    found = []
    for name in names:
        fill, stroke = LOOKS[name].on(theme)
        found.append(f".em-{name}{{fill:{fill or 'none'}" + f";stroke:{stroke}" * bool(stroke) + "}")
    return "".join(found)


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

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """Its ends; of a curve with where it leaves the one and meets the other between them."""
        start, end = (self.x1, self.y1), (self.x2, self.y2)
        x, y = (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2
        if not self.bend:
            return start, end
        inner = ((self.x1, y), (self.x2, y)) if self.bend == "upright" else ((x, self.y1), (x, self.y2))
        return start, *inner, end


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
            fits = next(
                n for n in range(len(word) - 1, 0, -1) if n == 1 or width_of(word[:n], size, mono=mono) <= width
            )
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


def moved(shapes: Iterable[Shape], right: float, down: float) -> list[Shape]:
    """The shapes at another place."""
    return [_moved(shape, right, down) for shape in shapes]


def _moved(shape: Shape, right: float, down: float) -> Shape:
    if isinstance(shape, Line):
        x1, y1, x2, y2 = shape.x1 + right, shape.y1 + down, shape.x2 + right, shape.y2 + down
        return shape._replace(x1=x1, y1=y1, x2=x2, y2=y2)
    if isinstance(shape, Cells):
        return shape._replace(corners=tuple((x + right, y + down) for x, y in shape.corners))
    return shape._replace(x=shape.x + right, y=shape.y + down)
