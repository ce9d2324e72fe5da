"""Mixers in words, for comments, names and tables."""

from __future__ import annotations

from einmix.algebra.factors import Factors
from einmix.algebra.mixer import Mixer

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


def describe(mixer: Mixer) -> str:
    """What a mixer connects, and which weights it shares, in words.

    >>> describe(Mixer.parse("h=m4.s2 w=m4.s2 c=g4.s8"))
    'a 4 x 4 subgrid in steps of 2, weights per group of 8 channels'
    >>> describe(Mixer.parse("h=m8:12 w=m8:1 c=s8"))
    'all positions, weights shared by all channels; h from 8 to 12, w from 8 to 1'
    """
    axes = dict(mixer.axes)
    channels = axes.pop("c", ())
    word = _word(channels)
    template = _CHANNELS.get(word, "channels as {text}")
    inner = template.format(*(f.size for f in channels), text=".".join(map(str, channels)))
    outputs = mixer.outputs
    changed = [f"{axis} from {n} to {outputs[axis]}" for axis, n in mixer.inputs.items() if n != outputs[axis]]
    return "; ".join([f"{_positions(axes)}, {inner}", *[", ".join(changed)] * bool(changed)])


def title(mixer: Mixer) -> str:
    """A name for a function that makes this mixer: `subgrid`, `local`, `everywhere`, `along_h`, `pointwise`…"""
    words = {name: _word(factors) for name, factors in mixer.axes if name != "c"}
    kinds = set(words.values())
    if not mixer.mixed - {"c"}:
        return "pointwise" if mixer.mixed else "in_place"
    if kinds == {"ms"}:
        return "subgrid"
    if kinds == {"sm"}:
        return "local"
    if kinds <= {"m", ""}:
        return "everywhere"
    return "along_" + "_".join(name for name, word in words.items() if "m" in word)


def _word(factors: Factors) -> str:
    return "".join(f.role for f in factors)


def _positions(axes: dict[str, Factors]) -> str:
    words = {_word(factors) for factors in axes.values()}
    sizes = [[f.size for f in factors] for factors in axes.values()]
    if words <= {""}:
        return "the only position"
    if words <= {"m", ""}:
        return "all positions"
    if words == {"ms"}:
        steps = {inner for _, inner in sizes}
        step = str(steps.pop()) if len(steps) == 1 else " x ".join(str(inner) for _, inner in sizes)
        grid = " x ".join(str(outer) for outer, _ in sizes)
        return f"a{'n' * grid.startswith(('8', '11 ', '18 '))} {grid} subgrid in steps of {step}"
    if words == {"sm"}:
        return f"within patches of {' x '.join(str(inner) for _, inner in sizes)}"
    if words <= {"s", ""}:
        return "position by position"
    return ", ".join(f"{name} {_axis(factors)}" for name, factors in axes.items())


def _axis(factors: Factors) -> str:
    word, sizes = _word(factors), [f.size for f in factors]
    known = {"": "alone", "m": "mixed", "s": "apart", "g": "apart with weights for each"}
    if word in known:
        return known[word]
    if word == "ms":
        return f"mixed in steps of {sizes[1]}"
    if word == "sm":
        return f"mixed within {sizes[1]}"
    return "as " + ".".join(map(str, factors))
