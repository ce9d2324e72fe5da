"""What every kind of node says of itself, and a node where it stands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import or_
from typing import TYPE_CHECKING, ClassVar, Self

from einmix.algebra.factors import written
from einmix.algebra.mixer import Mixer
from einmix.algebra.reach import Inputs, Reach
from einmix.errors import PatternError
from einmix.nodes.calls import Call, Size, one
from einmix.nodes.fields import check, text_of, whole

Sizes = dict[str, int]
"""The lengths of the axes of `b ... c`."""

Cost = tuple[int, int]
"""Trainable parameters, and multiply-accumulates an example."""

MAX_DEPTH = 12
"""So deep may sequences stand in each other."""


class _Kind(ABC):
    """What leaves and trees have in common; a kind is a frozen dataclass. Its fields make its text (`fields.py`)."""

    kind: ClassVar[str]
    """What it is called, and the word that its text begins with."""

    words: ClassVar[tuple[str, ...]] = ()
    """The words that its text may begin with in place of `kind`: the first field is that word."""

    usage: ClassVar[str] = ""
    """How messages say that it is written, where that is not `kind`."""

    helpers: ClassVar[tuple[str, ...]] = ()
    """The source of each small layer or function that its calls use: the last name that it defines."""

    job: ClassVar[tuple[str, str]] = ("", "")
    """What is special about a branch that it stands in: a part of a function's name, and words."""

    plain: ClassVar[bool] = False
    """Whether it stands in blocks of all sorts, so that a summary of one does not say it."""

    activates: ClassVar[bool] = False
    """Whether it makes an MLP of two mixers that it stands between."""

    def __post_init__(self) -> None:
        check(self)

    @cached_property
    def text(self) -> str:
        """What it is, without what stands in it."""
        return text_of(self)

    def touched(self, before: Sizes) -> frozenset[str]:
        """The axes along which it moves anything from one place to another; means and scales do not count."""
        return frozenset()

    def cost(self, sizes: Sizes) -> Cost:
        """Its own: of a leaf by the sizes before it, of a tree by those after it, without what stands in it."""
        return 0, 0

    def fan_ins(self, sizes: Sizes) -> tuple[int, ...]:
        """Of each of its own trainable tensors how many inputs a sum with it has: 1 of biases and scales.

        In the order in which the built layers have them; by sizes as those of `cost`.
        """
        return ()

    def as_mixer(self, before: Sizes) -> Mixer | None:
        """The mixer that it is, for the algebra, if it is one whose weights are free."""
        return None

    @property
    def width(self) -> int:
        """The channels that a linear layer at every position gives; 0 of any other node."""
        return 0


class Leaf(_Kind):
    """A layer. A kind says `kind` and `emit`, and of the rest whatever is not as in a function at every element."""

    def through(self, sizes: Sizes) -> Sizes:
        """The sizes after it. Raises PatternError where it cannot stand."""
        return sizes

    def reach(self, step: Step) -> Reach:
        """Which of its inputs reach which outputs."""
        return Reach.linked(step.before)

    @abstractmethod
    def emit(self, step: Step) -> list[Call]:
        """The layers that it is, from `b ... c` to `b ... c`."""

    def resized(self, channels: Callable[[int], int]) -> Self:
        """The layer in a network of another width: `channels` says what a number of them becomes."""
        return self


class Tree(_Kind):
    """A node with sequences in it. A kind is a `Body` or `Parallel`, and says `kind`, `leave`, `reach` and a helper."""

    if TYPE_CHECKING:

        @property
        def branches(self) -> tuple[Sequence, ...]:
            """What stands in it."""

    @abstractmethod
    def rebuilt(self, branches: tuple[Sequence, ...]) -> Self:
        """The same with other branches."""

    def enter(self, sizes: Sizes) -> Sizes:
        """The sizes that its branches meet. Raises PatternError where it cannot stand."""
        return sizes

    @abstractmethod
    def leave(self, sizes: Sizes, ends: list[Sizes]) -> Sizes:
        """The sizes after it, from those before it and at the ends of its branches. Raises PatternError."""

    @abstractmethod
    def reach(self, step: Step, branches: list[Reach]) -> Reach:
        """Which of its inputs reach which outputs, from what its branches connect."""

    @abstractmethod
    def emit(self, step: Step, branches: list[list[Call]]) -> list[Call]:
        """The layers that it is, from those of its branches."""


Node = Leaf | Tree
Sequence = tuple[Node, ...]
"""Nodes one after the other; none at all is the identity."""


@dataclass(frozen=True)
class Body(Tree):
    """A tree around one sequence; its helper, of its name, takes the layers of that."""

    body: tuple[Node, ...]

    @property
    def branches(self) -> tuple[Sequence, ...]:
        return (self.body,)

    def rebuilt(self, branches: tuple[Sequence, ...]) -> Self:
        (body,) = branches
        return replace(self, body=body)

    def emit(self, step: Step, branches: list[list[Call]]) -> list[Call]:
        return [Call(type(self).__name__, tuple(*branches))]


