"""The blocks of a network drawn: their layers, branches beside each other, and what one output after them reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, prod

from einmix.kinds import Mix
from einmix.networks.architecture import Architecture
from einmix.networks.summary import block_words, channel_words
from einmix.nodes.node import Step
from einmix.pictures.field import MOST, Column, columns, example_on, reads
from einmix.pictures.grids import FILLED, LEAST_LETTER, STRIP, cells, draw_channels, draw_grid, mark_in, places, text_on
from einmix.pictures.pattern import Pattern, grid_of
from einmix.pictures.picture import Picture
from einmix.pictures.shapes import SHADES, Shape, Text, broken, fitting, moved

COLUMN = 200
"""Units: the width of a block."""

MOST_TILES = 3
"""So many layers stand beside each other in a block."""

LARGEST = COLUMN / 8
"""The largest side of a cell."""


def draw_blocks(architecture: Architecture) -> list[Picture]:
    """A picture for each column of a network's picture, 200 units wide, for pages that put them beside each other."""
    pictures = []
    for column in columns(architecture):
        body = Body(column)
        shapes = [*body.head, *moved(body.field, 0, body.top)]
        title, total = column.name, prod(column.lengths)
        words = f"{title}: {(column.block.part.steps and ' '.join(texts(column))) or 'nothing'}."
        words += f" One output after it reads {len(column.first):,} of {total:,} positions."
        pictures.append(Picture(COLUMN, ceil(body.top + body.height), tuple(shapes), title, words))
    return pictures


def texts(column: Column) -> Iterator[str]:
    for step in column.block.part.steps:
        for leaf in step.leaves():
            if leaf.touched - {"c"}:
                yield leaf.node.text


class Body:
    """A column as shapes from its own corner on: the head with the layers, and below `top` what is read."""

    def __init__(self, column: Column, notes: Sequence[str] = ()):
        each = sum(step.cost[0] for step in column.block.part.steps)
        words = f"{'each ' * (len(column.blocks) > 1)}{each:,} parameter{'s' * (each != 1)}"
        name = Text("ink", 0, 12, column.name, 14, bold=True)
        numbers = Text("muted", COLUMN, 12, words, 12, "end")
        fits = numbers.width <= COLUMN - name.width - 8
        self.head: list[Shape] = [name, *[numbers] * fits]
        y = 16.0
        for note in [*[words] * (not fits), *notes]:
            for line in broken(note, 12, COLUMN):
                y += 15
                self.head.append(Text("muted", 0, y, line, 12))
        self.top = _layers(self.head, column.block.part.steps, y + 4) + 18
        total, count = prod(column.lengths), len(column.first)
        self.field: list[Shape] = [Text("ink", 0, 0, f"reads {count:,} of {total:,}", 13, bold=True)]
        if count > column.before:
            self.field.append(Text("muted", COLUMN, 0, f"+{count - column.before:,}", 12, "end"))
        self.height = _field(self.field, column, 9)


def _field(shapes: list[Shape], column: Column, y: float) -> float:
    """The positions before the first block with the numbers of blocks, the first darkest; gives where they end."""
    lengths, first, marked = column.lengths, column.first, example_on(column.lengths)
    grid = grid_of(lengths, [min(n, MOST[len(lengths)]) for n in lengths])
    found = places(grid, COLUMN, COLUMN if len(lengths) < 3 else 220, LARGEST)
    numbers = sorted(set(first.values()))
    shade = {number: f"shade{min(place, len(SHADES) - 1)}" for place, number in enumerate(numbers)}
    shapes += cells(found, lambda each: shade[first[each]] if each in first else "plain", 0, y)
    side = found.cell * FILLED
    if found.cell >= LEAST_LETTER:
        size = max(found.cell * 0.5, min(found.cell * 0.72, 9))
        for position, number in first.items():
            if position in found.corners and position != marked:
                left, top = found.corners[position]
                middle = left + side / 2, y + top + side / 2 + size * 0.36
                shapes.append(fitting(Text(text_on(shade[number]), *middle, str(number), size, "middle"), side))
    left, top = found.corners[marked]
    shapes += mark_in(left, y + top, found.cell)
    y += found.height
    if any(n > shown for n, shown in zip(lengths, grid.shown, strict=True)):
        y += 14
        shown, every = (" × ".join(map(str, sizes)) for sizes in (grid.shown, lengths))
        shapes.append(Text("muted", 0, y, f"drawn: the first {shown} of {every}", 11))
    return y


def _layers(shapes: list[Shape], steps: tuple[Step, ...], y: float) -> float:
    """What moves positions in a block, one after the other; branches stand beside each other. Gives where it ends."""
    rows = list(_rows(steps))
    if not rows:
        for line in broken(": ".join(filter(None, ["positions stay apart", block_words(steps)])), 12, COLUMN):
            y += 15
            shapes.append(Text("muted", 0, y, line, 12))
        return y
    for words, leaves in rows:
        for line in broken(words, 11, COLUMN):
            y += 14
            shapes.append(Text("muted", 0, y, line, 11))
        y = _beside(shapes, leaves, y) + 2
    return y


