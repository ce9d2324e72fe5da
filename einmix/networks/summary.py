"""Mixers, branches, blocks and networks in words, for tables, comments and names."""

from collections.abc import Mapping
from itertools import groupby
from typing import NamedTuple

from einmix.algebra.factors import Factor, Factors
from einmix.algebra.mixer import Mixer
from einmix.kinds import Mix
from einmix.networks.architecture import Architecture, Part, Slotted
from einmix.nodes.node import Step
from einmix.nodes.windows import Windowed


def mixers(architecture: Architecture) -> str:
    """What the blocks mix with, in short, runs of equal ones counted."""
    runs = [(text, len(list(same))) for text, same in groupby(filter(None, map(block_words, architecture.blocks)))]
    return " | ".join(text if times == 1 else f"{times} x {text}" for text, times in runs) or "none"


def block_mixers(block: tuple[Step, ...]) -> list[Mixer]:
    """The mixers of a block that mix positions, or its only one whatever it does."""
    found = [leaf.node.mixer for step in block for leaf in step.leaves() if isinstance(leaf.node, Mix)]
    return [mixer for mixer in found if mixer.mixed - {"c"} or len(found) == 1]


def block_words(block: tuple[Step, ...], *, bias: bool = False) -> str:
    """What is special about a block: its gates and branches, what moves positions; not norms and channel MLPs."""
    words, mixers = [], block_mixers(block)
    for node in (step.node for each in block for step in each.walk()):
        if isinstance(node, Mix):
            text = str(node.mixer)
            words += [text if bias else text.removesuffix(" +b")] if node.mixer in mixers else []
        elif not node.plain:
            words.append(node.text.partition(";")[0])
    return " ".join(words)


class Job(NamedTuple):
    """What a branch does: a name for a function that makes it, and words for its docstring."""

    name: str
    words: str


def job(branch: Step) -> Job:
    """What this branch does."""
    ideas = dict(step.node.job for step in branch.walk() if all(step.node.job))
    if not ideas and _is_mlp(branch):
        ideas = {"token_mlp": "by an MLP"}
    if branch.touched - {"c"}:
        what, words = "tokens", "Mix positions"
    elif branch.touched:
        what, words = "channels", "Mix channels at every position"
    else:
        what, words = "unmixed", "Mix nothing"
    names = list(ideas)[:2]
    if names and what != "tokens":
        names.append(what)
    return Job("_".join(names or [what]), ", ".join([words, *ideas.values()]))


def _is_mlp(branch: Step) -> bool:
    """Whether positions are mixed before and after an activation."""
    found = ""
    for leaf in branch.leaves():
        if leaf.node.activates:
            found += "a"
        elif isinstance(leaf.node, Mix) and leaf.touched - {"c"}:
            found += "m"
    return "mam" in found


def embedding_words(part: Part) -> str:
    """What an embedding does."""
    axes = [axis for axis in part.before if axis != "c"]
    to = f"to {part.after['c']} channels"
    if not any(step.touched - {"c"} for step in part.steps):
        return f"every position {to}"
    first, *others = part.steps
    if isinstance(first.node, Mix) and not any(step.touched - {"c"} for step in others):
        patch = [_patch(factors) for axis, factors in first.node.mixer.axes if axis != "c"]
        if all(patch):
            return f"patches of {' x '.join(map(str, patch))} {to}"
    leaves = [leaf for step in part.steps for leaf in step.leaves() if leaf.touched - {"c"}]
    strides = {leaf.node.stride if isinstance(leaf.node, Windowed) else 0 for leaf in leaves}
    if len(strides) == 1 and 0 not in strides:
        return f"windows in steps of {' x '.join([str(*strides)] * len(axes))} {to}"
    return ", ".join([f"{axis} from {n} to {part.after[axis]}" for axis, n in part.before.items()])


def _patch(factors: Factors) -> int:
    """The length of the patches that become one position each, along an axis; 0 where it is not cut into such."""
    *apart, last = factors or (Factor("s", 1, 1),)
    if last.role != "m":
        apart, last = [*apart, last], Factor("m", 1, 1)
    return last.size if last.out == 1 and all(factor.role == "s" for factor in apart) else 0


def subject(arch: Architecture) -> str:
    """What a network is for: images, sequences, volumes of which sizes."""
    *axes, (_, channels) = arch.inputs
    shape = " x ".join(str(size) for _, size in axes)
    noun = {1: "sequences of", 2: "images of", 3: "volumes of"}.get(len(axes), "arrays of")
    if len(axes) == 2 and channels in (1, 3):
        return f"{shape} {'grey' if channels == 1 else 'colour'} images"
    return f"{noun} {shape} with {channels} channel{'s' * (channels > 1)}"


