"""Positions and channels drawn: squares in a grid or in slices, discs in rows; with letters, tints and strokes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise, product
from math import ceil, cos, prod, radians, sin
from typing import NamedTuple

from einmix.algebra.factors import Factors
from einmix.pictures.pattern import End, Grid, Pattern, Position, Spot, angle, spots
from einmix.pictures.shapes import Cells, Disc, Line, Rect, Shape, Text, broken, fitting, width_of

FILLED = 0.92
"""How much of its cell's side a square takes."""

WALL = 0.3
"""The gap of a wall, in cells."""

NAME = 36
"""The least width of a slice for each index in its name, such as d = 12."""

LEAST_LETTER = 10
"""The least cell that a letter stands in, in units."""

LEAST_EDGE = 5
"""The least cell that has an edge around, in units; of smaller ones there would be little else."""

LEAST_MARK = 4
"""The least radius of the mark of the example."""


class Places(NamedTuple):
    """Where the cells of a grid stand: the corner of each, their side, and what all of them take."""

    corners: dict[Position, tuple[float, float]]
    cell: float
    width: float
    height: float
    slices: tuple[tuple[Position, float, float], ...]
    """Of several grids the leading indices of each, and where its name stands."""


def places(grid: Grid, width: float, height: float, largest: float = 40) -> Places:
    """The cells of a grid as large as a room of this width and height allows, but none larger than that."""
    *leading, rows, columns = ((), (), *grid.spots)[-max(len(grid.spots), 2) :]
    down, across = _offsets(rows), _offsets(columns)
    slices = list(product(*(range(len(axis)) for axis in leading)))
    head, gap = (14.0, 10.0) if leading else (0.0, 0.0)

    def cell_with(beside: int) -> float:
        below = ceil(len(slices) / beside)
        across_all, down_all = width - gap * (beside - 1), height - head * below - gap * (below - 1)
        named = beside * NAME * len(leading) <= across_all or beside == 1
        return min(largest, across_all / beside / across[-1], down_all / below / down[-1]) * named

    beside = max(range(1, len(slices) + 1), key=cell_with)
    cell, below = cell_with(beside), ceil(len(slices) / beside)
    wide = max(across[-1] * cell, NAME * len(leading))
    corners, names = {}, []
    for number, lead in enumerate(slices):
        left = number % beside * (wide + gap)
        top = number // beside * (down[-1] * cell + head + gap) + head
        names.append((lead, left, top - 4))
        for row, column in product(range(len(down) - 1), range(len(across) - 1)):
            inner = (row,) * (len(grid.spots) > 1) + (column,) * bool(grid.spots)
            corners[(*lead, *inner)] = left + across[column] * cell, top + down[row] * cell
    full = beside * wide + gap * (beside - 1), below * (down[-1] * cell + head) + gap * (below - 1)
    return Places(corners, cell, *full, tuple(names) if leading else ())


def _offsets(spots: Sequence[tuple[int, int, int]]) -> list[float]:
    """Where cells begin along an axis, in cells, and where the last one ends: a wall stands between rooms."""
    if not spots:
        return [0.0, 1.0]
    walls = [WALL * (one[2] != other[2]) for one, other in pairwise(spots)]
    return list(accumulate([1 + wall for wall in walls] + [1.0], initial=0.0))


def draw_grid(pattern: Pattern, grid: Grid, x: float, y: float, found: Places, *, marked: bool) -> list[Shape]:
    """The positions of one side of a mixer, by set and by weights, the example `marked` among them."""
    shapes: list[Shape] = []
    if found.cell < LEAST_LETTER and not _hatches(pattern):
        shapes += cells(found, lambda position: look_of(pattern, grid, position), x, y)
    for position, (left, top) in found.corners.items() if not shapes else ():
        letter = "" if marked and position == pattern.example else pattern.letters.get(grid.set(position), "")
        shapes += _cell(pattern, grid, position, x + left, y + top, found.cell, letter)
    names = [name for name, _ in pattern.positions]
    for lead, left, top in found.slices:
        words = ", ".join(f"{name} = {index}" for name, index in zip(names, lead, strict=False))
        shapes.append(fitting(Text("muted", x + left, y + top, words, 11), NAME * len(lead)))
    if marked:
        left, top = found.corners[pattern.example]
        shapes += mark_in(x + left, y + top, found.cell)
    return shapes


