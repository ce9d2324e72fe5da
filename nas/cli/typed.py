"""Options on a command line: of their fields typer gets a signature, of what was typed they are made."""

import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Any, Literal, get_origin

import typer

from nas.cli.terminal import typed
from nas.errors import NasError
from nas.options.option import Option, Options, declared, flag
from search_spaces.blocks.patch import Patch, Sides

PLACES = ("runs_dir", "data_dir")
"""Options that stand last, behind a command's own."""


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


def takes(options: type[Options], **before: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command's parameter `asked` the options that can be typed; `asked.given` are those that were.

    The command's own parameters are shown before the places, or before the option that `before` names.
    """
    known = {name: each for name, each in declared(options).items() if each[1].help}

    def of(command: Callable[..., None]) -> Callable[..., None]:
        own = dict(inspect.signature(command, eval_str=True).parameters)
        del own["asked"]
        shown = [_parameter(name, getattr(options, name), *known[name]) for name in known]
        for name in own:
            place = before.get(name) or next(each for each in known if each in PLACES)
            at = next(number for number, each in enumerate(shown) if each.name == place)
            shown.insert(at, own[name].replace(kind=Parameter.KEYWORD_ONLY))

        def called(context: typer.Context, **words: Any) -> None:
            sources = {name: context.get_parameter_source(name) for name in known}
            given = {name: words[name] for name, source in sources.items() if source and source.name == "COMMANDLINE"}
            given |= {name: READERS[kind](given[name], name) for name in given if (kind := known[name][0]) in READERS}
            line = {"command": typed()} if "command" in declared(options) else {}
            command(asked=options(**given, **line), **{name: words[name] for name in own})

        context = Parameter("context", Parameter.KEYWORD_ONLY, annotation=typer.Context)
        called.__signature__ = inspect.Signature([context, *shown])  # type: ignore[attr-defined]
        called.__name__, called.__doc__, called.__annotations__ = command.__name__, command.__doc__, {}
        return called

    return of


def _parameter(name: str, default: Any, kind: Any, option: Option) -> Parameter:
    """An option as typer knows it: a text, where typer could not read its type."""
    if kind in READERS or get_origin(kind) is Literal:
        kind, default = str | None, ",".join(map(str, default)) or None if isinstance(default, tuple) else default
    only = [flag(name)] if default is False else []  # there is nothing to be switched off
    shown = typer.Option(default, *only, help=option.help, metavar=option.metavar)
    return Parameter(name, Parameter.KEYWORD_ONLY, default=shown, annotation=kind)
