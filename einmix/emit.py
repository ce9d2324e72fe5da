"""How each kind of node is written: one rule a kind, from the node and the sizes before it to calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from math import prod
from typing import Any

from einmix.algebra.mixer import Mixer
from einmix.algebra.writing import MAX_NAMES, named_parts, side, sizes_of, write_einmix
from einmix.calls import Call, Size
from einmix.nodes import (
    Activation,
    Concat,
    Conv,
    Drop,
    Dynamic,
    Gate,
    Linear,
    Mix,
    Norm,
    Residual,
    Reweight,
    Shift,
    Shuffle,
    Sizes,
    Split,
    Step,
    Sum,
    Unfold,
    Wrap,
    missing,
)

ELEMENTWISE = {f"nn.{name}" for name in Activation.FORMS.values()} | {"nn.Dropout", "DropPath"}
"""Layers to which the order of the axes is all one."""


def emit(steps: Iterable[Step]) -> list[Call]:
    """The calls for a sequence of nodes; axes are not put in another order and back where nothing happens between."""
    return _tidied(_calls(steps))


def _calls(steps: Iterable[Step]) -> list[Call]:
    found: list[Call] = []
    for step in steps:
        if type(step.node) not in RULES:
            raise missing(step.node, "emit")
        found += RULES[type(step.node)](step)
    return found


def from_channels_first(steps: Iterable[Step], sizes: Sizes) -> list[Call]:
    """The same for the first nodes of a network, whose input is `b c ...`."""
    found = tuple(steps)
    if found and isinstance(found[0].node, Mix):
        return [mixer_call(found[0].node, channels_first=True), *emit(found[1:])]
    return _tidied([_channels_last(sizes), *_calls(found)])


def layout(sizes: Sizes, *, first: bool = False) -> str:
    """`b h w c`, or `b c h w`."""
    axes = [axis for axis in sizes if axis != "c"]
    return " ".join(["b", "c", *axes] if first else ["b", *axes, "c"])


def mixer_call(node: Mix, *, channels_first: bool = False) -> Call:
    """The layer of a mixer, with the functions around it that say how its weights start or what ties them."""
    mixer = node.mixer
    names = {"b", *(name for axis in named_parts(mixer) for part in axis for name in part.names)}
    if len(names) > MAX_NAMES:
        before, mix, after = _rearranged(mixer, channels_first)
        return Call("nn.Sequential", (before, _started(mix, node), after), mixer=mixer)
    call = write_einmix(mixer.canonical(), channels_first=channels_first, all_sizes=False)
    return _started(_mix(call, _meanings(mixer)), node)


def _meanings(mixer: Mixer) -> dict[str, str]:
    """What the sizes in a mixer's pattern are: of which axis, or groups of channels."""
    found: dict[str, str] = {}
    for (axis, factors), parts in zip(mixer.axes, named_parts(mixer), strict=True):
        for part in parts:
            grouped = axis == "c" and part.factor.role == "g" and len(factors) > 1
            found |= dict.fromkeys((part.input, part.output), "groups" if grouped else axis)
    return found


def _mix(call: dict[str, Any], meanings: dict[str, str]) -> Call:
    shapes = [(name, call[name]) for name in ("weight_shape", "bias_shape") if name in call]
    names = [name for name in call if name not in ("pattern", "weight_shape", "bias_shape")]
    sizes = [(name, Size(call[name], meanings.get(name, "n"))) for name in names]
    return Call("Mix", (call["pattern"],), (*shapes, *sizes))


def _started(call: Call, node: Mix) -> Call:
    mixed = ((axis, f) for axis, factors in node.mixer.axes for f in factors if f.role == "m")
    lengths = tuple(Size(factor.size, axis) for axis, factor in mixed)
    if node.start == "gate":
        call = Call("start_normal", (call, 1e-6), (("bias", 1.0),))
    elif node.start or not node.mixer.mixed:
        call = _start(call, node.start)
    if node.weights == "frozen":
        call = Call("frozen", (call,))
    elif node.weights in ("circulant", "toeplitz"):
        around = (("around", False),) if node.weights == "toeplitz" else ()
        call = Call("tied", (call, *lengths), around)
    elif node.weights:
        call = Call("fourier", (call, *lengths), (("part", node.weights),))
    return Call(call.name, call.args, call.named, mixer=node.mixer)


