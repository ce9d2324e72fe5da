"""The nodes that networks are made of: each says its text, the sizes it leads to and what it costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from einmix.algebra.factors import MAX_SIZE
from einmix.algebra.mixer import Mixer, written
from einmix.errors import PatternError, shown

Sizes = dict[str, int]
Cost = tuple[int, int]
"""Trainable parameters, and multiply-accumulates an example."""

MAX_DEPTH = 12
"""So deep may sequences stand in each other."""


def _unchanged(node: Any, sizes: Sizes) -> Sizes:
    return sizes


def _nothing(node: Any, sizes: Sizes) -> frozenset[str]:
    return frozenset()


def _channels(node: Any, sizes: Sizes) -> frozenset[str]:
    return frozenset("c")


def _free(node: Any, sizes: Sizes) -> Cost:
    return 0, 0


@dataclass(frozen=True)
class Mix:
    """A mixer, as one EinMix layer.

    `start` says how its weights begin: "" (EinMix's own rule, or the identity where nothing is mixed), a number (all
    of them, as LayerScale), "normal STD", "zero", or "gate" (near zero, with a bias of one: gMLP, arXiv:2105.08050).
    `weights` ties or freezes them: "circulant", "toeplitz" (one number for an offset from input to output, around the
    end or not), "frozen" (as they start), "cos", "sin", "-sin" (those parts of an orthonormal Fourier transform).
    """

    mixer: Mixer
    start: str = ""
    weights: str = ""
    kind: ClassVar[str] = "mix"

    def __post_init__(self) -> None:
        _check_start(self.start)
        if self.start == "1" and not self.mixer.mixed:
            object.__setattr__(self, "start", "")  # as it starts anyway
        if self.start == "gate" and not self.mixer.bias:
            raise PatternError("a mixer that starts as a gate has a bias of one", hint="write +b")
        if self.weights not in ("", "frozen", "circulant", "toeplitz", "cos", "sin", "-sin"):
            raise PatternError(
                f"no weights {self.weights!r}", hint="known: frozen, circulant, toeplitz, cos, sin, -sin"
            )
        if self.weights not in ("", "frozen"):
            if not self.lengths or any(f.size != f.out for f in self._mixed):
                fact = f"{self.weights} weights are for mixed factors that keep their size"
                raise PatternError(f"{fact}, not for {self.mixer}")
            if self.start and self.weights in ("cos", "sin", "-sin"):
                raise PatternError(f"{self.weights} weights start as they are, not as {self.start!r}")

    @property
    def _mixed(self) -> list[Any]:
        return [f for _, factors in self.mixer.axes for f in factors if f.role == "m"]

    @property
    def lengths(self) -> tuple[int, ...]:
        """The sizes of the mixed factors, in their order."""
        return tuple(factor.size for factor in self._mixed)

    @property
    def text(self) -> str:
        options = [f"start {self.start}"] * bool(self.start) + [f"weights {self.weights}"] * bool(self.weights)
        return "; ".join([f"mix {self.mixer}", *options])

    def through(self, sizes: Sizes) -> Sizes:
        return self.mixer.fit(sizes).outputs

    def touched(self, sizes: Sizes) -> frozenset[str]:
        return self.mixer.mixed

    def cost(self, sizes: Sizes) -> Cost:
        bias = self.mixer.params - prod((*self._grouped, *(f.size * f.out for f in self._mixed)))
        weights = self.mixer.params - bias
        if self.weights == "circulant":
            weights = prod((*self._grouped, *self.lengths))
        elif self.weights == "toeplitz":
            weights = prod((*self._grouped, *(2 * n - 1 for n in self.lengths)))
        elif self.weights:
            weights = 0
        return weights + bias, self.mixer.macs

    @property
    def _grouped(self) -> list[int]:
        return [f.size for _, factors in self.mixer.axes for f in factors if f.role == "g"]


@dataclass(frozen=True)
class Linear:
    """All channels to `out` channels, alike at every position: `nn.Linear`, with its initialisation or from `start`."""

    out: int
    bias: bool = True
    start: str = ""
    kind: ClassVar[str] = "linear"

    def __post_init__(self) -> None:
        whole(self.out, "out", MAX_SIZE)
        _check_bias(self.bias)
        _check_start(self.start)
        if self.start == "gate":
            raise PatternError("a linear layer does not start as a gate", hint="a mixer over positions does")

    @property
    def text(self) -> str:
        options = ["bias no"] * (not self.bias) + [f"start {self.start}"] * bool(self.start)
        return "; ".join([f"linear {self.out}", *options])

    touched = _channels

    def through(self, sizes: Sizes) -> Sizes:
        return sizes | {"c": self.out}

    def cost(self, sizes: Sizes) -> Cost:
        return (sizes["c"] + self.bias) * self.out, prod(sizes.values()) * self.out

    def as_mixer(self, sizes: Sizes) -> Mixer:
        """The mixer that it is, for the algebra."""
        terms = [f"{name}=" + (f"m{size}:{self.out}" if name == "c" else f"s{size}") for name, size in sizes.items()]
        return Mixer.parse(" ".join(terms) + " +b" * self.bias)


@dataclass(frozen=True)
class Norm:
    """A norm with scale and shift a channel: "layer" over the channels, "batch", or "group" over the whole example."""

    form: str = "layer"
    eps: float = 1e-5
    kind: ClassVar[str] = "norm"

    def __post_init__(self) -> None:
        if self.form not in ("layer", "batch", "group"):
            raise PatternError(f"no norm {self.form!r}", hint="known: layer, batch, group")
        object.__setattr__(self, "eps", _number(self.eps, "eps", 1e-12, 1.0))

    @property
    def text(self) -> str:
        words = ["norm", *([self.form] if self.form != "layer" else [])]
        return " ".join(words) + ("" if self.eps == 1e-5 else f"; eps {number(self.eps)}")

    touched = _nothing

    def through(self, sizes: Sizes) -> Sizes:
        if self.form == "batch":
            _one_to_three("a batch norm", sizes, "norm or norm group")
        return sizes

    def cost(self, sizes: Sizes) -> Cost:
        return 2 * sizes["c"], 0


@dataclass(frozen=True)
class Activation:
    """A function at every element."""

    form: str = "gelu"
    kind: ClassVar[str] = "activation"
    FORMS: ClassVar[dict[str, str]] = {"gelu": "GELU", "relu": "ReLU", "silu": "SiLU", "tanh": "Tanh"}

    def __post_init__(self) -> None:
        if self.form not in self.FORMS:
            raise PatternError(f"no activation {self.form!r}", hint=f"known: {', '.join(self.FORMS)}")

    through, touched, cost = _unchanged, _nothing, _free

    @property
    def text(self) -> str:
        return self.form


@dataclass(frozen=True)
class Drop:
    """Zeros in training, with probability `share`: single elements ("dropout") or the whole example ("droppath").

    The second is stochastic depth (arXiv:1603.09382): it stands at the end of a residual branch.
    """

    form: str
    share: float
    kind: ClassVar[str] = "drop"

    def __post_init__(self) -> None:
        if self.form not in ("dropout", "droppath"):
            raise PatternError(f"no drop {self.form!r}", hint="known: dropout, droppath")
        object.__setattr__(self, "share", _number(self.share, "the share that is dropped", 0.0, 0.999))

    through, touched, cost = _unchanged, _nothing, _free

    @property
    def text(self) -> str:
        return f"{self.form} {number(self.share)}"


@dataclass(frozen=True)
class Shift:
    """Channels in as many groups as there are moves, each moved by so many positions along its axis.

    Groups are runs of channels as `torch.chunk` cuts them, or "turns": channel i is in group i modulo their number.
    At the edge enter "zeros" (AS-MLP, arXiv:2107.08391; CycleMLP, arXiv:2107.10224), what went out ("wrap"), or what
    was there stays ("keep": S2-MLP, arXiv:2106.07477). No weights: a permutation that a frozen mixer could hold.
    """

    moves: tuple[tuple[str, int], ...]
    edge: str = "zeros"
    groups: str = "runs"
    kind: ClassVar[str] = "shift"

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
        for _, by in self.moves:
            whole(by, "a move", MAX_SIZE, -MAX_SIZE)

    cost = _free

    @property
    def text(self) -> str:
        words = ["shift", *(f"{axis}{by:+d}" for axis, by in self.moves)]
        options = [f"edge {self.edge}"] * (self.edge != "zeros") + ["groups turns"] * (self.groups == "turns")
        return "; ".join([" ".join(words), *options])

    def through(self, sizes: Sizes) -> Sizes:
        for axis, by in self.moves:
            if axis == "c" or abs(by) >= _length(sizes, axis):
                raise PatternError(f"a shift by {by} along {axis} does not fit {written(sizes)}")
        return sizes

    def touched(self, sizes: Sizes) -> frozenset[str]:
        groups = zip(self.moves, self.members(sizes["c"]), strict=True)
        return frozenset(axis for (axis, by), members in groups if by and members)

    def members(self, width: int) -> list[range]:
        """The channels of each group."""
        count = len(self.moves)
        if self.groups == "turns":
            return [range(k, width, count) for k in range(count)]
        step = math.ceil(width / count)
        return [range(min(k * step, width), min((k + 1) * step, width)) for k in range(count)]


@dataclass(frozen=True)
class Shuffle:
    """The channels as `(a b)` put in the order `(b a)`, a of them `groups`: no weights."""

    groups: int
    kind: ClassVar[str] = "shuffle"

    def __post_init__(self) -> None:
        whole(self.groups, "groups", MAX_SIZE)

    touched, cost = _channels, _free

    @property
    def text(self) -> str:
        return f"shuffle {self.groups}"

    def through(self, sizes: Sizes) -> Sizes:
        if sizes["c"] % self.groups:
            raise PatternError(f"{sizes['c']} channels do not divide into {self.groups} groups")
        return sizes


@dataclass(frozen=True)
class Conv:
    """A convolution over positions, the counterpart of mixing: depthwise, or to `out` channels where that is not 0."""

    kernel: int
    out: int = 0
    stride: int = 1
    pad: int = 0
    bias: bool = True
    kind: ClassVar[str] = "conv"

    def __post_init__(self) -> None:
        for name, least in (("kernel", 1), ("out", 0), ("stride", 1), ("pad", 0)):
            whole(getattr(self, name), name, MAX_SIZE if name == "out" else 1024, least)
        _check_bias(self.bias)

    @property
    def text(self) -> str:
        options = [f"{name} {getattr(self, name)}" for name, none in _CONV if getattr(self, name) != none]
        return "; ".join([f"conv {self.kernel}", *options, *["bias no"] * (not self.bias)])

    def through(self, sizes: Sizes) -> Sizes:
        _one_to_three("a convolution", sizes, "a mixer, or unfold and linear")
        return _windows(sizes, self.kernel, self.stride, self.pad) | {"c": self.out or sizes["c"]}

    def touched(self, sizes: Sizes) -> frozenset[str]:
        return _seen(sizes, self.kernel) | frozenset("c" * bool(self.out))

    def cost(self, sizes: Sizes) -> Cost:
        after = self.through(sizes)
        each = self.kernel ** (len(sizes) - 1) * (sizes["c"] if self.out else 1)
        return (each + self.bias) * after["c"], each * prod(after.values())


_CONV = (("out", 0), ("stride", 1), ("pad", 0))


@dataclass(frozen=True)
class Unfold:
    """Every window of positions put into the channels (`c` outermost), zeros around the edge: no weights."""

    kernel: int
    stride: int = 1
    pad: int = 0
    kind: ClassVar[str] = "unfold"

    def __post_init__(self) -> None:
        for name, least in (("kernel", 1), ("stride", 1), ("pad", 0)):
            whole(getattr(self, name), name, 1024, least)

    @property
    def text(self) -> str:
        options = [f"{name} {getattr(self, name)}" for name, none in _CONV[1:] if getattr(self, name) != none]
        return "; ".join([f"unfold {self.kernel}", *options])

    def through(self, sizes: Sizes) -> Sizes:
        after = _windows(sizes, self.kernel, self.stride, self.pad)
        return after | {"c": whole(sizes["c"] * self.kernel ** (len(sizes) - 1), "channels of windows", MAX_SIZE)}

    cost = _free

    def touched(self, sizes: Sizes) -> frozenset[str]:
        return _seen(sizes, self.kernel)


@dataclass(frozen=True)
class Wrap:
    """An axis as a circle: moved by so many positions, then gone along to another length, or cut to it. No weights.

    Hire-MLP (arXiv:2108.13341) rolls an axis and fills it up to whole regions so, and back.
    """

    axis: str
    by: int
    length: int
    kind: ClassVar[str] = "wrap"

    def __post_init__(self) -> None:
        whole(self.by, "a move", MAX_SIZE, -MAX_SIZE)
        whole(self.length, "length", MAX_SIZE)

    cost = _free

    @property
    def text(self) -> str:
        return f"wrap {self.axis}{self.by:+d}; length {self.length}"

    def through(self, sizes: Sizes) -> Sizes:
        n = _length(sizes, self.axis)
        if self.axis == "c" or abs(self.by) >= n or self.length > 2 * n:
            raise PatternError(f"{self.text!r} does not fit {written(sizes)}")
        return sizes | {self.axis: self.length}

    def touched(self, sizes: Sizes) -> frozenset[str]:
        return frozenset([self.axis] if self.by or self.length != sizes[self.axis] else [])


@dataclass(frozen=True)
class Dynamic:
    """Mixing along one axis by weights that the input generates, for each segment of the channels its own.

    At every other position `reduced` channels a segment and position are read off, a linear layer makes of all of them
    a square matrix, and a softmax over its inputs mixes with that. Wang et al., "DynaMixer", 2022 (arXiv:2201.12083).
    """

    axis: str
    segments: int = 8
    reduced: int = 2
    kind: ClassVar[str] = "dynamic"

    def __post_init__(self) -> None:
        whole(self.segments, "segments", MAX_SIZE)
        whole(self.reduced, "reduced", MAX_SIZE)

    @property
    def text(self) -> str:
        return f"dynamic {self.axis}; segments {self.segments}; reduced {self.reduced}"

    def through(self, sizes: Sizes) -> Sizes:
        if self.axis == "c":
            raise PatternError("dynamic mixing is along positions, not c")
        _length(sizes, self.axis)
        if sizes["c"] % self.segments:
            raise PatternError(f"{sizes['c']} channels do not divide into {self.segments} segments")
        return sizes

    def touched(self, sizes: Sizes) -> frozenset[str]:
        return frozenset([self.axis] if sizes[self.axis] > 1 else [])

    def cost(self, sizes: Sizes) -> Cost:
        n, c = sizes[self.axis], sizes["c"]
        read, square = self.segments * self.reduced, n * n
        others = prod(sizes.values()) // (n * c)
        params = (c + 1) * read + (n * self.reduced + 1) * square
        return params, others * (n * c * read + self.segments * n * self.reduced * square + square * c)


@dataclass(frozen=True)
class Residual:
    """x + f(x); f is a sequence."""

    body: tuple[Node, ...]
    kind: ClassVar[str] = "residual"
    enter, touched, cost = _unchanged, _nothing, _free

    @property
    def branches(self) -> tuple[Sequence, ...]:
        return (self.body,)

    @property
    def text(self) -> str:
        return self.kind

    def leave(self, sizes: Sizes, ends: list[Sizes]) -> Sizes:
        if ends != [sizes]:
            words = f"starts with {written(sizes)} and ends with {written(ends[0])}"
            raise PatternError(f"a residual branch {words}: they must be equal")
        return sizes


@dataclass(frozen=True)
class Sum:
    """Parallel branches, summed; their order says nothing, and they stand in a fixed one."""

    branches: tuple[Sequence, ...]
    kind: ClassVar[str] = "sum"
    enter, touched, cost = _unchanged, _nothing, _free

    def __post_init__(self) -> None:
        object.__setattr__(self, "branches", _several(self.branches, self.kind, ordered=False))

    @property
    def text(self) -> str:
        return self.kind

    def leave(self, sizes: Sizes, ends: list[Sizes]) -> Sizes:
        return _same(ends, self.kind)


@dataclass(frozen=True)
class Reweight:
    """Parallel branches, summed with weights by channel: a softmax over branches of an MLP of their pooled sum.

    The MLP has a hidden layer of a `ratio`-th of the channels. Split attention (arXiv:2004.08955), as in the weighted
    Vision Permutator (arXiv:2106.12368), Hire-MLP and DynaMixer.
    """

    branches: tuple[Sequence, ...]
    ratio: int = 4
    kind: ClassVar[str] = "reweight"
    enter, touched = _unchanged, _nothing

    def __post_init__(self) -> None:
        object.__setattr__(self, "branches", _several(self.branches, self.kind, ordered=False))
        whole(self.ratio, "ratio", MAX_SIZE)

    @property
    def text(self) -> str:
        return self.kind if self.ratio == 4 else f"{self.kind}; ratio {self.ratio}"

    def leave(self, sizes: Sizes, ends: list[Sizes]) -> Sizes:
        after = _same(ends, self.kind)
        whole(self.hidden(after["c"]), "hidden channels", MAX_SIZE)
        return after

    def hidden(self, width: int) -> int:
        """The channels of the MLP's hidden layer."""
        return width // self.ratio

    def cost(self, after: Sizes) -> Cost:
        """That of the MLP, at the sizes that the branches lead to."""
        k, c = len(self.branches), after["c"]
        hidden = self.hidden(c)
        return (c + 1) * hidden + (hidden + 1) * c * k, c * hidden * (1 + k)