def _beside(shapes: list[Shape], leaves: Sequence[Step], y: float) -> float:
    """Layers beside each other, in several rows where they are many; gives where they end."""
    resizes = any(leaf.before | {"c": 0} != leaf.after | {"c": 0} for leaf in leaves)
    beside = 1 if resizes and len(leaves) <= 2 else min(len(leaves), MOST_TILES)
    width = (COLUMN - 8 * (beside - 1)) / beside
    size = 12 if beside == 1 else 9
    for start in range(0, len(leaves), beside):
        row = leaves[start : start + beside]
        heads = [broken(_label(leaf, beside), size, width, mono=True) for leaf in row]
        top = y + (size + 2) * max(map(len, heads)) + 6
        ends = []
        for number, (leaf, head) in enumerate(zip(row, heads, strict=True)):
            x = number * (width + 8)
            for line, text in enumerate(head, start=1):
                shapes.append(Text("ink", x, y + line * (size + 2), text, size, mono=True))
            ends.append(_tile(shapes, leaf, x, top, width))
        y = max(ends) + 4
    return y


def _label(leaf: Step, beside: int) -> str:
    """A layer's text; of a mixer alone in its row what it does with positions, since its channels stand below."""
    if not isinstance(leaf.node, Mix):
        return leaf.node.text
    terms = str(leaf.node.mixer).removesuffix(" +b").split()
    return " ".join(term for term in terms if beside > 1 or not term.startswith("c="))


def _rows(steps: Sequence[Step]) -> Iterator[tuple[str, list[Step]]]:
    """The layers that move positions, those of branches and those that follow each other together, with words."""
    alone: list[Step] = []
    for step in steps:
        if not step.branches:
            alone += [step] * bool(step.touched - {"c"})
            continue
        inner = [list(_rows(branch)) for branch in step.branches]
        leaves = [leaf for branch in inner for _, row in branch for leaf in row]
        if leaves and alone:
            yield _in_order(alone)
            alone = []
        if len(inner) > 1 and leaves:
            still = sum(not branch for branch in inner)
            words = step.node.job[1] + f", {still} of them without positions" * bool(still)
            if all(len(branch) < 2 and all(len(row) < 2 for _, row in branch) for branch in inner):
                yield words, leaves
                continue
            for number, branch in enumerate(inner, start=1):
                for said, row in branch:
                    yield ", ".join(filter(None, [words, f"branch {number}", said])), row
                    words = ""
        elif leaves:
            for words, row in inner[0]:
                yield ", ".join(filter(None, [step.node.job[1], words])), row
    if alone:
        yield _in_order(alone)


def _in_order(leaves: list[Step]) -> tuple[str, list[Step]]:
    return "one after the other" * (len(leaves) > 1), leaves


def _tile(shapes: list[Shape], leaf: Step, x: float, y: float, width: float) -> float:
    """One layer: its positions, and its channels where there is room; gives where it ends."""
    if isinstance(leaf.node, Mix) and (pattern := Pattern(leaf.node.mixer)).positions:
        sides = [pattern.outputs] if pattern.square else [pattern.inputs, pattern.outputs]
        each = width if pattern.square else (width - 10) / 2
        found = [places(grid, each, each, LARGEST) for grid in sides]
        for number, (grid, one) in enumerate(zip(sides, found, strict=True)):
            left = x + number * (each + 10)
            shapes += draw_grid(pattern, grid, left, y, one, marked=grid is sides[-1])
        y += max(one.height for one in found)
        if pattern.channels is not None and width == COLUMN:
            term = Text("ink", x, y + 14, f"c={'.'.join(map(str, pattern.channels)) or 's1'}", 12, mono=True)
            shapes.append(fitting(term, 90))
            words = Text("muted", x + COLUMN, y + 14, channel_words(leaf.node.mixer), 11, "end")
            if words.width <= COLUMN - min(term.width, 90) - 8:
                shapes.append(words)
            else:
                for line in broken(words.text, 11, COLUMN):
                    y += 14
                    shapes.append(Text("muted", x, y + 14, line, 11))
            y += 19
            if any(factor.role != "m" for factor in pattern.channels):  # else words say it
                y = draw_channels(shapes, pattern.channels, x, y, STRIP)
        return y
    lengths, after = ([n for axis, n in sizes.items() if axis != "c"] for sizes in (leaf.before, leaf.after))
    grid = grid_of(lengths, [min(n, MOST[len(lengths)]) for n in lengths])
    one, example = places(grid, width, width, LARGEST), example_on(after)
    read = reads(leaf.reach, example)
    shapes += cells(one, lambda each: "read" if each in read else "plain", x, y)
    if lengths == after:
        left, top = one.corners[example]
        shapes += mark_in(x + left, y + top, one.cell)
    return y + one.height