def _start(call: Call, start: str) -> Call:
    """A layer with its weights as `start` says: zero, a number, or normal and a number; else the identity."""
    first, _, number = start.partition(" ")
    if first == "normal":
        return Call("start_normal", (call, float(number)))
    if start in ("", "1"):
        return Call("start_at", (call,))
    return Call("start_at", (call, 0.0 if start == "zero" else float(start)))


def _rearranged(mixer: Mixer, channels_first: bool) -> tuple[Call, Call, Call]:
    """A mixer with more names than EinMix knows: its factors brought together by role, mixed, and put back."""
    parts = named_parts(mixer)
    left = parts[-1:] + parts[:-1] if channels_first else parts
    flat = list(chain(*parts))
    meanings = _meanings(mixer)

    def names(role: str, end: str) -> str:
        found = [getattr(part, end) for part in flat if part.factor.role == role and getattr(part, end)]
        return f"({' '.join(found)})" if found else "()"

    kept = [f"{names('s', 'input')} {names('g', 'input')}", f"{names('s', 'output')} {names('g', 'output')}"]
    mixed = [part.factor for part in flat if part.factor.role == "m"]
    groups = prod(part.factor.size for part in flat if part.factor.role == "g")
    sizes = {"g": groups, "i": prod(f.size for f in mixed), "o": prod(f.out for f in mixed)}

    def rearrange(pattern: str, used: str) -> Call:
        known = used.replace("(", " ").replace(")", " ").split()
        named = ((name, Size(n, meanings[name])) for name, n in sizes_of(parts).items() if name in known)
        return Call("Rearrange", (pattern,), tuple(named))

    before, after = side([p.input for p in axis] for axis in left), side([p.output for p in axis] for axis in parts)
    bias = {"bias_shape": "g o"} if mixer.bias else {}
    return (
        rearrange(f"b {before} -> b {kept[0]} {names('m', 'input')}", before),
        _mix({"pattern": "b s g i -> b s g o", "weight_shape": "g i o"} | bias | sizes, {"g": "groups"}),
        rearrange(f"b {kept[1]} {names('m', 'output')} -> b {after}", after),
    )


def _out(channels: int, step: Step) -> Size:
    """The channels that a layer gives, as a size with its name."""
    return Size(channels, "hidden" if channels != step.before["c"] else "c")


def _place(axis: str, step: Step) -> int:
    """The index of an axis in `b ... c`."""
    return list(step.before).index(axis) + 1


def _linear(step: Step) -> list[Call]:
    node: Any = step.node
    sizes = Size(step.before["c"], "c"), _out(node.out, step)
    call = Call("nn.Linear", sizes, (("bias", False),) if not node.bias else ())
    return [_start(call, node.start) if node.start else call]


def _norm(step: Step) -> list[Call]:
    node: Any = step.node
    eps = () if node.eps == 1e-5 else (("eps", node.eps),)
    width = Size(step.before["c"], "c")
    if node.form == "layer":
        return [Call("nn.LayerNorm", (width,), eps)]
    if node.form == "group":
        return _channels_first(Call("nn.GroupNorm", (1, width), eps), step.before)
    return _channels_first(Call(f"nn.BatchNorm{len(step.before) - 1}d", (width,), eps), step.before)


def _activation(step: Step) -> list[Call]:
    node: Any = step.node
    return [Call(f"nn.{Activation.FORMS[node.form]}")]


def _drop(step: Step) -> list[Call]:
    node: Any = step.node
    return [Call("nn.Dropout" if node.form == "dropout" else "DropPath", (node.share,))]


def _shift(step: Step) -> list[Call]:
    node: Any = step.node
    moves = tuple((_place(axis, step), Size(by, "move")) for axis, by in node.moves)
    name = {"zeros": "Shift", "keep": "ShiftInside", "wrap": "Roll"}[node.edge]
    return [Call(name, moves, (("turns", True),) if node.groups == "turns" else ())]


def _shuffle(step: Step) -> list[Call]:
    node: Any = step.node
    axes = " ".join(axis for axis in step.before if axis != "c")
    outer, inner = [name for name in ("c1", "c2", "c3", "c4", "c5", "c6") if name not in step.before][:2]
    pattern = f"b {axes} ({outer} {inner}) -> b {axes} ({inner} {outer})"
    return [Call("Rearrange", (pattern,), ((outer, Size(node.groups, "groups")),))]


