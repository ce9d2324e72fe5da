"""Calls as lines of code that people can read."""

import textwrap
from collections.abc import Iterator
from itertools import chain
from typing import Any

from einmix.networks.summary import describe
from einmix.nodes.calls import Call, Hole, Size

WIDTH = 120
ROOM = WIDTH - 24
"""What the deepest nesting leaves of a line."""

PIECE = ROOM - 22
"""What a string among the arguments of a call may take of a line."""

SHORT = 40
"""Inner calls up to this length stand side by side."""


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
    values = [*(("", value) for value in call.args), *((f"{name}=", value) for name, value in call.named)]
    for (name, value), argument in zip(values, _arguments(call), strict=True):
        inner = isinstance(value, Call) and (value.mixer is not None or len(argument) > SHORT)
        comment = _comment(value) if inner else []
        if row and (inner or len(row) + len(argument) + 2 > room or len(argument) > PIECE):
            yield row
            row = ""
        if inner:
            yield from comment if comment != said else []
            said = comment or said
            first, *rest = lines(value, room - 1, lead=len(name))
            yield from [name + first, *rest[:-1], rest[-1] + ","] if rest else [name + first + ","]
        elif isinstance(value, str) and (len(value) > PIECE or value in call.args):  # a pattern has its own line
            yield from _quoted(value, name)
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
