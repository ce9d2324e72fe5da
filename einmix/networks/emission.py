"""Nodes as calls, and the small layers that these need."""

import re
from collections.abc import Iterable, Mapping

from einmix.kinds import Mix
from einmix.kinds.mix import mixer_call
from einmix.nodes.calls import Call
from einmix.nodes.layout import back, channels_last
from einmix.nodes.node import Leaf, Node, Sizes, Step


def emit(steps: Iterable[Step]) -> list[Call]:
    """The calls for a sequence of nodes; axes are not put in another order and back where nothing happens between."""
    return _tidied(_calls(steps))


def _calls(steps: Iterable[Step]) -> list[Call]:
    found: list[Call] = []
    for step in steps:
        if isinstance(step.node, Leaf):
            found += step.node.emit(step)
        else:
            found += step.node.emit(step, list(map(emit, step.branches)))
    return found


def from_channels_first(steps: Iterable[Step], sizes: Sizes) -> list[Call]:
    """The same for the first nodes of a network, whose input is `b c ...`."""
    found = tuple(steps)
    if found and isinstance(found[0].node, Mix):
        return [mixer_call(found[0].node, channels_first=True), *emit(found[1:])]
    return _tidied([channels_last(sizes), *_calls(found)])


def _tidied(calls: list[Call]) -> list[Call]:
    """Neighbours that want their channels first as one call, with the orders of axes that it stands for."""
    calls = _without_round_trips(calls)
    for i, there in enumerate(calls):
        if there.name == "Rearrange" and not there.named and " -> b c " in there.args[0]:
            end = calls.index(back(there), i)
            return [*calls[:i], Call("ChannelsFirst", tuple(calls[i + 1 : end])), *_tidied(calls[end + 1 :])]
    return calls


def _without_round_trips(calls: list[Call]) -> list[Call]:
    """Leaves out an order of axes that is undone before it matters."""
    for i, there in enumerate(calls):
        if there.name != "Rearrange" or there.named:
            continue
        j = next((j for j in range(i + 1, len(calls)) if not calls[j].elementwise), len(calls))
        if j < len(calls) and calls[j] == back(there):
            return _without_round_trips([*calls[:i], *calls[i + 1 : j], *calls[j + 1 :]])
    return calls


_ORDER = (
    *("Residual", "Sum", "Reweight", "Concat", "Split", "Gate", "Dynamic", "Shift", "ShiftInside", "Roll", "Unfold"),
    *("Wrap", "ChannelsFirst", "DropPath", "start_at", "start_normal", "tied", "fourier", "frozen"),
)
"""In which modules have had them, so that their texts stay the same; others stand behind, in that of their nodes."""


def helpers(nodes: Iterable[Node]) -> dict[str, str]:
    """What these nodes may need, in the order in which it stands in a module, by the name that is called."""
    known = {_called(source): source for node in nodes for source in node.helpers}
    return {name: known[name] for name in (*filter(known.__contains__, _ORDER), *known)}


def used(known: Mapping[str, str], text: str) -> list[str]:
    """Of these helpers those that a text calls, and those that these call."""
    found, calling = set[str](), [text]
    for code in calling:
        new = {name for name in known if f"{name}(" in code} - found
        found |= new
        calling += [known[name] for name in new]
    return [source for name, source in known.items() if name in found]


def _called(source: str) -> str:
    return re.findall(r"^(?:class|def) (\w+)", source, re.MULTILINE)[-1]