@dataclass(frozen=True)
class Parallel(Tree):
    """A tree of 2 to 16 branches; its helper, of its name, takes a list of layers, one a branch.

    Where a kind says nothing else, its branches end alike and are summed.
    """

    branches: tuple[Sequence, ...]
    summed: ClassVar[bool] = True
    """Whether what its branches give is summed; else their channels are put one after the other."""
    ordered: ClassVar[bool] = True
    """Whether the order of the branches says anything; else they stand in a fixed one."""

    def __post_init__(self) -> None:
        found = tuple(map(tuple, self.branches))
        if not 2 <= len(found) <= 16:
            raise PatternError(f"a {self.kind} has 2 to 16 branches, not {len(found)}")
        object.__setattr__(self, "branches", found if self.ordered else tuple(sorted(found, key=repr)))
        super().__post_init__()

    def rebuilt(self, branches: tuple[Sequence, ...]) -> Self:
        return replace(self, branches=branches)

    def leave(self, sizes: Sizes, ends: list[Sizes]) -> Sizes:
        alike = ends if self.summed else [end | {"c": 1} for end in ends]
        if any(end != alike[0] for end in alike):
            raise PatternError(f"branches of a {self.kind} end differently: {' and '.join(map(written, alike))}")
        return ends[0] if self.summed else ends[0] | {"c": whole(sum(end["c"] for end in ends), "channels")}

    def reach(self, step: Step, branches: list[Reach]) -> Reach:
        if self.summed:
            return reduce(or_, branches)
        found, start = [], 0
        for reach in branches:
            end = start + reach.outputs["c"]
            places: Inputs = [c - start if start <= c < end else () for c in range(step.after["c"])]
            found.append(reach.then(Reach.linked(reach.outputs, {"c": places})))
            start = end
        return reduce(or_, found)

    def emit(self, step: Step, branches: list[list[Call]]) -> list[Call]:
        return [Call(type(self).__name__, tuple(map(one, branches)), listed=True)]


@dataclass(frozen=True)
class Step:
    """A node where it stands: the sizes before and after it, and the steps of its branches if it has any."""

    node: Node
    before: Sizes
    after: Sizes
    branches: tuple[tuple[Step, ...], ...] = ()

    @cached_property
    def cost(self) -> Cost:
        """With all that stands in it."""
        own = self.node.cost(self.after if isinstance(self.node, Tree) else self.before)
        costs = [own, *(step.cost for branch in self.branches for step in branch)]
        return sum(params for params, _ in costs), sum(macs for _, macs in costs)

    @property
    def fan_ins(self) -> tuple[int, ...]:
        """Those of all that stands in it, then its own."""
        inner = [fan_in for branch in self.branches for step in branch for fan_in in step.fan_ins]
        return (*inner, *self.node.fan_ins(self.after if isinstance(self.node, Tree) else self.before))

    @property
    def touched(self) -> frozenset[str]:
        """The axes along which what stands at one place gets to others; norms move only means and scales."""
        return self.node.touched(self.before).union(*(step.touched for branch in self.branches for step in branch))

    @property
    def reach(self) -> Reach:
        """Which inputs reach which outputs."""
        if isinstance(self.node, Leaf):
            return self.node.reach(self)
        inner = self.node.enter(self.before)
        return self.node.reach(self, [reach_of(branch, inner) for branch in self.branches])

    def walk(self) -> Iterator[Step]:
        """This step and all that stand in it, in the order of the text."""
        yield self
        for branch in self.branches:
            for step in branch:
                yield from step.walk()

    def leaves(self) -> Iterator[Step]:
        """The steps of single layers, in the order of the text."""
        return (step for step in self.walk() if isinstance(step.node, Leaf))

    def place(self, axis: str) -> int:
        """The index of an axis in `b ... c`."""
        return list(self.before).index(axis) + 1

    def size(self, axis: str) -> Size:
        """The length of an axis, as a size of a call."""
        return Size(self.before[axis], axis)

    def given(self, channels: int) -> Size:
        """The channels that a layer gives, as a size of its call."""
        return Size(channels, "hidden" if channels != self.before["c"] else "c")


def steps(sequence: Sequence, sizes: Sizes, depth: int = 0) -> tuple[Step, ...]:
    """The nodes of a sequence with the sizes that they meet. Raises PatternError where these do not fit."""
    if depth > MAX_DEPTH:
        raise PatternError(f"sequences stand in each other more than {MAX_DEPTH} deep")
    found = []
    for node in sequence:
        if isinstance(node, Tree):
            inner = node.enter(sizes)
            branches = tuple(steps(branch, inner, depth + 1) for branch in node.branches)
            after = node.leave(sizes, [branch[-1].after if branch else inner for branch in branches])
            found.append(Step(node, sizes, after, branches))
        elif isinstance(node, Leaf):
            found.append(Step(node, sizes, node.through(sizes)))
        else:
            raise PatternError(
                f"{type(node).__name__} is no kind of node with a rule for 'through'", hint="write the rule"
            )
        sizes = found[-1].after
    return tuple(found)


def length_of(sizes: Sizes, axis: str) -> int:
    """The length of an axis. Raises PatternError where there is no such axis."""
    if axis not in sizes:
        raise PatternError(f"there is no axis {axis!r} among {written(sizes)}")
    return sizes[axis]


def part(sizes: Sizes, count: int) -> Sizes:
    """Those of one of `count` equal parts of the channels. Raises PatternError where there are none."""
    if sizes["c"] % count:
        raise PatternError(f"{sizes['c']} channels cannot be cut into {count} equal parts")
    return sizes | {"c": sizes["c"] // count}


def reach_of(steps: Iterable[Step], sizes: Sizes) -> Reach:
    """What a sequence connects, from the sizes before it."""
    return reduce(lambda whole, step: whole.then(step.reach), steps, Reach.linked(sizes))
