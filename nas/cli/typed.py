"""Options on a command line: of their fields typer gets a signature, of what was typed they are made."""

import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Any, Literal, get_origin

import typer

from nas.cli.terminal import typed
from nas.cli.values import READERS
from nas.options.option import Option, Options, declared, flag

PLACES = ("runs_dir", "data_dir")
"""Options that stand last, behind a command's own."""


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