def shares(arch: Architecture) -> list[tuple[str, int, int, bool]]:
    """Where a network's parameters are: what has them, in which block (or 0), how many, if they mix positions.

    Layers that move positions are apart from the rest of their block; of slots each has those of all of its places.
    """
    if isinstance(arch, Slotted):
        return [*((name, 0, count, True) for name, count in arch.params_in.items()), ("the rest", 0, arch.rest, False)]
    found, number = [], 0
    for part in arch.parts:
        whole = sum(step.cost[0] for step in part.steps)
        if part.role != "block":
            found.append((part.role, 0, whole, False))
            continue
        number += 1
        mixing = sum(leaf.cost[0] for step in part.steps for leaf in step.leaves() if leaf.touched - {"c"})
        found += [("positions", number, mixing, True), ("the rest", number, whole - mixing, False)]
    found.append(("classifier", 0, arch.params - sum(count for _, _, count, _ in found), False))
    return [each for each in found if each[2]]


def outputs(arch: Architecture) -> str:
    """How many numbers a network gives for an example: logits of classes, or whatever its loss makes of them."""
    return f"{arch.classes} output{'s' * (arch.classes > 1)}"


_CHANNELS = {
    "": "weights shared by all channels",
    "s": "weights shared by all channels",
    "g": "weights per channel",
    "gs": "weights per group of {1} channels",
    "sg": "{1} kinds of channels in turn, weights per kind",
    "m": "all channels mixed",
    "sm": "channels mixed within segments of {1}, alike in each",
    "ms": "channels mixed in steps of {1}, {0} at a time, alike in each",
    "gm": "channels mixed within groups of {1}, weights per group",
    "mg": "channels mixed in steps of {1}, {0} at a time, weights per step",
}
_POSITIONS = {"": "the only position", "m": "all positions", "s": "position by position"}
_ALONG = {
    "": "alone",
    "m": "mixed",
    "s": "apart",
    "g": "apart with weights for each",
    "ms": "mixed in steps of {1}",
    "sm": "mixed within {1}",
}


def describe(mixer: Mixer) -> str:
    """What a mixer connects, and which weights it shares, in words.

    >>> describe(Mixer.parse("h=m4.s2 w=m4.s2 c=g4.s8"))
    'a 4 x 4 subgrid in steps of 2, weights per group of 8 channels'
    >>> describe(Mixer.parse("h=m8:12 w=m8:1 c=s8"))
    'all positions, weights shared by all channels; h from 8 to 12, w from 8 to 1'
    """
    axes = {axis: factors for axis, factors in mixer.axes if axis != "c"}
    outputs = mixer.outputs
    changed = [f"{axis} from {n} to {outputs[axis]}" for axis, n in mixer.inputs.items() if n != outputs[axis]]
    return "; ".join([f"{_positions(axes)}, {channel_words(mixer)}", *[", ".join(changed)] * bool(changed)])


def channel_words(mixer: Mixer) -> str:
    """What a mixer does with channels, in words.

    >>> channel_words(Mixer.parse("t=m4 c=g4.s8"))
    'weights per group of 8 channels'
    """
    return _said(_CHANNELS, dict(mixer.axes).get("c", ()), "channels as {text}")


def einmix_line(mixer: Mixer) -> str:
    """The EinMix call of a mixer, as it would stand in code.

    >>> einmix_line(Mixer.parse("t=m8 c=s4"))
    "Mix('b ti c -> b to c', weight_shape='ti to', ti=8, to=8, c=4)"
    """
    call = mixer.einmix()
    pattern = call.pop("pattern")
    return f"Mix({pattern!r}, " + ", ".join(f"{name}={value!r}" for name, value in call.items()) + ")"


def title(mixer: Mixer) -> str:
    """A name for a function that makes this mixer: `subgrid`, `local`, `everywhere`, `along_h`, `pointwise`…"""
    if not mixer.mixed - {"c"}:
        return "pointwise" if mixer.mixed else "in_place"
    words = {name: _word(factors) for name, factors in mixer.axes if name != "c"}
    known = {"ms": "subgrid", "sm": "local", "m": "everywhere", "/m": "everywhere"}
    along = "along_" + "_".join(name for name, word in words.items() if "m" in word)
    return known.get("/".join(sorted(set(words.values()))), along)


def _word(factors: Factors) -> str:
    return "".join(f.role for f in factors)


def _positions(axes: dict[str, Factors]) -> str:
    words = "/".join(sorted({_word(factors) for factors in axes.values()}))
    if words == "ms":
        steps = [str(inner.size) for _, inner in axes.values()]
        grid = " x ".join(str(outer.size) for outer, _ in axes.values())
        step = " x ".join(steps if len(set(steps)) > 1 else steps[:1])
        return f"a{'n' * grid.startswith(('8', '11 ', '18 '))} {grid} subgrid in steps of {step}"
    if words == "sm":
        return f"within patches of {' x '.join(str(inner.size) for _, inner in axes.values())}"
    each = ", ".join(f"{name} {_said(_ALONG, factors, 'as {text}')}" for name, factors in axes.items())
    return _POSITIONS.get(words.removeprefix("/"), each)


def _said(words: Mapping[str, str], factors: Factors, other: str) -> str:
    """What these words say of the roles of factors, else the other text, with the sizes in it."""
    text = ".".join(map(str, factors))
    return words.get(_word(factors), other).format(*(f.size for f in factors), text=text)
