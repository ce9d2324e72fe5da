"""How far one output sees: the positions that reach it after every block, exactly, from reach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import groupby, product
from typing import TYPE_CHECKING

from einmix.algebra.reach import Reach
from einmix.networks.architecture import Architecture, Part, Slotted
from einmix.nodes.node import reach_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]

Position = tuple[int, ...]

MOST = {1: 64, 2: 64, 3: 16, 4: 8}
"""So many positions along each of so many axes have the example among them: the first of longer ones are drawn."""


@dataclass(frozen=True)
class Seen:
    """A block, with what the example reads after it of the positions before the first block."""

    number: int
    """From 1 on."""

    part: Part
    positions: frozenset[Position]
    example: Position
    """Where it is among the block's own positions."""


def example_on(lengths: Sequence[int]) -> Position:
    """The position that stands for all: off the middle, on no diagonal, and where positions are drawn."""
    shown = [min(n, MOST[len(lengths)]) for n in lengths]
    return tuple(n * (5 if axis and axis == len(shown) - 1 else 3) // 8 for axis, n in enumerate(shown))


def seen(architecture: Architecture) -> list[Seen]:
    """Of every block what one output after it reads, all of its channels taken together.

    In a later stage the example is an output that reads that of the stage before, so that what is read grows.
    """
    first, *parts = (part for part in architecture.parts if part.role != "head")
    lengths = _lengths(first)
    example, every = example_on(lengths), frozenset(product(*map(range, lengths)))
    reaches: dict[int, Reach] = {}
    passed: list[Reach] = []
    found: list[Seen] = []
    for part in parts:
        if id(part) not in reaches:
            reaches[id(part)] = reach_of(part.steps, part.before)
        reach = reaches[id(part)]
        passed.append(reach)
        if part.role == "embed":
            example = _later(reach, example, _lengths(part))
            continue
        state = _back(reach, _start(reach, example))
        same_place = len(passed) > 1 and found and found[-1].part.stage == part.stage
        if same_place and found[-1].positions == every and state[example].all():
            positions = every  # it reads all that the block before does
        else:
            for before in reversed(passed[:-1]):
                state = _back(before, state)
            positions = _positions(state)
        found.append(Seen(len(found) + 1, part, positions, example))
    return found


def reads(reach: Reach, example: Position) -> frozenset[Position]:
    """The positions of the input of which something reaches this one of the output."""
    return _positions(_back(reach, _start(reach, example)))


def _lengths(part: Part) -> list[int]:
    return [n for axis, n in part.after.items() if axis != "c"]


def _later(reach: Reach, example: Position, lengths: Sequence[int]) -> Position:
    """An output that reads this input: at the same place, if it does, else the first; any where there is none."""
    reached = reads(Reach(tuple(tuple((axis, each.T) for axis, each in term) for term in reach.terms)), example)
    return example if example in reached else min(reached, default=example_on(lengths))


def _start(reach: Reach, example: Position) -> Bools:
    """All channels of one output, as `*axes c`."""
    import numpy as np

    state = np.zeros(tuple(reach.outputs.values()), dtype=bool)
    state[example] = True
    return state


def _back(reach: Reach, state: Bools) -> Bools:
    """The inputs that reach some of these outputs: joint over all axes, so that no term has to be multiplied out."""
    import numpy as np

    found = []
    for term in reach.terms:
        inputs = state
        for axis, (_, matrix) in enumerate(term):
            if matrix.all():
                shape = [*inputs.shape[:axis], matrix.shape[1], *inputs.shape[axis + 1 :]]
                inputs = np.broadcast_to(inputs.any(axis, keepdims=True), shape)
            elif not np.array_equal(matrix, np.eye(*matrix.shape, dtype=bool)):
                counts = np.tensordot(inputs.astype(np.float32), matrix.astype(np.float32), (axis, 0))
                inputs = np.moveaxis(counts > 0, -1, axis)
        found.append(inputs)
    return reduce(np.logical_or, found)


def _positions(state: Bools) -> frozenset[Position]:
    """Those of which some channel is in this state."""
    import numpy as np

    return frozenset(map(tuple, np.argwhere(state.any(-1)).tolist()))


@dataclass(frozen=True)
class Column:
    """Blocks one after the other that are equal and read alike, with how what they read came to be."""

    blocks: tuple[Seen, ...]
    first: dict[Position, int]
    """Of every position that is read by now the block after which it first was."""

    lengths: tuple[int, ...]
    """Of the axes of positions before the first block."""

    before: int
    """How many positions the block before reads."""

    slot: str = ""
    """What it is called, where it is no block but the mixer of a slot."""

    @property
    def block(self) -> Seen:
        return self.blocks[0]

    @property
    def name(self) -> str:
        if self.slot:
            return f"Slot {self.slot}"
        numbers = self.blocks[0].number, self.blocks[-1].number
        return f"Block {numbers[0]}" if numbers[0] == numbers[1] else f"Blocks {numbers[0]} to {numbers[1]}"


def columns(architecture: Architecture) -> list[Column]:
    """The blocks of a network, runs of those in which nothing differs as one; slots each by itself."""
    if isinstance(architecture, Slotted):
        return list(_slots(architecture))
    first: dict[Position, int] = {}
    found: list[Column] = []
    lengths = positions_of(architecture)
    before = 1
    for _, same in groupby(seen(architecture), key=lambda each: (id(each.part), each.positions)):
        blocks = tuple(same)
        read = blocks[0].positions
        first |= {position: blocks[0].number for position in read if position not in first}
        found.append(Column(blocks, {position: first[position] for position in read}, lengths, before))
        before = len(read)
    return found


def _slots(architecture: Slotted) -> Iterator[Column]:
    """What lies between the slots of a model is not known: each is a column of its own, on its own positions."""
    parts = [part for part in architecture.parts if part.role == "block"]
    for number, (name, part) in enumerate(zip(architecture.filled, parts, strict=True), start=1):
        lengths = tuple(_lengths(part))
        example = example_on(lengths)
        read = reads(reach_of(part.steps, part.before), example)
        yield Column((Seen(number, part, read, example),), dict.fromkeys(read, 1), lengths, len(read), name)


def positions_of(architecture: Architecture) -> tuple[int, ...]:
    """The lengths of the axes of positions before the first block."""
    return tuple(n for axis, n in architecture.grids[0].items() if axis != "c")
