"""Calls as values: what the nodes of a network become before they are text."""

from dataclasses import dataclass, field
from typing import Any

from einmix.algebra.mixer import Mixer


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
    """A call with its arguments, without and with names, or with one list of them: the list alone without a name.

    `mixer` is the one that it makes, if it makes one; `elementwise` says that the order of the axes is all one to it.
    """

    name: str
    args: tuple[Any, ...] = ()
    named: tuple[tuple[str, Any], ...] = ()
    mixer: Mixer | None = field(default=None, compare=False)
    listed: bool = False
    elementwise: bool = field(default=False, compare=False)

    @property
    def brackets(self) -> tuple[str, str]:
        """What stands before its arguments, and after them."""
        if self.listed:
            return (f"{self.name}([", "])") if self.name else ("[", "]")
        return f"{self.name}(", ")"


def one(calls: list[Call]) -> Call:
    """Several layers as one."""
    if not calls:
        return Call("nn.Identity")
    return calls[0] if len(calls) == 1 else Call("nn.Sequential", tuple(calls))