def cells(found: Places, look: Callable[[Position], str], x: float, y: float) -> list[Shape]:
    """Positions without letters, those of one look as one shape."""
    looks: dict[str, list[tuple[float, float]]] = {}
    for position, (left, top) in found.corners.items():
        each = look(position)
        each = "faint" if each == "plain" and found.cell < LEAST_EDGE else each
        looks.setdefault(each, []).append((x + left, y + top))
    return [Cells(each, found.cell * FILLED, tuple(corners)) for each, corners in looks.items()]


def _cell(
    pattern: Pattern, grid: Grid, position: Position, x: float, y: float, cell: float, letter: str
) -> list[Shape]:
    look = look_of(pattern, grid, position)
    side = cell * FILLED
    if look == "plain" and cell < LEAST_EDGE:
        look = "faint"
    shapes: list[Shape] = [Rect(look, x, y, side, side, min(3, cell * 0.12))]
    if _hatches(pattern):
        turn = angle(pattern.place(grid, position), pattern.own_places)
        shapes += hatched(stroke_on(look), x, y, side, turn, max(side / 3.4, 3.5))
    if letter and cell >= LEAST_LETTER:
        size = max(cell * 0.5, min(cell * 0.72, 9))
        if _hatches(pattern):
            back = max(width_of(letter, size) + size * 0.3, size)
            ground = "paper" if look in ("plain", "faint") else look
            shapes.append(Rect(ground, x + (side - back) / 2, y + (side - size * 1.1) / 2, back, size * 1.1, 2))
        shapes.append(Text(text_on(look), x + side / 2, y + side / 2 + size * 0.36, letter, size, "middle"))
    return shapes


def _hatches(pattern: Pattern) -> bool:
    """Whether squares have strokes: below a sequence stands a row of them."""
    return pattern.own_places > 1 and len(pattern.positions) > 1


def look_of(pattern: Pattern, grid: Grid, position: Position) -> str:
    """How a cell looks: as what the example reads, with the tint of its set, or plain."""
    found = grid.set(position)
    if found == pattern.outputs.set(pattern.example):
        return "read"
    return f"tint{pattern.tints[found]}" if found in pattern.tints else "plain"


def text_on(look: str) -> str:
    """The look of a text on a cell."""
    return {"read": "onread", "shade0": "onread", "plain": "muted"}.get(look, "ink")


def stroke_on(look: str) -> str:
    return "onreadstroke" if look == "read" else "stroke"


def mark_in(x: float, y: float, cell: float) -> list[Shape]:
    """The sign in a cell with this corner."""
    return mark(x + cell * FILLED / 2, y + cell * FILLED / 2, max(cell * 0.36, LEAST_MARK))


def mark(x: float, y: float, radius: float) -> list[Shape]:
    """The sign of the example output: a ring and a point."""
    parts = (("paper", 1.0), ("ink", 0.86), ("paper", 0.6), ("ink", 0.28))
    return [Disc(look, x, y, radius * part) for look, part in parts]


def bar(look: str, x: float, y: float, length: float, turn: float, width: float = 1.4) -> Line:
    """A stroke of one angle (degrees from upright, clockwise) around a point."""
    right, down = sin(radians(turn)) * length / 2, -cos(radians(turn)) * length / 2
    return Line(look, x - right, y - down, x + right, y + down, width)


def hatched(look: str, x: float, y: float, side: float, turn: float, apart: float) -> list[Line]:
    """Strokes of one angle over a square, cut at its edges."""
    along = sin(radians(turn)), -cos(radians(turn))
    across = -along[1], along[0]
    reach = side * (abs(across[0]) + abs(across[1])) / 2
    count = int(reach / apart)
    lines = []
    for number in range(-count, count + 1):
        middle = [side / 2 + across[axis] * number * apart for axis in (0, 1)]
        ends = [(_steps(at, step, side)) for at, step in zip(middle, along, strict=True)]
        first, last = max(low for low, _ in ends), min(high for _, high in ends)
        if last - first > side * 0.15:
            (x1, x2), (y1, y2) = ((at + step * first, at + step * last) for at, step in zip(middle, along, strict=True))
            lines.append(Line(look, x + x1, y + y1, x + x2, y + y2, 1))
    return lines


