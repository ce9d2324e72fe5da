"""Draws the pictures of the documents, docs/pictures/*.svg: `python docs/pictures.py`. A test compares."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from random import Random

from einmix import Mixer
from einmix.pictures.grids import FILLED, draw_grid, look_of, mark, places
from einmix.pictures.mixer import draw_mixer
from einmix.pictures.network import draw_network
from einmix.pictures.pattern import Pattern, Position
from einmix.pictures.picture import Picture
from einmix.pictures.shapes import Disc, Line, Shape, Text
from search_spaces import load

FOLDER = Path(__file__).with_suffix("")

SIZES = {"c": 64, "hI": 4, "h": 2, "wI": 4, "w": 2, "hO": 4, "wO": 4}
TUTORIAL = Mixer.from_einmix("b c (hI h) (wI w) -> b c (hO h) (wO w)", "c hI wI hO wO", None, ellipsis=None, **SIZES)

STEP, TOP, HIGH, LEFT, MIDDLE, RIGHT, SIDE = 19, 92, 94, 32, 429, 612, 236
"""Units: between the dots of a sub-grid, where the first stands, from one to the next, and where columns begin."""


def tutorial() -> Picture:
    """Sub-grids taken apart, densely connected and put back: what the tutorial says in words."""
    pattern = Pattern(TUTORIAL)
    found = places(pattern.inputs, SIDE, SIDE)
    sets: dict[Position, list[Position]] = {}
    for position in pattern.inputs:
        sets.setdefault(pattern.inputs.set(position), []).append(position)
    y = TOP + (len(sets) * HIGH - 36 - SIDE) / 2
    rows, columns = pattern.inputs.lengths
    shapes = [
        *heading(LEFT, "start", f"The input: {rows} × {columns} positions", "every second row and column: a sub-grid"),
        *heading(MIDDLE + 1.5 * STEP, "middle", "Four sub-grids", "each densely connected"),
        *heading(RIGHT, "start", "The output: put back", "nothing crossed from letter to letter"),
    ]
    for number, members in enumerate(sets.values()):
        top = TOP + number * HIGH
        look = look_of(pattern, pattern.inputs, members[0])
        line, wide = ("readstroke", 1.4) if look == "read" else ("mutedstroke", 0.8)
        for place, row in enumerate(sorted({row for row, _ in members})):
            level = y + found.corners[row, 0][1] + found.cell * FILLED / 2
            inner = top + place * STEP
            shapes.append(Line(line, LEFT + SIDE, level, MIDDLE - 12, inner, wide, "level"))
            shapes.append(Line(line, MIDDLE + 3 * STEP + 12, inner, RIGHT - 2, level, wide, "level"))
        letter = pattern.letters[pattern.inputs.set(members[0])]
        shapes.append(Text("ink", MIDDLE + 1.5 * STEP, top - 13, letter, 13, "middle"))
        shapes += dense(pattern, members, top, look, line)
    shapes += draw_grid(pattern, pattern.inputs, LEFT, y, found, marked=False)
    shapes += draw_grid(pattern, pattern.outputs, RIGHT, y, found, marked=True)
    return finished(shapes, pattern, y + SIDE + 22)


def heading(x: float, anchor: str, title: str, words: str) -> list[Shape]:
    return [Text("ink", x, 40, title, 16, anchor, bold=True), Text("muted", x, 58, words, 14, anchor)]


def dense(pattern: Pattern, members: list[Position], top: float, look: str, line: str) -> list[Shape]:
    """One sub-grid by itself: every position with every other, what the example reads strong."""
    rows, columns = (sorted({place[axis] for place in members}) for axis in (0, 1))
    dots = {p: (MIDDLE + columns.index(p[1]) * STEP, top + rows.index(p[0]) * STEP) for p in members}
    shapes: list[Shape] = []
    for one, other in combinations(members, 2):
        strong = pattern.example in (one, other)
        shapes.append(Line(line if strong else "edge", *dots[one], *dots[other], 1.4 if strong else 0.5))
    shapes += [Disc(look, *dot, 6.5) for dot in dots.values()]
    return shapes + (mark(*dots[pattern.example], 7) if pattern.example in dots else [])


def finished(shapes: list[Shape], pattern: Pattern, y: float) -> Picture:
    """With what is said below."""
    *others, last = pattern.letters.values()
    alike, own = f"{', '.join(others)} and {last}", pattern.letters[pattern.outputs.set(pattern.example)]
    (inputs, outputs), every, call = pattern.matrix, len(list(pattern.inputs)), TUTORIAL.einmix()
    below = TOP + pattern.sets * HIGH - 20
    times = every * every // (inputs * outputs)
    shapes += [
        Text("ink", LEFT, y, f"step h = {SIZES['h']} down, w = {SIZES['w']} across;", 14),
        Text("ink", LEFT, y + 17, f"hI = {SIZES['hI']} by wI = {SIZES['wI']} positions in each", 14),
        *mark(RIGHT + 6, y - 5, 6),
        Text("ink", RIGHT + 18, y, f"reads {pattern.set_size} positions, all of {own},", 14),
        Text("ink", RIGHT + 18, y + 17, "from all over the image", 14),
        Line("edge", LEFT, below, 848, below),
        Text("ink", LEFT, below + 24, call["pattern"].replace("->", "→"), 15, bold=True, mono=True),
        Text("muted", LEFT, below + 46, f"weight_shape = {call['weight_shape']}", 15, mono=True),
        Text("ink", 452, below + 22, f"One {inputs} × {outputs} matrix a channel, the same in {alike}:", 14),
        Text(
            "muted", 452, below + 44, f"c · {inputs} · {outputs} weights. All-to-all takes c · {every} · {every},", 14
        ),
        Text("muted", 452, below + 61, f"{times} times as many.", 14),
    ]
    described = (
        f"An image of {every} positions is taken apart into the sub-grids {alike}, each every second row and column; "
        f"within each, all {pattern.set_size} positions are connected with all by the same weights; then they are put "
        f"back. One output position of {own} reads the {pattern.set_size} positions of {own} and no others."
    )
    return Picture(880, below + 80, tuple(shapes), "Sub-grids and the exchange of information", described)


def of(text: str) -> Callable[[], Picture]:
    """A drawing of the mixer of this text."""
    return lambda: draw_mixer(Mixer.parse(text))


def network() -> Picture:
    """A draw from a space in which what is read grows in every block."""
    space = load("subgrid").on({"h": 8, "w": 8}, channels=1, classes=10, width=(32,), depth=(4,))
    return draw_network(space.sample(Random(150)), "drawn from the space subgrid")


PICTURES: dict[str, Callable[[], Picture]] = {
    "tutorial-subgrids": tutorial,
    "subgrid": of("h=m4.s2 w=m4.s2 c=g32"),
    "local": of("h=s2.m4 w=s2.m4 c=g32"),
    "own-patches": of("h=g2.m4 w=g2.m4 c=s32"),
    "channels": of("h=m8 w=s8 c=s8.m4"),
    "sequence": of("t=m8.s4 c=g16"),
    "volume": of("d=m2.s2 h=m2.s2 w=m2.s2 c=g16"),
    "embedding": of("h=s4.m2:1 w=s4.m2:1 c=m3:32"),
    "network": network,
}
"""By the name of the file."""


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, drawn in PICTURES.items():
        drawn().save(FOLDER / f"{name}.svg")
