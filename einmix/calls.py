"""Calls as values: printed so that people can read them, and merged into functions where they are alike."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from einmix.algebra.words import describe
from einmix.nodes.calls import Call, Hole, Size

WIDTH = 120
ROOM = WIDTH - 24
"""What the deepest nesting leaves of a line."""

PIECE = ROOM - 22
"""What a string among the arguments of a call may take of a line."""

SHORT = 40
"""Inner calls up to this length stand side by side."""

NAMES = ("t", "d", "h", "w", "c")
WORDS = ("hidden", "groups", "segments", "roll", "move", "length")
"""What parameters may be called, or after which axis; others are `n`, so that no axis' name becomes code."""

OF_CHANNELS = {"c", "hidden", "groups", "segments"}
"""What counts channels: positions that happen to be as many are another size."""

MOST = 16
"""Up to so many times another size one is written as its multiple, and as its part alike."""


def text(value: Any) -> str:
    """A value as code, on one line."""
    if isinstance(value, Call):
        return ", ".join(_arguments(value)).join(value.brackets)
    if isinstance(value, Hole):
        return value.name
    if isinstance(value, Size):
        return str(value.value)
    if isinstance(value, tuple):
        return f"({', '.join(map(text, value))}{',' * (len(value) == 1)})"
    return f'"{value}"' if isinstance(value, str) else f"{value}".replace("e-0", "e-")


def _arguments(call: Call) -> list[str]:
    return [*map(text, call.args), *(f"{name}={text(value)}" for name, value in call.named)]


def lines(call: Call, room: int, lead: int = 0) -> list[str]:
    """A call as code: on one line where there is room (the first one has `lead` less), else its arguments below."""
    line = text(call)
    if len(line) <= room - lead and not any(_comment(value) for value in call.args[1:]):
        return [line]
    start, end = call.brackets
    if len(call.args) == 1 and not call.named and isinstance(call.args[0], Call):
        first, *middle, last = lines(call.args[0], room - len(end), lead + len(start)) or [""]
        if middle:
            return [start + first, *middle, last + end]
    return [start, *("    " + row for row in _rows(call, room - 4)), end]


def _rows(call: Call, room: int) -> Iterator[str]:
    """The arguments of a call: inner calls on lines of their own, what is short side by side."""
    row, said = "", list[str]()
    for value, argument in zip((*call.args, *(v for _, v in call.named)), _arguments(call), strict=True):
        inner = isinstance(value, Call) and (value.mixer is not None or len(argument) > SHORT)
        comment = _comment(value) if inner else []
        if row and (inner or len(row) + len(argument) + 2 > room or len(argument) > PIECE):
            yield row
            row = ""
        if inner:
            yield from comment if comment != said else []
            said = comment or said
            first, *rest = lines(value, room - 1)
            yield from [first, *rest[:-1], rest[-1] + ","] if rest else [first + ","]
        elif isinstance(value, str) and (len(value) > PIECE or value in call.args):  # a pattern has its own line
            yield from _quoted(value, argument.partition('"')[0])
        else:
            row = f"{row} {argument}," if row else f"{argument},"
    if row:
        yield row


def _comment(value: Any) -> list[str]:
    """What a mixer among the arguments does, in words; nothing is said of one that only scales."""
    if not isinstance(value, Call) or not value.mixer or not value.mixer.mixed:
        return []
    return textwrap.wrap(f"# {describe(value.mixer)}", ROOM, subsequent_indent="# ")


def _quoted(value: str, name: str) -> list[str]:
    """A long string in several pieces."""
    halves = [value] if len(value) <= PIECE else value.replace(" -> ", "\n-> ").splitlines()
    wrapped = (textwrap.wrap(half, PIECE, break_on_hyphens=False) or [""] for half in halves)
    *pieces, last = chain.from_iterable(wrapped)
    first, *rest = [*(f'"{piece} "' for piece in pieces), f'"{last}",']
    return [name + first, *rest]


def form(value: Any) -> Any:
    """What a function for several calls can have in common: everything but sizes and mixers."""
    return shape(value, mixers=False)


@dataclass
class Template:
    """The body of a function for calls of one form; `arguments` are what each of them passes, by parameter."""

    body: Call
    parameters: dict[str, Sequence[Any]]

    @property
    def mixers(self) -> list[str]:
        """The parameters that are layers."""
        return [name for name, values in self.parameters.items() if isinstance(values[0], Call)]

    def call(self, name: str, index: int) -> Call:
        """How the function is called for the call of this index."""
        passed = {parameter: values[index] for parameter, values in self.parameters.items()}
        layers = tuple(value for value in passed.values() if isinstance(value, Call))
        return Call(name, layers, tuple(item for item in passed.items() if not isinstance(item[1], Call)))