@dataclass(frozen=True)
class Concat:
    """Parallel branches, their channels put one after the other."""

    branches: tuple[Sequence, ...]
    kind: ClassVar[str] = "concat"
    enter, touched, cost = _unchanged, _nothing, _free

    def __post_init__(self) -> None:
        object.__setattr__(self, "branches", _several(self.branches, self.kind))

    @property
    def text(self) -> str:
        return self.kind

    def leave(self, sizes: Sizes, ends: list[Sizes]) -> Sizes:
        return _joined(ends, self.kind)


@dataclass(frozen=True)
class Split:
    """Channels cut into as many equal parts as there are branches, one for each; what they give is joined again."""

    branches: tuple[Sequence, ...]
    kind: ClassVar[str] = "split"
    touched, cost = _nothing, _free

    def __post_init__(self) -> None:
        object.__setattr__(self, "branches", _several(self.branches, self.kind))

    @property
    def text(self) -> str:
        return self.kind

    def enter(self, sizes: Sizes) -> Sizes:
        return _part(sizes, len(self.branches))

    def leave(self, sizes: Sizes, ends: list[Sizes]) -> Sizes:
        return _joined(ends, self.kind)


@dataclass(frozen=True)
class Gate:
    """u * f(v), u and v the halves of the channels: gMLP's spatial gating unit (arXiv:2105.08050), MAXIM."""

    body: tuple[Node, ...]
    kind: ClassVar[str] = "gate"
    touched, cost = _nothing, _free

    @property
    def branches(self) -> tuple[Sequence, ...]:
        return (self.body,)

    @property
    def text(self) -> str:
        return self.kind

    def enter(self, sizes: Sizes) -> Sizes:
        return _part(sizes, 2)

    def leave(self, sizes: Sizes, ends: list[Sizes]) -> Sizes:
        if ends != [_part(sizes, 2)]:
            words = f"{written(_part(sizes, 2))} meet a branch that ends with {written(ends[0])}"
            raise PatternError(f"in a gate {words}: they must be equal")
        return ends[0]


