"""Nodes as calls, and the small layers that these need."""

import re
from collections.abc import Iterable, Mapping, Sequence

from einmix.kinds import Mix
from einmix.kinds.mix import mixer_call
from einmix.nodes.calls import Call
from einmix.nodes.layout import layout
from einmix.nodes.node import Leaf, Node, Sizes, Step


def emit(steps: Iterable[Step]) -> list[Call]:
    """The calls for a sequence of nodes."""
    found: list[Call] = []
    for step in steps:
        if isinstance(step.node, Leaf):
            found += step.node.emit(step)
        else:
            found += step.node.emit(step, list(map(emit, step.branches)))
    return _together(found)


def from_channels_first(steps: Sequence[Step], sizes: Sizes, *, channels_last: bool = False) -> list[Call]:
    """The same for the first nodes of a network, whose input is `b c ...`.

    Layers that want channels first get them as they come, unless they are of a framework that has `channels_last`.
    """
    if steps and isinstance(steps[0].node, Mix):
        return [mixer_call(steps[0].node, channels_first=True), *emit(steps[1:])]
    calls, last = emit(steps), Call("Rearrange", (f"{layout(sizes, first=True)} -> {layout(sizes)}",))
    i = _first_that_minds(calls)
    if i < len(calls) and calls[i].name == "ChannelsFirst":
        layers = [last, *calls[i].args] if channels_last else [*calls[i].args, last]
        return [*calls[:i], *layers, *calls[i + 1 :]]
    return [last, *calls]


def _together(calls: list[Call]) -> list[Call]:
    """Neighbours that want their channels first as one call, with what stands between them and does not mind."""
    for i, call in enumerate(calls):
        j = i + 1 + _first_that_minds(calls[i + 1 :])
        if j < len(calls) and call.name == calls[j].name == "ChannelsFirst":
            both = Call(call.name, (*call.args, *calls[i + 1 : j], *calls[j].args))
            return _together([*calls[:i], both, *calls[j + 1 :]])
    return calls


def _first_that_minds(calls: list[Call]) -> int:
    """The index of the first call to which the order of the axes matters, or how many there are."""
    return next((i for i, call in enumerate(calls) if not call.elementwise), len(calls))


_ORDER = (
    *("Residual", "Sum", "Reweight", "Concat", "Split", "Gate", "Dynamic", "Shift", "ShiftInside", "Roll", "Unfold"),
    *("Wrap", "ChannelsFirst", "DropPath", "start_at", "start_normal", "tied", "fourier", "frozen"),
)
"""In which modules have had them, so that their texts stay the same; others stand behind, in that of their nodes."""


def helpers(nodes: Iterable[Node]) -> dict[str, str]:
    """What these nodes may need, in the order in which it stands in a module, by the name that is called."""
    sources = [source for node in nodes for source in node.helpers]
    known = {re.findall(r"^(?:class|def) (\w+)", source, re.MULTILINE)[-1]: source for source in sources}
    return {name: known[name] for name in (*filter(known.__contains__, _ORDER), *known)}


def used(known: Mapping[str, str], text: str) -> list[str]:
    """Of these helpers those that a text calls, and those that these call."""
    found, calling = set[str](), [text]
    for code in calling:
        new = {name for name in known if f"{name}(" in code} - found
        found |= new
        calling += [known[name] for name in new]
    return [source for name, source in known.items() if name in found]