def merged(calls: Sequence[Call]) -> Template:
    """One body for calls of one form: what differs among them becomes parameters, what differs alike becomes one."""
    found: list[tuple[Values, str]] = []
    _merge(calls, lambda values, name: found.append((values, name)))
    layers = sum(isinstance(values[0], Call) for values, _ in found)
    stems: dict[tuple[Values, bool], list[str]] = {}
    for values, name in found:
        stems.setdefault((values, name in OF_CHANNELS), []).append(name)
    names: dict[tuple[Values, bool], str] = {}
    parameters: dict[str, Values] = {}
    holes = []
    for values, name in found:
        key = values, name in OF_CHANNELS
        if isinstance(values[0], Call):  # each is a layer of its own, though it be made alike
            holes.append(_new("mix" if layers == 1 else "mix1", set(parameters)))
            parameters[holes[-1]] = values
            continue
        if key not in names:
            names[key] = _known(values, _size_name(stems[key]), parameters)
            if names[key] == "":
                names[key] = _new(_size_name(stems[key]), set(parameters))
                parameters[names[key]] = values
        holes.append(names[key])
    rest = iter(holes)
    body = _merge(calls, lambda values, name: Hole(next(rest)))
    return Template(body, dict(sorted(parameters.items(), key=lambda item: not isinstance(item[1][0], Call))))


Values = tuple[Any, ...]
"""What calls pass for one parameter."""


def _known(values: Values, stem: str, parameters: dict[str, Values]) -> str:
    """Sizes by those of a parameter that there is, if they can be had from it."""
    alike = [name for name in parameters if (_stem(name) in OF_CHANNELS) == (stem in OF_CHANNELS)]
    return next(filter(None, (_as_other(values, stem, name, parameters[name]) for name in alike)), "")


def _stem(name: str) -> str:
    return name.rstrip("0123456789")


def _as_other(values: Values, stem: str, name: str, others: Values) -> str:
    """Sizes as the opposite, a multiple or a part of those of a parameter, where they are that in every call."""
    if not all(isinstance(value, Size) for value in (*values, *others)):
        return ""
    pairs = [(value.value, other.value) for value, other in zip(values, others, strict=True)]
    if all(n == -other for n, other in pairs):
        return f"-{name}"
    if stem not in OF_CHANNELS and _stem(name) != stem:
        return ""  # the axes of a grid and distances along them only happen to have a ratio
    for times in range(2, MOST + 1):
        if all(n == times * other for n, other in pairs):
            return f"{times} * {name}"
        if all(n * times == other for n, other in pairs):
            return f"{name} // {times}"
    return ""


def _merge(values: Sequence[Any], parameter: Callable[[Values, str], Any]) -> Any:
    """What values have in common; for the rest `parameter` is called, with the values and a name for them."""
    first = values[0]
    if all(value == first for value in values):
        return first
    if isinstance(first, Size):
        if all(value.value == first.value for value in values):
            return first  # it may be another thing in another call, but not another number
        return parameter(tuple(Size(value.value, "") for value in values), first.name)
    if isinstance(first, Call):
        if first.mixer and len({shape(value) for value in values}) > 1:
            return parameter(tuple(values), "mix")
        args = tuple(_merge(each, parameter) for each in zip(*(value.args for value in values), strict=True))
        named = zip(*(value.named for value in values), strict=True)
        pairs = tuple((each[0][0], _merge([value for _, value in each], parameter)) for each in named)
        return Call(first.name, args, pairs, listed=first.listed)
    return tuple(_merge(each, parameter) for each in zip(*values, strict=True))


def shape(value: Any, *, mixers: bool = True) -> Any:
    """A call without its sizes, or without what its mixers are, too."""
    if isinstance(value, Call):
        if value.mixer and not mixers:
            return "mixer"
        named = ((name, shape(v, mixers=mixers)) for name, v in value.named)
        return value.name, tuple(shape(v, mixers=mixers) for v in value.args), tuple(named)
    if isinstance(value, tuple):
        return tuple(shape(v, mixers=mixers) for v in value)
    return "size" if isinstance(value, Size) else value


def _size_name(wanted: Sequence[str]) -> str:
    """What a parameter for sizes is called: after their axis, if that is one and a usual one."""
    known = list(dict.fromkeys(name for name in wanted if name in (*NAMES, *WORDS)))
    if len(set(known) - {"c", *WORDS}) > 1:
        return "region"  # alike along several axes
    return known[0] if known else "n"


def _new(name: str, taken: set[str]) -> str:
    """The name, or the next free number after it."""
    stem = name.rstrip("1")
    return next(each for k in range(1, 1000) if (each := name if k == 1 else f"{stem}{k}") not in taken)
