"""A network at other sizes: its mixers carried to another grid, its channels to another number, its blocks repeated."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from itertools import groupby
from math import prod
from typing import NoReturn

from einmix import Architecture, Block, Factor, Mixer, Node, PatternError, Sequence, Stage
from einmix.algebra.factors import Factors
from einmix.algebra.moves import stretches
from einmix.kinds import Mix
from einmix.networks.architecture import Part
from einmix.nodes.node import Sizes, Step, Tree, steps
from search_spaces.blocks.parts import Inputs, patches
from search_spaces.blocks.patch import Patch, patch_from, patch_grid
from search_spaces.errors import SpaceError


def patch_of(arch: Architecture) -> Patch:
    """Positions an axis that go into one of the first grid; SpaceError where that is no whole number for each."""
    grid = arch.grids[0]
    if any(n % grid[axis] for axis, n in arch.inputs[:-1]):
        raise SpaceError(f"network {arch.id} does not cut its input into whole patches")
    return patch_from(n // grid[axis] for axis, n in arch.inputs[:-1])


def resized(arch: Architecture, inputs: Inputs, *, patch: Patch, width: int, depth: int) -> Architecture:
    """The network on other inputs, with `width` channels in its first stage and about `depth` blocks in all.

    Of an axis one factor grows or shrinks, and none is lost, so that a mixer stays of its kind; channels grow alike
    everywhere. Blocks that come in turns keep coming in whole turns (A B A B is A B or A B A B A B); others are
    repeated in their places, and of runs of equal ones the longest lose first. No block is lost.

    >>> from search_spaces import load
    >>> space = load("grouped").on({"h": 8, "w": 8}, channels=1, classes=10, width=(32,), patch=(2,))
    >>> arch = space.references(space.middle)["full token mixing"]
    >>> str(resized(arch, Inputs({"h": 28, "w": 28}, 1, 10), patch=4, width=48, depth=2).mixers[0])
    'h=m7 w=m7 c=s48 +b'

    Raises SpaceError where a factor would not be whole, a block or what it mixes would be lost, or a node cannot stand
    at these sizes.
    """
    axes = [axis for axis, _ in arch.inputs[:-1]]
    if axes != list(inputs.shape):
        raise SpaceError(f"network {arch.id} is for axes {' '.join(axes)}, not {' '.join(inputs.shape)}")
    try:
        return _Resizing(arch, inputs, patch, width).run(depth)
    except PatternError as error:
        raise SpaceError(f"network {arch.id} cannot have these sizes: {error.summary}") from None


class _Resizing:
    """One network on its way to other sizes; `channels` is how many times its channels grow."""

    def __init__(self, arch: Architecture, inputs: Inputs, patch: Patch, width: int):
        self.arch, self.inputs, self.patch, self.width = arch, inputs, patch, width
        self.channels = Fraction(width, arch.grids[0]["c"])
        self._known: dict[tuple[int, Block], Block] = {}

    def run(self, depth: int) -> Architecture:
        parts = list(self.arch.parts)
        total = sum(part.role == "block" for part in parts)
        sizes: Sizes = {**self.inputs.shape, "c": self.inputs.channels}
        stages = []
        for number in range(len(self.arch.stages)):
            mine = [part for part in parts if part.stage == number and part.role == "block"]
            (embedding,) = (part for part in parts if part.stage == number and part.role == "embed")
            embed = self._first(embedding, sizes) if number == 0 else self._sequence(embedding.steps, sizes)
            sizes = _end(embed, sizes)
            blocks = tuple(self._block(part, sizes) for part in mine)
            if len(set(blocks)) < len({tuple(step.node for step in part.steps) for part in mine}):
                raise SpaceError(f"network {self.arch.id} cannot have these sizes: blocks that differ would be alike")
            stages.append(Stage(embed, self._repeated(blocks, max(1, round(Fraction(len(blocks) * depth, total))))))
        head = self._sequence(parts[-1].steps, sizes)
        inputs = *self.inputs.shape.items(), ("c", self.inputs.channels)
        return Architecture(inputs, tuple(stages), self.inputs.classes, head)

    def _first(self, part: Part, sizes: Sizes) -> Sequence:
        """The first embedding: plain patches are cut anew, anything else keeps its patch."""
        old = patch_of(self.arch)
        first, *others = part.steps
        shape = {axis: n for axis, n in part.before.items() if axis != "c"}
        plain = [patches(shape, old, part.before["c"], first.after["c"], bias=bias) for bias in (True, False)]
        if isinstance(first.node, Mix) and first.node in plain:
            new = patches(self.inputs.shape, self.patch, sizes["c"], self.width, bias=first.node.mixer.bias)
            return (new, *self._sequence(tuple(others), _end((new,), sizes)))
        if self.patch != old:
            raise SpaceError(
                f"network {self.arch.id} has no plain patches: its patch of {old} cannot become {self.patch}"
            )
        patch_grid(self.inputs.shape, self.patch)
        return self._sequence(part.steps, sizes)

    def _block(self, part: Part, sizes: Sizes) -> Block:
        key = part.stage, tuple(step.node for step in part.steps)
        if key not in self._known:
            block = self._known[key] = self._sequence(part.steps, sizes)
            if lost := _touched(part.steps) - _touched(steps(block, sizes)):
                fact = f"a block that mixes along {' and '.join(sorted(lost))} would not do so"
                raise SpaceError(f"network {self.arch.id} cannot have these sizes: {fact}")
        return self._known[key]

    def _repeated(self, blocks: tuple[Block, ...], depth: int) -> tuple[Block, ...]:
        """So many blocks, with none of those that there are left out."""
        if not blocks:
            return ()
        period = next(p for p in range(1, len(blocks) + 1) if blocks == blocks[:p] * (len(blocks) // p))
        if period < len(blocks):
            if depth % period:
                self._refuse(depth, f"its blocks come in turns of {period}")
            return blocks[:period] * (depth // period)
        if depth >= len(blocks):
            return tuple(blocks[i * len(blocks) // depth] for i in range(depth))
        runs = [list(same) for _, same in groupby(blocks)]
        if depth < len(runs):
            self._refuse(depth, f"it has {len(runs)} that differ from those before them")
        for _ in range(len(blocks) - depth):
            max(runs, key=len).pop()
        return tuple(block for run in runs for block in run)

    def _refuse(self, depth: int, why: str) -> NoReturn:
        blocks = f"{depth} block" + "s" * (depth != 1) + (" in a stage" if len(self.arch.stages) > 1 else "")
        raise SpaceError(f"network {self.arch.id} cannot have {blocks}: {why}")

    def _sequence(self, old: tuple[Step, ...], sizes: Sizes) -> Sequence:
        nodes = []
        for step in old:
            nodes.append(self._node(step, sizes))
            sizes = _end((nodes[-1],), sizes)
        return tuple(nodes)

    def _node(self, step: Step, sizes: Sizes) -> Node:
        node = step.node
        if isinstance(node, Tree):
            inner = node.enter(sizes)
            return node.rebuilt(tuple(self._sequence(branch, inner) for branch in step.branches))
        if isinstance(node, Mix):
            return replace(node, mixer=self._mixer(node.mixer, sizes))
        return node.resized(self._whole)

    def _mixer(self, mixer: Mixer, sizes: Sizes) -> Mixer:
        axes = [
            (axis, self._over_channels(factors, sizes[axis]) if axis == "c" else _over_positions(axis, factors, sizes))
            for axis, factors in mixer.axes
        ]
        return Mixer(tuple(axes), mixer.bias)

    def _over_channels(self, factors: Factors, new: int) -> Factors:
        if len(factors) == 1 and factors[0].size != factors[0].out:
            return (Factor("m", new, self._whole(factors[0].out)),)
        found = _stretched(factors, new)
        if found is None:
            raise SpaceError(f"c={'.'.join(map(str, factors))} cannot be carried to {new} channels")
        return found

    def _whole(self, channels: int) -> int:
        scaled = channels * self.channels
        if scaled.denominator != 1:
            raise SpaceError(f"{channels} channels times {self.channels} is no whole number")
        return int(scaled)


def _over_positions(axis: str, factors: Factors, sizes: Sizes) -> Factors:
    new, old = sizes[axis], prod(factor.size for factor in factors)
    found = _stretched(factors, new)
    if found is None and len(factors) == 1 and new > 1 and factors[0].out * new % old == 0:
        found = (Factor("m", new, factors[0].out * new // old),)
    if found is None:
        raise SpaceError(f"{axis}={'.'.join(map(str, factors))} cannot be carried to {new} positions")
    return found


def _stretched(factors: Factors, new: int) -> Factors | None:
    """Factors of the same roles on an axis of another length; None where one would be lost."""
    return next((found for found in stretches(factors, new) if all(f.size > 1 or f.out > 1 for f in found)), None)


def _touched(found: Iterable[Step]) -> frozenset[str]:
    """The spatial axes along which a block moves anything."""
    return frozenset[str]().union(*(step.touched for step in found)) - {"c"}


def _end(nodes: Sequence, sizes: Sizes) -> Sizes:
    return steps(nodes, sizes)[-1].after if nodes else sizes