def _conv(step: Step) -> list[Call]:
    node: Any = step.node
    width = Size(step.before["c"], "c")
    options: list[tuple[str, Any]] = [("stride", node.stride)] * (node.stride != 1) + [("padding", node.pad)] * bool(
        node.pad
    )
    options += [("groups", width)] * (not node.out) + [("bias", False)] * (not node.bias)
    out = _out(node.out or width.value, step)
    name = f"nn.Conv{len(step.before) - 1}d"
    return _channels_first(Call(name, (width, out, node.kernel), tuple(options)), step.before)


def _unfold(step: Step) -> list[Call]:
    node: Any = step.node
    options = [("stride", node.stride)] * (node.stride != 1) + [("pad", node.pad)] * bool(node.pad)
    return [Call("Unfold", (node.kernel,), tuple(options))]


def _wrap(step: Step) -> list[Call]:
    node: Any = step.node
    return [Call("Wrap", (_place(node.axis, step), Size(node.by, "roll"), Size(node.length, "length")))]


def _dynamic(step: Step) -> list[Call]:
    node: Any = step.node
    sizes = Size(step.before[node.axis], node.axis), Size(step.before["c"], "c"), Size(node.segments, "segments")
    return [Call("Dynamic", (_place(node.axis, step), *sizes, node.reduced))]


def _tree(step: Step) -> list[Call]:
    """A helper with what stands in it: the layers of one branch, or several branches with one layer each."""
    node: Any = step.node
    name = type(node).__name__
    if isinstance(node, (Residual, Gate)):
        return [Call(name, tuple(emit(step.branches[0])))]
    branches = tuple(map(one, map(emit, step.branches)))
    if isinstance(node, Reweight):
        width = step.after["c"]
        return [Call(name, (Size(width, "c"), Size(node.hidden(width), "hidden"), *branches))]
    return [Call(name, branches, listed=True)]


def one(calls: list[Call]) -> Call:
    """Several layers as one."""
    if not calls:
        return Call("nn.Identity")
    return calls[0] if len(calls) == 1 else Call("nn.Sequential", tuple(calls))


RULES: dict[type, Callable[[Step], list[Call]]] = {
    Mix: lambda step: [mixer_call(step.node)],  # type: ignore[arg-type]
    Linear: _linear,
    Norm: _norm,
    Activation: _activation,
    Drop: _drop,
    Shift: _shift,
    Shuffle: _shuffle,
    Conv: _conv,
    Unfold: _unfold,
    Wrap: _wrap,
    Dynamic: _dynamic,
    **dict.fromkeys((Residual, Gate, Sum, Concat, Split, Reweight), _tree),
}
"""The emit rule of every kind of node."""


def _channels_last(sizes: Sizes) -> Call:
    return Call("Rearrange", (f"{layout(sizes, first=True)} -> {layout(sizes)}",))


def _channels_first(call: Call, sizes: Sizes) -> list[Call]:
    """A layer of torch that wants its channels before the positions."""
    return [Call("Rearrange", (f"{layout(sizes)} -> {layout(sizes, first=True)}",)), call, _channels_last(sizes)]


def _tidied(calls: list[Call]) -> list[Call]:
    """Neighbours that want their channels first as one call, with the orders of axes that it stands for."""
    calls = _without_round_trips(calls)
    for i, there in enumerate(calls):
        if there.name == "Rearrange" and not there.named and " -> b c " in there.args[0]:
            end = calls.index(_back(there), i)
            return [*calls[:i], Call("ChannelsFirst", tuple(calls[i + 1 : end])), *_tidied(calls[end + 1 :])]
    return calls


def _back(there: Call) -> Call:
    """What undoes an order of axes."""
    return Call("Rearrange", (" -> ".join(reversed(there.args[0].split(" -> "))),))


def _without_round_trips(calls: list[Call]) -> list[Call]:
    """Leaves out an order of axes that is undone before it matters."""
    for i, there in enumerate(calls):
        if there.name != "Rearrange" or there.named:
            continue
        j = next((j for j in range(i + 1, len(calls)) if calls[j].name not in ELEMENTWISE), len(calls))
        if j < len(calls) and calls[j] == _back(there):
            return _without_round_trips([*calls[:i], *calls[i + 1 : j], *calls[j + 1 :]])
    return calls
