"""Calls as values: printed so that people can read them, and merged into functions where they are alike."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from einmix.mixer import Mixer
from einmix.words import describe

WIDTH = 120
ROOM = WIDTH - 24
"""What the deepest nesting leaves of a line."""

PIECE = ROOM - 22
"""What a string among the arguments of a call may take of a line."""

SHORT = 36
"""Inner calls up to this length stand side by side."""

NAMES = ("t", "d", "h", "w", "c")
"""What parameters may be called after; others are `n`, so that no axis' name becomes code."""


@dataclass(frozen=True)
class Size:
    """A number that may differ from call to call; `name` is what a parameter for it could be called."""

    value: int
    name: str


@dataclass(frozen=True)
class Hole:
    """A parameter of the function around."""

    name: str


@dataclass(frozen=True)
class Call:
    """A call with its arguments, without and with names, or with one list of them.

    `mixer` is the one that it makes, if it makes one.
    """

    name: str
    args: tuple[Any, ...] = ()
    named: tuple[tuple[str, Any], ...] = ()
    mixer: Mixer | None = field(default=None, compare=False)
    listed: bool = False

    @property
    def brackets(self) -> tuple[str, str]:
        """What stands before its arguments, and after them."""
        return (f"{self.name}([", "])") if self.listed else (f"{self.name}(", ")")


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
    return f'"{value}"' if isinstance(value, str) else f"{value}"


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
    row = ""
    for value, argument in zip((*call.args, *(v for _, v in call.named)), _arguments(call), strict=True):
        inner = isinstance(value, Call) and (value.mixer is not None or len(argument) > SHORT)
        if row and (inner or len(row) + len(argument) + 2 > room or len(argument) > PIECE):
            yield row
            row = ""
        if inner:
            yield from _comment(value)
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
    if isinstance(value, Call):
        if value.mixer:
            return "mixer"
        return value.name, tuple(map(form, value.args)), tuple((name, form(v)) for name, v in value.named)
    if isinstance(value, tuple):
        return tuple(map(form, value))
    return "size" if isinstance(value, Size) else value


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
    parameters: dict[tuple[Any, ...], str] = {}
    layers = list(_mixers_that_differ(calls))

    def parameter(values: tuple[Any, ...], name: str = "") -> Hole:
        opposite = tuple(Size(-value.value, "") if isinstance(value, Size) else value for value in values)
        if values not in parameters and opposite in parameters:
            return Hole(f"-{parameters[opposite]}")
        if values not in parameters:
            wanted = _size_name(name) if name else "mix" if len(layers) == 1 else "mix1"
            parameters[values] = _new(wanted, set(parameters.values()))
        return Hole(parameters[values])

    def merge(values: Sequence[Any]) -> Any:
        first = values[0]
        if all(value == first for value in values):
            return first
        if isinstance(first, Size):  # the first one to have these values names them
            return parameter(tuple(Size(value.value, "") for value in values), first.name)
        if isinstance(first, Call):
            if first.mixer and len({shape(value) for value in values}) > 1:
                return parameter(tuple(values))
            args = tuple(map(merge, zip(*(value.args for value in values), strict=True)))
            named = zip(*([v for _, v in value.named] for value in values), strict=True)
            names = (name for name, _ in first.named)
            return Call(first.name, args, tuple(zip(names, map(merge, named), strict=True)), listed=first.listed)
        return tuple(map(merge, zip(*values, strict=True)))

    body = merge(calls)
    layers_first = sorted(parameters.items(), key=lambda item: not isinstance(item[0][0], Call))
    return Template(body, {name: values for values, name in layers_first})


def _mixers_that_differ(calls: Sequence[Call]) -> Iterator[tuple[Call, ...]]:
    """The places of mixers that no function can hold, since they differ in more than sizes."""
    for values in dict.fromkeys(zip(*map(list, map(_mixers, calls)), strict=True)):
        if len({shape(value) for value in values}) > 1:
            yield values


def _mixers(value: Any) -> Iterator[Call]:
    if isinstance(value, Call):
        if value.mixer:
            yield value
        else:
            for inner in (*value.args, *(v for _, v in value.named)):
                yield from _mixers(inner)


def shape(value: Any) -> Any:
    """A call without its sizes."""
    if isinstance(value, Call):
        return value.name, tuple(map(shape, value.args)), tuple((name, shape(v)) for name, v in value.named)
    if isinstance(value, tuple):
        return tuple(map(shape, value))
    return "size" if isinstance(value, Size) else value


def _size_name(name: str) -> str:
    """What a parameter for a size is called: after its axis, if that is a usual one."""
    stem = name.rstrip("io") if name.rstrip("io") in NAMES else name
    return stem if stem in (*NAMES, "hidden") else "n"


def _new(name: str, taken: set[str]) -> str:
    """The name, or the next free number after it."""
    stem = name.rstrip("1")
    return next(each for k in range(1, 1000) if (each := name if k == 1 else f"{stem}{k}") not in taken)