Leaf = Mix | Linear | Norm | Activation | Drop | Shift | Shuffle | Conv | Unfold | Wrap | Dynamic
Tree = Residual | Sum | Reweight | Concat | Split | Gate
Node = Leaf | Tree
Sequence = tuple[Node, ...]
"""Nodes one after the other; none at all is the identity."""


@dataclass(frozen=True)
class Step:
    """A node where it stands: the sizes before and after it, and the steps of its branches if it has any."""

    node: Node
    before: Sizes
    after: Sizes
    branches: tuple[tuple[Step, ...], ...] = ()

    @property
    def cost(self) -> Cost:
        """With all that stands in it.

        A layer costs by the sizes before it, what joins branches by those that these lead to.
        """
        sizes = self.after if isinstance(self.node, Tree) else self.before
        own: Cost = rule(self.node, "cost")(sizes)
        costs = [own, *(step.cost for branch in self.branches for step in branch)]
        return sum(params for params, _ in costs), sum(macs for _, macs in costs)

    @property
    def touched(self) -> frozenset[str]:
        """The axes along which what stands at one place gets to others; norms move only means and scales."""
        own: frozenset[str] = rule(self.node, "touched")(self.before)
        return own.union(*(step.touched for branch in self.branches for step in branch))

    def walk(self) -> Iterator[Step]:
        """This step and all that stand in it, in the order of the text."""
        yield self
        for branch in self.branches:
            for step in branch:
                yield from step.walk()

    def leaves(self) -> Iterator[Step]:
        """The steps of single layers, in the order of the text."""
        return (step for step in self.walk() if not isinstance(step.node, Tree))


