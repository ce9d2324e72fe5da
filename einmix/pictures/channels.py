"""Channels drawn: discs in their order, those that mix in one capsule, each with the stroke of its weights."""

from __future__ import annotations

from collections import defaultdict
from math import ceil, prod

from einmix.algebra.factors import Factors
from einmix.pictures.grids import bar
from einmix.pictures.pattern import End, Spot, angles, spots
from einmix.pictures.shapes import Disc, Rect, Shape, Text, broken, width_of

WIDTH = 144
"""Units of a row of discs."""

MOST = 256
"""So many channels are drawn."""

ROWS = ((32, 8), (128, 16), (MOST, 32))
"""Up to so many channels, so many discs a row."""


def draw_channels(shapes: list[Shape], factors: Factors, x: float, y: float) -> float:
    """The channels of a mixer from this corner on: once where it keeps their number; gives where they end."""
    before, after = prod(f.size for f in factors), prod(f.out for f in factors)
    if before == after:
        return _side(shapes, factors, "size", x, y)
    for end, words in (("size", f"{before:,} in"), ("out", f"{after:,} out")):
        shapes.append(Text("muted", x, y + 10, words, 11))
        y = _side(shapes, factors, end, x, y + 14) + 4
    return y


def members(found: list[Spot]) -> dict[int, list[int]]:
    """The channels of each set, in the order of their first."""
    sets = defaultdict(list)
    for channel, spot in enumerate(found):
        sets[spot.set].append(channel)
    return dict(sets)


def _side(shapes: list[Shape], factors: Factors, end: End, x: float, y: float) -> float:
    """Channels before or after a mixer; gives where they end."""
    total = prod(getattr(f, end) for f in factors)
    count = min(total, MOST)
    found = spots(factors, end, count)
    sets = members(found)
    size = max(map(len, sets.values()))
    named = any(channels[-1] - channels[0] >= len(channels) for channels in sets.values())
    beside = next((beside for most, beside in ROWS if total <= most), ROWS[-1][1])
    if named:
        beside = min(beside, 8 if count <= 100 else 6)
        size += 1
    step = WIDTH / beside
    rows_each = ceil(size / beside)
    in_row = max(beside // size, 1)
    height = min(step, 20.0)
    turns = angles(prod(f.size for f in factors if f.role == "g"))
    mixed = any(f.role == "m" for f in factors)
    limit = max(8 // rows_each, 1) * in_row
    for number, channels in enumerate(list(sets.values())[: limit]):
        left = x + number % in_row * size * step
        top = y + number // in_row * rows_each * height
        dark = number == 0
        if mixed:
            wide, tall = min(size, beside) * step - 2, rows_each * height - 2
            shapes.append(Rect("read" if dark else "card", left, top, wide, tall, min(height, step) / 2 - 1))
        stroke = "onreadstroke" if dark else "stroke"
        turn = turns[found[channels[0]].weights]
        if named:
            shapes.append(bar(stroke, left + step / 2 - 1, top + height / 2 - 1, height * 0.6, turn))
        for place, channel in enumerate(channels, start=int(named)):
            middle = left + place % beside * step + step / 2 - 1, top + place // beside * height + height / 2 - 1
            if named:
                text = Text("onread" if dark else "ink", middle[0], middle[1] + 3, str(channel), 9, "middle")
                shapes.append(text)
            else:
                radius = min(step, height) / 2 - 1.2
                if not mixed:
                    shapes.append(Disc("read" if dark else "plain", *middle, radius))
                shapes.append(bar(stroke, *middle, radius * 1.2, turn, 1.4 if radius > 4 else 1))
    shown = min(limit, len(sets))
    y += ceil(shown / in_row) * rows_each * height
    drawn = sum(len(channels) for channels in list(sets.values())[:limit])
    if drawn < total:
        for line in broken(f"drawn: {drawn:,} of {total:,} channels", 11, WIDTH):
            y += 13
            shapes.append(Text("muted", x, y - 2, line, 11))
    return y
