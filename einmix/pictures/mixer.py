"""The picture of a mixer: what exchanges information, what one output reads, where weights are the same."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import ceil, log2, prod, sqrt

from einmix.algebra.factors import Factors, text_of
from einmix.algebra.mixer import Mixer
from einmix.errors import PatternError
from einmix.networks.summary import channel_words, describe
from einmix.pictures.grids import (
    FILLED,
    LEAST_LETTER,
    Places,
    bar,
    cells,
    draw_channels,
    draw_grid,
    hatched,
    look_of,
    mark,
    places,
    stroke_on,
)
from einmix.pictures.pattern import Grid, Pattern, angle
from einmix.pictures.picture import Picture
from einmix.pictures.shapes import Line, Rect, Shape, Text, broken, fitting

WIDTH, LEFT, RIGHT, PANEL = 440, 26, 414, 270
"""Units: the picture, where its content begins and ends, and where the panel beside the positions begins."""

GRID, SLICES, SIDE, ROW = (218, 218), (218, 250), (186, 200), (RIGHT - LEFT, 24)
"""The room for positions: in a grid, in slices, on one side where there are more or less after, in a sequence."""

ICON = 8
"""Positions along an axis of an icon."""

MOST_LINES = 512
"""Lines of a sequence that are drawn; of more only those of the example."""

MOST_MATRICES, UNIT, SEEN, ROOM = 512, 0.6, 6, (144.0, 60.0)
"""Matrices drawn one by one, the side of a weight in them, that of a matrix that is seen, and the room for all."""


def draw_mixer(mixer: Mixer) -> Picture:
    """The picture of one mixer, 440 units wide.

    >>> draw_mixer(Mixer.parse("h=m4.s2 w=m4.s2 c=g32")).title
    'h=m4.s2 w=m4.s2 c=g32'
    """
    pattern = Pattern(mixer)
    room, grids = _room(pattern), (pattern.inputs, pattern.outputs)
    pattern = replace(pattern, lettered=all(places(grid, *room).cell >= LEAST_LETTER for grid in grids))
    shapes: list[Shape] = []
    axes = len(pattern.positions)
    if axes > 1 and pattern.square:
        y = max(_one_grid(shapes, pattern), _weights(shapes, pattern, PANEL, _channels(shapes, pattern, PANEL, 8)))
    else:
        y = 8.0
        if axes:
            y = 6 + (_sequence(shapes, pattern) if axes == 1 else _two_grids(shapes, pattern))
        y = max(_channels(shapes, pattern, LEFT, y), _weights(shapes, pattern, PANEL, y))
    y = _caption(shapes, pattern, y + 10)
    return Picture(WIDTH, ceil(y), tuple(shapes), str(mixer), description(pattern))


def _room(pattern: Pattern) -> tuple[int, int]:
    """The width and the height that there are for positions."""
    axes = len(pattern.positions)
    if axes < 2:
        return ROW
    return SIDE if not pattern.square else GRID if axes == 2 else SLICES


def _term(name: str, factors: Factors) -> str:
    return text_of(((name, factors),), False)


def _one_grid(shapes: list[Shape], pattern: Pattern) -> float:
    """The positions, inputs and outputs in one; gives where they end."""
    found = places(pattern.outputs, *_room(pattern))
    _terms(shapes, pattern, LEFT, 26, found)
    shapes += draw_grid(pattern, pattern.outputs, LEFT, 26, found, marked=True)
    return _reading(shapes, pattern, LEFT, 26 + found.height + 14, GRID[0])


def _two_grids(shapes: list[Shape], pattern: Pattern) -> float:
    """Inputs on the left, outputs on the right; gives where they end."""
    sides = [(LEFT, pattern.inputs, "input"), (RIGHT - SIDE[0], pattern.outputs, "output")]
    found = [places(grid, *SIDE) for _, grid, _ in sides]
    for (x, grid, words), each in zip(sides, found, strict=True):
        shapes.append(fitting(Text("muted", x, 38, f"{words}: {_sizes(grid)} positions", 12), SIDE[0]))
        shapes += draw_grid(pattern, grid, x, 46, each, marked=words == "output")
    terms = " ".join(_term(*axis) for axis in pattern.positions)
    shapes.append(fitting(Text("ink", LEFT, 19, terms, 13, bold=True, mono=True), RIGHT - LEFT))
    below = 46 + max(each.height for each in found) + 14
    return _reading(shapes, pattern, LEFT, below, RIGHT - LEFT)


def _sizes(grid: Grid) -> str:
    return " × ".join(f"{n:,}" for n in grid.lengths)


def _terms(shapes: list[Shape], pattern: Pattern, x: float, y: float, found: Places) -> None:
    """The factors of every axis, where it stands: rows at the side, columns above, slices above on the left."""
    *leading, rows, columns = (_term(*axis) for axis in pattern.positions)
    above = Text("ink", x + found.width / 2, y - 8, columns, 13, "middle", bold=True, mono=True)
    if leading:
        slices = Text("ink", x, y - 8, " ".join(leading), 13, bold=True, mono=True)
        shapes.append(fitting(slices, found.width * 0.55))
        above = above._replace(x=x + found.width, anchor="end")
    shapes.append(fitting(above, found.width * (0.42 if leading else 1)))
    side = Text("ink", x - 8, y + found.height / 2, rows, 13, "middle", bold=True, mono=True, turned=True)
    shapes.append(fitting(side, found.height))


def _sequence(shapes: list[Shape], pattern: Pattern) -> float:
    """Inputs above, outputs below, and what goes from one to the other; gives where they end."""
    (axis,) = pattern.positions
    shapes.append(fitting(Text("ink", LEFT, 19, _term(*axis), 13, bold=True, mono=True), 300))
    shapes.append(Text("muted", RIGHT, 19, "input", 12, "end"))
    above, below = (places(grid, *ROW) for grid in (pattern.inputs, pattern.outputs))
    top = 26
    bottom = top + above.height + 76
    shapes += draw_grid(pattern, pattern.inputs, LEFT, top, above, marked=False)
    shapes += _lines(pattern, (LEFT, top + above.height), above, (LEFT, bottom), below)
    shapes += draw_grid(pattern, pattern.outputs, LEFT, bottom, below, marked=True)
    y = bottom + below.height + 4
    if pattern.own_places > 1:
        for position, (x, _) in below.corners.items():
            turn = angle(pattern.place(pattern.outputs, position), pattern.own_places)
            length = min(below.cell * 0.8, 12)
            shapes.append(bar("stroke", LEFT + x + below.cell * FILLED / 2, y + 7, length, turn))
        y += 14
    shapes.append(Text("muted", RIGHT, y + 11, "output", 12, "end"))
    return _reading(shapes, pattern, LEFT, y + 7, 330)


def _lines(
    pattern: Pattern, start: tuple[float, float], above: Places, end: tuple[float, float], below: Places
) -> list[Shape]:
    """From the inputs to the outputs that read them, those of the example last and strong."""
    pairs = [
        (one, other)
        for one, other in product(pattern.inputs, pattern.outputs)
        if pattern.inputs.set(one) == pattern.outputs.set(other)
    ]
    strong = [(one, other) for one, other in pairs if other == pattern.example]
    faint = pairs if len(pairs) <= MOST_LINES else strong
    lines: list[Shape] = []
    for look, width, drawn in (("edge", 0.6, faint), ("readstroke", 1.8, strong)):
        for one, other in drawn:
            (x1, _), (x2, _) = above.corners[one], below.corners[other]
            x1, x2 = start[0] + x1 + above.cell * FILLED / 2, end[0] + x2 + below.cell * FILLED / 2
            lines.append(Line(look, x1, start[1] + 1, x2, end[1] - 2, width, "upright"))
    return lines


def _reading(shapes: list[Shape], pattern: Pattern, x: float, y: float, width: float) -> float:
    """What the example reads, and what of the positions is not drawn, in words; gives where they end."""
    shapes += mark(x + 6, y, 5.5)
    for line in broken(reading(pattern), 12, width - 18):
        shapes.append(Text("ink", x + 18, y + 4, line, 12))
        y += 15
    for words, grid in (("inputs", pattern.inputs), ("outputs", pattern.outputs)):
        if grid.shown != grid.lengths:
            words = "positions" if pattern.square else words
            words = f"drawn: the first {' × '.join(map(str, grid.shown))} of {_sizes(grid)} {words}"
            for line in broken(words, 12, width):
                shapes.append(Text("muted", x, y + 4, line, 12))
                y += 15
        if pattern.square:
            break
    return y - 8


def reading(pattern: Pattern) -> str:
    """What the example reads, in words."""
    every, own = prod(pattern.inputs.lengths), pattern.set_size
    mixed = prod(f.size for f in pattern.channels or () if f.role == "m")
    inner = " in all channels" if mixed == prod(f.size for f in pattern.channels or ()) else f" in {mixed:,} channels"
    letter = pattern.letters.get(pattern.outputs.set(pattern.example))
    if not pattern.positions:
        positions = "the input"
    elif not pattern.mixes:
        positions = "its own position alone"
    elif own == every:
        positions = f"all {every:,} positions"
    else:
        positions = f"the {own:,} positions {letter}" if letter else f"{own:,} of {every:,} positions"
    return f"reads {positions}{inner * (mixed > 1)}"


def _channels(shapes: list[Shape], pattern: Pattern, x: float, y: float) -> float:
    """What is done with channels; gives where that ends."""
    if pattern.channels is None:
        return y
    shapes.append(fitting(Text("ink", x, y + 11, _term("c", pattern.channels), 13, bold=True, mono=True), ROOM[0]))
    before, after = (prod(getattr(f, end) for f in pattern.channels) for end in ("size", "out"))
    number = f"{before:,} to {after:,} channels" if before != after else f"{before:,} channel{'s' * (before != 1)}"
    y += 11
    for line in broken(f"{number}: {channel_words(pattern.mixer)}", 12, ROOM[0]):
        y += 14
        shapes.append(Text("muted", x, y, line, 12))
    return draw_channels(shapes, pattern.channels, x, y + 7)


def _weights(shapes: list[Shape], pattern: Pattern, x: float, y: float) -> float:
    """How many weights there are, and their matrices to scale; gives where they end."""
    (wide, tall), count = pattern.matrix, pattern.own_places * pattern.own_channels
    own, biases = count * wide * tall, pattern.mixer.params - count * wide * tall
    y += 14
    shapes.append(fitting(Text("ink", x, y, f"{own:,} weight{'s' * (own != 1)}", 13, bold=True), ROOM[0]))
    scale, beside = _scale(count, wide, tall)
    words = f"{count:,} × ({wide:,} × {tall:,})" if count > 1 else f"({wide:,} × {tall:,})"
    words += f", {biases:,} bias{'es' * (biases != 1)}" * bool(biases)
    words += f", drawn at {_length(scale)}" * (scale != 1) + ", as one area" * (not beside)
    for line in broken(words, 12, ROOM[0]):
        y += 14
        shapes.append(Text("muted", x, y, line, 12))
    y += 7
    if not beside:
        side = min(sqrt(own) * UNIT * scale, ROOM[1])
        shapes.append(Rect("card", x, y, side, side))
        return y + side
    width, height = wide * UNIT * scale, tall * UNIT * scale
    gap = _gap(width, height)
    mine = pattern.place(pattern.outputs, pattern.example), 0
    """The one of the example, in the first channel."""
    for number, (place, inner) in enumerate(product(range(pattern.own_places), range(pattern.own_channels))):
        left, top = x + number % beside * (width + gap), y + number // beside * (height + gap)
        look = "read" if (place, inner) == mine else "card"
        shapes.append(Rect(look, left, top, width, height))
        ink = stroke_on(look)
        if min(width, height) >= 5:
            if pattern.own_places > 1:
                shapes += hatched(ink, left, top, min(width, height), angle(place, pattern.own_places), 3.5)
            if pattern.own_channels > 1 or pattern.own_places == 1:
                long, turn = min(width, height, 18) * 0.6, angle(inner, pattern.own_channels)
                shapes.append(bar(ink, left + width / 2, top + height / 2, long, turn))
    return y + ceil(count / beside) * (height + gap) - gap


def _scale(count: int, wide: int, tall: int) -> tuple[float, int]:
    """By how much the side of a weight is not the usual one, and how many matrices stand in a row: 0, if too many."""
    scale = 1.0
    if count > MOST_MATRICES:
        while sqrt(count * wide * tall) * UNIT * scale > ROOM[1]:
            scale /= 2
        return scale, 0
    while not (beside := _beside(count, wide * UNIT * scale, tall * UNIT * scale)):
        scale /= 2
    while max(wide, tall) * UNIT * scale < SEEN:
        more = _beside(count, wide * UNIT * scale * 2, tall * UNIT * scale * 2)
        if not more:
            break
        scale, beside = scale * 2, more
    return scale, beside


def _beside(count: int, width: float, height: float) -> int:
    """How many matrices of this size stand in a row so that all have room: as many as channels do, where that fits."""
    gap = _gap(width, height)
    most = int((ROOM[0] + gap) / (width + gap))
    rows = int((ROOM[1] + gap) / (height + gap))
    return next((each for each in (8, 16, 32, most) if 0 < each <= most and ceil(count / each) <= rows), 0)


def _gap(width: float, height: float) -> float:
    return 1.5 if min(width, height) < 12 else 3


def _length(scale: float) -> str:
    return f"{scale:.0f} × length" if scale > 1 else f"1/{1 / scale:,.0f} length"


def _caption(shapes: list[Shape], pattern: Pattern, y: float) -> float:
    """The mixer as text, in words and as EinMix, and the key; gives where the picture ends."""
    mixer, width = pattern.mixer, RIGHT - LEFT
    shapes.append(Line("edge", LEFT, y, RIGHT, y))
    y += 8
    rows: list[tuple[str, float, str, bool, bool]] = [(str(mixer), 16, "ink", True, True)]
    rows.append((describe(mixer), 13, "muted", False, False))
    try:
        call = mixer.einmix()
        rows.append((call["pattern"].replace("->", "→"), 13, "ink", False, True))
        bias = f", bias {call['bias_shape']}" if call.get("bias_shape") else ""
        ends = f"weight {call['weight_shape']}{bias}"
        rows.append((ends, 13, "muted", False, True))
    except PatternError as error:
        rows.append((error.summary, 13, "muted", False, False))
    rows.append((key(pattern), 12, "muted", False, False))
    for text, size, look, bold, mono in rows:
        for line in broken(text, size, width, mono=mono):
            y += size + 3
            shapes.append(Text(look, LEFT, y, line, size, bold=bold, mono=mono))
        y += 3
    return y + 8


def key(pattern: Pattern) -> str:
    """What letters, colours, capsules and strokes say, of those that there are."""
    words = []
    if pattern.letters:
        words.append("Same letter: they exchange information.")
    elif pattern.mixes:
        words.append("Blue: what the marked output reads.")
    if any(factor.role == "m" for factor in pattern.channels or ()):
        words.append("One capsule: channels that mix.")
    if pattern.own_places > 1 and pattern.own_channels > 1:
        how = ": those of a position and those of a channel stand together in a matrix"
    else:
        how = ", alike at all positions" * (pattern.own_places == 1 and pattern.sets > 1)
    return " ".join([*words, f"Same stroke: the same weights{how}."])


def description(pattern: Pattern) -> str:
    """What there is to see, for those who do not."""
    mixer = pattern.mixer
    found = [f"Mixing pattern {mixer}: {describe(mixer)}."]
    if pattern.mixes and pattern.sets == 1:
        found.append("All positions exchange information.")
    elif pattern.mixes:
        sets = f"{pattern.sets:,} sets of {pattern.set_size:,} positions"
        found.append(f"{sets}; positions of one set exchange information, those of different sets do not.")
    found.append(f"The marked output {reading(pattern)}.")
    try:
        call = mixer.einmix()
        found.append(f"As EinMix: {call['pattern']}, weight {call['weight_shape']}.")
    except PatternError as error:
        found.append(f"{error.summary}.")
    return " ".join(found)


def draw_icon(mixer: Mixer) -> Picture:
    """A mixer in 24 x 28 units, for tables: its sets around the example, and below how many weights it has.

    The bar is the logarithm of the number of weight matrices: all of the width is 4,096 and more.
    """
    pattern = Pattern(mixer, ICON)
    found = places(pattern.outputs, 24, 24)
    shapes = cells(found, lambda position: look_of(pattern, pattern.outputs, position), 0, 0)
    matrices = pattern.own_places * pattern.own_channels
    shapes.append(Rect("muted", 0, 26, max(24 * min(log2(matrices) / 12, 1), 1), 2))
    return Picture(24, 28, tuple(shapes), str(mixer), description(pattern))