def steps(sequence: Sequence, sizes: Sizes, depth: int = 0) -> tuple[Step, ...]:
    """The nodes of a sequence with the sizes that they meet. Raises PatternError where these do not fit."""
    if depth > MAX_DEPTH:
        raise PatternError(f"sequences stand in each other more than {MAX_DEPTH} deep")
    found = []
    for node in sequence:
        if isinstance(node, Tree):
            inner = entered(node, sizes)
            branches = tuple(steps(branch, inner, depth + 1) for branch in node.branches)
            after = rule(node, "leave")(sizes, [branch[-1].after if branch else inner for branch in branches])
            found.append(Step(node, sizes, after, branches))
        else:
            found.append(Step(node, sizes, rule(node, "through")(sizes)))
        sizes = found[-1].after
    return tuple(found)


def entered(node: Tree, sizes: Sizes) -> Sizes:
    """The sizes that the branches of a node meet, from those before it."""
    inner: Sizes = rule(node, "enter")(sizes)
    return inner


def rule(node: Any, name: str) -> Any:
    """What a kind of node says of itself under this name. Raises PatternError where it says nothing."""
    if not hasattr(node, name):
        raise missing(node, name)
    return getattr(node, name)


def missing(node: Any, name: str) -> PatternError:
    """A kind of node without one of its rules: nothing is taken for granted, a wrong figure would not be seen."""
    return PatternError(f"{type(node).__name__} is no kind of node with a rule for {name!r}", hint="write the rule")