def _steps(at: float, step: float, side: float) -> tuple[float, float]:
    """From where to where a line along one axis is inside of a square."""
    if abs(step) < 1e-9:
        return (-1e9, 1e9) if 0 <= at <= side else (1e9, -1e9)
    one, other = (-at) / step, (side - at) / step
    return min(one, other), max(one, other)


NUMBERED = 9
"""So many columns have channels with numbers, the stroke's among them: where those that mix do not stand together."""


MOST_CHANNELS = 2**14
"""Of so many channels at most it is worked out which stand together."""


class Room(NamedTuple):
    """A room for discs: its width, how many rows there may be, and how many discs stand in one, up to so many."""

    width: float
    rows: int
    beside: tuple[tuple[int, int], ...]


PANEL = Room(144, 8, ((32, 8), (128, 16), (256, 32)))
STRIP = Room(200, 4, ((64, 16),))
"""Beside the positions of a mixer, and below those of a layer in a network."""


def draw_channels(shapes: list[Shape], factors: Factors, x: float, y: float, room: Room = PANEL) -> float:
    """The channels of a mixer from this corner on: once where it keeps their number; gives where they end."""
    before, after = prod(f.size for f in factors), prod(f.out for f in factors)
    if before == after:
        return _side(shapes, factors, "size", x, y, room)
    shapes.append(Text("muted", x, y + 10, f"{before:,} in", 11))
    y = _side(shapes, factors, "size", x, y + 14, room) + 2
    shapes.append(Text("muted", x, y + 10, f"{after:,} out", 11))
    return _side(shapes, factors, "out", x, y + 14, room) + 2


def members(found: list[Spot]) -> list[list[int]]:
    """The channels of each set, in the order of their first."""
    sets = defaultdict(list)
    for channel, spot in enumerate(found):
        sets[spot.set].append(channel)
    return list(sets.values())


def _side(shapes: list[Shape], factors: Factors, end: End, x: float, y: float, room: Room) -> float:
    """Channels before or after a mixer; gives where they end."""
    total = prod(getattr(f, end) for f in factors)
    found = spots(factors, end, total) if total <= MOST_CHANNELS else []
    sets = members(found)
    if not sets:
        shapes.append(Text("muted", x, y + 10, "too many to be drawn", 11))
        return y + 14
    numbered = any(channels[-1] - channels[0] >= len(channels) for channels in sets)
    beside = next((beside for most, beside in room.beside if total <= most), room.beside[-1][1])
    beside = min(beside, NUMBERED) if numbered else beside
    size, columns = max(map(len, sets)), beside - numbered
    rows = ceil(size / columns)
    in_row = max(beside // (size + numbered), 1)
    fits = max(room.rows // rows, 1) * in_row
    step = room.width / beside
    height = min(step, 20.0)
    own = prod(f.size for f in factors if f.role == "g")
    mixed = any(f.role == "m" for f in factors)
    for number, channels in enumerate(sets[:fits]):
        wide = min(size + numbered, beside) * step
        left, top = x + number % in_row * wide, y + number // in_row * rows * height
        dark = number == 0
        if mixed:
            look = "read" if dark else "card"
            shapes.append(Rect(look, left, top, wide - 2, rows * height - 2, min(height, step) / 2 - 1))
        for place in range(-numbered, len(channels)):
            row, column = divmod(max(place, 0), columns)
            column = 0 if place < 0 else column + numbered
            middle = left + (column + 0.5) * step - 1, top + (row + 0.5) * height - 1
            if numbered and place >= 0:
                text = Text("onread" if dark else "ink", middle[0], middle[1] + 3.2, str(channels[place]), 9, "middle")
                shapes.append(fitting(text, step))
                continue
            radius = min(step, height) / 2 - 1.2
            if not mixed:
                shapes.append(Disc("read" if dark else "plain", *middle, radius))
            turn, thick = angle(found[channels[0]].weights, own), 1.4 if radius > 4 else 1
            shapes.append(bar("onreadstroke" if dark else "stroke", *middle, radius * 1.2, turn, thick))
    drawn = sets[:fits]
    y += ceil(len(drawn) / in_row) * rows * height
    count = sum(map(len, drawn))
    if count < total:
        for line in broken(f"drawn: {count:,} of {total:,} channels", 11, room.width):
            y += 13
            shapes.append(Text("muted", x, y - 1, line, 11))
    return y
