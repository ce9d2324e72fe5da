"""Shift: groups of channels moved along axes."""

import math
from dataclasses import KW_ONLY, dataclass
from functools import reduce
from operator import or_

from einmix.algebra.factors import written
from einmix.algebra.reach import Inputs, Reach
from einmix.errors import PatternError
from einmix.nodes.calls import Call, Size
from einmix.nodes.fields import Moves
from einmix.nodes.node import Leaf, Sizes, Step, length_of

_SHIFT = '''
class {name}(nn.Module):
    """Groups of channels moved: the k-th by `moves[k]`, an axis and a number of positions; {edge}."""

    def __init__(self, *moves: tuple[int, int], turns: bool = False):
        super().__init__()
        self.moves, self.turns = moves, turns

    def forward(self, x):
        k, c = len(self.moves), torch.arange(x.shape[-1], device=x.device)
        group = c % k if self.turns else c // -(-len(c) // k)
        y = x
        for i, (axis, by) in enumerate(self.moves):
            moved = x.roll(by, axis)
            entering = axis, 0 if by > 0 else by, abs(by)
            moved.narrow(*entering).{fill}
            y = torch.where(group == i, moved, y)
        return y
'''
SHIFT = _SHIFT.format(name="Shift", edge="zeros come in", fill="zero_()")
SHIFT_INSIDE = _SHIFT.format(name="ShiftInside", edge="edges stay", fill="copy_(x.narrow(*entering))")
ROLL = '''
class Roll(nn.Module):
    """Groups of channels moved: the k-th by `moves[k]`, an axis and a number of positions, around its end."""

    def __init__(self, *moves: tuple[int, int]):
        super().__init__()
        self.moves = moves

    def forward(self, x):
        parts = x.chunk(len(self.moves), -1)
        return torch.cat([part.roll(by, axis) for part, (axis, by) in zip(parts, self.moves)], -1)
'''


@dataclass(frozen=True)
class Shift(Leaf):
    """Channels in as many groups as there are moves, each moved by so many positions along its axis.

    Groups are runs of channels as `torch.chunk` cuts them, or "turns": channel i is in group i modulo their number.
    At the edge enter "zeros" (AS-MLP, arXiv:2107.08391; CycleMLP, arXiv:2107.10224), what went out ("wrap"), or what
    was there stays ("keep": S2-MLP, arXiv:2106.07477). No weights: a permutation that a frozen mixer could hold.
    """

    kind = "shift"
    helpers = (SHIFT, SHIFT_INSIDE, ROLL)
    job = ("shifted", "by shifts")
    moves: Moves
    _: KW_ONLY
    edge: str = "zeros"
    groups: str = "runs"

    def __post_init__(self) -> None:
        if self.edge not in ("zeros", "wrap", "keep") or self.groups not in ("runs", "turns"):
            raise PatternError(
                f"no shift with edge {self.edge!r} and groups {self.groups!r}",
                hint="edge is zeros, wrap or keep; groups are runs or turns",
            )
        if self.edge == "wrap" and self.groups == "turns":
            raise PatternError("a shift in turns does not wrap", hint="edge is zeros or keep")
        if not 1 <= len(self.moves) <= 64:
            raise PatternError(f"a shift has 1 to 64 moves, not {len(self.moves)}")
        super().__post_init__()

    def through(self, sizes: Sizes) -> Sizes:
        for axis, by in self.moves:
            if axis == "c" or abs(by) >= length_of(sizes, axis):
                raise PatternError(f"a shift by {by} along {axis} does not fit {written(sizes)}")
        return sizes

    def touched(self, before: Sizes) -> frozenset[str]:
        groups = zip(self.moves, self.members(before["c"]), strict=True)
        return frozenset(axis for (axis, by), members in groups if by and members)

    def members(self, width: int) -> list[range]:
        """The channels of each group."""
        channels, count = range(width), len(self.moves)
        step = math.ceil(width / count)
        return [channels[k::count] if self.groups == "turns" else channels[k * step :][:step] for k in range(count)]

    def reach(self, step: Step) -> Reach:
        sizes, width = step.before, step.before["c"]
        found = []
        for (axis, by), members in zip(self.moves, self.members(width), strict=True):
            inside: Inputs = [c if c in members else [] for c in range(width)]
            found.append(Reach.linked(sizes, {axis: self._moved(sizes[axis], by), "c": inside}))
        return reduce(or_, found)

    def _moved(self, n: int, by: int) -> Inputs:
        """The position that gets to each of an axis."""
        if self.edge == "wrap":
            return [(to - by) % n for to in range(n)]
        return [to - by if 0 <= to - by < n else [to] * (self.edge == "keep") for to in range(n)]

    def emit(self, step: Step) -> list[Call]:
        moves = tuple((step.place(axis), Size(by, "move")) for axis, by in self.moves)
        name = {"zeros": "Shift", "keep": "ShiftInside", "wrap": "Roll"}[self.edge]
        return [Call(name, moves, (("turns", True),) if self.groups == "turns" else ())]
