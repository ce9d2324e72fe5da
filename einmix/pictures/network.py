"""The picture of a network: its blocks in their order, what is read after each, and where its parameters are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, prod

from einmix.networks.architecture import Architecture, Slotted
from einmix.networks.summary import embedding_words, shares, subject
from einmix.pictures.blocks import COLUMN, Body, texts
from einmix.pictures.field import Column, columns, positions_of
from einmix.pictures.picture import Picture
from einmix.pictures.shapes import Line, Rect, Shape, Text, broken, fitting, moved, width_of

GAP, MARGIN = 34, 32
"""Units: the room for the arrow between two blocks, and what is left around."""

IN_ROW, MOST_COLUMNS = 4, 16
"""Blocks beside each other, and all that are drawn; of equal ones that read alike one is."""


def draw_network(architecture: Architecture, name: str = "") -> Picture:
    """The picture of a whole network; `name` stands in its title in place of its id."""
    found = columns(architecture)
    drawn = found if len(found) <= MOST_COLUMNS else [*found[: MOST_COLUMNS - 1], found[-1]]
    bodies = [Body(column, _stage_words(architecture, drawn, number)) for number, column in enumerate(drawn)]
    beside = max(min(len(bodies), IN_ROW), 3)
    width = 2 * MARGIN + beside * COLUMN + (beside - 1) * GAP
    title = f"Network {name or architecture.id}"
    shapes: list[Shape] = [fitting(Text("ink", MARGIN, 40, title, 18, bold=True), width - 2 * MARGIN)]
    y = 44.0
    for line in broken(about(architecture), 14, width - 2 * MARGIN):
        y += 18
        shapes.append(Text("muted", MARGIN, y, line, 14))
    y += 28
    for start in range(0, len(bodies), beside):
        last, arrows = start + beside >= len(bodies), not isinstance(architecture, Slotted)
        y = _row(shapes, bodies[start : start + beside], y, last=last, arrows=arrows) + 26
    y -= 14
    for line in (line for words in _key(architecture, found, drawn) for line in broken(words, 13, width - 2 * MARGIN)):
        y += 17
        shapes.append(Text("ink", MARGIN, y, line, 13))
    y = _parameters(shapes, architecture, y + 24, width)
    return Picture(width, ceil(y + 24), tuple(shapes), title, _description(architecture, found))


def _stage_words(architecture: Architecture, drawn: Sequence[Column], number: int) -> list[str]:
    """What stands between the stage before and the first block of another one."""
    part = drawn[number].block.part
    if isinstance(architecture, Slotted):
        each = architecture.filled[drawn[number].slot]
        return [f"{each.order}, in {each.times} places" if each.times > 1 else each.order]
    if number == 0 or drawn[number - 1].block.part.stage == part.stage:
        return []
    embeds = [each for each in architecture.parts if each.role == "embed" and each.stage == part.stage]
    return [f"stage {part.stage + 1}: {embedding_words(each)}" for each in embeds]


def _row(shapes: list[Shape], bodies: Sequence[Body], y: float, *, last: bool, arrows: bool) -> float:
    """Blocks beside each other, what they read at one height, with arrows; gives where they end."""
    top = max(body.top for body in bodies)
    for number, body in enumerate(bodies):
        x = MARGIN + number * (COLUMN + GAP)
        shapes += moved(body.head, x, y)
        shapes += moved(body.field, x, y + top)
        if arrows and (number < len(bodies) - 1 or not last):
            shapes += moved(_arrow(), x + COLUMN + 6, y + top + 9 + (body.height - 9) / 2)
    return y + top + max(body.height for body in bodies)


def _arrow() -> list[Shape]:
    return [Line("mutedstroke", 0, 0, 20, 0), *(Line("mutedstroke", 20, 0, 14, side, 1) for side in (-5, 5))]


def about(architecture: Architecture) -> str:
    """A network in numbers."""
    if isinstance(architecture, Slotted):
        return f"of mixers in the slots of a model with {architecture.params:,} parameters"
    sizes = architecture.grids[0]
    positions = " × ".join(str(n) for axis, n in sizes.items() if axis != "c")
    count = len(architecture.blocks)
    found = [f"for {subject(architecture)}", f"{positions} positions", f"{sizes['c']:,} channels"]
    if len(architecture.stages) > 1:
        found.append(f"{len(architecture.stages)} stages")
    found += [f"{count:,} block{'s' * (count != 1)}", f"{architecture.params:,} parameters"]
    return ", ".join(found) + f", {architecture.macs:,} multiply-accumulates an example"


def _key(architecture: Architecture, found: Sequence[Column], drawn: Sequence[Column]) -> Iterator[str]:
    if isinstance(architecture, Slotted):
        yield "The ring is one output of a slot; blue: what it reads of that slot. The rest of the model is not drawn."
        yield "In a layer: same letter, they exchange information; same stroke: the same weights."
        return
    yield (
        "The ring is one output. A number is the block after which a position first reaches it (the stronger, the "
        "earlier); an empty position does not reach it yet."
    )
    yield "In a layer: same letter, they exchange information; blue: what it reads; same stroke: the same weights."
    yield "What goes through means alone (norms over positions, weights of branches) is read, too."
    total, last = prod(positions_of(architecture)), len(found[-1].first) if found else 1
    if last < total:
        yield f"{total - last:,} of {total:,} positions never reach it before the mean over positions at the end."
    if len(drawn) < len(found):
        left_out = found[len(drawn) - 1].blocks[0].number, found[-2].blocks[-1].number
        yield f"Blocks {left_out[0]} to {left_out[1]} are left out."


def _parameters(shapes: list[Shape], architecture: Architecture, y: float, width: float) -> float:
    """Where the parameters are, as a bar to scale: dark what moves positions, grey what stays at each."""
    shapes.append(Text("ink", MARGIN, y, "Where the parameters are", 14, bold=True))
    pieces = list(_pieces(architecture))
    total, room = architecture.params, width - 2 * MARGIN
    x, y = float(MARGIN), y + 8
    for look, count, words in pieces:
        long = room * count / total if total else 0
        shapes.append(Rect(look, x, y, max(long - 0.5, 0.3), 22))
        number = f"{count:,}"
        if width_of(number, 12) + 8 < long:
            ink = "onread" if look == "read" else "ink"
            shapes.append(Text(ink, x + long / 2, y + 15, number, 12, "middle"))
        if width_of(words, 11) + 4 < long:
            shapes.append(Text("muted", x + long / 2, y + 36, words, 11, "middle"))
        x += long
    shapes.append(Text("muted", MARGIN, y + 54, "Blue: layers that move positions. Grey: all else.", 12))
    return y + 54


def _pieces(architecture: Architecture) -> Iterator[tuple[str, int, str]]:
    """Runs of parameters from the input on: how they look, how many, and of what."""
    for name, number, count, mixes in shares(architecture):
        yield "read" if mixes else "card", count, f"{name} {number or ''}".strip()


def _description(architecture: Architecture, found: Sequence[Column]) -> str:
    words = [f"A network {about(architecture)}."]
    for column in found:
        total = prod(column.lengths)
        layers = "; ".join(dict.fromkeys(texts(column))) or "positions stay apart"
        words.append(f"{column.name}: {layers}; one output reads {len(column.first):,} of {total:,} positions.")
    return " ".join(words)
