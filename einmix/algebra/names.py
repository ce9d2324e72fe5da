"""What the names in somebody's EinMix call tell: which parts of its sides are one axis, and what that is called."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from itertools import chain, pairwise
from keyword import iskeyword
from typing import NamedTuple

from einmix.algebra.factors import RESERVED

Groups = list[list[str]]
"""The names on one side of a call, those of one of its axes together."""

SPATIAL = ("h", "w", "d")
USUAL = ("c", "t", *SPATIAL)
"""Axes whose names decide: the first of them that parts speak of, where these speak of several."""

PLACES = {"t": 0, "d": 1, "h": 2, "w": 3, "": 4, "c": 5}
"""Where usual axes stand in a mixer, and others (""), in the order of the call."""

AXIS_WORDS: dict[str, dict[str, str]] = {
    "([ct])[a-z]": {"ci": "c", "tp": "t", "ch": "c"},
    "([dhw])[a-ce-gi-vx-z]": {"hp": "h", "wi": "w", "dk": "d"},  # but hw is both
    "([a-z])[iog]": {"ni": "n", "xo": "x", "kg": "k"},
    r"([a-z])[A-Z0-9_]\w*": {"hI": "h", "h0": "h", "h_out": "h", "c1": "c", "n_tokens": "n"},
    r"[a-ce-gi-vx-z]([dhw])\d*": {"gh": "h", "kw": "w", "fd2": "d"},
    r"(\w+?)\d*(?:_(?:in|out|new|i|o|g))?": {"h": "h", "hw": "hw", "tokens2": "tokens", "tokens_out": "tokens"},
}
"""The axis that a name speaks of is what the first of these forms has in parentheses, as in the examples."""


class Guess(NamedTuple):
    """What an axis could be called, or nothing, by what its input and its output tell and whether no axis is c yet.

    Examples are patterns with the names of their axes, in the order of the mixer.
    """

    name: Callable[[str, str, bool], str]
    examples: Mapping[str, str]


GUESSES = (
    Guess(lambda source, target, free: _usual(source), {"hw c -> hid c": "hw c", "c0 -> t": "c", "n h -> n": "h n"}),
    Guess(lambda source, target, free: _usual(target), {"hid c -> hw c": "hw c", "p -> h0": "h", "n -> n h": "h n"}),
    Guess(
        lambda source, target, free: "c" if free and not (source and target) else "",
        {"n (k p) -> n q": "n c", "n -> n o": "n c", "(k p) -> (k q)": "c"},
    ),
    Guess(lambda source, target, free: source, {"n c -> n0 c": "n c", "tokens c -> u c": "tokens c"}),
    Guess(lambda source, target, free: target, {"(p q) c -> n c": "n c", "t c -> t o c": "t o c"}),
    Guess(lambda source, target, free: "x", {"(p q) c -> (r s) c": "x c"}),
)
"""What an axis is called, read from the top: the first that says something."""


class NamedAxis(NamedTuple):
    """An axis with the names of its parts in the input and in the output, from the outside in."""

    name: str
    source: list[str]
    target: list[str]


def named_axes(left: Groups, right: Groups, kept: list[str], wide: set[str]) -> list[NamedAxis]:
    """The axes of a call, channels last, from the groups of its sides.

    `kept` are the names on both sides, in their order within axes; `wide` are those of length above 1. Tokens are cut
    into positions where these then stand as they stood in the call; else they are one axis.
    """
    names = [*chain(*left, *right)]
    axes = _named(_pairs(_cut(left), _cut(right)), names, kept)
    sides = (left, [axis.source for axis in axes]), (right, [axis.target for axis in axes])
    for groups, parts in sides:
        order = [name for name in chain(*parts) if name in wide]
        for group in ([name for name in group if name in wide] for group in groups):
            if group and group != order[order.index(group[0]) :][: len(group)]:
                return _named(_pairs(left, right), names, kept)
    return axes


@lru_cache(maxsize=4096)
def axis_of(name: str) -> str:
    """The axis that a name speaks of."""
    found = (re.fullmatch(form, name) for form in AXIS_WORDS)
    return next(match[1] for match in found if match)


def told(names: Iterable[str]) -> str:
    """What names of parts of an axis tell of it: the usual axis of which some speak, or the one of which all speak.

    >>> told(["g", "c"]), told(["n", "hi"]), told(["K1", "K2"]), told(["p", "q"])
    ('c', 'h', 'k', '')
    """
    axes = list(dict.fromkeys(map(axis_of, names)))
    if len(axes) == 1:
        return re.sub("[^a-z0-9]", "", axes[0].lower()).lstrip("0123456789")
    return next((axis for axis in USUAL if axis in axes), "")


def fresh(name: str, used: Iterable[str]) -> str:
    """The name, or with the first letters x that make it new."""
    taken = set(used)
    while name in taken or iskeyword(name):
        name += "x"
    return name


def _usual(name: str) -> str:
    return name if re.fullmatch("[ct]|[dhw]+", name) else ""


def _cut(groups: Groups) -> Groups:
    """Groups cut where one spatial axis ends and another begins: (h w) are two axes, (hI h) and (g c) one."""
    pieces = []
    for group in groups:
        pieces.append(group[:1])
        for before, name in pairwise(group):
            axes = {axis_of(before), axis_of(name)}
            if len(axes) == 2 and axes <= set(SPATIAL):
                pieces.append([])
            pieces[-1].append(name)
    return pieces


class _Pair(NamedTuple):
    """Pieces of the input and of the output that are one axis."""

    sources: Groups
    targets: Groups

    @property
    def names(self) -> set[str]:
        return {*chain(*self.sources, *self.targets)}


def _pairs(sources: Groups, targets: Groups) -> list[_Pair]:
    """Every piece of one side with those of the other.

    A piece of the input meets those of the output that keep a part of it; else one that tells the same axis; else the
    next that is left over. What is then alone has length 1 on the other side.
    """
    sources, targets = list(sources), list(targets)
    pairs: list[_Pair] = []
    for meets, most in (
        (lambda source, target: not set(source).isdisjoint(target), None),
        (lambda source, target: told(source) == told(target), 1),
        (lambda source, target: True, 1),
    ):
        for source in list(sources):
            if meeting := [target for target in targets if meets(source, target)][:most]:
                sources.remove(source)
                targets = [target for target in targets if target not in meeting]
                pairs.append(_Pair([source], meeting))
    return _united(pairs + [_Pair([source], []) for source in sources] + [_Pair([], [target]) for target in targets])


def _united(pairs: list[_Pair]) -> list[_Pair]:
    """Pairs whose kept parts crossed over (a piece of the output drawing on two of the input) joined into one."""
    united: list[_Pair] = []
    for pair in pairs:
        for other in [other for other in united if other.names & pair.names]:
            united.remove(other)
            pair = _Pair(other.sources + pair.sources, other.targets + pair.targets)
        united.append(pair)
    return united


def _named(pairs: list[_Pair], names: list[str], kept: list[str]) -> list[NamedAxis]:
    """Pairs with a name each, channels last, and their pieces in the order of what they keep."""

    def parts(pieces: Groups) -> list[str]:
        place = {name: index for index, name in enumerate(kept)}
        return [*chain(*sorted(pieces, key=lambda piece: next((place[n] for n in piece if n in place), len(place))))]

    ends = sorted(
        ((parts(pair.sources), parts(pair.targets)) for pair in pairs),
        key=lambda end: names.index((end[0] or end[1])[0]),
    )
    told_of = [(told(source), told(target)) for source, target in ends]
    taken = {_usual(source) or _usual(target) for source, target in told_of}
    axes: list[NamedAxis] = []
    for (source, target), end in zip(told_of, ends, strict=True):
        free = "c" not in taken.union(axis.name for axis in axes)
        guesses = (guess.name(source, target, free) for guess in GUESSES)
        name = fresh(next(filter(None, guesses)), {*RESERVED, *(axis.name for axis in axes)})
        axes.append(NamedAxis(name, *end))
    return sorted(axes, key=lambda axis: PLACES.get(axis.name, PLACES[""]))