def number(value: float) -> str:
    """A number as it stands in texts: in six digits where these read back as the same number, else in all it needs.

    >>> number(0.1), number(1e-5), number(0.1 / 7)
    ('0.1', '1e-05', '0.014285714285714287')
    """
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))


def _check_bias(bias: bool) -> None:
    """Of two equal nodes that are written differently, sums would have an order each."""
    if type(bias) is not bool:
        raise PatternError(f"bias cannot be {shown(bias)}", hint="True or False: in a text nothing, or bias no")


def _check_start(start: str) -> None:
    if not isinstance(start, str):
        raise PatternError(f"a start is written as a text, not {shown(start)}", hint="as in '0.1' or 'normal 0.02'")
    text = start.removeprefix("normal ")
    if start in ("", "zero", "gate"):
        return
    try:
        value = float(text)
    except ValueError:
        raise PatternError(f"no start {start[:40]!r}", hint="zero, gate, a number, or normal and a number") from None
    _number(value, "a start", 1e-12, 1e3)
    if text != number(value):
        raise PatternError(f"no start {start[:40]!r}", hint=f"the number is written {number(value)}")


def _number(value: Any, name: str, least: float, most: float) -> float:
    """The value as a float (of the two zeros the usual one), if it is from `least` to `most`; else PatternError."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not least <= value <= most:
        raise PatternError(f"{name} cannot be {shown(value)}", hint=f"a number from {least:g} to {most:g}")
    return float(value) + 0.0


def whole(value: Any, name: str, most: int, least: int = 1) -> int:
    """The value, if it is an integer from `least` to `most`; else PatternError."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise PatternError(f"{name} cannot be {shown(value)}", hint=f"an integer from {least} to {most}")
    return value


