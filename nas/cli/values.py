"""Values as they are typed: several with commas between."""

from collections.abc import Callable
from typing import Any

from nas.errors import NasError
from nas.options.option import flag
from search_spaces.blocks.patch import Patch, Sides


def names(text: str, option: str) -> tuple[str, ...]:
    """The names in a list such as mixer,gmlp."""
    return tuple(dict.fromkeys(filter(None, map(str.strip, text.split(",")))))


def sizes(text: str, option: str) -> tuple[int, ...]:
    """The sizes in a list such as 1,2,4; which of them are possible is for the space to say. Raises NasError."""
    pieces = [piece.strip() for piece in text.split(",")]
    if not all(map(_is_size, pieces)):
        raise NasError(f"{flag(option)} takes whole numbers with commas between, as in 1,2,4, not {text!r}")
    return tuple(dict.fromkeys(map(int, pieces)))


def rates(text: str, option: str) -> tuple[float, ...]:
    """The numbers in a list such as 0.002,0.005; the recipe says which are possible. Raises NasError."""
    try:
        return tuple(float(piece) for piece in text.split(","))
    except ValueError:
        raise NasError(f"{flag(option)} takes numbers with commas between, as in 0.002,0.005, not {text!r}") from None


def patch(text: str, option: str) -> Patch:
    """A patch as it is typed: 4, or a side for each axis as in 1x4x4. Raises NasError."""
    pieces = text.strip().split("x")
    if not all(map(_is_size, pieces)):
        raise NasError(f"{flag(option)} takes a whole number, or one for each axis as in 1x4x4, not {text!r}")
    found = [int(piece) for piece in pieces]
    return found[0] if len(found) == 1 else Sides(found)


def patches(text: str, option: str) -> tuple[Patch, ...]:
    """The patches in a list such as 1,2 or 1x4x4,1x8x8. Raises NasError."""
    return tuple(dict.fromkeys(patch(each, option) for each in text.split(",")))


def _is_size(piece: str) -> bool:
    return piece.isascii() and piece.isdigit() and len(piece) < 10 and int(piece) > 0


READERS: dict[Any, Callable[[str, str], Any]] = {
    tuple[str, ...]: names,
    tuple[int, ...]: sizes,
    tuple[float, ...]: rates,
    tuple[Patch, ...]: patches,
    Patch | None: patch,
}
"""By the type of an option: what is made of its text; the others typer reads."""