def _length(sizes: Sizes, axis: str) -> int:
    if axis not in sizes:
        raise PatternError(f"there is no axis {axis!r} among {written(sizes)}")
    return sizes[axis]


def _windows(sizes: Sizes, kernel: int, stride: int, pad: int) -> Sizes:
    """The lengths of the axes when windows have gone over them."""
    after = {axis: n if axis == "c" else (n + 2 * pad - kernel) // stride + 1 for axis, n in sizes.items()}
    if any(n < 1 or sizes[axis] + 2 * pad < kernel for axis, n in after.items() if axis != "c"):
        raise PatternError(f"windows of {kernel} do not fit {written(sizes)} with {pad} around")
    return after


def _seen(sizes: Sizes, kernel: int) -> frozenset[str]:
    """The axes along which a window sees more than one position."""
    return frozenset(axis for axis, n in sizes.items() if axis != "c" and n > 1 and kernel > 1)


def _one_to_three(what: str, sizes: Sizes, instead: str) -> None:
    """torch has its convolutions and batch norms for 1, 2 and 3 axes of positions."""
    if not 1 <= len(sizes) - 1 <= 3:
        raise PatternError(f"{what} stands on 1 to 3 axes and c, not on {written(sizes)}", hint=f"write {instead}")


def _part(sizes: Sizes, count: int) -> Sizes:
    if sizes["c"] % count:
        raise PatternError(f"{sizes['c']} channels cannot be cut into {count} equal parts")
    return sizes | {"c": sizes["c"] // count}


def _same(ends: list[Sizes], kind: str) -> Sizes:
    if any(end != ends[0] for end in ends):
        raise PatternError(f"branches of a {kind} end differently: {' and '.join(map(written, ends))}")
    return ends[0]


def _joined(ends: list[Sizes], kind: str) -> Sizes:
    _same([end | {"c": 1} for end in ends], kind)
    return ends[0] | {"c": whole(sum(end["c"] for end in ends), "channels", MAX_SIZE)}


def _several(branches: Iterable[Sequence], kind: str, *, ordered: bool = True) -> tuple[Sequence, ...]:
    found = tuple(map(tuple, branches))
    if not 2 <= len(found) <= 16:
        raise PatternError(f"a {kind} has 2 to 16 branches, not {len(found)}")
    return found if ordered else tuple(sorted(found, key=repr))
